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
            return Err(Error::invalid_state("the region is not protected 'execute'"));
        }
        // SAFETY: the test put a whole function of this signature there, and the pages are executable.
        let code = unsafe { std::mem::transmute::<*mut u8, extern "C" fn() -> i32>(mapping.address(0)) };
        Ok(code())
    })
}

/// Handlers for SIGBUS as other addons might set them.
#[cfg(unix)]
mod signals {
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use napi_derive::napi;

    static CALLS: AtomicU32 = AtomicU32::new(0);
    /// The handler that `hands_on` replaced.
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn counts(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }

    extern "C" fn hands_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        let next = NEXT.load(Ordering::SeqCst);
        if next != libc::SIG_DFL && next != libc::SIG_IGN {
            // SAFETY: the address of a handler, which all have this signature here: ours, and libuv's, which looks at
            // its first argument only.
            let next: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = unsafe { std::mem::transmute(next) };
            next(signal, info, context);
        }
    }

    /// Sets a handler that counts its calls and, with `hands_on`, calls the one it replaced.
    #[napi]
    pub fn set_bus_handler(hands_on: bool) -> bool {
        let handler: extern "C" fn(_, _, _) = if hands_on { self::hands_on } else { counts };
        // SAFETY: zeroed sigactions are valid, and both handlers have the signature that SA_SIGINFO asks for.
        unsafe {
            let mut theirs: libc::sigaction = std::mem::zeroed();
            let mut old: libc::sigaction = std::mem::zeroed();
            theirs.sa_sigaction = handler as *const () as usize;
            theirs.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            let done = libc::sigaction(libc::SIGBUS, &raw const theirs, &raw mut old) == 0;
            NEXT.store(old.sa_sigaction, Ordering::SeqCst);
            done
        }
    }

    /// How often those handlers were called.
    #[napi]
    pub fn bus_calls() -> u32 {
        CALLS.load(Ordering::SeqCst)
    }
}

/// Reads the byte behind the end of a block of memory: what a checker of memory must tell of.
#[napi]
pub fn read_out_of_bounds(length: u32) -> u8 {
    let block = vec![1_u8; length as usize];
    // SAFETY: none, and on purpose: it is wrong. The byte is read, whatever it is, and nothing is done with it.
    unsafe { std::hint::black_box(block.as_ptr()).add(block.len()).read_volatile() }
}
