//! Locks of parts of a file, or of all of it, that exclude other processes, and other locks of this one.
//!
//! Every lock is of an open file description that nobody else closes, so that opening and closing the same file elsewhere
//! in the process changes nothing. Who waits, and who is first, is in `lock_table`; how one waits, in `lock_wait`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::mmap_file::Source;
use crate::region::absolute;
use crate::sys::{self, Identity, LockAccess, OpenHow};
use crate::{Error, Region, Result};

use crate::lock_table;
pub use crate::lock_table::{
    cancel, downgrade, end_owner, release, replaced, start, try_lock, wait, when_done, Done, Started,
};

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub start: u64,
    /// The byte behind the last; [`Extent::FOREVER`] for all that may ever come.
    pub end: u64,
}

impl Extent {
    /// An end beyond all files.
    pub const FOREVER: u64 = u64::MAX;
    /// Where all locks end, also those without an end.
    pub(crate) const LAST: u64 = 1 << 62;

    /// Bytes; none for an extent without end.
    pub fn len(&self) -> Option<u64> {
        (self.end != Self::FOREVER).then_some(self.end - self.start)
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether they have a byte in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether it has every byte that the other has.
    pub fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What of it lies in none of the others.
    pub fn without(self, others: &[Self]) -> Vec<Self> {
        others.iter().fold(vec![self], |parts, other| {
            let cut = |part: Self| {
                let before = Self { start: part.start, end: part.end.min(other.start) };
                let behind = Self { start: part.start.max(other.end), end: part.end };
                [before, behind].into_iter().filter(|part| !part.is_empty())
            };
            parts.into_iter().flat_map(cut).collect()
        })
    }
}

/// Who else may have it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Others that are shared.
    Shared,
    /// Nobody.
    Exclusive,
}

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A range of bytes, as `lockf` does.
    Range,
    /// The file as such, as `flock` does.
    File,
}

/// One lock, as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Which isolate wants it.
    pub owner: u64,
    /// Of what.
    pub kind: Kind,
    /// With whom.
    pub mode: Mode,
    /// Which part; all of it for [`Kind::File`].
    pub extent: Extent,
}

impl Wanted {
    /// An empty range keeps nobody out, and to the system its length would be one without end. Beyond the last place living
    /// owners have their bytes: a lock without end stops there, and would not give back what another one has behind it.
    pub(crate) fn check(&self) -> Result<()> {
        let Extent { start, end } = self.extent;
        if self.extent.is_empty() || start >= Extent::LAST || (end != Extent::FOREVER && end > Extent::LAST) {
            return Err(Error::out_of_range(format!(
                "A lock is of one byte at least, and ends by 2^62 or nowhere. Received {start} to {end}"
            )));
        }
        Ok(())
    }
}

/// A file to be locked.
#[derive(Debug)]
pub struct LockFile {
    pub(crate) file: Arc<File>,
    pub(crate) identity: Identity,
    pub(crate) description: Description,
    pub(crate) path: Option<PathBuf>,
    access: LockAccess,
}

/// To the system, locks of one open file description are all one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Description {
    /// Ours, by its address.
    Own(usize),
    /// The caller's: it may be that of any other lock for which we could get no own.
    Borrowed,
}

impl LockFile {
    fn new(file: Arc<File>, own: bool, path: Option<PathBuf>) -> Result<Self> {
        let facts = sys::inspect(&file).map_err(|error| {
            let advice = (error.code() == "ENODEV").then_some("only regular files can be locked");
            let error = error.during("fcntl").at(path.as_deref());
            match advice {
                Some(advice) => error.advise(advice),
                None => error,
            }
        })?;
        let description = if own { Description::Own(Arc::as_ptr(&file) as usize) } else { Description::Borrowed };
        if !own {
            lock_table::give_back_at_exit();
        }
        let access = sys::lock_access(&file);
        Ok(Self { file, identity: facts.identity, description, path, access })
    }

