//! Locks of Windows. They bind everybody: ordinary reads and writes of a locked range by others fail.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Storage::FileSystem::{
    LockFileEx, UnlockFileEx, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

use super::{duplicate, inspect, LockAccess};
use crate::range_lock::{Extent, Kind, Mode};
use crate::Result;

/// Locks of one handle stay apart.
pub const LOCKS_MERGE: bool = false;
/// That of a file is of a byte that no range has.
pub const KINDS_ARE_ONE: bool = false;

/// Stands for the whole file, and is beyond all that anybody reads, writes or locks.
const FILE_BYTE: u64 = 0x7fff_ffff_ffff_fffe;
/// Where ranges to infinity end: before that byte. One that begins behind it, which lib/ lets nobody do, is of one byte.
const END: u64 = 0x7fff_ffff_ffff_0000;

fn place(kind: Kind, extent: Extent) -> (OVERLAPPED, u32, u32) {
    let (start, len) = match kind {
        Kind::File => (FILE_BYTE, 1),
        Kind::Range => (extent.start, extent.len().unwrap_or(END.saturating_sub(extent.start).max(1))),
    };
    let position = OVERLAPPED_0_0 { Offset: start as u32, OffsetHigh: (start >> 32) as u32 };
    let overlapped = OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: position }, ..OVERLAPPED::default() };
    (overlapped, len as u32, (len >> 32) as u32)
}

/// Takes a lock if nobody else is in the way.
///
/// # References
/// - [LockFileEx](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-lockfileex)
pub fn try_lock(file: &File, kind: Kind, mode: Mode, extent: Extent) -> io::Result<bool> {
    let (mut overlapped, low, high) = place(kind, extent);
    let exclusive = if mode == Mode::Exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    let flags = exclusive | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: a handle we own, and a structure that outlives the call, which does not wait.
    if unsafe { LockFileEx(file.as_raw_handle().cast(), flags, 0, low, high, &raw mut overlapped) } != 0 {
        return Ok(true);
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error().map(|raw| raw as u32) {
        Some(win::ERROR_LOCK_VIOLATION | win::ERROR_IO_PENDING) => Ok(false),
        _ => Err(cause),
    }
}

/// Gives a lock back; Windows keeps locks of one handle apart by itself.
///
/// # References
/// - [UnlockFileEx](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-unlockfileex)
pub fn unlock(file: &File, kind: Kind, extent: Extent, _others: &[Extent]) -> io::Result<()> {
    let (mut overlapped, low, high) = place(kind, extent);
    // SAFETY: as above.
    if unsafe { UnlockFileEx(file.as_raw_handle().cast(), 0, low, high, &raw mut overlapped) } != 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Not needed: a lock is of the process that took it, whoever has the handle's file object besides.
pub fn at_exit(_run: extern "C" fn()) {}

/// Makes an exclusive lock a shared one: a handle may lay a shared lock over its own exclusive one, and the exclusive one
/// is unlocked first.
pub fn downgrade(file: &File, kind: Kind, extent: Extent) -> io::Result<()> {
    if !try_lock(file, kind, Mode::Shared, extent)? {
        return Err(io::Error::from_raw_os_error(win::ERROR_LOCK_VIOLATION as i32));
    }
    unlock(file, kind, extent, &[])
}

/// A handle for reading, or for writing, will do for both.
pub fn lock_access(_file: &File) -> LockAccess {
    LockAccess { shared: true, exclusive: true }
}

/// Whether the system refused because this file system has no such locks.
pub fn locks_unsupported(cause: &io::Error) -> bool {
    matches!(
        cause.raw_os_error().map(|raw| raw as u32),
        Some(win::ERROR_NOT_SUPPORTED | win::ERROR_CALL_NOT_IMPLEMENTED)
    )
}

/// A handle for a file the caller has open: the caller's open file, since one opened anew could allow more than it does.
/// False: it is not our own.
pub fn description_of_our_own(descriptor: i32) -> Result<(File, bool)> {
    let file = duplicate(descriptor)?;
    inspect(&file)?;
    Ok((file, false))
}
