//! The ArrayBuffer over a region's memory, and the status words.

use std::ffi::c_void;
use std::ptr;

use memmap_core::{status, Error};
use napi::bindgen_prelude::{FromNapiValue, ToNapiValue};
use napi::{check_status, sys, Env, Result, Status};
use napi_derive::napi;

use crate::errors::{call_js, Failure};
use crate::held::{self, Ticket};
use crate::regions;

const FORBIDDEN: &str = "this runtime allows no memory from outside its own heap";
const STORES_KILL: &str = "it could only be mapped truly read-only, and a store through a window would end the process";

/// A JavaScript value as it is, in and out.
pub struct Raw(pub sys::napi_value);

impl From<sys::napi_value> for Raw {
    fn from(value: sys::napi_value) -> Self {
        Self(value)
    }
}

impl ToNapiValue for Raw {
    unsafe fn to_napi_value(_env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        Ok(value.0)
    }
}

impl FromNapiValue for Raw {
    unsafe fn from_napi_value(_env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        Ok(Self(value))
    }
}

/// Node's own call, not napi-rs's, which silently copies where external memory is forbidden.
pub fn external(
    env: Env,
    address: *mut c_void,
    len: usize,
    ticket: Option<Ticket>,
) -> std::result::Result<(sys::napi_value, Option<Ticket>), Failure> {
    #[cfg(feature = "test-hooks")]
    if std::env::var_os("MEMMAP_TEST_NO_EXTERNAL").is_some() {
        if let Some(ticket) = ticket {
            ticket.withdraw();
        }
        return Err(Error::zero_copy_unavailable(FORBIDDEN).into());
    }
    let mut buffer = ptr::null_mut();
    let hint = ticket.as_ref().map_or(ptr::null_mut(), Ticket::hint);
    let finalizer = ticket.is_some().then_some(held::store_is_gone as unsafe extern "C" fn(_, _, _));
    // SAFETY: the memory stays mapped for as long as the holder in `hint` lives. Without one it is never unmapped (a
    // status page), or lib/memory.ts detaches the buffer first and lets nobody else see it.
    let status =
        unsafe { sys::napi_create_external_arraybuffer(env.raw(), address, len, finalizer, hint, &raw mut buffer) };
    if status == sys::Status::napi_no_external_buffers_allowed {
        // This status comes before the runtime took the finalizer.
        if let Some(ticket) = ticket {
            ticket.withdraw();
        }
        return Err(Error::zero_copy_unavailable(FORBIDDEN).into());
    }
    // After any other failure nobody says whether the finalizer ran: a leak is the safe reading.
    check_status!(status)?;
    Ok((buffer, ticket))
}

/// An ArrayBuffer over a part of the range that a region is in; positions count from the range's start, which is at
/// a page. With `held` it holds the memory, and may be handed out: a store through it must not end the process.
/// Without, it is for lib/memory.ts alone, which detaches it before it closes the region.
#[napi(ts_return_type = "ArrayBuffer")]
pub fn array_buffer(env: Env, region: f64, position: f64, byte_length: f64, held: bool) -> Result<Raw> {
    call_js(env, || {
        let mapping = regions::mapping(region)?;
        if held && !mapping.takes_stores() {
            return Err(Error::zero_copy_unavailable(STORES_KILL).into());
        }
        let (position, len) = (position as usize, byte_length as usize);
        if position.checked_add(len).is_none_or(|end| end > mapping.lead() + mapping.len()) {
            return Err(Error::out_of_range("the buffer would not lie in the region").into());
        }
        let address = mapping.base().wrapping_add(position).cast();
        let ticket = held.then(|| held::ticket(&mapping));
        let (buffer, ticket) = external(env, address, len, ticket)?;
        if let Some(ticket) = ticket {
            held::watch(env, buffer, &ticket)?;
        }
        Ok(Raw(buffer))
    })
}

/// Takes the memory away from an ArrayBuffer: every view of it has length 0 from now on.
#[napi(ts_args_type = "buffer: ArrayBuffer")]
pub fn detach(env: Env, buffer: Raw) -> Result<()> {
    held::about_to_detach(env, buffer.0);
    // SAFETY: `buffer` is a live argument; what is no ArrayBuffer is refused by status.
    check_status!(unsafe { sys::napi_detach_arraybuffer(env.raw(), buffer.0) })
}

/// A page of status words, shared with the fault guard; throws where external memory is forbidden.
#[napi(ts_return_type = "ArrayBuffer")]
pub fn status_page(env: Env, number: u32) -> Result<Raw> {
    call_js(env, || {
        let page = status::page(number as usize).ok_or_else(|| napi::Error::new(Status::InvalidArg, "no such page"))?;
        let address = ptr::from_ref(page).cast_mut().cast();
        Ok(Raw(external(env, address, size_of_val(page), None)?.0))
    })
}
