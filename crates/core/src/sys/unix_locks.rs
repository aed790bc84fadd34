//! Locks of Linux and macOS: ranges by open file descriptions, whole files by flock.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use fs4::{FileExt, TryLockError};

use super::unix_life::FIRST as FIRST_OF_LIVES;
use super::LockAccess;
use crate::range_lock::{Extent, Kind, Mode};

// macOS has them since 10.15, and its headers call them private.
#[cfg(target_os = "macos")]
pub(super) const F_OFD_SETLK: libc::c_int = 90;
#[cfg(target_os = "macos")]
pub(super) const F_OFD_GETLK: libc::c_int = 92;
#[cfg(target_os = "linux")]
pub(super) const F_OFD_SETLK: libc::c_int = libc::F_OFD_SETLK;
#[cfg(target_os = "linux")]
pub(super) const F_OFD_GETLK: libc::c_int = libc::F_OFD_GETLK;

/// Locks of one open file description are one to the system: what one gives back is gone for the others, too.
pub const LOCKS_MERGE: bool = true;
/// macOS keeps `flock`'s and those of ranges in one list, and tells them apart by their description only: a lock of one kind
/// keeps the other kind out, and of one description it replaces it.
pub const KINDS_ARE_ONE: bool = cfg!(target_os = "macos");

/// What is said of a lock that would have to wait.
pub(super) const WOULD_BLOCK: [Option<i32>; 2] = [Some(libc::EAGAIN), Some(libc::EACCES)];

pub(super) fn control(file: &File, command: libc::c_int, kind: libc::c_short, extent: Extent) -> io::Result<()> {
    let mut what = byte(kind, 0);
    what.l_start = i64::try_from(extent.start).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    // All that may ever come; which is less than where living owners have their bytes, but for macOS, where those are in files
    // of their own, and `flock` takes all there is.
    let to_end = if KINDS_ARE_ONE { 0 } else { FIRST_OF_LIVES.saturating_sub(extent.start) };
    let len = extent.len().unwrap_or(to_end);
    what.l_len = i64::try_from(len).unwrap_or(0);
    // SAFETY: a descriptor we own, and a structure that outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut what) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// A lock of one byte.
pub(super) fn byte(kind: libc::c_short, start: u64) -> libc::flock {
    // SAFETY: a structure of plain numbers, for which zero is a value; `l_pid` must be it.
    let mut what: libc::flock = unsafe { std::mem::zeroed() };
    what.l_type = kind;
    what.l_whence = libc::SEEK_SET as _;
    what.l_start = i64::try_from(start).unwrap_or(i64::MAX);
    what.l_len = 1;
    what
}

pub(super) fn type_of(mode: Mode) -> libc::c_short {
    match mode {
        Mode::Shared => libc::F_RDLCK as _,
        Mode::Exclusive => libc::F_WRLCK as _,
    }
}

/// Takes a lock if nobody else is in the way: never one of the process (`F_SETLK`), which any `close` of the same file
/// elsewhere in it would drop.
///
/// # References
/// - [F_OFD_SETLK](https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html)
/// - [flock(2)](https://man7.org/linux/man-pages/man2/flock.2.html)
pub fn try_lock(file: &File, kind: Kind, mode: Mode, extent: Extent) -> io::Result<bool> {
    if kind == Kind::Range {
        return match control(file, F_OFD_SETLK, type_of(mode), extent) {
            Ok(()) => Ok(true),
            Err(cause) if WOULD_BLOCK.contains(&cause.raw_os_error()) => Ok(false),
            Err(cause) => Err(cause),
        };
    }
    let tried = match mode {
        Mode::Shared => FileExt::try_lock_shared(file),
        Mode::Exclusive => FileExt::try_lock(file),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

/// Gives a lock back, less what others of the same open file description hold: to the system it is all one.
pub fn unlock(file: &File, kind: Kind, extent: Extent, others: &[Extent]) -> io::Result<()> {
    if kind == Kind::File && !KINDS_ARE_ONE {
        return if others.is_empty() { FileExt::unlock(file) } else { Ok(()) };
    }
    let unlocked = libc::F_UNLCK as _;
    extent.without(others).into_iter().try_for_each(|part| control(file, F_OFD_SETLK, unlocked, part))
}

/// Has a function called where the process ends by `exit`.
///
/// # References
/// - [atexit(3)](https://man7.org/linux/man-pages/man3/atexit.3.html)
pub fn at_exit(run: extern "C" fn()) {
    // SAFETY: nobody unloads the function's image before: the addon's is pinned.
    unsafe { libc::atexit(run) };
}

/// Makes an exclusive lock a shared one, without letting go of it in between.
pub fn downgrade(file: &File, kind: Kind, extent: Extent) -> io::Result<()> {
    match try_lock(file, kind, Mode::Shared, extent)? {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
    }
}

/// What a descriptor was opened for.
///
/// # References
/// - [fcntl_locking(2)](https://man7.org/linux/man-pages/man2/fcntl_locking.2.html), `EBADF`
pub fn lock_access(file: &File) -> LockAccess {
    // SAFETY: fcntl with a descriptor we own.
    let access = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } & libc::O_ACCMODE;
    LockAccess { shared: access != libc::O_WRONLY, exclusive: access != libc::O_RDONLY }
}

/// Whether the system refused because it has no such locks, here or on this file system.
pub fn locks_unsupported(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::ENOTSUP))
}
