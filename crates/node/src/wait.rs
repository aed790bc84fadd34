//! Words of regions as meeting points: what `lib/wait.ts` calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memmap_core::wait::waiter::{self, Key};
use memmap_core::wait::{Outcome, Word};
use memmap_core::Region;
use napi::{Env, JsValue, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::errors::{call, call_js, to_js};
use crate::regions;

/// The isolate of this thread. What it waits for goes with it.
struct Owner(u64);

impl Drop for Owner {
    fn drop(&mut self) {
        waiter::end_owner(self.0);
    }
}

thread_local! {
    static OWNER: Owner = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Owner(NEXT.fetch_add(1, Ordering::Relaxed))
    };
}

fn owner() -> u64 {
    OWNER.with(|owner| owner.0)
}

/// Stands still while a word is the expected one, but no longer than so many milliseconds: 0 if somebody called or it has
/// changed, 1 if it was another one from the beginning, 2 if the time is over.
#[napi]
pub fn wait(env: Env, region: f64, offset: f64, expected: i32, milliseconds: f64) -> Result<u32> {
    call(env, || {
        let word = regions::with(region, |region| Word::of(region, offset as u64))?;
        let at_most = Duration::from_secs_f64((milliseconds / 1000.0).clamp(0.0, 1.0));
        Ok(match word.wait(expected.cast_unsigned(), at_most)? {
            Outcome::Woken => 0,
            Outcome::Different => 1,
            Outcome::TimedOut => 2,
        })
    })
}

/// Calls so many of those who wait for a word; how many it was.
#[napi]
pub fn notify(env: Env, region: f64, offset: f64, count: f64) -> Result<u32> {
    call(env, || regions::with(region, |region| Word::of(region, offset as u64))?.notify(count as u32))
}

/// Begins to wait for a word, under a number by which the wait may be given up: a promise of nothing or of the error to throw;
/// none if the word is another one.
#[napi(ts_return_type = "Promise<Error | null> | null")]
pub fn begin_wait(env: Env, number: u32, region: f64, offset: f64, expected: i32) -> Result<Option<Raw>> {
    call_js(env, || {
        let key = Key { owner: owner(), number };
        let (deferred, promise) = env.create_deferred()?;
        let settle = move |outcome: memmap_core::Result<()>| {
            deferred.resolve(move |env| outcome.err().map(|error| to_js(env, &error).map(Raw::from)).transpose());
        };
        let done = Box::new(settle.clone());
        let begun = regions::with(region, |found| {
            waiter::begin(key, region as u64, found, offset as u64, expected.cast_unsigned(), done)
        });
        if !matches!(begun, Ok(true)) {
            // A promise that nobody settles keeps the event loop alive for ever.
            settle(Ok(()));
        }
        Ok(begun?.then(|| Raw::from(promise.raw())))
    })
}

/// Gives a wait up; false if it has ended, and its promise is about to be resolved.
#[napi]
pub fn give_up_wait(env: Env, number: u32) -> Result<bool> {
    call(env, || Ok(waiter::give_up(Key { owner: owner(), number })))
}

/// A region is about to be closed.
pub fn region_closed(number: f64) {
    waiter::region_closed(owner(), number as u64);
}

/// A region was mapped anew.
pub fn region_moved(number: f64, region: &mut Region) {
    waiter::region_moved(owner(), number as u64, region);
}
