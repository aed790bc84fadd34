//! Work on a thread of our own: what takes seconds must not hold up `fs`, which shares four threads with everybody.

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
        std::thread::Builder::new()
            .name("memmap".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                // The work drops what it holds before anybody hears of it: a region that is closed then finds nobody else
                // holding its memory.
                let outcome = work();
                deferred.resolve(move |env| outcome.err().map(|error| to_js(env, &error).map(Raw::from)).transpose());
            })
            .map_err(|cause| Error::system("pthread_create", &cause))?;
        Ok(Raw::from(promise.raw()))
    })
}
