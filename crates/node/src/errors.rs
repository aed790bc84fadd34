//! From the core's errors to JavaScript's: `code`, and for system errors `errno`, `syscall`, `path`.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

use memmap_core::{sys as system, Error, ErrorKind};
use napi::bindgen_prelude::ToNapiValue;
use napi::{check_status, sys, Env, Result, Status};

use crate::fault;

/// Runs a call from JavaScript: what fails is thrown there, and a panic (a bug of ours) is an error too,
/// since unwinding into V8 would end the process.
pub fn call<T>(env: Env, work: impl FnOnce() -> memmap_core::Result<T>) -> Result<T> {
    attempt(env, || work().map_err(|error| boxed(Failure::Core(error))))
}

/// As [`call`], for work that talks to JavaScript itself.
pub fn call_js<T>(env: Env, work: impl FnOnce() -> std::result::Result<T, Failure>) -> Result<T> {
    attempt(env, || work().map_err(boxed))
}

/// This is in the binary once for each function, so it has what differs alone.
fn attempt<T>(env: Env, work: impl FnOnce() -> std::result::Result<T, Box<Failure>>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(failure)) => Err(failed(env, Ok(failure))),
        Err(panic) => Err(failed(env, Err(panic))),
    }
}

#[cold]
#[inline(never)]
fn boxed(failure: Failure) -> Box<Failure> {
    Box::new(failure)
}

#[cold]
#[inline(never)]
fn failed(env: Env, why: std::thread::Result<Box<Failure>>) -> napi::Error {
    match why.map(|failure| *failure) {
        Ok(Failure::Core(error)) => throw(env, &error),
        Ok(Failure::Js(error)) => error,
        Err(_) => bug(),
    }
}

/// What a panic comes to.
pub fn bug() -> napi::Error {
    napi::Error::new(Status::GenericFailure, "memmap: internal error, please report it")
}

/// What can go wrong between the two worlds.
pub enum Failure {
    /// The core refused.
    Core(Error),
    /// JavaScript did.
    Js(napi::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<napi::Error> for Failure {
    fn from(error: napi::Error) -> Self {
        Self::Js(error)
    }
}

fn throw(env: Env, error: &Error) -> napi::Error {
    let thrown = to_js(env, error).and_then(|value| {
        // SAFETY: `value` is an error object just made in the current handle scope.
        check_status!(unsafe { sys::napi_throw(env.raw(), value) })
    });
    match thrown {
        Ok(()) => napi::Error::new(Status::PendingException, String::new()),
        Err(failure) => failure,
    }
}

/// The JavaScript error object for an error of the core. Who listens for faults hears of them first.
pub fn to_js(env: Env, error: &Error) -> Result<sys::napi_value> {
    let env = env.raw();
    if let ErrorKind::Faulted { news: Some(news), .. } = error.kind() {
        fault::tell(env, news);
    }
    // SAFETY: the calls get live handles of the current scope, made just before them, and each status is
    // looked at before what it made is used.
    unsafe {
        let code = String::to_napi_value(env, error.code().to_owned())?;
        let message = String::to_napi_value(env, error.to_string())?;
        let mut object = ptr::null_mut();
        check_status!(if error.is_range_error() {
            sys::napi_create_range_error(env, code, message, &raw mut object)
        } else if error.code() == "ERR_INVALID_ARG_VALUE" {
            sys::napi_create_type_error(env, code, message, &raw mut object)
        } else {
            sys::napi_create_error(env, code, message, &raw mut object)
        })?;
        if let ErrorKind::System(failed) = error.kind() {
            let set = |name: &std::ffi::CStr, value: sys::napi_value| {
                check_status!(sys::napi_set_named_property(env, object, name.as_ptr(), value))
            };
            set(c"errno", i32::to_napi_value(env, system::errno(failed.raw).1)?)?;
            set(c"syscall", String::to_napi_value(env, failed.syscall.to_owned())?)?;
            if let Some(path) = &failed.path {
                set(c"path", String::to_napi_value(env, path.to_string_lossy().into_owned())?)?;
            }
        }
        Ok(object)
    }
}
