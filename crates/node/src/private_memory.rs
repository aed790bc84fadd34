//! Memory of one isolate.

use memmap_core::private_memory::{self, AllocateOptions};
use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

/// Allocates zeroed memory.
#[napi]
pub fn allocate(
    env: Env,
    byte_length: f64,
    huge_pages: bool,
    pin: bool,
    wipe: bool,
    mut out: Float64ArraySlice,
) -> Result<f64> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let options = AllocateOptions { huge_pages, pin, wipe };
        regions::adopt(private_memory::allocate(byte_length as usize, options)?, out)
    })
}
