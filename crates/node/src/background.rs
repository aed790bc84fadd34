//! Work on a thread of our own: what takes seconds must not hold up `fs`, which shares four threads with everybody.

use std::sync::{Arc, Mutex, PoisonError};

use memmap_core::Error;
use napi::{Env, JsValue, Result};

use crate::array_buffer::Raw;
use crate::errors::{call_js, to_js};

/// Prepares work here and runs it there. The promise resolves with nothing, or with the error to throw: in TypeScript, which
/// asks first whether the region was closed in the meantime.
pub fn run_in_background<W>(env: Env, prepare: impl FnOnce() -> memmap_core::Result<W>) -> Result<Raw>
where
    W: FnOnce() -> memmap_core::Result<()> + Send + 'static,
{
    call_js(env, move || {
        let work = prepare()?;
        let (deferred, promise) = env.create_deferred()?;
        // In one place, since a promise has the type of what it is resolved by.
        let settle = move |outcome: memmap_core::Result<()>| {
            deferred.resolve(move |env| outcome.err().map(|error| to_js(env, &error).map(Raw::from)).transpose());
        };
        // Kept here too: a promise that nobody settles keeps the event loop alive for ever.
        let task = Arc::new(Mutex::new(Some((work, settle))));
        let take = |task: &Mutex<Option<_>>| task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let theirs = Arc::clone(&task);
        let spawned = std::thread::Builder::new().name("memmap".into()).stack_size(256 * 1024).spawn(move || {
            let Some((work, settle)) = take(&theirs) else { return };
            // The work drops what it holds before anybody hears of it: a region that is closed then finds nobody else
            // holding its memory.
            let outcome = work();
            settle(outcome);
        });
        if let Err(cause) = spawned {
            if let Some((_, settle)) = take(&task) {
                settle(Err(Error::system("pthread_create", &cause)));
            }
        }
        Ok(Raw::from(promise.raw()))
    })
}
