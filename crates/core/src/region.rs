//! A region of any kind: what is mapped, what is behind it, and what may become of its length.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use crate::flush::Flush;
use crate::handle::Shareable;
use crate::mapping::{Backing, MapRequest};
use crate::range_lock::LockFile;
use crate::sys::{self, FileFacts, Identity};
use crate::{Access, Error, Mapping, Protection, Result};

/// The class of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    MmapFile,
    /// Named or anonymous memory that others may have too.
    SharedMemory,
    /// Memory of one isolate.
    PrivateMemory,
}

impl Kind {
    /// The name of the class.
    pub fn name(self) -> &'static str {
        match self {
            Self::MmapFile => "MmapFile",
            Self::SharedMemory => "SharedMemory",
            Self::PrivateMemory => "PrivateMemory",
        }
    }
}

/// Whether and how a region's length may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// With its file or object, the new part allocated.
    Allocated,
    /// With its file, the new part not allocated.
    Sparse,
    /// Only ever longer: the memory is sealed against shrinking.
    GrowOnly,
    /// Never, for this reason.
    Fixed(&'static str),
    /// Never on this system.
    NotHere(&'static str),
}

/// How a region is mapped, and mapped again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The class.
    pub kind: Kind,
    /// What for.
    pub access: Access,
    /// First byte of the object that is shown.
    pub offset: u64,
    /// Bytes shown at most; to the end of the object if none is said.
    pub wanted: Option<u64>,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Put it under the fault guard.
    pub guard: bool,
    /// Path or name, for errors and the list of mappings.
    pub label: Option<PathBuf>,
    /// Zero the memory before it is given back.
    pub wipe: bool,
    /// Keep it in memory.
    pub pin: bool,
    /// What may become of the length.
    pub sizing: Sizing,
}

/// A region.
#[derive(Debug)]
pub struct Region {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) object: Option<Arc<File>>,
    pub(crate) plan: Plan,
    pub(crate) identity: Option<Identity>,
    /// What to do when it is closed: the name to remove.
    pub(crate) unlink: Option<String>,
    flush_failed: Arc<AtomicBool>,
    shared: Option<Shareable>,
    lock_file: Option<Arc<LockFile>>,
    pub(crate) meetings: sys::Meetings,
}

impl Plan {
    /// What the system says of the object.
    pub(crate) fn inspect(&self, object: &File) -> Result<FileFacts> {
        let facts = if self.kind == Kind::MmapFile { sys::inspect(object) } else { sys::inspect_shared(object) };
        facts.map_err(|error| error.at(self.label.as_deref()))
    }

    /// Maps `len` bytes of the object.
    pub(crate) fn map(&self, object: Option<&File>, kept_open: bool, len: usize) -> Result<Mapping> {
        let backing = match (self.kind, object) {
            (Kind::MmapFile, Some(file)) => Backing::File(file),
            (_, Some(object)) => Backing::Shared(object),
            (_, None) => Backing::Anonymous,
        };
        let mapping = Mapping::new(MapRequest {
            backing,
            kept_open,
            offset: self.offset,
            len,
            access: self.access,
            huge_pages: self.huge_pages,
            guard: self.guard,
            kind: self.kind.name(),
            label: self.label.as_deref(),
        })?;
        if self.wipe {
            mapping.wipe_at_end();
        }
        if self.pin {
            mapping.pin(0, len)?;
        }
        Ok(mapping)
    }
}

impl Region {
    /// A region over what was mapped by its plan.
    pub(crate) fn new(mapping: Mapping, object: Option<Arc<File>>, plan: Plan) -> Self {
        Self {
            mapping: Arc::new(mapping),
            object,
            plan,
            identity: None,
            unlink: None,
            flush_failed: Arc::new(AtomicBool::new(false)),
            shared: None,
            lock_file: None,
            meetings: sys::Meetings::default(),
        }
    }

    /// What is mapped now.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The class.
    pub fn kind(&self) -> Kind {
        self.plan.kind
    }

    /// What was asked for.
    pub fn access(&self) -> Access {
        self.plan.access
    }

    /// First byte of the object that is shown.
    pub fn offset(&self) -> u64 {
        self.plan.offset
    }

