//! An isolate's event loop that hears of its waits by itself, where the system has a descriptor for that: through libuv, which
//! Node exports.

use std::cell::RefCell;
use std::ffi::{c_int, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

use memmap_core::sys::symbol_of_host;
use memmap_core::wait::waiter::Desk;
use napi::{sys, Env};

type Poll = *mut c_void;
type Ready = unsafe extern "C" fn(Poll, c_int, c_int);
type Closed = unsafe extern "C" fn(Poll);

/// UV_POLL and UV_READABLE of libuv 1, whose numbers are part of its ABI.
const KIND: c_int = 8;
const READABLE: c_int = 1;
/// More than any uv_poll_t has, which is asked first.
const WORDS: usize = 64;

/// libuv's functions.
#[derive(Clone, Copy)]
struct Uv {
    size: unsafe extern "C" fn(c_int) -> usize,
    init: unsafe extern "C" fn(*mut c_void, Poll, c_int) -> c_int,
    start: unsafe extern "C" fn(Poll, c_int, Ready) -> c_int,
    unref: unsafe extern "C" fn(Poll),
    close: unsafe extern "C" fn(Poll, Option<Closed>),
}

impl Uv {
    fn of_host() -> Option<Self> {
        /// A function by its name, of the type that its field says.
        unsafe fn function<F: Copy>(name: &CStr) -> Option<F> {
            let found = symbol_of_host(name)?;
            // SAFETY: the caller says that it is a function of this type; both are addresses.
            Some(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
        }
        // SAFETY: libuv 1 documents these signatures.
        unsafe {
            Some(Self {
                size: function(c"uv_handle_size")?,
                init: function(c"uv_poll_init")?,
                start: function(c"uv_poll_start")?,
                unref: function(c"uv_unref")?,
                close: function(c"uv_close")?,
            })
        }
    }
}

/// The loop's handle, and what Node is to be told when it is closed.
#[repr(C)]
struct Polled {
    handle: [u64; WORDS],
    uv: Uv,
    hook: sys::napi_async_cleanup_hook_handle,
}

thread_local! {
    static DESK: RefCell<Option<Desk>> = const { RefCell::new(None) };
}

/// Carries out what was ordered, where the isolate does that itself.
pub fn look() {
    DESK.with_borrow_mut(|desk| {
        if let Some(desk) = desk {
            desk.look();
        }
    });
}

/// The loop's own call: something has happened.
unsafe extern "C" fn ready(_handle: Poll, _status: c_int, _events: c_int) {
    // A panic would be a bug of ours, and must not end the process.
    let _ = catch_unwind(AssertUnwindSafe(look));
}

/// The isolate ends: its loop lets go of the descriptor, and then there is none.
unsafe extern "C" fn end(hook: sys::napi_async_cleanup_hook_handle, polled: *mut c_void) {
    let polled: *mut Polled = polled.cast();
    // SAFETY: what `listen` left for this hook, which runs once, on the loop's thread.
    unsafe {
        (*polled).hook = hook;
        ((*polled).uv.close)((*polled).handle.as_mut_ptr().cast(), Some(closed));
    }
    let _ = catch_unwind(|| drop(DESK.take()));
}

unsafe extern "C" fn closed(handle: Poll) {
    // SAFETY: the handle is the first field of what `listen` left, and libuv has let go of it.
    unsafe {
        let polled = Box::from_raw(handle.cast::<Polled>());
        sys::napi_remove_async_cleanup_hook(polled.hook);
    }
}

/// Has the isolate's event loop listen for its waits, if that can be had; otherwise they are the waiting thread's.
pub fn listen(env: Env, owner: u64) {
    let Some(uv) = Uv::of_host() else { return };
    let mut event_loop = ptr::null_mut();
    // SAFETY: the environment is alive, and the call only fills in an address.
    let found = unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop) } == sys::Status::napi_ok;
    // SAFETY: a call without addresses.
    if !found || unsafe { (uv.size)(KIND) } > size_of::<[u64; WORDS]>() {
        return;
    }
    let Some(desk) = Desk::new(owner) else { return };
    let polled = Box::into_raw(Box::new(Polled { handle: [0; WORDS], uv, hook: ptr::null_mut() }));
    let handle: Poll = polled.cast();
    // SAFETY: the handle has room enough, stays where it is until `closed`, and is of this thread's loop, as all these calls
    // want it. The loop forgets the descriptor in `end`, before the desk is dropped.
    unsafe {
        if (uv.init)(event_loop.cast(), handle, desk.descriptor()) != 0 {
            drop(Box::from_raw(polled));
            return;
        }
        (uv.unref)(handle);
        DESK.set(Some(desk));
        let started = (uv.start)(handle, READABLE, ready) == 0;
        let hooked = started
            && sys::napi_add_async_cleanup_hook(env.raw(), Some(end), polled.cast(), &raw mut (*polled).hook)
                == sys::Status::napi_ok;
        if !hooked {
            // Nobody would close it in time otherwise; nobody waits yet.
            (uv.close)(handle, Some(closed_early));
            drop(DESK.take());
        }
    }
}

unsafe extern "C" fn closed_early(handle: Poll) {
    // SAFETY: as in `closed`.
    drop(unsafe { Box::from_raw(handle.cast::<Polled>()) });
}
