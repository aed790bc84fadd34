//! For tests only: never in a released binary.

use memmap_core::{Error, Protection};
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

/// Calls machine code at the start of a region that is protected 'execute', and returns what it returns.
#[napi]
pub fn call_code(env: Env, region: f64) -> Result<i32> {
    call(env, || {
        let mapping = regions::mapping(region)?;
        if mapping.protection() != Protection::Execute {
            return Err(Error::InvalidState("the region is not protected 'execute'".into()));
        }
        // SAFETY: the test put a whole function of this signature there, and the pages are executable.
        let code = unsafe { std::mem::transmute::<*mut u8, extern "C" fn() -> i32>(mapping.address(0)) };
        Ok(code())
    })
}

/// Reads the byte behind the end of a block of memory: what a checker of memory must tell of.
#[napi]
pub fn read_out_of_bounds(length: u32) -> u8 {
    let block = vec![1_u8; length as usize];
    // SAFETY: none, and on purpose: it is wrong. The byte is read, whatever it is, and nothing is done with it.
    unsafe { std::hint::black_box(block.as_ptr()).add(block.len()).read_volatile() }
}