    /// Path or name, if it has one.
    pub fn label(&self) -> Option<&Path> {
        self.plan.label.as_deref()
    }

    /// Bytes in the file now.
    pub fn file_size(&self) -> Result<u64> {
        Ok(self.facts("fileSize")?.length)
    }

    /// Whether the path names another file by now, or none.
    pub fn replaced(&self) -> bool {
        self.plan
            .label
            .as_deref()
            .is_some_and(|path| self.identity.is_some() && sys::identity_of(path) != self.identity)
    }

    /// The file, to be locked.
    pub fn lock_file(&mut self) -> Result<Arc<LockFile>> {
        if let Some(file) = &self.lock_file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(LockFile::of_region(self)?);
        Ok(Arc::clone(self.lock_file.insert(file)))
    }

    /// The descriptor of the memory, where the system has such a thing and one is kept.
    pub fn descriptor(&self) -> Option<i32> {
        self.object.as_deref().and_then(sys::descriptor_of)
    }

    /// Maps again at the object's present length. Gives back the old mapping, to be closed when nobody in JavaScript
    /// sees it any more; none if nothing changed.
    pub fn refresh(&mut self) -> Result<Option<Arc<Mapping>>> {
        if self.plan.kind == Kind::PrivateMemory {
            return Ok(None);
        }
        let length = self.facts("refresh()")?.length;
        let available = length.saturating_sub(self.plan.offset);
        let len = to_len(self.plan.wanted.map_or(available, |wanted| wanted.min(available)))?;
        if len == self.mapping.len() && !self.mapping.faulted() {
            return Ok(None);
        }
        let protection = self.mapping.protection();
        self.remap(len, protection).map(Some)
    }

    /// Changes the length of the region, and of what is behind it, to offset + `len`. Gives back the old mapping.
    pub fn resize(&mut self, len: u64) -> Result<Arc<Mapping>> {
        if len == 0 {
            return Err(Error::out_of_range(
                "The value of \"byteLength\" is out of range. It must be >= 1. Received 0",
            ));
        }
        if self.plan.access != Access::Write || self.mapping.protection() != Protection::Write {
            return Err(Error::read_only());
        }
        self.mapping.check()?;
        let wanted = to_len(len)?;
        match self.plan.sizing {
            Sizing::Fixed(why) => return Err(Error::invalid_state(why)),
            Sizing::NotHere(why) => return Err(Error::unavailable(why)),
            _ => {}
        }
        if self.plan.kind == Kind::PrivateMemory {
            return self.resize_private(wanted);
        }
        let before = self.facts("resize()")?.length;
        let after = self
            .plan
            .offset
            .checked_add(len)
            .filter(|&end| i64::try_from(end).is_ok())
            .ok_or_else(|| Error::raw("ftruncate", sys::ENOSPC))?;
        let object = self.object.clone().ok_or_else(|| no_descriptor("resize()"))?;
        let label = self.plan.label.clone();
        let named = |error: Error| error.at(label.as_deref());
        if self.plan.sizing == Sizing::GrowOnly && after < before.max(self.mapping.len() as u64) {
            return Err(Error::invalid_state("The memory is sealed against shrinking, for whoever else has it mapped"));
        }
        if after > before && self.plan.sizing == Sizing::GrowOnly {
            // What cannot be shortened cannot be given back: the new mapping, which may reach behind the end, comes first.
            let fresh = self.map_anew(&object, wanted, Protection::Write)?;
            sys::extend(&object, before, after, false).map_err(named)?;
            return Ok(std::mem::replace(&mut self.mapping, fresh));
        }
        if after > before {
            sys::extend(&object, before, after, self.plan.sizing == Sizing::Sparse).map_err(named)?;
            return self
                .map_anew(&object, wanted, Protection::Write)
                .inspect_err(|_| sys::give_back(&object, before, after))
                .map(|fresh| {
                    self.plan.wanted = self.plan.wanted.map(|_| len);
                    std::mem::replace(&mut self.mapping, fresh)
                });
        }
        // The new mapping first: when that fails nothing has changed. Shortening cannot be undone, so it comes last.
        if sys::SHORTENS_MAPPED_FILES {
            let fresh = self.map_anew(&object, wanted, Protection::Write)?;
            self.mapping.expect_cut(true);
            sys::shorten(&object, after).inspect_err(|_| self.mapping.expect_cut(false)).map_err(named)?;
            self.plan.wanted = self.plan.wanted.map(|_| len);
            return Ok(std::mem::replace(&mut self.mapping, fresh));
        }
        self.shorten_unmapped(&object, len, after)
    }

