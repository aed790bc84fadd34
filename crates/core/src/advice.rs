//! What a program knows of how it will use its memory.

use crate::sys;
use crate::{Access, Error, Mapping, Result};

/// A piece of advice, by the names of madvise(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// As the system thinks best.
    Normal,
    /// Here and there: reading ahead is of no use.
    Random,
    /// From the start to the end: read ahead.
    Sequential,
    /// Soon: begin to read it.
    WillNeed,
    /// Not soon: the pages may go.
    DontNeed,
    /// Pages that may go before others.
    Cold,
    /// Pages that may go now.
    PageOut,
    /// Huge pages are welcome.
    HugePage,
    /// They are not.
    NoHugePage,
}

impl Mapping {
    /// The pages that a part of the region touches.
    pub(crate) fn pages(&self, start: usize, end: usize) -> Option<(*mut u8, usize)> {
        if start >= end || end > self.len() {
            return None;
        }
        let page = sys::page_size();
        let from = (self.lead() + start) / page * page;
        Some((self.base().wrapping_add(from), self.lead() + end - from))
    }

    /// Tells the system; false where it has no such advice.
    pub fn advise(&self, advice: Advice, start: usize, end: usize) -> Result<bool> {
        self.check()?;
        let loses = self.is_private() && self.access() != Access::Read;
        if advice == Advice::DontNeed && loses {
            return Err(Error::invalid_state(
                "'dontneed' would lose what was written: the pages of this region are nowhere else; 'pageout' keeps them",
            ));
        }
        match self.pages(start, end) {
            // SAFETY: the pages are this mapping's own; advice that would lose private bytes was refused above.
            Some((address, len)) => unsafe { sys::advise(address, len, advice) },
            None => Ok(true),
        }
    }
}
