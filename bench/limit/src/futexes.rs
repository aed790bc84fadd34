//! Two processes that wait for each other: a store and FUTEX_WAKE, and FUTEX_WAIT, with nothing in between.

use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::shared::{map, word, READY};
use crate::{timed, Answer, Result};

/// Apart from each other, each in a cache line of its own.
const ASKED: usize = 32;
const ANSWERED: usize = 48;

fn call(word: &AtomicI32, operation: libc::c_int, value: i32) {
    // SAFETY: a word of a map that lives; no time, so that it waits for as long as it takes.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, std::ptr::null::<libc::timespec>()) };
}

fn tell(word: &AtomicI32, value: i32) {
    word.store(value, Ordering::SeqCst);
    call(word, libc::FUTEX_WAKE, 1);
}

fn hear(word: &AtomicI32, last: i32) {
    while word.load(Ordering::SeqCst) == last {
        call(word, libc::FUTEX_WAIT, last);
    }
}

/// The answering side, in a process of its own.
pub fn answer(path: &str, rounds: i32) -> Result<()> {
    let map = map(path)?;
    word(&map, READY).store(1, Ordering::SeqCst);
    for round in 0..rounds {
        hear(word(&map, ASKED), round);
        tell(word(&map, ANSWERED), round + 1);
    }
    Ok(())
}

/// One asks, the other answers; nanoseconds there and back.
pub fn ping_pong(path: &str, rounds: i32) -> Answer {
    let _ = std::fs::remove_file(path);
    let map = map(path)?;
    let arguments = ["--answer-waiting", path, &rounds.to_string()];
    let mut partner = Command::new(std::env::current_exe()?).args(arguments).spawn()?;
    while word(&map, READY).load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let (nanoseconds, ()) = timed(usize::try_from(rounds)?, || {
        for round in 0..rounds {
            tell(word(&map, ASKED), round + 1);
            hear(word(&map, ANSWERED), round);
        }
    });
    partner.wait()?;
    std::fs::remove_file(path)?;
    Ok((nanoseconds, rounds.to_string()))
}