    /// Where a mapped file cannot be shortened, our own map of it goes first, and comes back if it did not help.
    fn shorten_unmapped(&mut self, object: &Arc<File>, len: u64, after: u64) -> Result<Arc<Mapping>> {
        if Arc::strong_count(&self.mapping) > 1 {
            return Err(Error::busy());
        }
        let old_len = self.mapping.len();
        let placeholder = Arc::new(self.plan.map(Some(object), true, 0)?);
        drop(std::mem::replace(&mut self.mapping, Arc::clone(&placeholder)));
        let shortened = sys::shorten(object, after);
        let now = if shortened.is_ok() { to_len(len)? } else { old_len };
        self.mapping = self.map_anew(object, now, Protection::Write)?;
        match shortened {
            Ok(()) => {
                self.plan.wanted = self.plan.wanted.map(|_| len);
                Ok(placeholder)
            }
            Err(error) if error.code() == "EBUSY" => Err(Error::busy()),
            Err(error) => Err(error.at(self.plan.label.as_deref())),
        }
    }

    fn resize_private(&mut self, len: usize) -> Result<Arc<Mapping>> {
        let fresh = self.plan.map(None, false, len)?;
        let kept = len.min(self.mapping.len());
        copy_pages(&self.mapping, &fresh, kept);
        Ok(std::mem::replace(&mut self.mapping, Arc::new(fresh)))
    }

    /// Gives the region another protection, by a new mapping: pages under live views never change. Gives back the old one.
    pub fn protect(&mut self, protection: Protection) -> Result<Arc<Mapping>> {
        if protection == Protection::Write && self.plan.access == Access::Read {
            return Err(Error::read_only());
        }
        self.mapping.check()?;
        let len = self.mapping.len();
        if self.plan.kind == Kind::PrivateMemory || self.plan.access == Access::Copy {
            // What was written is in this mapping and nowhere else.
            if self.mapping.protection() == Protection::None {
                self.unlock_for_copying()?;
            }
            let mut fresh = self.plan.map(self.object.as_deref(), self.object.is_some(), len)?;
            copy_pages(&self.mapping, &fresh, len);
            self.mapping.check()?;
            if protection != Protection::Write {
                fresh.protect(protection)?;
            }
            return Ok(std::mem::replace(&mut self.mapping, Arc::new(fresh)));
        }
        self.remap(len, protection)
    }

    /// Pages that allow nothing are made readable again, so that their content can be taken along. Nobody has a view.
    fn unlock_for_copying(&self) -> Result<()> {
        let total = self.mapping.lead() + self.mapping.len();
        // SAFETY: the range is the mapping's own; more rights harm nobody.
        unsafe { sys::protect(self.mapping.base(), total, Protection::Read) }
    }

    fn remap(&mut self, len: usize, protection: Protection) -> Result<Arc<Mapping>> {
        let object = self.object.clone().ok_or_else(|| no_descriptor("this call"))?;
        let fresh = self.map_anew(&object, len, protection)?;
        Ok(std::mem::replace(&mut self.mapping, fresh))
    }

    fn map_anew(&self, object: &Arc<File>, len: usize, protection: Protection) -> Result<Arc<Mapping>> {
        let named = |error: Error| error.at(self.plan.label.as_deref());
        let mut plan = self.plan.clone();
        if protection == Protection::Read && plan.access == Access::Write {
            // As a region opened for reading: a stray write through a view harms nobody.
            plan.access = Access::Read;
        }
        let mut fresh = plan.map(Some(object), true, len).map_err(named)?;
        if matches!(protection, Protection::None | Protection::Execute) {
            fresh.protect(protection).map_err(named)?;
        }
        Ok(Arc::new(fresh))
    }