    /// Whether it was opened so that it may be locked like this.
    pub(crate) fn allows(&self, kind: Kind, mode: Mode) -> Result<()> {
        let advice = match mode {
            _ if kind == Kind::File => return Ok(()),
            Mode::Exclusive if !self.access.exclusive => {
                "an exclusive lock needs a file that was opened for writing; of a region, with access 'write'"
            }
            Mode::Shared if !self.access.shared => "a shared lock needs a descriptor that was opened for reading",
            _ => return Ok(()),
        };
        Err(Error::raw("fcntl", sys::EBADF).at(self.path.as_deref()).advise(advice))
    }

    /// Opens a file for locks of one kind and mode.
    pub fn open(source: Source<'_>, kind: Kind, mode: Mode, create: bool) -> Result<Self> {
        match source {
            Source::Descriptor(descriptor) => {
                let (file, own) = sys::description_of_our_own(descriptor).map_err(|error| match error.code() {
                    "ENODEV" => error.during("fcntl").advise("only regular files can be locked"),
                    "EISDIR" => error.during("fcntl"),
                    _ => error,
                })?;
                let file = Self::new(Arc::new(file), own, None)?;
                file.allows(kind, mode)?;
                Ok(file)
            }
            Source::Path(path) => {
                let (file, made) = open_to_lock(path, kind, mode, create)?;
                Self::new(Arc::new(file), true, Some(absolute(path))).inspect_err(|_| {
                    if made {
                        sys::remove(path);
                    }
                })
            }
        }
    }

    /// The file of a region: by the region's own description, or by one made now where that is the caller's.
    pub fn of_region(region: &Region) -> Result<Self> {
        let object = region.object.as_ref().ok_or_else(|| {
            Error::invalid_state("The region was opened with keepOpen: false, and has no descriptor to lock")
        })?;
        if region.label().is_some() {
            return Self::new(Arc::clone(object), true, region.label().map(Path::to_path_buf));
        }
        match region.descriptor() {
            Some(descriptor) => {
                let (file, own) = sys::description_of_our_own(descriptor)?;
                Self::new(Arc::new(file), own, None)
            }
            None => Self::new(Arc::clone(object), false, None),
        }
    }

    /// Whether the path names another file by now, or none.
    pub(crate) fn replaced(&self) -> bool {
        self.path.as_deref().is_some_and(|path| sys::identity_of(path) != Some(self.identity))
    }
}

/// Opens for writing where the lock needs that; a lock of the file as such takes what it can get.
fn open_to_lock(path: &Path, kind: Kind, mode: Mode, create: bool) -> Result<(File, bool)> {
    let write = kind == Kind::File || mode == Mode::Exclusive || create;
    let how = OpenHow { write, create, exclusive: false, mode: 0o666 };
    let opened = match sys::open(path, how) {
        Err(error) if kind == Kind::File && ["EACCES", "EPERM", "EROFS", "ETXTBSY"].contains(&error.code()) => {
            sys::open(path, OpenHow { write: false, create: false, ..how })
        }
        opened => opened,
    };
    opened.map_err(|error| match (error.code(), mode) {
        ("ENXIO", _) => Error::raw("fcntl", sys::ENODEV).at(Some(path)).advise("only regular files can be locked"),
        ("EACCES" | "EPERM" | "EROFS", Mode::Exclusive) => {
            error.advise("an exclusive lock needs a file that may be written")
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::Extent;

    #[test]
    fn a_part_without_others_is_what_no_other_has() {
        let at = |start, end| Extent { start, end };
        assert_eq!(at(0, 10).without(&[]), [at(0, 10)]);
        assert_eq!(at(0, 10).without(&[at(3, 5)]), [at(0, 3), at(5, 10)]);
        assert_eq!(at(0, 10).without(&[at(0, 10)]), []);
        assert_eq!(at(5, Extent::FOREVER).without(&[at(0, 7), at(9, 11)]), [at(7, 9), at(11, Extent::FOREVER)]);
        assert_eq!(at(0, 10).without(&[at(10, 20), at(2, 4), at(3, 8)]), [at(0, 2), at(8, 10)]);
        assert!(!at(0, 5).overlaps(&at(5, 6)) && at(0, 6).overlaps(&at(5, 6)));
    }
}
