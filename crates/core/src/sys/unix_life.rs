//! Living owners on Linux and macOS: each holds a byte far beyond all that files have, by an open file description that is
//! its isolate's alone.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::unix_locks::{byte, control, F_OFD_GETLK, F_OFD_SETLK, WOULD_BLOCK};
use crate::life::Holder;
use crate::range_lock::Extent;
use crate::{Error, Result};

/// The byte of the first owner there may be. Locks of files end before it.
pub(super) const FIRST: u64 = Extent::LAST;

/// The locks of an isolate's owners in one piece of memory.
#[derive(Debug)]
pub struct LifeLocks(File);

fn at(key: u64) -> Extent {
    Extent { start: FIRST + key, end: FIRST + key + 1 }
}

fn failed(cause: &io::Error) -> Error {
    if super::locks_unsupported(cause) {
        return Error::lock_unsupported(
            "This file system has no locks of open file descriptions, by which owners are known to live",
        );
    }
    Error::system("fcntl", cause)
}

impl LifeLocks {
    /// By a description of our own.
    pub fn new(object: &File, name: &str) -> Result<Self> {
        super::life_file(object, name).map(Self)
    }

    /// Takes the lock of an owner; false if somebody has it, or more.
    ///
    /// # References
    /// - [F_OFD_SETLK](https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html)
    pub fn take(&self, key: u64) -> Result<bool> {
        match control(&self.0, F_OFD_SETLK, libc::F_WRLCK as _, at(key)) {
            Ok(()) => Ok(true),
            Err(cause) if WOULD_BLOCK.contains(&cause.raw_os_error()) => Ok(false),
            Err(cause) => Err(failed(&cause)),
        }
    }

    /// Gives it back.
    pub fn give_back(&self, key: u64) {
        // It goes with the description in any case.
        let _ = control(&self.0, F_OFD_SETLK, libc::F_UNLCK as _, at(key));
    }

    /// Who has it. An owner's is exclusive, so nothing else lies over it; and just this byte, since no owner of an isolate
    /// is beside another one, with which the system would make it one.
    ///
    /// # References
    /// - [F_OFD_GETLK](https://man7.org/linux/man-pages/man2/F_OFD_GETLK.2const.html)
    pub fn holder(&self, key: u64) -> Result<Holder> {
        let mut found = byte(libc::F_WRLCK as _, FIRST + key);
        // SAFETY: a descriptor we own, and a structure that outlives the call.
        if unsafe { libc::fcntl(self.0.as_raw_fd(), F_OFD_GETLK, &raw mut found) } != 0 {
            return Err(failed(&io::Error::last_os_error()));
        }
        if found.l_type == libc::F_UNLCK as libc::c_short {
            return Ok(Holder::Nobody);
        }
        let ours = found.l_type == libc::F_WRLCK as libc::c_short
            && u64::try_from(found.l_start).is_ok_and(|start| start == FIRST + key)
            && found.l_len == 1
            // Of a process, and not of a description: F_SETLK, lockf.
            && found.l_pid == -1;
        Ok(if ours { Holder::Owner } else { Holder::Other })
    }
}
