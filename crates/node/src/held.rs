//! ArrayBuffers that were handed out, and what becomes of their memory when the isolate ends.
//!
//! Each has two holders of its mapping: the finalizer of its backing store, and that of the object (see docs/design.md,
//! "The life of a region"). When a thread ends, Node runs both for every buffer, also for one whose store was moved away
//! (`transfer()`) and sent to another thread, which then would read what is no longer mapped. So just before that, stores
//! that were moved are found, and their addresses are kept for good.
//!
//! "Just before that" is a sentinel: a buffer of a byte, made after each that is handed out. Node ends buffers before it
//! runs any hook, the newest first (older ones may run hooks, or the oldest first: there is a first sentinel, and a hook).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use memmap_core::Mapping;
use napi::{check_status, sys, Env, Result};

struct Buffer {
    /// Weak: the object may be collected before its store is. Null until there is an object.
    object: sys::napi_ref,
    mapping: Arc<Mapping>,
    /// Somebody other than us took the store away from the object.
    moved: bool,
}

thread_local! {
    static BUFFERS: RefCell<HashMap<u64, Buffer>> = RefCell::default();
    static TICKETS: Cell<u64> = const { Cell::new(0) };
    /// The reference that keeps the newest sentinel alive; the first one is kept for good.
    static SENTINEL: Cell<sys::napi_ref> = const { Cell::new(ptr::null_mut()) };
    static FIRST_MADE: Cell<bool> = const { Cell::new(false) };
    /// The isolate is ending, and what was moved has been found.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The byte behind every sentinel.
static SENTINEL_BYTE: u8 = 0;

fn make_sentinel(env: Env) -> Result<sys::napi_ref> {
    let address = ptr::from_ref(&SENTINEL_BYTE).cast_mut().cast();
    let (mut buffer, mut reference) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the byte is static, and nobody but this file has the buffer.
    unsafe {
        let finalizer = Some(sentinel_is_gone as unsafe extern "C" fn(_, _, _));
        check_status!(sys::napi_create_external_arraybuffer(
            env.raw(),
            address,
            1,
            finalizer,
            ptr::null_mut(),
            &raw mut buffer
        ))?;
        check_status!(sys::napi_create_reference(env.raw(), buffer, 1, &raw mut reference))?;
    }
    Ok(reference)
}

/// A sentinel is gone: because a newer one took its place, or because the isolate ends.
unsafe extern "C" fn sentinel_is_gone(env: sys::napi_env, _data: *mut c_void, _hint: *mut c_void) {
    let (mut nothing, mut same) = (ptr::null_mut(), false);
    // SAFETY: finalizers run on the environment's thread, in a handle scope. A call that might run JavaScript is refused once
    // the isolate ends, and this one has no other reason to be.
    let ends = unsafe {
        sys::napi_get_undefined(env, &raw mut nothing);
        sys::napi_strict_equals(env, nothing, nothing, &raw mut same) != sys::Status::napi_ok
    };
    if ends {
        // SAFETY: the environment is alive.
        unsafe { before_the_end(env.cast()) };
    }
}

/// The first holder, before there is an object. Its finalizer gets the number and not the memory: a thread that is being
/// terminated refuses to make the buffer, and never runs the finalizer. What is left in the table then goes with the thread.
pub struct Ticket(u64);

impl Ticket {
    /// For the finalizer.
    pub fn hint(&self) -> *mut c_void {
        ptr::without_provenance_mut(self.0 as usize)
    }

    /// Lets go: the runtime did not take it.
    pub fn withdraw(self) {
        drop(BUFFERS.with_borrow_mut(|buffers| buffers.remove(&self.0)));
    }
}

/// Makes the first holder.
pub fn ticket(mapping: &Arc<Mapping>) -> Ticket {
    let ticket = TICKETS.get() + 1;
    TICKETS.set(ticket);
    let buffer = Buffer { object: ptr::null_mut(), mapping: Arc::clone(mapping), moved: false };
    BUFFERS.with_borrow_mut(|buffers| buffers.insert(ticket, buffer));
    Ticket(ticket)
}

/// The backing store is gone, or the isolate is: the first holder lets go.
pub unsafe extern "C" fn store_is_gone(env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    let Some(buffer) = BUFFERS.with_borrow_mut(|buffers| buffers.remove(&(hint.addr() as u64))) else { return };
    if !buffer.object.is_null() {
        // SAFETY: a reference of this environment, deleted once.
        unsafe { sys::napi_delete_reference(env, buffer.object) };
    }
    drop(buffer.mapping);
}

/// The object is gone: the second holder lets go.
unsafe extern "C" fn object_is_gone(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the box made for this one finalizer, which the runtime runs once.
    drop(unsafe { Box::from_raw(hint.cast::<Arc<Mapping>>()) });
}

/// Gives a buffer its second holder, and watches it until its store is gone.
pub fn watch(env: Env, buffer: sys::napi_value, ticket: &Ticket) -> Result<()> {
    let Some(mapping) = BUFFERS.with_borrow(|buffers| buffers.get(&ticket.0).map(|held| Arc::clone(&held.mapping)))
    else {
        return Ok(());
    };
    let second = Box::into_raw(Box::new(mapping));
    let mut object = ptr::null_mut();
    // SAFETY: `buffer` is a live handle; the box is for this one finalizer; the hook is a function of an image that is
    // pinned, and has no data.
    unsafe {
        check_status!(sys::napi_add_finalizer(
            env.raw(),
            buffer,
            ptr::null_mut(),
            Some(object_is_gone),
            second.cast(),
            ptr::null_mut()
        ))?;
        check_status!(sys::napi_create_reference(env.raw(), buffer, 0, &raw mut object))?;
        BUFFERS.with_borrow_mut(|buffers| {
            if let Some(held) = buffers.get_mut(&ticket.0) {
                held.object = object;
            }
        });
        let first = !FIRST_MADE.replace(true);
        if first {
            make_sentinel(env)?;
        }
        let old = SENTINEL.replace(make_sentinel(env)?);
        if !old.is_null() {
            sys::napi_delete_reference(env.raw(), old);
        }
        // Hooks run in the reverse of the order in which they were added, and an older Node adds one for every buffer: ours
        // must come before all of those. Deno ends the process where one is removed that was not added.
        if !first {
            sys::napi_remove_env_cleanup_hook(env.raw(), Some(before_the_end), env.raw().cast());
        }
        check_status!(sys::napi_add_env_cleanup_hook(env.raw(), Some(before_the_end), env.raw().cast()))
    }
}

fn is_detached(env: sys::napi_env, buffer: sys::napi_value) -> bool {
    let mut detached = false;
    // SAFETY: a live handle; what is no ArrayBuffer is not detached.
    unsafe { sys::napi_is_detached_arraybuffer(env, buffer, &raw mut detached) };
    detached
}

/// Notes that somebody has moved the store away, before we detach the object ourselves.
pub fn about_to_detach(env: Env, buffer: sys::napi_value) {
    if !is_detached(env.raw(), buffer) {
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        for held in buffers.values_mut() {
            let mut same = false;
            let object = object_of(env.raw(), held);
            if !object.is_null() {
                // SAFETY: two live handles.
                unsafe { sys::napi_strict_equals(env.raw(), object, buffer, &raw mut same) };
            }
            held.moved |= same;
        }
    });
}

