//! Flushing, here or on a thread of our own: a disk that takes seconds must not hold up `fs`, which shares
//! four threads with everybody.

use napi::{Env, JsValue, Result};
use napi_derive::napi;

use memmap_core::Error;

use crate::array_buffer::Raw;
use crate::errors::{call, call_js, to_js};
use crate::regions;

/// Flushes a range; resolves with nothing, or with the error to throw.
#[napi(ts_return_type = "Promise<Error | null>")]
pub fn flush(env: Env, region: f64, start: f64, end: f64) -> Result<Raw> {
    call_js(env, move || {
        let work = regions::with(region, |file| Ok(file.flush(start as usize, end as usize)))?;
        let (deferred, promise) = env.create_deferred()?;
        std::thread::Builder::new()
            .name("memmap-flush".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                let outcome = work.run(true);
                // Before anybody hears of it: a region that is closed then finds nobody else holding its memory.
                drop(work);
                deferred.resolve(move |env| outcome.err().map(|error| to_js(env, &error).map(Raw::from)).transpose());
            })
            .map_err(|cause| Error::system("pthread_create", &cause))?;
        Ok(Raw::from(promise.raw()))
    })
}

/// Flushes a range, waiting here; without `wait` it only begins.
#[napi]
pub fn flush_sync(env: Env, region: f64, start: f64, end: f64, wait: bool) -> Result<()> {
    call(env, || regions::with(region, |file| Ok(file.flush(start as usize, end as usize)))?.run(wait))
}
