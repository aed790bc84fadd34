//! Locks by bare system calls: of open file descriptions, as memmap's are.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::{timed, Answer};

// macOS has them since 10.15, and its headers call them private.
#[cfg(target_os = "macos")]
const F_OFD_SETLK: libc::c_int = 90;
#[cfg(target_os = "macos")]
const F_OFD_SETLKW: libc::c_int = 91;
#[cfg(target_os = "linux")]
use libc::{F_OFD_SETLK, F_OFD_SETLKW};

const EXCLUSIVE: libc::c_short = libc::F_WRLCK as _;
const NONE: libc::c_short = libc::F_UNLCK as _;

/// Locks or unlocks all of a file.
fn control(file: &File, command: libc::c_int, kind: libc::c_short) -> io::Result<()> {
    // SAFETY: a structure of plain numbers, for which zero is a value.
    let mut what: libc::flock = unsafe { std::mem::zeroed() };
    what.l_type = kind;
    what.l_whence = libc::SEEK_SET as _;
    // SAFETY: a descriptor we own, and a structure that outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut what) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn opened(path: &str) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

/// Locked and unlocked, again and again.
pub fn pairs(path: &str, times: usize) -> Answer {
    let file = opened(path)?;
    let (nanoseconds, done) = timed(times, || -> io::Result<()> {
        for _ in 0..times {
            control(&file, F_OFD_SETLK, EXCLUSIVE)?;
            control(&file, F_OFD_SETLK, NONE)?;
        }
        Ok(())
    });
    done?;
    Ok((nanoseconds, times.to_string()))
}

/// Opened, locked, unlocked and closed.
pub fn opens(path: &str, times: usize) -> Answer {
    let (nanoseconds, done) = timed(times, || -> io::Result<()> {
        for _ in 0..times {
            let file = opened(path)?;
            control(&file, F_OFD_SETLK, EXCLUSIVE)?;
            control(&file, F_OFD_SETLK, NONE)?;
        }
        Ok(())
    });
    done?;
    Ok((nanoseconds, times.to_string()))
}

/// Waits for the lock and gives it back; the result is when it came, by the clock that all processes share.
pub fn wait(path: &str) -> Answer {
    let file = opened(path)?;
    let (nanoseconds, came) = timed(1, || -> io::Result<i128> {
        control(&file, F_OFD_SETLKW, EXCLUSIVE)?;
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a structure that outlives the call.
        if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) } != 0 {
            return Err(io::Error::last_os_error());
        }
        control(&file, F_OFD_SETLK, NONE)?;
        Ok(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
    });
    Ok((nanoseconds, came?.to_string()))
}
