//! What Linux and macOS share.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{FileFacts, Identity, OpenHow};
use crate::{Error, Result};

pub use super::signal::{install as install_guard, reinstall as reinstall_guard, touching};

/// Reading or writing failed in the device.
pub const EIO: i32 = libc::EIO;
/// No memory, addresses or maps left.
pub const ENOMEM: i32 = libc::ENOMEM;
/// The thing cannot do this: here, be mapped.
pub const ENODEV: i32 = libc::ENODEV;
/// No space left.
pub const ENOSPC: i32 = libc::ENOSPC;
/// The descriptor is none, or not for this.
pub const EBADF: i32 = libc::EBADF;
/// Permission denied.
pub const EACCES: i32 = libc::EACCES;
/// No such address, or no page there.
pub const EFAULT: i32 = libc::EFAULT;

macro_rules! errno_table {
    ($($name:ident: $meaning:literal,)*) => {
        /// Node's code, Node's number and libuv's words for an error number of the system.
        pub fn errno(raw: i32) -> (&'static str, i32, &'static str) {
            match raw {
                $(libc::$name => (stringify!($name), -raw, $meaning),)*
                _ => ("UNKNOWN", -raw, "unknown error"),
            }
        }
    };
}

errno_table! {
    EACCES: "permission denied",
    EAGAIN: "resource temporarily unavailable",
    EBADF: "bad file descriptor",
    EBUSY: "resource busy or locked",
    EDEADLK: "resource deadlock would occur",
    EDQUOT: "disk quota exceeded",
    EEXIST: "file already exists",
    EFAULT: "bad address in system call argument",
    EFBIG: "file too large",
    EINTR: "interrupted system call",
    EINVAL: "invalid argument",
    EIO: "i/o error",
    EISDIR: "illegal operation on a directory",
    ELOOP: "too many symbolic links encountered",
    EMFILE: "too many open files",
    ENAMETOOLONG: "name too long",
    ENFILE: "file table overflow",
    ENODEV: "no such device",
    ENOENT: "no such file or directory",
    ENOLCK: "no locks available",
    ENOMEM: "not enough memory",
    ENOSPC: "no space left on device",
    ENOSYS: "function not implemented",
    ENOTDIR: "not a directory",
    ENOTSUP: "operation not supported",
    ENXIO: "no such device or address",
    EOVERFLOW: "value too large for defined data type",
    EPERM: "operation not permitted",
    EROFS: "read-only file system",
    ESPIPE: "invalid seek",
    ESRCH: "no such process",
    ESTALE: "stale file handle",
    ETXTBSY: "text file is busy",
    EXDEV: "cross-device link not permitted",
}

/// Bytes in a page.
///
/// # References
/// - [sysconf(3)](https://man7.org/linux/man-pages/man3/sysconf.3.html)
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: sysconf has no preconditions.
    *SIZE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

/// What the position of a map in its file must be a multiple of.
pub fn granularity() -> usize {
    page_size()
}

/// open(2), never through a terminal or a pipe that waits for its other end.
///
/// Returns the file and whether this call made it.
///
/// # References
/// - [open(2)](https://man7.org/linux/man-pages/man2/open.2.html)
pub fn open(path: &Path, how: OpenHow) -> Result<(File, bool)> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::raw("open", libc::EINVAL).at(Some(path)).advise("the path holds a NUL byte"))?;
    let access = if how.write { libc::O_RDWR } else { libc::O_RDONLY };
    let attempt = |flags: libc::c_int| loop {
        // SAFETY: `name` is a NUL-terminated string that outlives the call.
        let fd = unsafe {
            libc::open(name.as_ptr(), access | flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY, how.mode)
        };
        if fd >= 0 {
            // SAFETY: the descriptor is new, so nobody else owns it.
            return Ok(unsafe { File::from_raw_fd(fd) });
        }
        let cause = io::Error::last_os_error();
        if cause.raw_os_error() != Some(libc::EINTR) {
            return Err(cause);
        }
    };
    let refused = |cause: io::Error| Error::system("open", &cause).at(Some(path));
    if how.exclusive {
        return attempt(libc::O_CREAT | libc::O_EXCL).map(|file| (file, true)).map_err(refused);
    }
    if !how.create {
        return attempt(0).map(|file| (file, false)).map_err(refused);
    }
    // Two steps, to know whether the file is ours to remove if a later step fails. Others may make or
    // remove it in between, so a few rounds.
    for _ in 0..8 {
        match attempt(0) {
            Ok(file) => return Ok((file, false)),
            Err(cause) if cause.raw_os_error() == Some(libc::ENOENT) => {}
            Err(cause) => return Err(refused(cause)),
        }
        match attempt(libc::O_CREAT | libc::O_EXCL) {
            Ok(file) => return Ok((file, true)),
            Err(cause) if cause.raw_os_error() == Some(libc::EEXIST) => {}
            Err(cause) => return Err(refused(cause)),
        }
    }
    // A dangling symbolic link: made through it, and not ours to remove.
    attempt(libc::O_CREAT).map(|file| (file, false)).map_err(refused)
}

