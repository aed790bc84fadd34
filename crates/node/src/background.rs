//! Work on a thread of our own: what takes seconds must not hold up `fs`, which shares four threads with everybody.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use memmap_core::search_job::Control;
use memmap_core::thread;
use napi::bindgen_prelude::{Null, ToNapiValue};
use napi::{sys, Env, JsValue, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::errors::{bug, call_js, to_js};

/// Work of this isolate that may still be ended, by the number the caller gave: as much as there are threads for it.
#[derive(Default)]
struct Tickets(Vec<(u32, Arc<Control>)>);

impl Drop for Tickets {
    /// The isolate ends: nobody waits for its work any more.
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, control)| control.cancel());
    }
}

thread_local! {
    static TICKETS: RefCell<Tickets> = RefCell::default();
}

/// Takes note of work that is begun.
pub fn register(ticket: u32, control: &Arc<Control>) {
    TICKETS.with_borrow_mut(|tickets| tickets.0.push((ticket, Arc::clone(control))));
}

/// Forgets work, and ends it if it is still under way.
#[napi]
pub fn end_work(ticket: u32) {
    let ended = TICKETS.with_borrow_mut(|tickets| {
        let place = tickets.0.iter().position(|(number, _)| *number == ticket)?;
        Some(tickets.0.swap_remove(place).1)
    });
    if let Some(control) = ended {
        control.cancel();
    }
}

/// How many bytes of it are done.
#[napi]
pub fn work_done(ticket: u32) -> f64 {
    TICKETS.with_borrow(|tickets| {
        let found = tickets.0.iter().find(|(number, _)| *number == ticket);
        found.map_or(0.0, |(_, control)| control.done() as f64)
    })
}

/// What work comes to: it makes a value of that on the isolate's own thread.
pub type Answer = Box<dyn FnOnce(sys::napi_env) -> Result<sys::napi_value> + Send>;

/// The answer of work that has none.
pub fn nothing() -> Answer {
    answer(Null)
}

fn answer<T: ToNapiValue + Send + 'static>(value: T) -> Answer {
    // SAFETY: called once, by `settle` below, with the isolate's own env and in a handle scope.
    Box::new(move |env| unsafe { T::to_napi_value(env, value) })
}

/// What ends a promise, from any thread.
pub type Settle = Box<dyn FnOnce(memmap_core::Result<Answer>) + Send>;

/// A promise, and what ends it: with an answer, or with the error to throw.
pub fn promise(env: Env) -> Result<(Settle, Raw)> {
    let (deferred, promise) = env.create_deferred()?;
    let settle = move |outcome: memmap_core::Result<Answer>| {
        deferred.resolve(move |env| match outcome {
            Ok(answer) => answer(env.raw()).map(Raw::from),
            Err(error) => to_js(env, &error).map(Raw::from),
        });
    };
    Ok((Box::new(settle), Raw::from(promise.raw())))
}

/// Prepares work here and runs it there. The promise resolves with nothing, or with the error to throw: in TypeScript, which
/// asks first whether the region was closed in the meantime.
pub fn run_in_background<W>(env: Env, prepare: impl FnOnce() -> memmap_core::Result<W>) -> Result<Raw>
where
    W: FnOnce() -> memmap_core::Result<()> + Send + 'static,
{
    answer_in_background(env, || {
        let work = prepare()?;
        Ok(move || work().map(|()| Null))
    })
}

/// As [`run_in_background`], for work that has a result.
pub fn answer_in_background<W, T>(env: Env, prepare: impl FnOnce() -> memmap_core::Result<W>) -> Result<Raw>
where
    W: FnOnce() -> memmap_core::Result<T> + Send + 'static,
    T: ToNapiValue + Send + 'static,
{
    call_js(env, move || {
        let work = prepare()?;
        Ok(start(env, Box::new(move || work().map(answer)))?)
    })
}

/// All work is behind a pointer, so that this, and all of a thread, is in the binary once.
fn start(env: Env, work: Box<dyn FnOnce() -> memmap_core::Result<Answer> + Send>) -> Result<Raw> {
    let (settle, promise) = promise(env)?;
    // Kept here too: a promise that nobody settles keeps the event loop alive for ever.
    let task = Arc::new(Mutex::new(Some((work, settle))));
    let take = |task: &Mutex<Option<_>>| task.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&task);
    let work = Box::new(move || {
        let Some((work, settle)) = take(&theirs) else { return };
        // The work drops what it holds before anybody hears of it: a region that is closed then finds nobody else
        // holding its memory.
        // A panic would be a bug of ours: the promise must end all the same.
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Ok(Box::new(|_| Err(bug()))));
        settle(outcome);
    });
    if let Err(error) = thread::spawn("memmap", thread::STACK, work) {
        if let Some((_, settle)) = take(&task) {
            settle(Err(error));
        }
    }
    Ok(promise)
}
