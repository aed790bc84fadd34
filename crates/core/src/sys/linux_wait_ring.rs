//! Waiting for any number of words by io_uring, on one thread.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
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
/// IORING_ENTER_GETEVENTS.
const GET_EVENTS: u32 = 1;
/// Whoever calls may mean any of the waits.
const ANYBODY: u64 = u32::MAX as u64;

/// A queue of waits that the kernel has.
pub struct Ring {
    ring: IoUring,
    /// What the kernel did not have room for yet.
    waiting: VecDeque<Entry>,
    /// The bell is waited for, too.
    listening: bool,
    /// Looked at by the kernel for as long as it listens.
    _bell: Option<Arc<Bell>>,
    /// Readable when somebody was called, where nobody sleeps in `sleep`.
    ready: Option<OwnedFd>,
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
        let _bell = Some(Arc::clone(bell));
        Some(Self { ring, waiting: VecDeque::new(), listening: false, _bell, ready: None })
    }

    /// For the calling thread alone, which waits by a descriptor of its own for what has happened, and then collects it.
    ///
    /// # References
    /// - [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html)
    pub fn with_descriptor() -> Option<Self> {
        let ring = ring(ENTRIES, ANSWERS)?;
        // SAFETY: a call without addresses; the descriptor is new, so nobody else owns it.
        let ready = unsafe {
            let ready = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            (ready >= 0).then(|| OwnedFd::from_raw_fd(ready))?
        };
        ring.submitter().register_eventfd(ready.as_raw_fd()).ok()?;
        Some(Self { ring, waiting: VecDeque::new(), listening: false, _bell: None, ready: Some(ready) })
    }

    /// That descriptor; -1 if there is none.
    pub fn descriptor(&self) -> i32 {
        self.ready.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Takes what has happened, without waiting for it.
    pub fn collect(&mut self, events: &mut Vec<(u64, Event)>) {
        let mut count = 0_u64;
        // Before the answers: whoever is called after this makes it readable again.
        // SAFETY: eight bytes of ours, as eventfd(2) wants them; it may say that there is nothing.
        unsafe { libc::read(self.descriptor(), (&raw mut count).cast(), size_of::<u64>()) };
        // The kernel puts answers into the queue only when it is asked to.
        // SAFETY: no argument is an address.
        let _ = unsafe { self.ring.submitter().enter::<libc::sigset_t>(0, 0, GET_EVENTS, None) };
        self.take(events);
    }

    fn take(&mut self, events: &mut Vec<(u64, Event)>) {
        for answer in self.ring.completion() {
            let number = answer.user_data();
            match number {
                BELL => self.listening = false,
                TAKEN_BACK => {}
                _ => events.push((number, event(answer.result()))),
            }
        }
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
        self.take(events);
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
