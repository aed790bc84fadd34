//! Anonymous and named memory, advice and limits on Linux.

use std::ffi::CString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use super::linux::reads_as_macos;
use super::linux_proc::{hex, meminfo};
use super::linux_wait::waits_together;
use super::posix_memory::{lock, open_shm, touch, unpin, Memory};
use super::{FileFacts, FileMap};
use crate::advice::Advice;
use crate::limits::Support;
use crate::region::Sizing;
use crate::{Access, Error, Result};

/// Where named memory lies.
pub(super) const SHM: &str = "/dev/shm";
/// Lengths are kept to the byte.
pub const NAMED_LENGTHS_ARE_EXACT: bool = true;
/// What opening a name takes besides: anybody may put a link or a pipe in the way, to be followed or waited on.
pub(super) const NAMED_OPEN_FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
/// Named memory may change its length.
pub const NAMED_SIZING: Sizing = Sizing::Allocated;
/// Growable memory without a name is sealed against shrinking.
pub const ANONYMOUS_SIZING: Sizing = Sizing::GrowOnly;

/// Maps shared memory: here, it is a file.
pub fn map_shared(object: &File, len: usize, access: Access, huge_pages: bool) -> Result<FileMap> {
    super::map_file(object, 0, len, access, huge_pages)
}

/// A wish: where there are no huge pages, ordinary ones do.
pub(super) fn ask_for_huge_pages(memory: &Memory) {
    let _ = memory.advise(memmap2::Advice::HugePage);
}

/// Makes named memory, allocated. It gets its name when it is whole, so nobody ever sees half of it, also when this
/// process is killed in between.
///
/// # References
/// - [open(2)](https://man7.org/linux/man-pages/man2/open.2.html), `O_TMPFILE`
/// - [linkat(2)](https://man7.org/linux/man-pages/man2/linkat.2.html)
pub fn create_named(name: &str, len: u64, mode: u32) -> Result<File> {
    let path = format!("{SHM}/{name}");
    // Asked before much memory is allocated for nothing; linkat has the last word.
    if std::fs::symlink_metadata(&path).is_ok() {
        return Err(Error::raw("shm_open", libc::EEXIST));
    }
    let object = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
        .open(SHM)
        .map_err(|cause| Error::system("shm_open", &cause))?;
    set_mode(&object, mode)?;
    super::extend(&object, 0, len, false)?;
    let from = CString::new(format!("/proc/self/fd/{}", object.as_raw_fd())).unwrap_or_default();
    let to = CString::new(path).unwrap_or_default();
    // SAFETY: both are NUL-terminated strings that outlive the call.
    let linked =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if linked != 0 {
        return Err(Error::system("shm_open", &io::Error::last_os_error()));
    }
    Ok(object)
}

/// Whether a name is still this object's, and not what somebody else made under it since.
pub fn names(name: &str, object: &File) -> bool {
    let there = std::fs::symlink_metadata(format!("{SHM}/{name}"));
    let same = |there: Metadata, ours: Metadata| there.dev() == ours.dev() && there.ino() == ours.ino();
    there.and_then(|there| Ok(same(there, object.metadata()?))).unwrap_or(false)
}

/// Named memory is whole as soon as it has its name.
pub(super) fn wait_until_whole(object: File) -> Result<File> {
    Ok(object)
}

/// Makes memory without a name, allocated, and sealed: others who have it cannot pull pages from under anybody.
///
/// # References
/// - [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html)
pub fn create_anonymous(len: u64, growable: bool) -> Result<File> {
    let object = super::linux::memory_file(c"memmap").map_err(|cause| Error::system("memfd_create", &cause))?;
    let fd = object.as_raw_fd();
    super::extend(&object, 0, len, false)?;
    let seals = libc::F_SEAL_SHRINK | if growable { 0 } else { libc::F_SEAL_GROW | libc::F_SEAL_SEAL };
    // SAFETY: fcntl with a descriptor we own.
    if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } != 0 {
        return Err(Error::last("fcntl"));
    }
    Ok(object)
}

/// What may become of the length of an object that somebody handed over.
pub fn sizing_of(object: &File) -> Sizing {
    // SAFETY: fcntl with a descriptor we own; what has no seals says EINVAL.
    match unsafe { libc::fcntl(object.as_raw_fd(), libc::F_GET_SEALS) } {
        seals if seals < 0 => Sizing::Allocated,
        seals if seals & libc::F_SEAL_GROW != 0 => Sizing::Fixed("The memory is sealed at its length"),
        seals if seals & libc::F_SEAL_SHRINK != 0 => Sizing::GrowOnly,
        _ => Sizing::Allocated,
    }
}

