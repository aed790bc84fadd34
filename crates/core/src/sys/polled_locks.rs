//! Where a thread that waits in the system cannot be called back: locks are asked for again and again instead.

use std::fs::File;
use std::io;

use crate::range_lock::{Extent, Kind, Mode};

/// A thread that waits in the system: there is none here.
#[derive(Debug, Clone, Copy)]
pub enum WaitingThread {}

impl WaitingThread {
    /// None.
    pub fn this() -> Option<Self> {
        None
    }

    /// Calls it back.
    ///
    /// # Safety
    /// None is needed: there is nobody to call.
    pub unsafe fn interrupt(self) -> bool {
        match self {}
    }
}

/// Never called, since nobody has a [`WaitingThread`].
pub fn wait_lock(_file: &File, _kind: Kind, _mode: Mode, _extent: Extent) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
