//! Finding and counting bytes, at the speed of the memory and right at any length.
//!
//! Ranges are `[start, end)` inside the region. An empty needle is found between any two bytes.

use memchr::{memchr_iter, memmem, memrchr};

use crate::{Mapping, Result};

impl Mapping {
    fn window(&self, start: u64, end: u64) -> Result<&[u8]> {
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        self.bytes(start, len)
    }

    /// Position of the first match that lies wholly in the range.
    pub fn index_of(&self, start: u64, end: u64, needle: &[u8]) -> Result<Option<u64>> {
        let haystack = self.window(start, end)?;
        let found = self.touch(|| find(haystack, needle))?;
        // What was looked at: up to the match.
        let looked = found.map_or(end.saturating_sub(start), |index| (index + needle.len()) as u64);
        self.check_range(start, looked)?;
        Ok(found.map(|index| start + index as u64))
    }

    /// Position of the last match that lies wholly in the range.
    pub fn last_index_of(&self, start: u64, end: u64, needle: &[u8]) -> Result<Option<u64>> {
        let haystack = self.window(start, end)?;
        let found = self.touch(|| match needle {
            [byte] => memrchr(*byte, haystack),
            _ => memmem::rfind(haystack, needle),
        })?;
        let from = found.map_or(start, |index| start + index as u64);
        self.check_range(from, end.saturating_sub(from))?;
        Ok(found.map(|index| start + index as u64))
    }

    /// How many matches that do not overlap the range holds.
    pub fn count(&self, start: u64, end: u64, needle: &[u8]) -> Result<u64> {
        let haystack = self.window(start, end)?;
        let count = self.touch(|| match needle {
            [] => haystack.len() + 1,
            [byte] => bytecount::count(haystack, *byte),
            _ => memmem::find_iter(haystack, needle).count(),
        })?;
        self.check_range(start, end.saturating_sub(start))?;
        Ok(count as u64)
    }

    /// Positions of matches that do not overlap, as many as `out` takes. The next search starts behind the
    /// last one; it is over when `out` was not filled.
    pub fn indexes_of(&self, start: u64, end: u64, needle: &[u8], out: &mut [f64]) -> Result<usize> {
        let haystack = self.window(start, end)?;
        let filled = self.touch(|| match needle {
            [] => store(0..=haystack.len(), start, out),
            [byte] => store(memchr_iter(*byte, haystack), start, out),
            _ => store(memmem::find_iter(haystack, needle), start, out),
        })?;
        let looked = if filled < out.len() { end } else { out.last().map_or(end, |&last| last as u64) };
        self.check_range(start, looked.saturating_sub(start))?;
        Ok(filled)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [byte] => memchr::memchr(*byte, haystack),
        _ => memmem::find(haystack, needle),
    }
}

/// Positions are exact as doubles: no region is longer than 2^53.
fn store(indexes: impl Iterator<Item = usize>, start: u64, out: &mut [f64]) -> usize {
    let mut filled = 0;
    for (place, index) in out.iter_mut().zip(indexes) {
        *place = (start + index as u64) as f64;
        filled += 1;
    }
    filled
}
