//! A word in shared memory, on which what excludes others is built.
//!
//! Every access is sequentially consistent: JavaScript's `Atomics`, which work on the same words, know no other order. A
//! trait, so that a model checker can put its own words in their place and try every order of events (`tests/models.rs`).

use std::sync::atomic::{AtomicU32, Ordering};

/// What the algorithms need of a word.
pub trait Word {
    /// What it is now.
    fn load(&self) -> u32;
    /// Changes it.
    fn store(&self, value: u32);
    /// Changes it if it is `old`; else what it is.
    fn compare_exchange(&self, old: u32, new: u32) -> Result<u32, u32>;
}

impl Word for AtomicU32 {
    fn load(&self) -> u32 {
        self.load(Ordering::SeqCst)
    }

    fn store(&self, value: u32) {
        self.store(value, Ordering::SeqCst);
    }

    fn compare_exchange(&self, old: u32, new: u32) -> Result<u32, u32> {
        self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}
