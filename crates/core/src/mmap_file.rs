//! Opening a file and mapping it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::mapping::FileRange;
use crate::sys::{self, FileFacts, Identity, OpenHow};
use crate::{Access, Error, Mapping, Result};

const KIND: &str = "MmapFile";

/// Which file.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// By its path.
    Path(&'a Path),
    /// One the caller has open: we take a descriptor of our own.
    Descriptor(i32),
}

/// Whether a file may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// It must be there.
    No,
    /// It is made if it is not there.
    IfMissing,
    /// It must not be there.
    Exclusive,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// What for.
    pub access: Access,
    /// First byte shown.
    pub offset: u64,
    /// Bytes shown; to the end of the file if none is said.
    pub length: Option<u64>,
    /// Whether it may be made; with [`Access::Write`] only.
    pub create: Create,
    /// Permissions of a file that is made.
    pub mode: u32,
    /// Extend without allocating.
    pub sparse: bool,
    /// Keep a descriptor.
    pub keep_open: bool,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Put the map under the fault guard.
    pub guard: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            access: Access::Read,
            offset: 0,
            length: None,
            create: Create::No,
            mode: 0o666,
            sparse: false,
            keep_open: true,
            huge_pages: false,
            guard: true,
        }
    }
}

/// A file, and the part of it that is mapped.
#[derive(Debug)]
pub struct MmapFile {
    mapping: Arc<Mapping>,
    file: Option<Arc<File>>,
    path: Option<PathBuf>,
    identity: Identity,
    options: OpenOptions,
    flush_failed: Arc<AtomicBool>,
}

impl MmapFile {
    /// Opens and maps. What fails leaves the file as it was, or not there if this call made it.
    pub fn open(source: Source<'_>, options: OpenOptions) -> Result<Self> {
        match source {
            Source::Descriptor(descriptor) => Self::map(sys::duplicate(descriptor)?, None, options),
            Source::Path(path) => {
                let how = OpenHow {
                    write: options.access == Access::Write,
                    create: options.create != Create::No,
                    exclusive: options.create == Create::Exclusive,
                    mode: options.mode,
                };
                let (file, made) = sys::open(path, how).map_err(|error| {
                    if error.code() == "ENXIO" {
                        return Error::raw("mmap", sys::ENODEV)
                            .at(Some(path))
                            .advise("only regular files can be mapped");
                    }
                    error
                })?;
                Self::map(file, Some(path), options).map_err(|error| {
                    if made {
                        sys::remove(path);
                    }
                    error.at(Some(path))
                })
            }
        }
    }

    fn map(file: File, path: Option<&Path>, options: OpenOptions) -> Result<Self> {
        let facts = sys::inspect(&file)?;
        let (len, extended) = settle_length(&file, path, &facts, &options)?;
        let range = FileRange {
            file: &file,
            kept_open: options.keep_open,
            offset: options.offset,
            len,
            access: options.access,
            huge_pages: options.huge_pages,
            guard: options.guard,
            kind: KIND,
            path,
        };
        let mapping = Mapping::of_file(range).map_err(|error| {
            if extended {
                undo_extension(&file, facts.length, options.offset + len as u64);
            }
            explain(error, &options)
        })?;
        Ok(Self {
            mapping,
            file: options.keep_open.then(|| Arc::new(file)),
            // Absolute: the process may change its folder before somebody asks whether it was replaced.
            path: path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())),
            identity: facts.identity,
            options,
            flush_failed: Arc::new(AtomicBool::new(false)),
        })
    }

    /// What is mapped now.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Bytes in the file now.
    pub fn file_size(&self) -> Result<u64> {
        Ok(self.facts("fileSize")?.length)
    }

    /// Whether the path names another file by now, or none.
    pub fn replaced(&self) -> bool {
        self.path.as_deref().is_some_and(|path| sys::identity_of(path) != Some(self.identity))
    }

    /// Maps again at the file's present length. Gives back the old mapping, to be closed when nobody in
    /// JavaScript sees it any more; none if nothing changed.
    pub fn refresh(&mut self) -> Result<Option<Arc<Mapping>>> {
        let length = self.facts("refresh()")?.length;
        let available = length.saturating_sub(self.options.offset);
        let len = to_len(self.options.length.map_or(available, |wanted| wanted.min(available)))?;
        if len == self.mapping.len() && !self.mapping.faulted() {
            return Ok(None);
        }
        let file = self.file.as_deref().ok_or_else(|| no_descriptor("refresh()"))?;
        let fresh = Mapping::of_file(FileRange {
            file,
            kept_open: true,
            offset: self.options.offset,
            len,
            access: self.options.access,
            huge_pages: self.options.huge_pages,
            guard: self.options.guard,
            kind: KIND,
            path: self.path.as_deref(),
        })
        .map_err(|error| error.at(self.path.as_deref()))?;
        Ok(Some(std::mem::replace(&mut self.mapping, fresh)))
    }

    /// What a flush of a part of the region needs, to be run on any thread.
    pub fn flush(&self, start: usize, end: usize) -> Flush {
        Flush {
            mapping: Arc::clone(&self.mapping),
            file: self.file.clone(),
            failed: Arc::clone(&self.flush_failed),
            start,
            end,
        }
    }

    /// Closes: the file is let go at once, the addresses when nobody holds them.
    pub fn close(self) {
        self.mapping.close();
    }

    fn facts(&self, what: &'static str) -> Result<FileFacts> {
        let file = self.file.as_deref().ok_or_else(|| no_descriptor(what))?;
        sys::inspect(file).map_err(|error| error.at(self.path.as_deref()))
    }
}

