//! Linux.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};

use super::linux_proc::meminfo;
use super::unix::{give_back, lengthen, msync, page_size, write_zeros};
use super::FileMap;
use crate::{Access, Error, Result};

/// mmap(2) of a part of a file; `offset` is a multiple of the page size.
///
/// `read` is a private map whose pages may be stored to: a stray write through a JavaScript view, which
/// nothing can forbid, then lands in a page of this process instead of raising `SIGSEGV`. The file stays
/// untouched, and pages nobody wrote to go on showing what others write. Where the system has no memory
/// to promise for that (strict overcommit, `RLIMIT_DATA`), the map is shared and truly read-only.
///
/// # References
/// - [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html)
pub fn map_file(file: &File, offset: u64, len: usize, access: Access, huge_pages: bool) -> Result<FileMap> {
    let mut options = MmapOptions::new();
    options.offset(offset).len(len).no_reserve_swap();
    let refused = |cause: io::Error| Error::system("mmap", &cause);
    // memmap2 asks that nobody changes the file under a slice. We never make a slice that we rely on to stay
    // the same: others may change any byte at any time, a page may vanish (see `guard`), and every reader in
    // this crate gives only a wrong answer about bytes then, never a wrong address.
    let (memory, writable, private) = match access {
        Access::Read if reads_as_macos() => (options.map_raw_read_only(file).map_err(refused)?, false, false),
        // SAFETY: as said above; other processes, and this one's views, may change the bytes.
        Access::Read => match unsafe { options.map_copy(file) } {
            Ok(map) => (MmapRaw::from(map), true, true),
            Err(cause) if cause.raw_os_error() == Some(libc::ENOMEM) => {
                (options.map_raw_read_only(file).map_err(refused)?, false, false)
            }
            Err(cause) => return Err(refused(cause)),
        },
        Access::Write => (options.map_raw(file).map_err(refused)?, true, false),
        // SAFETY: as for `Read`.
        Access::Copy => (MmapRaw::from(unsafe { options.map_copy(file) }.map_err(refused)?), true, true),
    };
    if huge_pages {
        // A wish: a file system without huge pages says EINVAL, and ordinary pages do.
        let _ = memory.advise(memmap2::Advice::HugePage);
    }
    Ok(FileMap { memory, writable, private })
}

/// Whether regions opened for reading are to be as they are on macOS, where they have no windows. For tests only.
pub(super) fn reads_as_macos() -> bool {
    cfg!(feature = "test-hooks") && std::env::var_os("MEMMAP_TEST_NO_READ_WINDOWS").is_some()
}

/// A file in memory, without a name, that can be sealed.
///
/// # References
/// - [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html)
pub(super) fn memory_file(name: &CStr) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // By its number: the C libraries we have to run with are older than their function for it.
    // SAFETY: the name is a NUL-terminated string.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the descriptor is new, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// An empty file in memory that can never grow.
fn empty_file() -> Option<&'static File> {
    static EMPTY: OnceLock<Option<File>> = OnceLock::new();
    EMPTY
        .get_or_init(|| {
            let file = memory_file(c"memmap-closed").ok()?;
            let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
            // SAFETY: fcntl with a descriptor we own.
            (unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } == 0).then_some(file)
        })
        .as_ref()
}