/// Notes which stores of a mapping somebody has moved away. Once it is retired, a buffer that is detached, or gone, is one
/// that we have detached ourselves.
pub fn about_to_retire(env: Env, mapping: &Arc<Mapping>) {
    BUFFERS.with_borrow_mut(|buffers| {
        for held in buffers.values_mut().filter(|held| !held.object.is_null() && Arc::ptr_eq(&held.mapping, mapping)) {
            let object = object_of(env.raw(), held);
            held.moved |= object.is_null() || is_detached(env.raw(), object);
        }
    });
}

/// The object, null once it was collected.
fn object_of(env: sys::napi_env, held: &Buffer) -> sys::napi_value {
    let mut object = ptr::null_mut();
    if held.object.is_null() {
        return object;
    }
    // SAFETY: a reference of this environment.
    unsafe { sys::napi_get_reference_value(env, held.object, &raw mut object) };
    object
}

/// The isolate is about to end. What it alone can reach goes with it; what it may have given away stays.
unsafe extern "C" fn before_the_end(env: *mut c_void) {
    let env: sys::napi_env = env.cast();
    if ENDING.replace(true) {
        return;
    }
    let mut scope = ptr::null_mut();
    // SAFETY: the environment is alive until its hooks have run, and this is its thread.
    if unsafe { sys::napi_open_handle_scope(env, &raw mut scope) } != sys::Status::napi_ok {
        return;
    }
    BUFFERS.with_borrow(|buffers| {
        for held in buffers.values() {
            if held.object.is_null() {
                // Never made, so nobody was given it.
                continue;
            }
            let object = object_of(env, held);
            // An object that was collected while its store was not: the store has another object, here or elsewhere. Or it
            // was ours to detach, and the store's finalizer is about to run.
            let unseen = !held.mapping.is_retired() && (object.is_null() || is_detached(env, object));
            if held.moved || unseen {
                // The file is let go, as at close; the addresses are never given back.
                Arc::clone(&held.mapping).close();
                std::mem::forget(Arc::clone(&held.mapping));
            }
        }
    });
    // SAFETY: opened above.
    unsafe { sys::napi_close_handle_scope(env, scope) };
}
