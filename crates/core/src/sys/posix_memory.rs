//! Anonymous and named memory, protection, pinning and residency, as Linux and macOS share them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use memmap2::MmapOptions;
use rustix::shm;

use super::unix::page_size;
use super::FileMap;
use crate::{Error, Protection, Result};

pub use memmap2::MmapRaw as Memory;

/// Shared memory has a descriptor that can be handed over.
pub const SHARED_BY_DESCRIPTOR: bool = true;

/// A file gets shorter under maps of it: what lies behind its new end vanishes.
pub const SHORTENS_MAPPED_FILES: bool = true;

/// mmap(2) of zeroed memory of this process alone.
///
/// # References
/// - [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_ANONYMOUS`
pub fn map_anonymous(len: usize, huge_pages: bool) -> Result<FileMap> {
    let map = MmapOptions::new().len(len).map_anon().map_err(|cause| Error::system("mmap", &cause))?;
    let memory = Memory::from(map);
    if huge_pages {
        super::ask_for_huge_pages(&memory);
    }
    Ok(FileMap { memory, writable: true, private: true })
}

/// mprotect(2).
///
/// # Safety
/// The range is the caller's own, and nobody relies on rights that it takes away.
///
/// # References
/// - [mprotect(2)](https://man7.org/linux/man-pages/man2/mprotect.2.html)
pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) -> Result<()> {
    let flags = match protection {
        Protection::None => libc::PROT_NONE,
        Protection::Read => libc::PROT_READ,
        Protection::Write => libc::PROT_READ | libc::PROT_WRITE,
        Protection::Execute => libc::PROT_READ | libc::PROT_EXEC,
    };
    // SAFETY: the caller's promise.
    if unsafe { libc::mprotect(address.cast(), len, flags) } != 0 {
        return Err(Error::last("mprotect"));
    }
    Ok(())
}

/// Shortens a file or an object to `to`.
///
/// # References
/// - [ftruncate(2)](https://man7.org/linux/man-pages/man2/ftruncate.2.html)
pub fn shorten(file: &File, to: u64) -> Result<()> {
    file.set_len(to).map_err(|cause| Error::system("ftruncate", &cause))
}

/// shm_open(3) of memory that is there, and belongs to this user or to root: a name may have been squatted.
///
/// # References
/// - [shm_open(3)](https://man7.org/linux/man-pages/man3/shm_open.3.html)
pub fn open_named(name: &str, write: bool) -> Result<File> {
    let flags = if write { shm::OFlags::RDWR } else { shm::OFlags::RDONLY };
    let flags = flags | shm::OFlags::from_bits_retain(super::NAMED_OPEN_FLAGS as _);
    let object = File::from(open_shm(name, flags, 0)?);
    let facts = object.metadata().map_err(|cause| Error::system("fstat", &cause))?;
    // SAFETY: no preconditions.
    let user = unsafe { libc::geteuid() };
    if facts.uid() != user && facts.uid() != 0 {
        return Err(Error::raw("shm_open", libc::EACCES)
            .advise(format!("the name belongs to user {}, and this process runs as {user}", facts.uid())));
    }
    super::wait_until_whole(object)
}

pub(super) fn open_shm(name: &str, flags: shm::OFlags, mode: u32) -> Result<OwnedFd> {
    #[allow(clippy::unnecessary_cast, reason = "RawMode is 16 bits wide on macOS")]
    let mode = shm::Mode::from_raw_mode(mode as _);
    shm::open(format!("/{name}"), flags, mode).map_err(|cause| Error::raw("shm_open", cause.raw_os_error()))
}

/// shm_unlink(3).
///
/// # References
/// - [shm_unlink(3)](https://man7.org/linux/man-pages/man3/shm_unlink.3.html)
pub fn unlink_named(name: &str) -> Result<()> {
    shm::unlink(format!("/{name}")).map_err(|cause| Error::raw("shm_unlink", cause.raw_os_error()))
}

