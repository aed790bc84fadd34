//! A mapped range of addresses, and when it goes.
//!
//! A [`Mapping`] is shared by everybody who may hold an address in it: the region, every task under
//! way, the backing store of the ArrayBuffer and the ArrayBuffer object itself. Closing takes the
//! file out of the range at once; the addresses are given back when the last holder lets go, so
//! nobody ever reads or writes what was mapped there next.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{fence, AtomicBool, Ordering};
use std::sync::Arc;

use crate::fault;
use crate::guard::{Guarded, GuardedRange};
use crate::map_budget::Counted;
use crate::mappings::Listed;
use crate::status::{StatusCell, FAULTED};
use crate::sys::{self, Memory};
use crate::{Error, Result};

/// What a region may do to what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing that is written reaches the file.
    Read,
    /// Shared: writes reach the file and every other map of it.
    Write,
    /// Private copy-on-write.
    Copy,
}

/// What the pages of a region allow. Writing and executing never go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and executing.
    Execute,
}

/// The memory behind a region.
#[derive(Debug, Clone, Copy)]
pub enum Backing<'a> {
    /// A file.
    File(&'a File),
    /// A shared memory object.
    Shared(&'a File),
    /// Memory of this process alone.
    Anonymous,
}

/// What to map, for [`Mapping::new`].
#[derive(Debug, Clone, Copy)]
pub struct MapRequest<'a> {
    /// What is behind it.
    pub backing: Backing<'a>,
    /// Whether the file stays open for as long as the range shows it.
    pub kept_open: bool,
    /// First byte shown.
    pub offset: u64,
    /// Bytes shown; 0 maps nothing.
    pub len: usize,
    /// What for.
    pub access: Access,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Put it under guard.
    pub guard: bool,
    /// The class of the region, for the list of mappings.
    pub kind: &'static str,
    /// Its path or name, for the list of mappings.
    pub label: Option<&'a Path>,
}

/// A mapped range. The order of the fields is the order in which they are dropped: the guard first,
/// then the memory, then what others still look at while it goes.
#[derive(Debug)]
pub struct Mapping {
    guarded: Option<Guarded>,
    memory: Option<Memory>,
    lead: usize,
    len: usize,
    position: u64,
    access: Access,
    protection: Protection,
    writable: bool,
    private: bool,
    /// Zero the memory before it is given back.
    wipe: AtomicBool,
    retired: AtomicBool,
    /// The region itself is cutting its file off, and has a new mapping already: what is missing here is no fault.
    cut_by_ourselves: AtomicBool,
    cell: StatusCell,
    listed: Listed,
    counted: Option<Counted>,
}

impl Mapping {
    /// Maps memory that is known to be there.
    pub fn new(request: MapRequest<'_>) -> Result<Self> {
        let cell = StatusCell::take().ok_or_else(|| Error::raw("mmap", sys::ENOMEM))?;
        let lead = (request.offset % sys::granularity() as u64) as usize;
        let mut mapping = Self {
            guarded: None,
            memory: None,
            lead,
            len: request.len,
            position: request.offset - lead as u64,
            access: request.access,
            protection: if request.access == Access::Read { Protection::Read } else { Protection::Write },
            writable: true,
            private: request.access != Access::Write || matches!(request.backing, Backing::Anonymous),
            wipe: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            cut_by_ourselves: AtomicBool::new(false),
            cell,
            listed: Listed::new(request.kind, request.label, request.len as u64),
            counted: None,
        };
        if request.len == 0 {
            return Ok(mapping);
        }
        let total = lead
            .checked_add(request.len)
            .filter(|&total| isize::try_from(total).is_ok())
            .ok_or_else(|| Error::raw("mmap", sys::ENOMEM))?;
        mapping.counted = Some(Counted::new()?);
        let map = match request.backing {
            Backing::File(file) => sys::map_file(file, mapping.position, total, request.access, request.huge_pages)?,
            Backing::Shared(object) => sys::map_shared(object, total, request.access, request.huge_pages)?,
            Backing::Anonymous => sys::map_anonymous(total, request.huge_pages)?,
        };
        let descriptor = match request.backing {
            Backing::File(file) | Backing::Shared(file) => sys::descriptor_of(file).filter(|_| request.kept_open),
            Backing::Anonymous => None,
        };
        // Looked at for each mapping: somebody may have put another handler in front. Anonymous memory has no page
        // that could vanish, but what takes its place at close has none but vanished ones.
        if request.guard && sys::install_guard() {
            let guarded = GuardedRange {
                start: map.memory.as_mut_ptr() as usize,
                len: total.next_multiple_of(sys::page_size()),
                descriptor,
                position: mapping.position,
                writable: map.writable,
            };
            // SAFETY: the range was just mapped for this mapping alone, which drops the guard before it.
            mapping.guarded = Some(unsafe { Guarded::new(guarded, mapping.cell.word()) });
        }
        mapping.writable = map.writable;
        mapping.private = map.private || matches!(request.backing, Backing::Anonymous);
        mapping.memory = Some(map.memory);
        Ok(mapping)
    }

