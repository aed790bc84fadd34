//! Words of regions as meeting points: what `lib/wait.ts` calls.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use memmap_core::wait::waiter::{self, Key};
use memmap_core::wait::{Outcome, Word};
use memmap_core::{Error, Region};
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::errors::{call, call_js, to_js};
use crate::{event_loop, regions};

/// What an isolate is told of a wait that has ended: its number, and why where it failed.
type Ended = (u32, Option<Error>);
type Listener = ThreadsafeFunction<Ended, (), FnArgs<(u32, Option<Raw>)>, Status, false, true>;

/// The isolate of this thread. What it waits for goes with it.
struct Owner {
    number: u64,
    listener: RefCell<Option<Arc<Listener>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        waiter::end_owner(self.number);
    }
}

thread_local! {
    static OWNER: Owner = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Owner { number: NEXT.fetch_add(1, Ordering::Relaxed), listener: RefCell::default() }
    };
}

fn owner() -> u64 {
    OWNER.with(|owner| owner.number)
}

/// Whom to tell of this isolate's waits: one function for all of them, since making one takes longer than most waits. It keeps
/// nobody alive.
#[napi(ts_args_type = "listener: (number: number, failure: Error | null | undefined) => void")]
pub fn on_wait_ended(env: Env, listener: Function<'_, FnArgs<(u32, Option<Raw>)>, ()>) -> Result<()> {
    call_js(env, || {
        let builder = listener.build_threadsafe_function::<Ended>().callee_handled::<false>().weak::<true>();
        let listener = builder.build_callback(|context| {
            let (number, error) = context.value;
            let failure = error.map(|error| to_js(context.env, &error).map(Raw::from)).transpose()?;
            Ok(FnArgs::from((number, failure)))
        })?;
        OWNER.with(|owner| *owner.listener.borrow_mut() = Some(Arc::new(listener)));
        event_loop::listen(env, owner());
        Ok(())
    })
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

/// Begins to wait for a word, under a number that the listener is told, if the word is the expected one.
#[napi]
pub fn begin_wait(env: Env, number: u32, region: f64, offset: f64, expected: i32) -> Result<bool> {
    call(env, || {
        let listener = OWNER.with(|owner| owner.listener.borrow().clone());
        let done = Box::new(move |outcome: memmap_core::Result<()>| {
            if let Some(listener) = listener {
                // Where the isolate has ended meanwhile, nobody is left to be told.
                listener.call((number, outcome.err()), ThreadsafeFunctionCallMode::NonBlocking);
            }
        });
        let key = Key { owner: owner(), number };
        let begun = regions::with(region, |found| {
            waiter::begin(key, region as u64, found, offset as u64, expected.cast_unsigned(), done)
        });
        event_loop::look();
        begun
    })
}

/// Gives a wait up; false if it has ended, and the listener is about to be told.
#[napi]
pub fn give_up_wait(env: Env, number: u32) -> Result<bool> {
    call(env, || {
        // Somebody may have called just now.
        event_loop::look();
        let given_up = waiter::give_up(Key { owner: owner(), number });
        event_loop::look();
        Ok(given_up)
    })
}

/// A region is about to be closed.
pub fn region_closed(number: f64) {
    waiter::region_closed(owner(), number as u64);
    event_loop::look();
}

/// A region was mapped anew.
pub fn region_moved(number: f64, region: &mut Region) {
    waiter::region_moved(owner(), number as u64, region);
    event_loop::look();
}