    /// What a flush of a part of the region needs, to be run on any thread.
    pub fn flush(&self, start: usize, end: usize) -> Flush {
        Flush {
            mapping: Arc::clone(&self.mapping),
            file: self.object.clone().filter(|_| self.plan.kind == Kind::MmapFile),
            failed: Arc::clone(&self.flush_failed),
            // Not the mapping's access: protected 'read' it is private, but what was written before waits in the file.
            reaches_others: self.plan.access == Access::Write && self.plan.kind != Kind::PrivateMemory,
            start,
            end,
        }
    }

    /// A mapping that no close will ever take the file out of: for memory that cannot be taken back from who gets it.
    /// Its first byte is at a page; it goes with the file, which the guard asks for its length.
    pub fn map_for_good(&self) -> Result<(Arc<Mapping>, Arc<File>)> {
        self.mapping.check()?;
        if self.plan.access != Access::Write || self.mapping.protection() != Protection::Write {
            return Err(Error::read_only());
        }
        if self.plan.kind == Kind::PrivateMemory {
            return Err(Error::invalid_state(
                "PrivateMemory belongs to one isolate and cannot be shared; SharedMemory.anonymous() can",
            ));
        }
        if self.mapping.lead() != 0 {
            return Err(Error::invalid_state(format!(
                "A SharedArrayBuffer begins at a page: open the region with an offset that is a multiple of {}",
                sys::granularity()
            )));
        }
        let object = self.object.as_ref().ok_or_else(|| no_descriptor("sharedArrayBuffer()"))?;
        let mapping = self.map_anew(object, self.mapping.len(), Protection::Write)?;
        Ok((mapping, Arc::clone(object)))
    }

    /// Lets a worker attach to the same memory; the number and the secret it needs.
    pub fn share(&mut self) -> Result<(u64, u64)> {
        if self.plan.kind == Kind::PrivateMemory {
            return Err(Error::invalid_state(
                "PrivateMemory belongs to one isolate and cannot be shared; SharedMemory.anonymous() can",
            ));
        }
        let object = self.object.as_ref().ok_or_else(|| no_descriptor("share()"))?;
        let shared = match &self.shared {
            Some(shared) => shared,
            None => self.shared.insert(Shareable::new(object, &self.plan, self.identity)?),
        };
        Ok(shared.key())
    }

    /// Closes: the file is let go at once, the addresses when nobody holds them.
    pub fn close(self) {
        self.remove_name();
        self.mapping.close();
    }

    /// Lets go of a region that was collected: views of it that are alive go on working.
    pub fn abandon(self) {
        self.remove_name();
        self.mapping.forget_file();
    }

    fn remove_name(&self) {
        let (Some(name), Some(object)) = (&self.unlink, &self.object) else { return };
        // Whoever was faster has removed it, which is what was wanted; what was made under it since is another's.
        if sys::names(name, object) {
            let _ = sys::unlink_named(name);
        }
    }

    pub(crate) fn facts(&self, what: &'static str) -> Result<FileFacts> {
        let object = self.object.as_deref().ok_or_else(|| no_descriptor(what))?;
        self.plan.inspect(object)
    }
}

/// Copies the first `len` bytes, but no page that is the same already: a page that is not written takes no memory.
fn copy_pages(from: &Mapping, to: &Mapping, len: usize) {
    let page = sys::page_size();
    for start in (0..len).step_by(page) {
        let step = page.min(len - start);
        // SAFETY: both ranges lie in their mappings, which are alive and readable; the new one takes stores and is
        // nobody's yet. Others may change the old one's file meanwhile: what is copied is one of the two contents.
        unsafe {
            let source = std::slice::from_raw_parts(from.address(start), step);
            let target = std::slice::from_raw_parts_mut(to.address(start), step);
            if source != target {
                target.copy_from_slice(source);
            }
        }
    }
}

pub(crate) fn no_descriptor(what: &'static str) -> Error {
    Error::invalid_state(format!(
        "{what} needs the file's descriptor, and the region was opened with keepOpen: false; open it without that"
    ))
}

pub(crate) fn to_len(length: u64) -> Result<usize> {
    usize::try_from(length).map_err(|_| Error::raw("mmap", sys::ENOMEM))
}

/// The path of a label, absolute: the process may change its folder before somebody asks what it names.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
