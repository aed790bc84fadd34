//! Copying into, out of and inside a mapping: bounds first, then the work, then whether a page vanished.

use crate::sys;
use crate::{Access, Error, Mapping, Protection, Result};

impl Mapping {
    /// The range as offsets into memory, or why it is none.
    fn within(&self, offset: u64, len: usize) -> Result<usize> {
        if self.protection() == Protection::None {
            return Err(Error::invalid_state("The region is protected 'none'; protect('read') makes it readable"));
        }
        usize::try_from(offset)
            .ok()
            .filter(|&start| start.checked_add(len).is_some_and(|end| end <= self.len()))
            .ok_or_else(|| {
                Error::out_of_range(format!(
                    "{len} bytes at offset {offset} do not lie in a region of {} bytes",
                    self.len()
                ))
            })
    }

    fn within_for_writing(&self, offset: u64, len: usize) -> Result<usize> {
        if self.access() == Access::Read || self.protection() != Protection::Write {
            return Err(Error::read_only());
        }
        self.within(offset, len)
    }

    /// The address of a block of words that excludes others: memory that others have too, and that may be stored to.
    pub(crate) fn block(&self, offset: u64, len: usize) -> Result<*mut u8> {
        let start = self.within_for_writing(offset, len)?;
        if self.is_private() {
            return Err(Error::invalid_state("Nobody else has this memory: mutual exclusion needs shared memory"));
        }
        let address = self.address(start);
        if !(address as usize).is_multiple_of(8) {
            return Err(Error::out_of_range(format!(
                "The value of \"offset\" is out of range. It must be at a multiple of 8 bytes in memory. Received {offset}"
            )));
        }
        Ok(address)
    }

    /// The bytes of a part of the region, for readers that stay right whatever the bytes turn into.
    ///
    /// Other processes, and views of this one, may change them at any time: a reader may get a wrong answer
    /// about bytes that changed under it, and must never derive an address from them.
    pub(crate) fn bytes(&self, offset: u64, len: usize) -> Result<&[u8]> {
        let start = self.within(offset, len)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: `within` the mapping, which outlives the borrow of self; pages that cannot be supplied
        // are replaced by the guard. Who could change the bytes is said above.
        Ok(unsafe { std::slice::from_raw_parts(self.address(start), len) })
    }

    /// Does work on memory of the region that owns nothing: see [`sys::touching`]. A page that could not be supplied is
    /// this region's fault, or that of a view of another one that the work was given.
    pub(crate) fn touch<R>(&self, work: impl FnOnce() -> R) -> Result<R> {
        sys::touching(work).ok_or_else(|| self.check().err().unwrap_or_else(|| Error::raw("read", sys::EIO)))
    }

    /// Copies out.
    pub fn read(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        // SAFETY: a slice that may be written, and that nothing else overlaps.
        unsafe { self.read_to(offset, target) }
    }

    /// Copies out, also to a part of the region itself. That is why it takes no slice: to the compiler a slice that is being
    /// written lies apart from all else, and it would make the copy one that is wrong where they overlap.
    ///
    /// # Safety
    /// The target may be written for its whole length.
    pub unsafe fn read_to(&self, offset: u64, target: *mut [u8]) -> Result<()> {
        let start = self.within(offset, target.len())?;
        if !target.is_empty() {
            // SAFETY: both ranges exist: `within` the mapping, and the caller's, which may overlap.
            self.touch(|| unsafe { std::ptr::copy(self.address(start), target.cast(), target.len()) })?;
        }
        self.check_range(offset, target.len() as u64)
    }

    /// A copy of a part, if there is memory for it.
    pub fn copy(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Error::raw("malloc", sys::ENOMEM))?;
        bytes.resize(len, 0);
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies in.
    pub fn write(&self, offset: u64, source: &[u8]) -> Result<()> {
        // SAFETY: a slice that may be read.
        unsafe { self.write_from(offset, source) }
    }

    /// Copies in, also from a part of the region itself: see [`Mapping::read_to`].
    ///
    /// # Safety
    /// The source may be read for its whole length.
    pub unsafe fn write_from(&self, offset: u64, source: *const [u8]) -> Result<()> {
        let start = self.within_for_writing(offset, source.len())?;
        self.check()?;
        if !source.is_empty() {
            // SAFETY: as in `read_to`; the pages take stores, since access is not `read`.
            self.touch(|| unsafe { std::ptr::copy(source.cast(), self.address(start), source.len()) })?;
        }
        self.check_range(offset, source.len() as u64)
    }

    /// Fills with one byte, or with a pattern again and again, the last time cut where the range ends.
    pub fn fill(&self, offset: u64, len: usize, pattern: &[u8]) -> Result<()> {
        // SAFETY: a slice that may be read.
        unsafe { self.fill_with(offset, len, pattern) }
    }

    /// As [`Mapping::fill`], also with a part of the region itself: see [`Mapping::read_to`].
    ///
    /// # Safety
    /// The pattern may be read for its whole length.
    pub unsafe fn fill_with(&self, offset: u64, len: usize, pattern: *const [u8]) -> Result<()> {
        let start = self.within_for_writing(offset, len)?;
        self.check()?;
        let target = self.address(start);
        let first: *const u8 = pattern.cast();
        match pattern.len() {
            0 => return Err(Error::out_of_range("an empty pattern fills nothing")),
            _ if len == 0 => {}
            // SAFETY: `within` the mapping, whose pages take stores; the pattern has a byte.
            1 => self.touch(|| unsafe { target.write_bytes(first.read(), len) })?,
            bytes => {
                let mut done = bytes.min(len);
                // SAFETY: as above; each step copies what was filled to what follows it, never further than `len`.
                // The pattern may be a part of this range, so the first copy allows overlap.
                self.touch(|| unsafe {
                    std::ptr::copy(first, target, done);
                    while done < len {
                        let step = done.min(len - done);
                        std::ptr::copy_nonoverlapping(target, target.add(done), step);
                        done += step;
                    }
                })?;
            }
        }
        self.check_range(offset, len as u64)
    }

    /// Moves a part of the region to another place in it, as memmove(3).
    pub fn move_within(&self, destination: u64, source: u64, len: usize) -> Result<()> {
        let to = self.within_for_writing(destination, len)?;
        let from = self.within(source, len)?;
        self.check()?;
        if len > 0 {
            // SAFETY: both ranges lie in the mapping, whose pages take stores; copy allows overlap.
            self.touch(|| unsafe { std::ptr::copy(self.address(from), self.address(to), len) })?;
        }
        self.check_range(source, len as u64)?;
        self.check_range(destination, len as u64)
    }

    /// Whether the region holds just these bytes.
    pub fn equals(&self, other: &[u8]) -> Result<bool> {
        let bytes = self.bytes(0, self.len())?;
        let same = self.touch(|| bytes == other)?;
        self.check_range(0, self.len() as u64).map(|()| same)
    }

    /// Whether two regions hold the same bytes.
    pub fn equals_mapping(&self, other: &Self) -> Result<bool> {
        let (ours, theirs) = (self.bytes(0, self.len())?, other.bytes(0, other.len())?);
        let same = self.touch(|| ours == theirs)?;
        self.check_range(0, self.len() as u64)?;
        other.check_range(0, other.len() as u64).map(|()| same)
    }
}
