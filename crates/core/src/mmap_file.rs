//! Opening a file and mapping it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::region::{absolute, to_len, Kind, Plan, Sizing};
use crate::sys::{self, FileFacts, OpenHow};
use crate::{Access, Error, Region, Result};

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

/// Opens and maps. What fails leaves the file as it was, or not there if this call made it.
pub fn open(source: Source<'_>, options: OpenOptions) -> Result<Region> {
    let path = match source {
        Source::Descriptor(descriptor) => {
            let file = sys::duplicate(descriptor)?;
            // Before anything is tried that a descriptor for reading refuses in words of its own.
            if options.access == Access::Write && !sys::takes_writes(&file) {
                sys::inspect(&file)?;
                return Err(explain(Error::raw("mmap", sys::EACCES), &options));
            }
            return map(file, None, options);
        }
        Source::Path(path) => path,
    };
    let how = OpenHow {
        write: options.access == Access::Write,
        create: options.create != Create::No,
        exclusive: options.create == Create::Exclusive,
        mode: options.mode,
    };
    let (file, made) = sys::open(path, how).map_err(|error| {
        if error.code() == "ENXIO" {
            return Error::raw("mmap", sys::ENODEV).at(Some(path)).advise("only regular files can be mapped");
        }
        error
    })?;
    map(file, Some(path), options).map_err(|error| {
        if made {
            sys::remove(path);
        }
        error.at(Some(path))
    })
}

fn map(file: File, path: Option<&Path>, options: OpenOptions) -> Result<Region> {
    let facts = sys::inspect(&file)?;
    let (len, extended) = settle_length(&file, path, &facts, &options)?;
    let plan = Plan {
        kind: Kind::MmapFile,
        access: options.access,
        offset: options.offset,
        wanted: options.length,
        huge_pages: options.huge_pages,
        guard: options.guard,
        label: path.map(absolute),
        wipe: false,
        pin: false,
        sizing: if options.sparse { Sizing::Sparse } else { Sizing::Allocated },
    };
    let mapping = plan.map(Some(&file), options.keep_open, len).map_err(|error| {
        if extended {
            sys::give_back(&file, facts.length, options.offset + len as u64);
        }
        explain(error, &options)
    })?;
    let mut region = Region::new(mapping, options.keep_open.then(|| Arc::new(file)), plan);
    region.identity = Some(facts.identity);
    Ok(region)
}

/// How much to map, making the file longer if that was asked for; also whether it did.
fn settle_length(file: &File, path: Option<&Path>, facts: &FileFacts, options: &OpenOptions) -> Result<(usize, bool)> {
    let Some(length) = options.length else {
        let rest = facts.length.checked_sub(options.offset).ok_or_else(|| {
            Error::out_of_range(format!(
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
    Err(Error::out_of_range(format!(
        "The value of \"options.length\" is out of range. The file has {} bytes, and only access 'write' makes it \
         longer. Received offset {} and length {length}",
        facts.length, options.offset
    )))
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
