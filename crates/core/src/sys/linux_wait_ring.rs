//! Waiting for any number of words by io_uring, on one thread.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use io_uring::squeue::Entry;
use io_uring::{opcode, IoUring, Probe};

use super::linux_wait::{Bell, SHARED_WORD};
use crate::wait::waiter::Event;
use crate::wait::Word;

const ENTRIES: u32 = 256;
/// More than that at a time the kernel keeps until there is room.
const ANSWERS: u32 = 4096;
/// What the bell and the taking back of waits are known by: no wait has these numbers.
const BELL: u64 = 0;
const TAKEN_BACK: u64 = u64::MAX;
/// Whoever calls may mean any of the waits.
const ANYBODY: u64 = u32::MAX as u64;

/// A queue of waits that the kernel has.
pub struct Ring {
    ring: IoUring,
    /// What the kernel did not have room for yet.
    waiting: VecDeque<Entry>,
    /// The bell is waited for, too.
    listening: bool,
    /// Never rung again, but looked at by the kernel for as long as it listens.
    _bell: Arc<Bell>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("listening", &self.listening).finish_non_exhaustive()
    }
}

impl Ring {
    /// For the calling thread alone; none where the kernel cannot wait for futexes so (before 6.7), or must not.
    ///
    /// # References
    /// - [io_uring_setup(2)](https://man7.org/linux/man-pages/man2/io_uring_setup.2.html)
    pub fn new(bell: &Arc<Bell>) -> Option<Self> {
        let ring = ring(ENTRIES, ANSWERS)?;
        Some(Self { ring, waiting: VecDeque::new(), listening: false, _bell: Arc::clone(bell) })
    }

    /// Whether there may be one.
    pub fn is_there() -> bool {
        ring(1, 2).is_some()
    }

    /// Begins to wait.
    pub fn begin(&mut self, number: u64, word: &Arc<Word>, expected: u32) {
        self.push(wait(word.meeting().address(), expected, SHARED_WORD, number));
    }

    /// Takes a wait back; if it has ended meanwhile, nothing happens.
    pub fn end(&mut self, number: u64) {
        self.push(opcode::AsyncCancel::new(number).build().user_data(TAKEN_BACK));
    }

    fn push(&mut self, entry: Entry) {
        self.waiting.push_back(entry);
    }

    /// The kernel gets all of it.
    pub fn submit(&mut self) {
        while !self.waiting.is_empty() {
            self.fill();
            if !self.enter(0) {
                return;
            }
        }
    }

    fn fill(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.waiting.pop_front() {
            // SAFETY: the words are held by who ordered the wait until its answer has come; the bell by `self`. Of both the
            // kernel checks the address itself.
            if unsafe { queue.push(&entry) }.is_err() {
                self.waiting.push_front(entry);
                return;
            }
        }
    }

    /// Hands over what there is, and waits for so many answers. False if the kernel would not.
    fn enter(&self, answers: usize) -> bool {
        loop {
            match self.ring.submit_and_wait(answers) {
                Ok(_) => return true,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                // Answers are to be taken first.
                Err(_) => return false,
            }
        }
    }

    /// Until a wait has ended, or the bell was rung.
    pub fn sleep(&mut self, bell: &Bell, heard: u32, events: &mut Vec<(u64, Event)>) {
        if !self.listening {
            self.listening = true;
            self.push(wait(bell.word(), heard, SHARED_WORD | libc::FUTEX_PRIVATE_FLAG as u32, BELL));
        }
        self.fill();
        self.enter(1);
        for answer in self.ring.completion() {
            let number = answer.user_data();
            match number {
                BELL => self.listening = false,
                TAKEN_BACK => {}
                _ => events.push((number, event(answer.result()))),
            }
        }
    }
}

fn ring(entries: u32, answers: u32) -> Option<IoUring> {
    let mut builder = IoUring::builder();
    let ring = builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(answers).build(entries).ok()?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).ok()?;
    probe.is_supported(opcode::FutexWait::CODE).then_some(ring)
}

fn wait(word: *const u32, expected: u32, flags: u32, number: u64) -> Entry {
    opcode::FutexWait::new(word, u64::from(expected), ANYBODY, flags).build().user_data(number)
}

fn event(result: i32) -> Event {
    match -result {
        0 => Event::Woken,
        libc::EAGAIN => Event::Different,
        libc::ECANCELED => Event::Ended,
        code => Event::Refused(io::Error::from_raw_os_error(code)),
    }
}
