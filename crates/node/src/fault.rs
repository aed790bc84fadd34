//! Telling JavaScript of faults: one message for each region that has one.

use std::cell::Cell;
use std::ptr;

use memmap_core::fault::{Fault, News};
use napi::bindgen_prelude::{Float64ArraySlice, ToNapiValue};
use napi::{check_status, sys, Env, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::errors::call;
use crate::regions;

thread_local! {
    /// The isolate's function that is told.
    static LISTENER: Cell<sys::napi_ref> = const { Cell::new(ptr::null_mut()) };
}

/// Sets the function that is told of each fault once: (kind, path, cause, offset, byteLength, at).
#[napi(
    ts_args_type = "listener: (kind: string, path: string | null, cause: string, offset: number, byteLength: number, at: number) => void"
)]
pub fn on_fault(env: Env, listener: Raw) -> Result<()> {
    let mut reference = ptr::null_mut();
    // SAFETY: a live argument; the reference is kept for as long as the isolate lives.
    check_status!(unsafe { sys::napi_create_reference(env.raw(), listener.0, 1, &raw mut reference) })?;
    LISTENER.set(reference);
    Ok(())
}

/// The first fault of a region: its cause, and in `out` offset, byteLength and time; none if it has none.
#[napi]
pub fn fault(env: Env, region: f64, mut out: Float64ArraySlice) -> Result<Option<String>> {
    let found = call(env, || {
        let mapping = regions::mapping(region)?;
        Ok(mapping.fault().map(|fault| (fault, mapping.news())))
    })?;
    let Some((fault, news)) = found else { return Ok(None) };
    if let Some(news) = news {
        tell(env.raw(), &news);
    }
    let Fault { offset, len, cause, at } = fault;
    // Only now: the listener may ask for a fault as well, with the same array.
    // SAFETY: `out` is lib/faults.ts's own, and no JavaScript runs from here on.
    if let [first, second, third, ..] = unsafe { out.as_mut() } {
        (*first, *second, *third) = (offset as f64, len as f64, at as f64);
    }
    Ok(Some(cause.name().to_owned()))
}

/// Calls the listener. What it throws is nobody's: the call under way has an error of its own.
pub fn tell(env: sys::napi_env, news: &News) {
    // A failure leaves the message untold, and there is nobody to tell of that.
    let _ = try_tell(env, news);
}

fn try_tell(env: sys::napi_env, news: &News) -> Result<()> {
    let reference = LISTENER.get();
    if reference.is_null() {
        return Ok(());
    }
    let Fault { offset, len, cause, at } = news.fault;
    let path = news.label.as_ref().map(|path| path.to_string_lossy().into_owned());
    // SAFETY: calls on the isolate's own thread, in a handle scope; each status is looked at before what it made is used.
    unsafe {
        let (mut listener, mut this) = (ptr::null_mut(), ptr::null_mut());
        check_status!(sys::napi_get_reference_value(env, reference, &raw mut listener))?;
        check_status!(sys::napi_get_undefined(env, &raw mut this))?;
        let arguments = [
            ToNapiValue::to_napi_value(env, news.kind.to_owned())?,
            ToNapiValue::to_napi_value(env, path)?,
            ToNapiValue::to_napi_value(env, cause.name().to_owned())?,
            ToNapiValue::to_napi_value(env, offset as f64)?,
            ToNapiValue::to_napi_value(env, len as f64)?,
            ToNapiValue::to_napi_value(env, at as f64)?,
        ];
        let called = sys::napi_call_function(env, this, listener, arguments.len(), arguments.as_ptr(), ptr::null_mut());
        if called == sys::Status::napi_pending_exception {
            let mut thrown = ptr::null_mut();
            check_status!(sys::napi_get_and_clear_last_exception(env, &raw mut thrown))?;
        }
    }
    Ok(())
}

/// Puts the guard's handler back in front, if it was ever there: a listener for SIGBUS has just come or gone.
#[napi]
pub fn rearm_guard() {
    memmap_core::sys::reinstall_guard();
}
