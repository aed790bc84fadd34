//! Many waits of one thread where the system knows no such thing, or not for so many: it sleeps for the first few of them, as
//! many as it can, and looks at the others again and again.
//!
//! A call alone is not seen by a look: only a word that is another one by then.

use std::sync::Arc;
use std::time::Duration;

use super::{wait_for_any, Bell};
use crate::wait::waiter::Event;
use crate::wait::Word;

/// Between two looks, after something has happened and at most.
const PAUSE: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));

/// One of the waits.
#[derive(Debug)]
pub struct Wait {
    number: u64,
    pub(super) word: Arc<Word>,
    pub(super) expected: u32,
}

/// All of them.
#[derive(Debug)]
pub struct Asking {
    waits: Vec<Wait>,
    /// So many at a time the system sleeps for.
    at_a_time: usize,
    pause: Duration,
}

impl Asking {
    /// None yet.
    pub fn new(at_a_time: usize) -> Self {
        Self { waits: Vec::new(), at_a_time, pause: PAUSE.0 }
    }

    /// Begins to wait.
    pub fn begin(&mut self, number: u64, word: &Arc<Word>, expected: u32) {
        self.waits.push(Wait { number, word: Arc::clone(word), expected });
        // Who waits for the first time is likely to wait for something short.
        self.pause = PAUSE.0;
    }

    /// Takes a wait back.
    pub fn end(&mut self, number: u64, events: &mut Vec<(u64, Event)>) {
        if let Some(at) = self.waits.iter().position(|wait| wait.number == number) {
            let called = self.waits.remove(at).word.meeting().leave();
            events.push((number, if called { Event::Woken } else { Event::Ended }));
        }
    }

    /// Until something has happened.
    pub fn sleep(&mut self, bell: &Bell, heard: u32, events: &mut Vec<(u64, Event)>) {
        let first = self.waits.len().min(self.at_a_time);
        let all = first == self.waits.len();
        let woken = wait_for_any(&self.waits[..first], bell, heard, (!all).then_some(self.pause));
        if let Some(wait) = woken.map(|at| self.waits.remove(at)) {
            events.push((wait.number, Event::Woken));
        }
        // Others may have been called in the same moment, and only one is told.
        self.waits.retain(|wait| {
            let meeting = wait.word.meeting();
            let event = match wait.word.is(wait.expected) {
                _ if meeting.called() => Event::Woken,
                Ok(true) => return true,
                _ if meeting.leave() => Event::Woken,
                Ok(false) => Event::Different,
                Err(error) => Event::Failed(error),
            };
            events.push((wait.number, event));
            false
        });
        self.pause = if events.is_empty() { (self.pause * 2).min(PAUSE.1) } else { PAUSE.0 };
    }
}
