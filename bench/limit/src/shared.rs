//! Shared memory by bare system calls, and two processes that answer each other through a word of it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::{timed, Answer, Result};

/// Of the words: whose turn it is, and whether the other has come.
const TURN: usize = 0;
pub const READY: usize = 16;
const BYTES: u64 = 65_536;

/// shm_open, allocated, mapped, touched, unmapped, closed and unlinked.
pub fn segments(name: &str, times: usize, bytes: usize) -> Answer {
    let name = CString::new(name)?;
    let (nanoseconds, sum) = timed(times, || -> io::Result<usize> {
        let mut sum = 0;
        for _ in 0..times {
            // SAFETY: system calls on what was made just before, and a look at a map that was just made.
            unsafe {
                let fd = libc::shm_open(name.as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600);
                if fd < 0 || libc::posix_fallocate(fd, 0, bytes as libc::off_t) != 0 {
                    return Err(io::Error::last_os_error());
                }
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                let base = libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0);
                if base == libc::MAP_FAILED {
                    return Err(io::Error::last_os_error());
                }
                sum += usize::from(base.cast::<u8>().read_volatile()) + 1;
                libc::munmap(base, bytes);
                libc::close(fd);
                libc::shm_unlink(name.as_ptr());
            }
        }
        Ok(sum)
    });
    Ok((nanoseconds, sum?.to_string()))
}

pub fn map(path: &str) -> Result<MmapRaw> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    file.set_len(BYTES)?;
    Ok(MmapOptions::new().map_raw(&file)?)
}

pub fn word(map: &MmapRaw, index: usize) -> &AtomicI32 {
    // SAFETY: the words lie in the map, at multiples of four, and both processes use them as atomics.
    unsafe { AtomicI32::from_ptr(map.as_mut_ptr().cast::<i32>().add(index)) }
}

/// How the two spin: by a load and then a store, or by a compare_exchange, which takes the line at once.
#[derive(Clone, Copy)]
pub enum Way {
    LoadAndStore,
    CompareExchange,
}

impl Way {
    pub fn of(name: &str) -> Result<Way> {
        match name {
            "load and store" => Ok(Way::LoadAndStore),
            "compareExchange" => Ok(Way::CompareExchange),
            _ => Err(format!("no way to spin: {name}").into()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Way::LoadAndStore => "load and store",
            Way::CompareExchange => "compareExchange",
        }
    }
}

/// The answering side, in a process of its own.
pub fn answer(path: &str, rounds: i32, way: Way) -> Result<()> {
    let map = map(path)?;
    let turn = word(&map, TURN);
    word(&map, READY).store(1, Ordering::SeqCst);
    match way {
        Way::LoadAndStore => {
            for now in (1..2 * rounds).step_by(2) {
                while turn.load(Ordering::SeqCst) != now {}
                turn.store(now + 1, Ordering::SeqCst);
            }
        }
        Way::CompareExchange => {
            for now in (1..2 * rounds).step_by(2) {
                while turn.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::SeqCst).is_err() {}
            }
        }
    }
    Ok(())
}

/// One asks, the other answers; nanoseconds there and back.
pub fn ping_pong(path: &str, rounds: i32, way: Way) -> Answer {
    let _ = std::fs::remove_file(path);
    let map = map(path)?;
    let arguments = ["--answer", path, &rounds.to_string(), way.name()];
    let mut partner = Command::new(std::env::current_exe()?).args(arguments).spawn()?;
    while word(&map, READY).load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let turn = word(&map, TURN);
    let (nanoseconds, ()) = timed(usize::try_from(rounds)?, || match way {
        Way::LoadAndStore => {
            for now in (1..2 * rounds).step_by(2) {
                turn.store(now, Ordering::SeqCst);
                while turn.load(Ordering::SeqCst) != now + 1 {}
            }
        }
        Way::CompareExchange => {
            for now in (0..2 * rounds).step_by(2) {
                while turn.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::SeqCst).is_err() {}
            }
            while turn.load(Ordering::SeqCst) != 2 * rounds {}
        }
    });
    partner.wait()?;
    std::fs::remove_file(path)?;
    Ok((nanoseconds, rounds.to_string()))
}