/// madvise(2); false where the kernel has no such advice, or not for this memory.
///
/// # Safety
/// The range is the caller's own, and `DontNeed` loses nothing that is nowhere else.
///
/// # References
/// - [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
pub unsafe fn advise(address: *mut u8, len: usize, advice: Advice) -> Result<bool> {
    let advice = match advice {
        Advice::Normal => libc::MADV_NORMAL,
        Advice::Random => libc::MADV_RANDOM,
        Advice::Sequential => libc::MADV_SEQUENTIAL,
        Advice::WillNeed => libc::MADV_WILLNEED,
        Advice::DontNeed => libc::MADV_DONTNEED,
        Advice::Cold => libc::MADV_COLD,
        Advice::PageOut => libc::MADV_PAGEOUT,
        Advice::HugePage => libc::MADV_HUGEPAGE,
        Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
    };
    // SAFETY: the caller's promise.
    if unsafe { libc::madvise(address.cast(), len, advice) } == 0 {
        return Ok(true);
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error() {
        Some(libc::EINVAL | libc::EPERM) => Ok(false),
        _ => Err(Error::system("madvise", &cause)),
    }
}

/// Brings pages in for reading, and copies none of a private map.
///
/// # Safety
/// The range is mapped and readable, and under guard if a page may vanish.
///
/// # References
/// - [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html), `MADV_POPULATE_READ`
pub unsafe fn populate(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        // An older kernel does not know it, and a vanished page makes it fail: touching does the one, and finds the other.
        if libc::madvise(address.cast(), len, libc::MADV_POPULATE_READ) != 0 {
            touch(address, len);
        }
    }
}

/// Keeps pages in memory. Plain mlock(2) of a private map copies every page; `by_reading` does not.
///
/// # Safety
/// The range is mapped and readable, and under guard if a page may vanish.
///
/// # References
/// - [mlock2(2)](https://man7.org/linux/man-pages/man2/mlock2.2.html), `MLOCK_ONFAULT`
pub unsafe fn pin(address: *mut u8, len: usize, by_reading: bool) -> Result<()> {
    if !by_reading {
        // SAFETY: the caller's promise.
        return unsafe { lock(address, len) };
    }
    // SAFETY: the caller's promise; the call itself touches no page.
    if unsafe { libc::syscall(libc::SYS_mlock2, address, len, libc::MLOCK_ONFAULT) } != 0 {
        let error = Error::last("mlock2");
        // SAFETY: as above.
        let _ = unsafe { unpin(address, len) };
        return Err(error);
    }
    // SAFETY: the caller's promise.
    unsafe { populate(address, len) };
    Ok(())
}

/// Leaves memory out of core dumps, and out of children.
pub fn leave_out_of_dumps(address: *mut u8, len: usize) {
    // SAFETY: the range is the caller's own mapping; the advice changes no memory of this process. An old kernel without it
    // leaves things as they are.
    unsafe {
        libc::madvise(address.cast(), len, libc::MADV_DONTDUMP);
        libc::madvise(address.cast(), len, libc::MADV_DONTFORK);
    }
}

/// Whether this process could open a file for writing.
pub(super) fn may_write(file: &File) -> bool {
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    // SAFETY: the path is a NUL-terminated string.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK, libc::AT_EACCESS) == 0 }
}

/// Bytes this process has pinned.
pub(super) fn pinned_now() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    meminfo(&status, "VmLck").unwrap_or(0)
}

/// Whether `RLIMIT_MEMLOCK` is no limit to this process.
///
/// # References
/// - [capabilities(7)](https://man7.org/linux/man-pages/man7/capabilities.7.html), `CAP_IPC_LOCK`
pub(super) fn pins_without_limit() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|set| hex(set.trim()));
    set.is_some_and(|set| set >> CAP_IPC_LOCK & 1 == 1)
}

/// chmod of an open object, exactly, whatever the umask.
fn set_mode(object: &File, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    object
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(|cause: io::Error| Error::system("fchmod", &cause))
}

/// What the system says of shared memory: here, it is a file.
pub fn inspect_shared(object: &File) -> Result<FileFacts> {
    super::inspect(object)
}

/// Bytes left for shared memory.
pub fn shared_memory_left() -> Option<u64> {
    fs4::available_space(SHM).ok()
}

/// What Linux can do.
pub fn capabilities() -> Vec<(&'static str, Support)> {
    use Support::{Emulated, Native};
    // SAFETY: an invalid length is refused before anything is looked at.
    let populate = unsafe { libc::madvise(std::ptr::null_mut(), 0, libc::MADV_POPULATE_READ) } == 0;
    let named = open_shm("memmap-no-such-name", rustix::shm::OFlags::RDONLY, 0);
    let named = named.is_err_and(|error| error.code() == "ENOENT");
    vec![
        ("windowsOfReadRegions", if reads_as_macos() { Support::Absent } else { Native }),
        ("faultGuard", Native),
        ("namedSharedMemory", if named { Native } else { Support::Absent }),
        ("exactNamedLengths", Native),
        ("namedResize", Native),
        ("descriptorOfSharedMemory", Native),
        ("sealedSharedMemory", Native),
        ("allocateOnExtend", Native),
        ("resizeMappedFile", Native),
        ("fileLocks", Native),
        ("lockWaits", Native),
        ("wait", Native),
        ("waitAsync", if waits_together() { Native } else { Emulated }),
        ("advise", Native),
        ("prefetch", if populate { Native } else { Emulated }),
        ("residency", Native),
        ("pin", Native),
        ("protect", Native),
        ("leaveOutOfCoreDumps", Native),
        ("mapCount", Native),
    ]
}