/// Removes a file that we made, for a call that failed for another reason: there is nobody to tell.
pub fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// A descriptor of our own for a file the caller has open.
///
/// # References
/// - [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html), `F_DUPFD_CLOEXEC`
pub fn duplicate(descriptor: i32) -> Result<File> {
    // SAFETY: fcntl takes any number and says EBADF where it is no descriptor.
    let fd = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(Error::last("dup"));
    }
    // SAFETY: the descriptor is new, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Whether a descriptor was opened for reading and writing.
///
/// # References
/// - [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html), `F_GETFL`
pub fn takes_writes(file: &File) -> bool {
    // SAFETY: fcntl with a descriptor we own.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) & libc::O_ACCMODE == libc::O_RDWR }
}

/// fstat(2), refusing all that is not a regular file.
///
/// # References
/// - [stat(2)](https://man7.org/linux/man-pages/man2/stat.2.html)
pub fn inspect(file: &File) -> Result<FileFacts> {
    let facts = file.metadata().map_err(|cause| Error::system("fstat", &cause))?;
    if facts.is_dir() {
        return Err(Error::raw("mmap", libc::EISDIR));
    }
    if !facts.is_file() {
        return Err(Error::raw("mmap", ENODEV).advise("only regular files can be mapped"));
    }
    Ok(FileFacts { length: facts.len(), identity: Identity { device: facts.dev(), file: facts.ino() } })
}

/// A path from its bytes, whatever they are.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Which file a path names now.
pub fn identity_of(path: &Path) -> Option<Identity> {
    let facts = std::fs::metadata(path).ok()?;
    Some(Identity { device: facts.dev(), file: facts.ino() })
}

/// Length of the file behind a descriptor; may be called in a signal handler.
pub fn length_of_descriptor(descriptor: i32) -> Option<u64> {
    if descriptor < 0 {
        return None;
    }
    let mut facts = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the whole structure when it returns 0; a stale descriptor is EBADF, or the
    // length of another file, which can only change how much of *our* faulted range is replaced.
    unsafe {
        if libc::fstat(descriptor, facts.as_mut_ptr()) != 0 {
            return None;
        }
        u64::try_from(facts.assume_init().st_size).ok()
    }
}

/// Now; may be called in a signal handler.
///
/// # References
/// - [clock_gettime(3)](https://man7.org/linux/man-pages/man3/clock_gettime.3.html)
pub fn milliseconds_since_1970() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure, which is valid as it is.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Bytes left on the file system of a file.
///
/// # References
/// - [statvfs(3)](https://man7.org/linux/man-pages/man3/statvfs.3.html)
pub fn space_left(descriptor: i32) -> Option<u64> {
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the call fills the structure when it returns 0; a descriptor that is none is an error.
    unsafe {
        if descriptor < 0 || libc::fstatvfs(descriptor, facts.as_mut_ptr()) != 0 {
            return None;
        }
        let facts = facts.assume_init();
        #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on macOS")]
        Some(facts.f_bavail as u64 * facts.f_frsize as u64)
    }
}

