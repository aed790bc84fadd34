//! What stands in for an isolate: its owners, and a region of its own.

#![allow(dead_code, reason = "every test file compiles this for itself and uses a part of it")]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use memmap_core::mutex::{Attempt, Manner};
use memmap_core::owners::{Kind, Owners};
use memmap_core::semaphore::Answer;
use memmap_core::wait::Word;
use memmap_core::{mmap_file, Access, OpenOptions, Region, Result, Source};

/// What takes longer than this on any machine never comes.
pub const LONG: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(15);
/// Of a control block.
pub const STATE: u64 = 4;
pub const SEQUENCE: u64 = 16;

/// An isolate: its owners, and a region of its own.
pub struct Isolate {
    pub owners: Owners,
    pub region: Region,
    pub number: u32,
    offset: u64,
}

impl Isolate {
    pub fn new(path: &Path, offset: u64, kind: Kind) -> Result<Self> {
        let options = OpenOptions { access: Access::Write, ..OpenOptions::default() };
        Self::of(mmap_file::open(Source::Path(path), options)?, offset, kind)
    }

    pub fn of(region: Region, offset: u64, kind: Kind) -> Result<Self> {
        let mut owners = Owners::default();
        let number = owners.open(&region, 1, offset, kind)?;
        Ok(Self { owners, region, number, offset })
    }

    pub fn attempt(&mut self, manner: Manner) -> Result<Option<Attempt>> {
        self.owners.attempt(self.number, &self.region, self.offset, manner)
    }

    /// As lib/owned.ts waits: whether the last owner has died.
    pub fn lock(&mut self) -> bool {
        let begun = Instant::now();
        let mut manner = Manner { waits: true, ..Manner::default() };
        loop {
            assert!(begun.elapsed() < LONG, "it never came");
            match self.attempt(manner).unwrap() {
                Some(Attempt::Taken { abandoned }) => return abandoned,
                Some(Attempt::Busy { word }) => {
                    Word::of(&mut self.region, self.offset + STATE).unwrap().wait(word, LOOK_AGAIN).unwrap();
                }
                other => panic!("{other:?}"),
            }
            manner = Manner { waits: true, slept: true, asks: true, starves: begun.elapsed() > LOOK_AGAIN };
        }
    }

    pub fn release(&mut self) {
        self.owners.release(self.number, &mut self.region, self.offset).unwrap();
    }

    pub fn acquire(&mut self, permits: u32) {
        let begun = Instant::now();
        let mut manner = Manner { waits: true, ..Manner::default() };
        loop {
            assert!(begun.elapsed() < LONG, "it never came");
            let at = match self.owners.acquire(self.number, &mut self.region, self.offset, permits, manner).unwrap() {
                Some(Answer::Done(_)) => return,
                Some(Answer::NoneLeft { word }) => (SEQUENCE, word),
                Some(Answer::Busy { word }) => (STATE, word),
                None => panic!("nobody has locked the file"),
            };
            Word::of(&mut self.region, self.offset + at.0).unwrap().wait(at.1, LOOK_AGAIN).unwrap();
            manner = Manner { slept: true, asks: true, ..manner };
        }
    }

    pub fn give_back(&mut self, count: u32) -> Result<()> {
        loop {
            match self.owners.give_back(self.number, &mut self.region, self.offset, count, Manner::default())? {
                Some(Answer::Done(_)) => return Ok(()),
                _ => thread::yield_now(),
            }
        }
    }

    pub fn recover(&mut self) -> u32 {
        loop {
            let asks = Manner { asks: true, ..Manner::default() };
            match self.owners.recover(self.number, &mut self.region, self.offset, asks).unwrap() {
                Some(Answer::Done(count)) => return count,
                _ => thread::yield_now(),
            }
        }
    }

    pub fn read(&self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.region.mapping().read(offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    pub fn write(&self, offset: u64, value: u32) {
        self.region.mapping().write(offset, &value.to_le_bytes()).unwrap();
    }
}