    /// Gives the pages another protection: of a mapping that nobody has an address of yet.
    pub fn protect(&mut self, protection: Protection) -> Result<()> {
        if let Some(memory) = &self.memory {
            // SAFETY: the range is this mapping's own, and `&mut` says that nobody else looks at it.
            unsafe { sys::protect(memory.as_mut_ptr(), self.lead + self.len, protection) }?;
        }
        self.protection = protection;
        self.writable = protection == Protection::Write;
        Ok(())
    }

    /// What the pages allow.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Zeros the memory before it is given back, and keeps it out of core dumps where the system can.
    pub fn wipe_at_end(&self) {
        self.wipe.store(true, Ordering::Release);
        if let Some(memory) = &self.memory {
            sys::leave_out_of_dumps(memory.as_mut_ptr(), self.lead + self.len);
        }
    }

    fn wipe(&self) {
        let Some(memory) = self.memory.as_ref().filter(|_| self.wipe.load(Ordering::Acquire)) else { return };
        let total = self.lead + self.len;
        // SAFETY: the range is this mapping's own and still mapped; views of it were detached, and who else reads it
        // (a request that was under way at close) reads zeros, as after close. Where pages are protected, they are
        // made writable first; if that fails they are left as they are.
        unsafe {
            if self.protection == Protection::Write
                || sys::protect(memory.as_mut_ptr(), total, Protection::Write).is_ok()
            {
                sys::zero(memory.as_mut_ptr(), total);
            }
        }
    }

    /// First address of the range, at a page; null for an empty region.
    pub fn base(&self) -> *mut u8 {
        self.memory.as_ref().map_or(std::ptr::null_mut(), Memory::as_mut_ptr)
    }

    /// Bytes between the start of the range and the first byte of the region.
    pub fn lead(&self) -> usize {
        self.lead
    }

    /// Bytes the region shows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the region shows nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of a byte of the region.
    pub fn address(&self, offset: usize) -> *mut u8 {
        self.base().wrapping_add(self.lead + offset)
    }

    /// What the region may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Position in the file of [`Mapping::base`].
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether JavaScript may be given windows: a store through one must not end the process.
    pub fn takes_stores(&self) -> bool {
        self.writable
    }

    /// Whether pages that were written are this process's own.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The region's status cell.
    pub fn cell(&self) -> &StatusCell {
        &self.cell
    }

    /// Whether the region was closed, while somebody holds on to its addresses.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Throws if a page vanished, or if the region was closed under a task. Called after the memory was touched:
    /// what was read may be zeros.
    pub fn check(&self) -> Result<()> {
        let faulted = self.faulted();
        // Set before the file is taken out of the range, so whoever met what lies behind it sees it here.
        if self.retired.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        if !faulted {
            return Ok(());
        }
        if self.cut_by_ourselves.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        let first = self.guarded.as_ref().and_then(Guarded::first_fault).unwrap_or(0);
        Err(fault::faulted(self, first.saturating_sub(self.lead as u64)))
    }

    /// Its place in the guard's table.
    pub(crate) fn guarded(&self) -> Option<&Guarded> {
        self.guarded.as_ref()
    }

    /// The class of the region.
    pub(crate) fn kind(&self) -> &'static str {
        self.listed.info().map_or("Region", |info| info.kind)
    }

    /// Path or name, if it has one.
    pub(crate) fn label(&self) -> Option<std::path::PathBuf> {
        self.listed.info().and_then(|info| info.path)
    }

    /// Whether a page vanished.
    pub fn faulted(&self) -> bool {
        // Between the touches and the look at the flag, for the compiler and for the processor.
        fence(Ordering::SeqCst);
        self.cell.word().load(Ordering::SeqCst) & FAULTED != 0
    }

    /// Says that from here on what is missing was cut off by the region itself, which goes on with another mapping: to the
    /// tasks that are still at work on this one it is closed. Before the file is shortened, for they may see that at once.
    pub(crate) fn expect_cut(&self, expected: bool) {
        self.cut_by_ourselves.store(expected, Ordering::SeqCst);
    }

    /// The file is about to be closed, while views go on: the guard must not ask it any more.
    pub fn forget_file(&self) {
        if let Some(guarded) = &self.guarded {
            guarded.forget_file();
        }
    }

    /// The region lets go. If nobody else holds an address the range is given back at once; else the file
    /// is taken out of it, where the system can, and the addresses stay taken until the last holder is gone.
    pub fn close(mut self: Arc<Self>) {
        if Arc::get_mut(&mut self).is_some() || self.retired.swap(true, Ordering::SeqCst) {
            return;
        }
        self.listed.close();
        self.wipe();
        let Some(memory) = &self.memory else { return };
        let total = self.lead + self.len;
        self.forget_file();
        // Somebody may have put a handler in front of ours since the range was mapped, and from now on every
        // touch of it is a fault.
        let guarded = self.guarded.is_some() && sys::reinstall_guard();
        // SAFETY: the range is this mapping's own; whoever still reads it finds out by `check`.
        unsafe { sys::retire(memory.as_mut_ptr(), total, guarded) };
        if let Some(counted) = &self.counted {
            counted.retire(total);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !*self.retired.get_mut() {
            self.wipe();
        }
    }
}
