//! Copying, filling, moving and comparing.

use memmap_core::Error;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

// Views of JavaScript's may lie in the region itself, so none of them is taken as a slice here: see `Mapping::read_to`.

/// Copies bytes of the region into `target`.
#[napi]
pub fn read(env: Env, region: f64, offset: f64, mut target: Uint8ArraySlice) -> Result<()> {
    // SAFETY: the view is an argument of this call, during which no JavaScript runs that could change it.
    let target: *mut [u8] = unsafe { target.as_mut() };
    // SAFETY: as above.
    call(env, || unsafe { regions::mapping(region)?.read_to(offset as u64, target) })
}

/// Copies the first `byteLength` bytes of `source` into the region.
#[napi]
pub fn write(env: Env, region: f64, offset: f64, source: Uint8ArraySlice, byte_length: f64) -> Result<()> {
    let (first, len) = (source.as_ptr(), source.len());
    call(env, || {
        let wanted = byte_length as usize;
        if wanted > len {
            return Err(Error::out_of_range("the source is shorter than what is to be written"));
        }
        // SAFETY: as in `read`; it was just checked that the view is as long.
        unsafe { regions::mapping(region)?.write_from(offset as u64, std::ptr::slice_from_raw_parts(first, wanted)) }
    })
}

/// Fills a part of the region with a pattern.
#[napi]
pub fn fill(env: Env, region: f64, start: f64, end: f64, pattern: Uint8ArraySlice) -> Result<()> {
    let pattern: *const [u8] = std::ptr::slice_from_raw_parts(pattern.as_ptr(), pattern.len());
    // SAFETY: as in `read`.
    call(env, || unsafe { regions::mapping(region)?.fill_with(start as u64, (end - start) as usize, pattern) })
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