/// Takes the file out of a range while somebody may still hold its addresses. True when it is gone from it.
///
/// An empty file takes its place: kernel I/O under way on the range ends with `EFAULT` instead of
/// reporting zeros as data, and a thread of this process that touches it meets the guard, which gives
/// it zeros. Without a guard the range becomes zeros at once.
///
/// # Safety
/// The caller owns the range, and nobody relies on what is in it.
///
/// # References
/// - [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_FIXED`
/// - [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html)
pub unsafe fn retire(address: *mut u8, len: usize, guarded: bool) -> bool {
    if let Some(file) = empty_file().filter(|_| guarded) {
        // SAFETY: the caller owns the range and keeps it until nobody holds an address in it. The position
        // in the empty file is the address itself, so that neighbouring closed ranges merge into one map.
        let result = unsafe {
            libc::mmap(
                address.cast(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                file.as_raw_fd(),
                address as libc::off_t,
            )
        };
        if result != libc::MAP_FAILED {
            return true;
        }
    }
    // SAFETY: as above.
    unsafe { super::map_zeros_over(address as usize, len, true) }
}

/// Memory without a name has no limit of its own: the system would allocate until it must kill somebody. `ENOMEM` for more
/// than is there.
fn refuse_more_than_there_is(file: &File, len: u64) -> Result<()> {
    const WORTH_ASKING: u64 = 64 << 20;
    const TMPFS: u64 = 0x0102_1994;
    if len < WORTH_ASKING {
        return Ok(());
    }
    let mut facts = std::mem::MaybeUninit::<libc::statfs64>::uninit();
    // SAFETY: the call fills the structure when it returns 0.
    let facts = unsafe {
        if libc::fstatfs64(file.as_raw_fd(), facts.as_mut_ptr()) != 0 {
            return Ok(());
        }
        facts.assume_init()
    };
    if facts.f_type as u64 != TMPFS || facts.f_blocks != 0 {
        return Ok(());
    }
    let known = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match meminfo(&known, "MemAvailable") {
        Some(available) if len > available + meminfo(&known, "SwapFree").unwrap_or(0) => {
            Err(Error::raw("fallocate", libc::ENOMEM)
                .advise(format!("{len} bytes of memory were to be allocated, and {available} are available")))
        }
        _ => Ok(()),
    }
}

/// Makes a file longer, its new part zero and really there. On failure it is as it was.
///
/// # References
/// - [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html)
pub fn extend(file: &File, from: u64, to: u64, sparse: bool) -> Result<()> {
    let allocate = |mode: libc::c_int| -> io::Result<()> {
        let (Ok(start), Ok(len)) = (libc::off64_t::try_from(from), libc::off64_t::try_from(to - from)) else {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        };
        loop {
            // SAFETY: a system call on a descriptor we own; it touches no memory of ours.
            if unsafe { libc::fallocate64(file.as_raw_fd(), mode, start, len) } == 0 {
                return Ok(());
            }
            let cause = io::Error::last_os_error();
            if cause.raw_os_error() != Some(libc::EINTR) {
                return Err(cause);
            }
        }
    };
    if sparse {
        return lengthen(file, to).map_err(|cause| Error::system("ftruncate", &cause));
    }
    refuse_more_than_there_is(file, to - from)?;
    // First the space, with the length as it is: what fails then has changed nothing anybody sees. The
    // second call only moves the end, and unlike ftruncate(2) never back over what others appended.
    match allocate(libc::FALLOC_FL_KEEP_SIZE).and_then(|()| allocate(0)) {
        Ok(()) => {}
        Err(cause) if cause.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            if let Err(cause) = write_zeros(file, from, to) {
                give_back(file, from, to);
                return Err(Error::system("write", &cause));
            }
        }
        Err(cause) => {
            give_back(file, from, from);
            return Err(Error::system("fallocate", &cause));
        }
    }
    match file.metadata() {
        Ok(facts) if facts.len() >= to => Ok(()),
        Ok(_) => Err(Error::raw("fallocate", libc::EIO)),
        Err(cause) => {
            give_back(file, from, to);
            Err(Error::system("fstat", &cause))
        }
    }
}

/// Writes a range back to its file; with `wait`, until it is on stable storage.
///
/// # References
/// - [msync(2)](https://man7.org/linux/man-pages/man2/msync.2.html)
/// - [fdatasync(2)](https://man7.org/linux/man-pages/man2/fdatasync.2.html)
/// - [sync_file_range(2)](https://man7.org/linux/man-pages/man2/sync_file_range.2.html)
pub fn flush(file: Option<&File>, position: u64, address: *mut u8, len: usize, wait: bool) -> Result<()> {
    if wait {
        msync(address, len, libc::MS_SYNC)?;
        return match file.map(File::sync_data) {
            Some(Err(cause)) => Err(Error::system("fdatasync", &cause)),
            _ => Ok(()),
        };
    }
    if let Some(file) = file {
        // MS_ASYNC does nothing on Linux; this starts the writing. A file system that cannot is no failure.
        // SAFETY: a system call on a descriptor we own; it touches no memory of ours.
        unsafe {
            libc::sync_file_range(
                file.as_raw_fd(),
                position as libc::off64_t,
                len as libc::off64_t,
                libc::SYNC_FILE_RANGE_WRITE,
            )
        };
    }
    msync(address, len, libc::MS_ASYNC)
}

/// How many maps a process may have. Asked again every second: an administrator may change it.
pub fn map_limit() -> Option<usize> {
    static KNOWN: std::sync::Mutex<Option<(Instant, usize)>> = std::sync::Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((when, limit)) = *known {
        if when.elapsed() < Duration::from_secs(1) {
            return Some(limit);
        }
    }
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    *known = Some((Instant::now(), limit));
    Some(limit)
}

/// How many cores this thread may run on.
///
/// # References
/// - [sched_getaffinity(2)](https://man7.org/linux/man-pages/man2/sched_getaffinity.2.html)
pub fn cores() -> usize {
    // SAFETY: a set of bits, of which zeros are one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is of the length that is told, and outlives the call.
    match unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } {
        // SAFETY: it counts the bits of the set that the call filled.
        0 => unsafe { libc::CPU_COUNT(&set) }.unsigned_abs() as usize,
        // More than the set has room for.
        _ => usize::MAX,
    }
}

/// How many maps this process has.
pub fn map_count() -> Option<usize> {
    let mut maps = File::open("/proc/self/maps").ok()?;
    let mut block = vec![0; 16 * page_size()];
    let mut count = 0;
    loop {
        match maps.read(&mut block).ok()? {
            0 => return Some(count),
            n => count += bytecount::count(&block[..n], b'\n'),
        }
    }
}
