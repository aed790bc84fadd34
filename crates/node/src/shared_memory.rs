//! Named and anonymous shared memory.

use memmap_core::shared_memory::{self, NameOptions};
use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::region::access_of;
use crate::regions;

/// How a name is to be treated.
#[derive(Clone, Copy)]
enum How {
    Create,
    OpenOrCreate,
}

fn made(
    env: Env,
    name: String,
    byte_length: f64,
    mode: u32,
    unlink_on_close: bool,
    how: How,
    out: &mut [f64],
) -> Result<f64> {
    call(env, || {
        let options = NameOptions { mode, unlink_on_close };
        let len = byte_length as usize;
        let (region, created) = match how {
            How::Create => (shared_memory::create(&name, len, options)?, true),
            How::OpenOrCreate => {
                let opened = shared_memory::open_or_create(&name, len, options)?;
                (opened.region, opened.created)
            }
        };
        if let Some(place) = out.get_mut(regions::CREATED) {
            *place = f64::from(u8::from(created));
        }
        regions::adopt(region, out)
    })
}

/// Makes named memory.
#[napi]
pub fn create_shared(
    env: Env,
    name: String,
    byte_length: f64,
    mode: u32,
    unlink_on_close: bool,
    mut out: Float64ArraySlice,
) -> Result<f64> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    made(env, name, byte_length, mode, unlink_on_close, How::Create, unsafe { out.as_mut() })
}

/// Opens named memory, or makes it; `out` says which.
#[napi]
pub fn open_or_create_shared(
    env: Env,
    name: String,
    byte_length: f64,
    mode: u32,
    unlink_on_close: bool,
    mut out: Float64ArraySlice,
) -> Result<f64> {
    // SAFETY: as in `create_shared`.
    made(env, name, byte_length, mode, unlink_on_close, How::OpenOrCreate, unsafe { out.as_mut() })
}

/// Opens named memory. A negative length: as long as it is.
#[napi]
pub fn open_shared(env: Env, name: String, access: u32, byte_length: f64, mut out: Float64ArraySlice) -> Result<f64> {
    // SAFETY: as in `create_shared`.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let len = (byte_length >= 0.0).then_some(byte_length as u64);
        regions::adopt(shared_memory::open(&name, access_of(access), len)?, out)
    })
}

/// Makes memory without a name.
#[napi]
pub fn anonymous_shared(env: Env, byte_length: f64, growable: bool, mut out: Float64ArraySlice) -> Result<f64> {
    // SAFETY: as in `create_shared`.
    let out = unsafe { out.as_mut() };
    call(env, || regions::adopt(shared_memory::anonymous(byte_length as usize, growable)?, out))
}

/// The memory behind a descriptor.
#[napi]
pub fn shared_from_descriptor(env: Env, descriptor: i32, access: u32, mut out: Float64ArraySlice) -> Result<f64> {
    // SAFETY: as in `create_shared`.
    let out = unsafe { out.as_mut() };
    call(env, || regions::adopt(shared_memory::from_descriptor(descriptor, access_of(access))?, out))
}

/// Removes a name.
#[napi]
pub fn unlink_shared(env: Env, name: String) -> Result<()> {
    call(env, || shared_memory::unlink(&name))
}