/// Puts zeroed memory of this process over pages of a range of ours; may be called in a signal handler.
///
/// # Safety
/// The caller owns the range, and nobody relies on what is in it.
///
/// # References
/// - [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_FIXED`
pub unsafe fn map_zeros_over(address: usize, len: usize, writable: bool) -> bool {
    // On macOS a store to a page that is read-only is a SIGBUS too, and looks like any other: over read-only
    // zeros it would fault again, for ever.
    let writable = writable || cfg!(target_os = "macos");
    let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    // SAFETY: the caller found the range in the guard's table, and its owner keeps it mapped for as
    // long as the code that faulted may touch it; no other memory lies inside.
    let result = unsafe {
        libc::mmap(
            address as *mut libc::c_void,
            len,
            protection,
            libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    result != libc::MAP_FAILED
}

/// Moves the end of a file out to `to`, and not back where others have appended in the meantime.
pub(super) fn lengthen(file: &File, to: u64) -> io::Result<()> {
    if file.metadata()?.len() < to {
        file.set_len(to)?;
    }
    Ok(())
}

/// Takes back what was allocated or written behind `end`, for a file that was to be no longer than `to`.
pub fn give_back(file: &File, end: u64, to: u64) {
    // Longer than that, others have appended: their bytes are not ours to cut off.
    if file.metadata().is_ok_and(|facts| (end..=to).contains(&facts.len())) {
        // A failure is being reported already, and the caller can do nothing about this one.
        let _ = file.set_len(end);
    }
}

/// Writes zeros, for file systems that cannot allocate: slower, and the same in the end.
pub(super) fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let zeros = vec![0_u8; 1 << 20];
    let mut at = from;
    while at < to {
        let step = usize::try_from(to - at).map_or(zeros.len(), |rest| rest.min(zeros.len()));
        file.write_all_at(&zeros[..step], at)?;
        at += step as u64;
    }
    Ok(())
}

/// msync(2) over a range that starts at a page.
///
/// # References
/// - [msync(2)](https://man7.org/linux/man-pages/man2/msync.2.html)
pub(super) fn msync(address: *mut u8, len: usize, flags: libc::c_int) -> Result<()> {
    // SAFETY: the caller holds the mapping, so the range is mapped; msync changes no memory.
    while unsafe { libc::msync(address.cast(), len, flags) } != 0 {
        let cause = io::Error::last_os_error();
        // Some network file systems wait interruptibly, and a signal must not count as a lost write.
        if cause.raw_os_error() != Some(libc::EINTR) {
            return Err(Error::system("msync", &cause));
        }
    }
    Ok(())
}

/// Keeps this library in memory for good: Node unloads an addon that only a worker had loaded, and a
/// thread or signal handler of ours would then run into nothing.
///
/// # References
/// - [dlopen(3)](https://man7.org/linux/man-pages/man3/dlopen.3.html), `RTLD_NODELETE`
pub fn pin_image() {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr fills `info` when it returns non-zero, and its name lives as long as the image,
    // which is loaded since it runs this; the handle is leaked on purpose.
    unsafe {
        if libc::dladdr(pin_image as *const libc::c_void, info.as_mut_ptr()) != 0 {
            libc::dlopen(info.assume_init().dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// The descriptor of a file, for the guard's table.
pub fn descriptor_of(file: &File) -> Option<RawFd> {
    Some(file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_are_named_as_node_names_them() {
        assert_eq!(errno(libc::ENOENT), ("ENOENT", -libc::ENOENT, "no such file or directory"));
        assert_eq!(errno(libc::ENOSPC), ("ENOSPC", -libc::ENOSPC, "no space left on device"));
        assert_eq!(errno(ENODEV).0, "ENODEV");
        assert_eq!(errno(ENOMEM).0, "ENOMEM");
        assert_eq!(errno(EACCES).0, "EACCES");
        assert_eq!(errno(EIO).0, "EIO");
        assert_eq!(errno(i32::MAX), ("UNKNOWN", -i32::MAX, "unknown error"));
    }

    #[test]
    fn what_is_given_back_is_never_what_others_appended() {
        let path = std::env::temp_dir().join(format!("memmap-give-back-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let length = || file.metadata().unwrap().len();

        write_zeros(&file, 10, 3 << 20).unwrap();
        assert_eq!(length(), 3 << 20);
        give_back(&file, 10, 3 << 20);
        assert_eq!(length(), 10);

        file.set_len(100).unwrap();
        give_back(&file, 10, 50);
        lengthen(&file, 70).unwrap();
        assert_eq!(length(), 100);
        lengthen(&file, 200).unwrap();
        assert_eq!(length(), 200);
    }
}
