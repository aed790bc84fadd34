//! Flushing, here or in the background.

use napi::{Env, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::background::run_in_background;
use crate::errors::call;
use crate::regions;

/// Flushes a range; resolves with nothing, or with the error to throw.
#[napi(ts_return_type = "Promise<Error | null>")]
pub fn flush(env: Env, region: f64, start: f64, end: f64) -> Result<Raw> {
    run_in_background(env, || {
        let work = regions::with(region, |region| Ok(region.flush(start as usize, end as usize)))?;
        Ok(move || work.run(true))
    })
}

/// Flushes a range, waiting here; without `wait` it only begins.
#[napi]
pub fn flush_sync(env: Env, region: f64, start: f64, end: f64, wait: bool) -> Result<()> {
    call(env, || regions::with(region, |region| Ok(region.flush(start as usize, end as usize)))?.run(wait))
}