/// A flush that is still to be done. Holds the mapping and the file until then.
#[derive(Debug)]
pub struct Flush {
    mapping: Arc<Mapping>,
    file: Option<Arc<File>>,
    failed: Arc<AtomicBool>,
    start: usize,
    end: usize,
}

impl Flush {
    /// Writes the range back; with `wait`, until it is on stable storage. After one failure every flush
    /// of the region fails: the system reports a lost write once only.
    pub fn run(&self, wait: bool) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::FlushFailed);
        }
        self.mapping.check()?;
        if self.end > self.mapping.len() {
            // The system would refuse it too, and that would count as a lost write.
            let len = self.mapping.len();
            return Err(Error::OutOfRange(format!("{} is behind the end of a region of {len} bytes", self.end)));
        }
        if self.mapping.access() != Access::Write || self.start >= self.end {
            return Ok(());
        }
        let page = sys::page_size();
        let from = (self.mapping.lead() + self.start) / page * page;
        let len = self.mapping.lead() + self.end - from;
        let position = self.mapping.position() + from as u64;
        let address = self.mapping.base().wrapping_add(from);
        let outcome = sys::flush(self.file.as_deref(), position, address, len, wait);
        // A range whose file vanished under the flush was not written: the fault is the truer answer. Nor does
        // a flush say anything of a range that was closed in the meantime.
        self.mapping.check()?;
        outcome.inspect_err(|_| self.failed.store(true, Ordering::Release))
    }
}

fn no_descriptor(what: &'static str) -> Error {
    Error::InvalidState(format!("{what} needs the file's descriptor, and the region was opened with keepOpen: false"))
}

fn to_len(length: u64) -> Result<usize> {
    usize::try_from(length).map_err(|_| Error::raw("mmap", sys::ENOMEM))
}

/// How much to map, making the file longer if that was asked for; also whether it did.
fn settle_length(file: &File, path: Option<&Path>, facts: &FileFacts, options: &OpenOptions) -> Result<(usize, bool)> {
    let Some(length) = options.length else {
        let rest = facts.length.checked_sub(options.offset).ok_or_else(|| {
            Error::OutOfRange(format!(
                "The value of \"options.offset\" is out of range. It must be <= {}, the length of the file. Received {}",
                facts.length, options.offset
            ))
        })?;
        return Ok((to_len(rest)?, false));
    };
    let end = options.offset.checked_add(length).filter(|&end| i64::try_from(end).is_ok());
    match end {
        Some(end) if end <= facts.length => return Ok((to_len(length)?, false)),
        Some(end) if options.access == Access::Write => {
            let len = to_len(length)?;
            sys::extend(file, facts.length, end, options.sparse)
                .map_err(|error| explain_extension(error, path, end - facts.length))?;
            return Ok((len, true));
        }
        _ => {}
    }
    Err(Error::OutOfRange(format!(
        "The value of \"options.length\" is out of range. The file has {} bytes, and only access 'write' makes it \
         longer. Received offset {} and length {length}",
        facts.length, options.offset
    )))
}

fn undo_extension(file: &File, old: u64, new: u64) {
    if file.metadata().is_ok_and(|facts| facts.len() == new) {
        let _ = file.set_len(old);
    }
}

fn explain_extension(error: Error, path: Option<&Path>, missing: u64) -> Error {
    if error.code() != "ENOSPC" {
        return error;
    }
    let free = path.and_then(|path| fs4::available_space(path).ok());
    let free = free.map_or_else(String::new, |free| format!(", and the file system has {free} left"));
    error.advise(format!("{missing} more bytes are needed{free}; the file is as it was"))
}

fn explain(error: Error, options: &OpenOptions) -> Error {
    if error.code() == "EACCES" && options.access == Access::Write {
        return error.advise("access 'write' needs a descriptor that was opened for reading and writing ('r+')");
    }
    if error.code() == "EACCES" {
        return error.advise("the descriptor must have been opened for reading");
    }
    error
}
