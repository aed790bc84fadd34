//! Bringing pages into memory, keeping them there, and asking which ones are.

use std::fs::File;
use std::sync::Arc;

use crate::search_job::Control;
use crate::sys;
use crate::{Access, Error, Mapping, Protection, Region, Result};

/// Bytes brought in between two looks at whether anybody still wants it. Small, since the system lets nobody else of this
/// process map anything while it brings a slice in.
const SLICE: usize = 1 << 20;

/// Pages in memory, a bit each, the lowest first.
#[derive(Debug)]
pub struct Residency {
    /// Whether the system says.
    pub known: bool,
    /// How many pages the range touches.
    pub pages: u64,
    /// How many of them are in memory.
    pub resident: u64,
    /// A bit a page.
    pub bits: Vec<u8>,
}

impl Mapping {
    /// Pages that allow nothing cannot be brought in: the system refuses, and touching them would end the process.
    fn readable(&self, what: &str) -> Result<()> {
        if self.protection() == Protection::None {
            return Err(Error::invalid_state(format!("The region is protected 'none'; there is nothing to {what}")));
        }
        Ok(())
    }

    /// Keeps a part of the region in memory.
    ///
    /// Of a file that is mapped privately nothing is copied: pages come in by reading, and what others write stays visible.
    pub fn pin(&self, start: usize, end: usize) -> Result<()> {
        self.check()?;
        self.readable("keep in memory")?;
        let Some((address, len)) = self.pages(start, end) else { return Ok(()) };
        let by_reading = self.is_private() && self.access() != Access::Write;
        // SAFETY: the pages are this mapping's own.
        unsafe { sys::pin(address, len, by_reading) }.map_err(|error| {
            // Pages behind the end of the file cannot be pinned either.
            if let Err(fault) = self.check_range(start as u64, (end - start) as u64) {
                return fault;
            }
            let advice =
                format!("{len} bytes were to be pinned; limits().pinnable says how many may be: raise ulimit -l");
            error.advise(advice)
        })?;
        self.check()
    }

    /// Lets pages go again.
    pub fn unpin(&self, start: usize, end: usize) -> Result<()> {
        self.check()?;
        match self.pages(start, end) {
            // SAFETY: the pages are this mapping's own.
            Some((address, len)) => unsafe { sys::unpin(address, len) },
            None => Ok(()),
        }
    }

    /// Which pages of a part of the region are in memory.
    pub fn residency(&self, file: Option<&File>, start: usize, end: usize) -> Result<Residency> {
        self.check()?;
        let Some((address, len)) = self.pages(start, end) else {
            return Ok(Residency { known: true, pages: 0, resident: 0, bits: Vec::new() });
        };
        let pages = len.div_ceil(sys::page_size());
        let mut bits = vec![0; pages.div_ceil(8)];
        // SAFETY: the pages are this mapping's own, and `bits` has a bit for each.
        let known = file.is_none_or(sys::tells_residency) && unsafe { sys::residency(address, len, &mut bits) }?;
        let resident = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        Ok(Residency { known, pages: pages as u64, resident, bits })
    }
}

/// A prefetch that is still to be done.
#[derive(Debug)]
pub struct Prefetch {
    mapping: Arc<Mapping>,
    start: usize,
    end: usize,
    /// Who else has a say.
    pub control: Arc<Control>,
}

impl Region {
    /// What a prefetch of a part of the region needs, to be run on any thread.
    pub fn prefetch(&self, start: usize, end: usize) -> Prefetch {
        Prefetch { mapping: Arc::clone(&self.mapping), start, end, control: Arc::default() }
    }

    /// Which pages of a part of the region are in memory.
    pub fn residency(&self, start: usize, end: usize) -> Result<Residency> {
        self.mapping.residency(self.object.as_deref(), start, end)
    }
}

impl Prefetch {
    /// Brings the pages in, slice by slice. Where the region is mapped anew meanwhile nobody wants the old pages any more.
    pub fn run(&self) -> Result<()> {
        match self.bring_in() {
            Err(error) if error.is_closed() => Ok(()),
            outcome => outcome,
        }
    }

    fn bring_in(&self) -> Result<()> {
        self.mapping.check()?;
        self.mapping.readable("read ahead")?;
        let mut start = self.start;
        while start < self.end && !self.control.is_cancelled() {
            let end = self.end.min(start + SLICE);
            if let Some((address, len)) = self.mapping.pages(start, end) {
                // SAFETY: the pages are this mapping's own, held by `mapping`, and readable.
                unsafe { sys::populate(address, len) };
            }
            self.mapping.check()?;
            start = end;
        }
        Ok(())
    }
}
