//! Copying, filling, moving and comparing.

use memmap_core::Error;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

/// Copies bytes of the region into `target`.
#[napi]
pub fn read(env: Env, region: f64, offset: f64, mut target: Uint8ArraySlice) -> Result<()> {
    // SAFETY: the view is an argument of this call, during which no JavaScript runs that could change it.
    let target = unsafe { target.as_mut() };
    call(env, || regions::mapping(region)?.read(offset as u64, target))
}

/// Copies the first `byteLength` bytes of `source` into the region.
#[napi]
pub fn write(env: Env, region: f64, offset: f64, source: &[u8], byte_length: f64) -> Result<()> {
    call(env, || {
        let source = source
            .get(..byte_length as usize)
            .ok_or_else(|| Error::OutOfRange("the source is shorter than what is to be written".into()))?;
        regions::mapping(region)?.write(offset as u64, source)
    })
}

/// Fills a part of the region with a pattern.
#[napi]
pub fn fill(env: Env, region: f64, start: f64, end: f64, pattern: &[u8]) -> Result<()> {
    call(env, || regions::mapping(region)?.fill(start as u64, (end - start) as usize, pattern))
}

/// Moves a part of the region.
#[napi]
pub fn move_within(env: Env, region: f64, destination: f64, source: f64, byte_length: f64) -> Result<()> {
    call(env, || regions::mapping(region)?.move_within(destination as u64, source as u64, byte_length as usize))
}

/// Whether the region holds just these bytes.
#[napi]
pub fn equals(env: Env, region: f64, other: &[u8]) -> Result<bool> {
    call(env, || regions::mapping(region)?.equals(other))
}

/// Whether two regions hold the same bytes.
#[napi]
pub fn equals_region(env: Env, region: f64, other: f64) -> Result<bool> {
    call(env, || regions::mapping(region)?.equals_mapping(&*regions::mapping(other)?))
}

/// Throws if a page of the region vanished.
#[napi]
pub fn check(env: Env, region: f64) -> Result<()> {
    call(env, || regions::mapping(region)?.check())
}
