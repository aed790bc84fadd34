//! Mutexes and semaphores in shared memory: what `lib/mutex.ts` and `lib/semaphore.ts` call. Sleeping is theirs, by the words
//! that the answers name.

use std::cell::RefCell;

use memmap_core::mutex::{Attempt, Manner};
use memmap_core::owners::{Kind, Owners};
use memmap_core::semaphore::Answer;
use memmap_core::{Error, ErrorKind, Region, Result as CoreResult};
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

thread_local! {
    /// Those of this isolate. With it they go, and so do the signs that it lives.
    static OWNERS: RefCell<Owners> = RefCell::default();
}

fn manner(flags: u32) -> Manner {
    Manner { waits: flags & 1 != 0, slept: flags & 2 != 0, starves: flags & 4 != 0, asks: flags & 8 != 0 }
}

/// An answer and a word, in one number: the answer above 32 bits.
fn told(answer: u32, word: u32) -> f64 {
    f64::from(answer) * 4_294_967_296.0 + f64::from(word)
}

/// Another program has locked the file.
const OBSTRUCTED: u32 = 3;
/// To be tried again when the state is no longer this one.
const BUSY: u32 = 4;
/// To be tried again when the sequence is no longer this one.
const NONE_LEFT: u32 = 5;

fn told_of_mutex(attempt: Option<Attempt>) -> f64 {
    match attempt {
        Some(Attempt::Taken { abandoned: false }) => told(0, 0),
        Some(Attempt::Taken { abandoned: true }) => told(1, 0),
        Some(Attempt::Own) => told(2, 0),
        None => told(OBSTRUCTED, 0),
        Some(Attempt::Busy { word }) => told(BUSY, word),
    }
}

fn told_of_semaphore(answer: Option<Answer<u32>>) -> f64 {
    match answer {
        Some(Answer::Done(count)) => told(0, count),
        None => told(OBSTRUCTED, 0),
        Some(Answer::Busy { word }) => told(BUSY, word),
        Some(Answer::NoneLeft { word }) => told(NONE_LEFT, word),
    }
}

fn with<R>(region: f64, work: impl FnOnce(&mut Owners, &mut Region) -> CoreResult<R>) -> CoreResult<R> {
    regions::with(region, |found| OWNERS.with_borrow_mut(|owners| work(owners, found)))
}

/// Takes note of a mutex, or of a semaphore: its number here, the same for all objects of one.
#[napi]
pub fn open_owned(env: Env, region: f64, offset: f64, semaphore: bool) -> Result<u32> {
    let kind = if semaphore { Kind::Semaphore } else { Kind::Mutex };
    call(env, || with(region, |owners, found| owners.open(found, region as u64, offset as u64, kind)))
}

/// Who this isolate is in it: 0 before the first try.
#[napi]
pub fn owner_of(env: Env, number: u32) -> Result<u32> {
    call(env, || Ok(OWNERS.with_borrow(|owners| owners.id(number))))
}

/// Tries to take a mutex.
#[napi]
pub fn try_mutex(env: Env, region: f64, offset: f64, number: u32, flags: u32) -> Result<f64> {
    call(env, || {
        with(region, |owners, found| owners.attempt(number, found, offset as u64, manner(flags))).map(told_of_mutex)
    })
}

/// Gives a mutex back, through whatever region still shows it; or leaves it as if its owner had died.
#[napi]
pub fn release_mutex(env: Env, number: u32, forsake: bool) -> Result<()> {
    call(env, || {
        let shown = OWNERS.with_borrow(|owners| owners.regions(number));
        let mut outcome = Err(Error::closed());
        for (region, offset) in shown {
            outcome = with(region as f64, |owners, found| match forsake {
                true => owners.forsake(number, found, offset),
                false => owners.release(number, found, offset),
            });
            match &outcome {
                Ok(()) => return outcome,
                Err(error) if matches!(error.kind(), ErrorKind::SharedStateInvalid(_)) => return outcome,
                Err(_) => {}
            }
        }
        OWNERS.with_borrow_mut(|owners| match (forsake, outcome) {
            (_, Err(error)) if !error.is_closed() => Err(error),
            (true, _) => owners.forsake_remains(number),
            (false, _) => owners.release_remains(number),
        })
    })
}

/// Takes a permit of a semaphore.
#[napi]
pub fn acquire_permit(env: Env, region: f64, offset: f64, number: u32, permits: u32, flags: u32) -> Result<f64> {
    call(env, || {
        with(region, |owners, found| owners.acquire(number, found, offset as u64, permits, manner(flags)))
            .map(told_of_semaphore)
    })
}

/// Gives permits of a semaphore back.
#[napi]
pub fn release_permits(env: Env, region: f64, offset: f64, number: u32, count: u32, flags: u32) -> Result<f64> {
    call(env, || {
        with(region, |owners, found| owners.give_back(number, found, offset as u64, count, manner(flags)))
            .map(told_of_semaphore)
    })
}

/// Gives back what the dead had of a semaphore: how many permits, below the answer.
#[napi]
pub fn recover_permits(env: Env, region: f64, offset: f64, number: u32, flags: u32) -> Result<f64> {
    call(env, || {
        with(region, |owners, found| owners.recover(number, found, offset as u64, manner(flags))).map(told_of_semaphore)
    })
}

/// A region is about to be closed.
pub fn region_closed(number: f64, region: &Region) {
    OWNERS.with_borrow_mut(|owners| owners.region_closed(number as u64, region));
}
