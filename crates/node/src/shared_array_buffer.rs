//! A SharedArrayBuffer over a region's memory, where the runtime can make one: Node from 22.23, 24.21 and 26.10 on.

use std::ffi::c_void;
use std::fs::File;
use std::ptr;
use std::sync::{Arc, OnceLock};

use memmap_core::{sys as system, Error, Mapping};
use napi::{check_status, sys, Env, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::errors::call_js;
use crate::regions;

type Finalizer = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);
type Create = unsafe extern "C" fn(
    env: sys::napi_env,
    data: *mut c_void,
    byte_length: usize,
    finalizer: Option<Finalizer>,
    hint: *mut c_void,
    result: *mut sys::napi_value,
) -> sys::napi_status;

/// The runtime's own function, looked up by name: older runtimes have none, and linking to it would keep us from loading.
fn create() -> Option<Create> {
    static FOUND: OnceLock<Option<Create>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = system::symbol_of_host(c"node_api_create_external_sharedarraybuffer")?;
        // SAFETY: Node documents this signature for the name.
        Some(unsafe { std::mem::transmute::<*mut c_void, Create>(found) })
    })
}

/// What a SharedArrayBuffer keeps: its mapping, and the file that the fault guard asks.
type Held = (Arc<Mapping>, Arc<File>);

/// Lets go of both, on whatever thread collected the last reference.
unsafe extern "C" fn let_go(_data: *mut c_void, holder: *mut c_void) {
    // SAFETY: `holder` is the box made for this one finalizer, which the runtime runs once.
    drop(unsafe { Box::from_raw(holder.cast::<Held>()) });
}

/// A SharedArrayBuffer over all of the region. It cannot be taken back: mapping and file live until it is collected.
#[napi(ts_return_type = "SharedArrayBuffer")]
pub fn shared_array_buffer(env: Env, region: f64) -> Result<Raw> {
    call_js(env, || {
        let create = create().ok_or_else(|| {
            Error::unavailable(
                "This runtime cannot make a SharedArrayBuffer over memory of others: Node can from 22.23, 24.21 and 26.10 on. \
                 share() and attach() give a worker the same memory everywhere"
                    ,
            )
        })?;
        let held = regions::with(region, |region| region.map_for_good())?;
        let (address, len) = (held.0.address(0), held.0.len());
        let holder: *mut Held = Box::into_raw(Box::new(held));
        let mut buffer = ptr::null_mut();
        // SAFETY: the memory stays mapped for as long as the box lives, which the runtime gives back through `let_go`.
        let status = unsafe { create(env.raw(), address.cast(), len, Some(let_go), holder.cast(), &raw mut buffer) };
        check_status!(status)?;
        Ok(Raw::from(buffer))
    })
}

/// Whether this runtime can.
#[napi]
pub fn has_shared_array_buffer() -> bool {
    create().is_some()
}
