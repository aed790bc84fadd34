//! Where lines end: a block of them at a time, forwards and backwards.

use memchr::{memchr, memchr_iter, memrchr};

use crate::search_job::Control;
use crate::{Mapping, Result};

const NEWLINE: u8 = b'\n';
/// Bytes between two looks at whether a search for the end of a long line is still wanted.
const SLICE: u64 = 4 << 20;

/// Some lines in a row.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// First byte of the first.
    pub start: u64,
    /// How many there are.
    pub lines: usize,
    /// Whether the last one has its end.
    pub terminated: bool,
}

impl Mapping {
    /// The first lines of `[start, end)`, which is not empty: those that end within `size` bytes, or else the one that is
    /// longer. The positions of their ends are stored in `ends`.
    pub fn first_lines(&self, start: u64, end: u64, size: u64, ends: &mut [f64], control: &Control) -> Result<Block> {
        let block_end = end.min(start.saturating_add(size));
        let block = self.bytes(start, (block_end - start) as usize)?;
        let lines = self.touch(|| store(memchr_iter(NEWLINE, block), start, ends))?;
        control.step(self, start, block_end - start)?;
        if lines > 0 {
            return Ok(Block { start, lines, terminated: true });
        }
        let mut from = block_end;
        while from < end {
            let to = end.min(from + SLICE);
            let slice = self.bytes(from, (to - from) as usize)?;
            let found = self.touch(|| memchr(NEWLINE, slice))?;
            control.step(self, from, to - from)?;
            if let Some(index) = found {
                ends[0] = (from + index as u64) as f64;
                return Ok(Block { start, lines: 1, terminated: true });
            }
            from = to;
        }
        ends[0] = end as f64;
        Ok(Block { start, lines: 1, terminated: false })
    }

    /// The last lines of `[start, end)`, as `first_lines`; the positions are in the order of the file. The byte before `start` is
    /// no part of a line that is looked at.
    pub fn last_lines(&self, start: u64, end: u64, size: u64, ends: &mut [f64], control: &Control) -> Result<Block> {
        let block_start = start.max(end.saturating_sub(size));
        let block = self.bytes(block_start, (end - block_start) as usize)?;
        let terminated = self.touch(|| block.last() == Some(&NEWLINE))?;
        // The end of the last line is no start of another.
        let body = &block[..block.len() - usize::from(terminated)];
        // From behind, since as many as there is room for are to be the last ones.
        let room = ends.len() - 1;
        let (mut lines, mut first) = (0, None);
        self.touch(|| {
            let mut found = memchr::memrchr_iter(NEWLINE, body);
            while lines < room {
                let Some(index) = found.next() else { break };
                ends[room - 1 - lines] = (block_start + index as u64) as f64;
                lines += 1;
            }
            first = (lines > 0).then(|| ends[room - lines] as u64 + 1);
        })?;
        control.step(self, block_start, end - block_start)?;
        let last = if terminated { end - 1 } else { end };
        let first = match first {
            // All of the block are whole lines where the range begins with it.
            _ if block_start == start && lines < room => start,
            Some(first) => {
                // Of the first newline only what is behind it is known.
                ends.copy_within(room - lines + 1..room, 0);
                ends[lines - 1] = last as f64;
                return Ok(Block { start: first, lines, terminated });
            }
            None => self.line_start(start, block_start, control)?,
        };
        ends.copy_within(room - lines..room, 0);
        ends[lines] = last as f64;
        Ok(Block { start: first, lines: lines + 1, terminated })
    }

    /// Where the line begins that `before` is in.
    fn line_start(&self, start: u64, before: u64, control: &Control) -> Result<u64> {
        let mut to = before;
        while to > start {
            let from = start.max(to.saturating_sub(SLICE));
            let slice = self.bytes(from, (to - from) as usize)?;
            let found = self.touch(|| memrchr(NEWLINE, slice))?;
            control.step(self, from, to - from)?;
            if let Some(index) = found {
                return Ok(from + index as u64 + 1);
            }
            to = from;
        }
        Ok(start)
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