/// munlock(2).
///
/// # Safety
/// The range is mapped.
///
/// # References
/// - [munlock(2)](https://man7.org/linux/man-pages/man2/munlock.2.html)
pub unsafe fn unpin(address: *mut u8, len: usize) -> Result<()> {
    // SAFETY: the caller's promise; no memory changes.
    if unsafe { libc::munlock(address.cast(), len) } != 0 {
        return Err(Error::last("munlock"));
    }
    Ok(())
}

/// mlock(2); what it had pinned before it failed is let go.
pub(super) unsafe fn lock(address: *mut u8, len: usize) -> Result<()> {
    // SAFETY: the caller's range is mapped; no memory changes.
    if unsafe { libc::mlock(address.cast(), len) } != 0 {
        let error = Error::last("mlock");
        // SAFETY: as above.
        let _ = unsafe { unpin(address, len) };
        return Err(error);
    }
    Ok(())
}

/// Reads a byte of each page, so that it comes in.
///
/// # Safety
/// The range is mapped and readable, and under guard if a page may vanish.
pub(super) unsafe fn touch(address: *mut u8, len: usize) {
    for at in (0..len).step_by(page_size()) {
        // SAFETY: the caller's promise.
        unsafe { address.add(at).read_volatile() };
    }
}

/// mincore(2): sets a bit for each page in memory.
///
/// # Safety
/// The range is mapped, and `bits` has a bit for each of its pages.
///
/// # References
/// - [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)
pub unsafe fn residency(address: *mut u8, len: usize, bits: &mut [u8]) -> Result<bool> {
    const PAGES: usize = 1 << 16;
    let page = page_size();
    let mut states = vec![0_u8; PAGES.min(len.div_ceil(page))];
    for (block, start) in (0..len).step_by(PAGES * page).enumerate() {
        let step = (PAGES * page).min(len - start);
        // SAFETY: the caller's range is mapped, and `states` has a byte for each page of this part.
        if unsafe { libc::mincore(address.add(start).cast(), step, states.as_mut_ptr().cast()) } != 0 {
            return Err(Error::last("mincore"));
        }
        for (index, state) in states[..step.div_ceil(page)].iter().enumerate() {
            if state & 1 != 0 {
                let number = block * PAGES + index;
                bits[number / 8] |= 1 << (number % 8);
            }
        }
    }
    Ok(true)
}

/// Whether mincore(2) tells the truth of a file: to who owns it or may write it. Of others' it says that all is there.
pub fn tells_residency(file: &File) -> bool {
    // SAFETY: no preconditions.
    let user = unsafe { libc::geteuid() };
    user == 0 || file.metadata().is_ok_and(|facts| facts.uid() == user) || super::may_write(file)
}

/// Zeros memory so that no compiler leaves it out.
///
/// # Safety
/// The range is mapped and writable, and nobody relies on what is in it.
pub unsafe fn zero(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { address.write_bytes(0, len) };
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// Bytes this process may still pin; none without a limit.
///
/// # References
/// - [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html), `RLIMIT_MEMLOCK`
pub fn pinnable() -> Option<u64> {
    let mut limit = std::mem::MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the call fills the structure when it returns 0.
    let limit = unsafe {
        if libc::getrlimit(libc::RLIMIT_MEMLOCK, limit.as_mut_ptr()) != 0 {
            return None;
        }
        limit.assume_init()
    };
    let limited = limit.rlim_cur != libc::RLIM_INFINITY && !super::pins_without_limit();
    limited.then(|| limit.rlim_cur.saturating_sub(super::pinned_now()))
}

/// A function that the program itself exports.
///
/// # References
/// - [dlsym(3)](https://man7.org/linux/man-pages/man3/dlsym.3.html), `RTLD_DEFAULT`
pub fn symbol_of_host(name: &std::ffi::CStr) -> Option<*mut std::ffi::c_void> {
    // SAFETY: the name is a NUL-terminated string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
