//! Threads of this package's own: none of libuv's pool ever waits for anything.

use std::thread::{Builder, JoinHandle};

use crate::{Error, Result};

/// What searches and copies needs no more.
pub const STACK: usize = 512 * 1024;

/// Starts a thread. The work is behind a pointer, so that what starts and ends one is in the binary once.
pub fn spawn(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>> {
    let spawned = Builder::new().name(name.into()).stack_size(stack).spawn(work);
    spawned.map_err(|cause| Error::system("pthread_create", &cause))
}
