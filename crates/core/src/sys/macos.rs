//! macOS. Checked by the compiler and clippy on every change; never run by this project's own CI.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use memmap2::{MmapOptions, MmapRaw};

use super::unix::{give_back, lengthen, msync, write_zeros};
use super::FileMap;
use crate::{Access, Error, Result};

/// How many cores this process may run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// mmap(2) of a part of a file; `offset` is a multiple of the page size.
///
/// A private map is a snapshot here, so `read` is shared and truly read-only: JavaScript gets no windows
/// onto it, since a store through one would end the process.
///
/// # References
/// - [mmap(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/mmap.2.html)
pub fn map_file(file: &File, offset: u64, len: usize, access: Access, _huge_pages: bool) -> Result<FileMap> {
    let mut options = MmapOptions::new();
    options.offset(offset).len(len);
    let refused = |cause: io::Error| Error::system("mmap", &cause);
    let (memory, writable, private) = match access {
        Access::Read => (options.map_raw_read_only(file).map_err(refused)?, false, false),
        Access::Write => (options.map_raw(file).map_err(refused)?, true, false),
        // SAFETY: memmap2 asks that nobody changes the file under a slice. Others may, and pages may vanish (see
        // `guard`): every reader in this crate gives only a wrong answer about bytes then, never an address.
        Access::Copy => (MmapRaw::from(unsafe { options.map_copy(file) }.map_err(refused)?), true, true),
    };
    Ok(FileMap { memory, writable, private })
}

/// Takes the file out of a range while somebody may still hold its addresses. True when it is gone from it.
///
/// Inaccessible pages take its place where the guard can answer for them (kernel I/O under way ends with
/// `EFAULT`; a thread of this process gets zeros from the guard), zeros otherwise.
///
/// # Safety
/// The caller owns the range, and nobody relies on what is in it.
///
/// # References
/// - [mmap(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/mmap.2.html), `MAP_FIXED`
pub unsafe fn retire(address: *mut u8, len: usize, guarded: bool) -> bool {
    if !guarded {
        // SAFETY: the caller owns the range and keeps it until nobody holds an address in it.
        return unsafe { super::map_zeros_over(address as usize, len, true) };
    }
    // SAFETY: the caller owns the range and keeps it until nobody holds an address in it.
    let result = unsafe {
        libc::mmap(address.cast(), len, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED, -1, 0)
    };
    result != libc::MAP_FAILED
}

/// Makes a file longer, its new part zero and really there. On failure it is as it was.
///
/// # References
/// - [fcntl(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/fcntl.2.html), `F_PREALLOCATE`
pub fn extend(file: &File, from: u64, to: u64, sparse: bool) -> Result<()> {
    let failed = |syscall: &'static str, cause: &io::Error| {
        give_back(file, from, to);
        Error::system(syscall, cause)
    };
    if !sparse {
        let length = libc::off_t::try_from(to - from).map_err(|_| Error::raw("fcntl", libc::EFBIG))?;
        let mut store = libc::fstore_t {
            fst_flags: libc::F_ALLOCATEALL,
            fst_posmode: libc::F_PEOFPOSMODE,
            fst_offset: 0,
            fst_length: length,
            fst_bytesalloc: 0,
        };
        // SAFETY: F_PREALLOCATE reads and fills the structure, which outlives the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut store) } != 0 {
            let cause = io::Error::last_os_error();
            if !matches!(cause.raw_os_error(), Some(libc::ENOTSUP | libc::EOPNOTSUPP)) {
                return Err(Error::system("fcntl", &cause));
            }
            return write_zeros(file, from, to).map_err(|cause| failed("write", &cause));
        }
    }
    lengthen(file, to).map_err(|cause| failed("ftruncate", &cause))
}

/// Writes a range back to its file; with `wait`, until it is on stable storage.
///
/// # References
/// - [msync(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/msync.2.html)
/// - [fcntl(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/fcntl.2.html), `F_FULLFSYNC`
pub fn flush(file: Option<&File>, _position: u64, address: *mut u8, len: usize, wait: bool) -> Result<()> {
    if !wait {
        return msync(address, len, libc::MS_ASYNC);
    }
    msync(address, len, libc::MS_SYNC)?;
    // File::sync_data is F_FULLFSYNC here, with fsync where the file system has no such thing.
    match file.map(File::sync_data) {
        Some(Err(cause)) => Err(Error::system("fsync", &cause)),
        _ => Ok(()),
    }
}

/// macOS sets no limit on the number of maps that we could run into.
pub fn map_limit() -> Option<usize> {
    None
}

/// Not counted on macOS.
pub fn map_count() -> Option<usize> {
    None
}

/// A descriptor for a file the caller has open: the caller's open file description (`/dev/fd` gives no other). False: it is
/// not our own.
pub fn description_of_our_own(descriptor: i32) -> Result<(File, bool)> {
    let file = super::duplicate(descriptor)?;
    super::inspect(&file)?;
    Ok((file, false))
}
