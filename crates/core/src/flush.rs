//! Bringing what was written to stable storage, on whatever thread.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::sys;
use crate::{Error, Mapping, Result};

/// A flush that is still to be done. Holds the mapping and the file until then.
#[derive(Debug)]
pub struct Flush {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) file: Option<Arc<File>>,
    pub(crate) failed: Arc<AtomicBool>,
    pub(crate) reaches_others: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Flush {
    /// Writes the range back; with `wait`, until it is on stable storage. After one failure every flush
    /// of the region fails: the system reports a lost write once only.
    pub fn run(&self, wait: bool) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::flush_failed());
        }
        match self.run_mapped(wait) {
            // At whatever moment that happened.
            _ if self.mapping.is_retired() => self.run_replaced(),
            Err(error) if error.is_closed() => self.run_replaced(),
            outcome => outcome,
        }
    }

    fn run_mapped(&self, wait: bool) -> Result<()> {
        self.mapping.check()?;
        if self.end > self.mapping.len() {
            // The system would refuse it too, and that would count as a lost write.
            let len = self.mapping.len();
            return Err(Error::out_of_range(format!("{} is behind the end of a region of {len} bytes", self.end)));
        }
        if !self.reaches_others || self.start >= self.end {
            return Ok(());
        }
        let page = sys::page_size();
        let from = (self.mapping.lead() + self.start) / page * page;
        let len = self.mapping.lead() + self.end - from;
        let position = self.mapping.position() + from as u64;
        let address = self.mapping.base().wrapping_add(from);
        let outcome = sys::flush(self.file.as_deref(), position, address, len, wait);
        // A range whose file vanished before or under the flush was not written: the fault is the truer answer.
        self.mapping.check_range(self.start as u64, (self.end - self.start) as u64)?;
        outcome.inspect_err(|_| self.failed.store(true, Ordering::Release))
    }

    /// The range was closed in the meantime, or the region mapped anew: what was written waits in the file alone.
    fn run_replaced(&self) -> Result<()> {
        match &self.file {
            Some(file) if self.reaches_others => file
                .sync_data()
                .map_err(|cause| Error::system("fdatasync", &cause))
                .inspect_err(|_| self.failed.store(true, Ordering::Release)),
            _ => Ok(()),
        }
    }
}
