//! Where an event loop cannot hear of words: the waiting thread tells it.

use std::sync::Arc;

use crate::wait::waiter::Event;
use crate::wait::Word;

/// Waits of one thread that it hears of by a descriptor: there is no such thing here.
#[derive(Debug)]
pub enum OwnQueue {}

/// A queue of waits for the calling thread: none.
pub fn own_queue() -> Option<OwnQueue> {
    None
}

impl OwnQueue {
    /// Begins to wait.
    pub fn begin(&mut self, _number: u64, _word: &Arc<Word>, _expected: u32) {
        match *self {}
    }

    /// Takes a wait back.
    pub fn end(&mut self, _number: u64) {
        match *self {}
    }

    /// Hands it to the system.
    pub fn submit(&mut self) {
        match *self {}
    }

    /// Takes what has happened.
    pub fn collect(&mut self, _events: &mut Vec<(u64, Event)>) {
        match *self {}
    }

    /// The descriptor.
    pub fn descriptor(&self) -> i32 {
        match *self {}
    }
}
