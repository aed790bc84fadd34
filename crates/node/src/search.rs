//! Finding and counting.

use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

fn or_minus_one(found: Option<u64>) -> f64 {
    found.map_or(-1.0, |index| index as f64)
}

/// Position of the first match, or -1.
#[napi]
pub fn index_of(env: Env, region: f64, start: f64, end: f64, needle: &[u8]) -> Result<f64> {
    call(env, || regions::mapping(region)?.index_of(start as u64, end as u64, needle).map(or_minus_one))
}

/// Position of the last match, or -1.
#[napi]
pub fn last_index_of(env: Env, region: f64, start: f64, end: f64, needle: &[u8]) -> Result<f64> {
    call(env, || regions::mapping(region)?.last_index_of(start as u64, end as u64, needle).map(or_minus_one))
}

/// How many matches that do not overlap.
#[napi]
pub fn count(env: Env, region: f64, start: f64, end: f64, needle: &[u8]) -> Result<f64> {
    call(env, || regions::mapping(region)?.count(start as u64, end as u64, needle).map(|count| count as f64))
}

/// Fills `out` with positions of matches; how many there were room for.
#[napi]
pub fn indexes_of(
    env: Env,
    region: f64,
    start: f64,
    end: f64,
    needle: &[u8],
    mut out: Float64ArraySlice,
) -> Result<u32> {
    // SAFETY: `out` is the scan's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        regions::mapping(region)?.indexes_of(start as u64, end as u64, needle, out).map(|filled| filled as u32)
    })
}
