//! The Node-API face of `memmap-core`: free functions that take the number of a region (measured: a
//! class method costs 399 ns a call, a free function 55 to 160).
//!
//! TypeScript has checked every argument before it calls in here; what is checked again below is what
//! keeps memory safe whatever arrives.

mod array_buffer;
mod background;
mod bytes;
mod diagnosis;
mod errors;
mod event_loop;
mod fault;
mod flush;
mod held;
mod limits;
mod mappings;
mod mmap_file;
mod mutex;
mod pattern;
mod private_memory;
mod range_lock;
mod read_ahead;
mod region;
mod regions;
mod ring;
mod rows;
mod search;
mod shared_array_buffer;
mod shared_memory;
#[cfg(feature = "test-hooks")]
mod test_hooks;
mod wait;

/// Runs once, when the addon is first loaded by any thread of the process.
#[napi_derive::module_init]
fn loaded() {
    memmap_core::sys::pin_image();
}
