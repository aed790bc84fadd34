//! What became of a page that the system could not supply, for those who ask.

use std::path::{Path, PathBuf};

use crate::guard::{self, FirstFault, Guarded};
use crate::sys;
use crate::{Error, Mapping, Result};

/// Why a page could not be supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The file has become shorter.
    Truncated,
    /// The page had no place on the disk yet, and there is none left.
    NoSpace,
    /// Reading failed.
    Io,
}

impl Cause {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NoSpace => "no-space",
            Self::Io => "io",
        }
    }
}

/// The first fault of a region.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Byte in the region that was missed.
    pub offset: u64,
    /// Bytes from there on that read as zeros.
    pub len: u64,
    /// Why.
    pub cause: Cause,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// A fault that nobody was told of before.
#[derive(Debug)]
pub struct News {
    /// The class of the region.
    pub kind: &'static str,
    /// Its path or name.
    pub label: Option<PathBuf>,
    /// What happened.
    pub fault: Fault,
}

/// From this many bytes on a call also asks for the length of the file behind them: it costs about as much as copying them.
const WORTH_ASKING: u64 = 4096;

impl Mapping {
    /// The first fault, if there was one.
    pub fn fault(&self) -> Option<Fault> {
        if !self.faulted() {
            return None;
        }
        let guarded = self.guarded()?;
        let first = guarded.first()?;
        let start = self.lead() as u64;
        // One before the region's first byte is in its first page.
        let before = start.saturating_sub(first.offset);
        let offset = first.offset.saturating_sub(start);
        let len = first.replaced.saturating_sub(before).min(self.len() as u64 - offset.min(self.len() as u64));
        Some(Fault { offset, len, cause: self.cause(guarded, &first), at: first.at })
    }

    fn cause(&self, guarded: &Guarded, first: &FirstFault) -> Cause {
        let position = self.position() + first.offset;
        let path = self.label();
        let path = path.as_deref();
        let shorter =
            || path.and_then(|path| std::fs::metadata(path).ok()).is_some_and(|facts| facts.len() <= position);
        if first.cause == guard::BEHIND_THE_END || (first.cause == guard::UNKNOWN && shorter()) {
            return Cause::Truncated;
        }
        let left = sys::space_left(guarded.descriptor()).or_else(|| path.and_then(space_at));
        if left.is_some_and(|left| left < sys::page_size() as u64) {
            Cause::NoSpace
        } else {
            Cause::Io
        }
    }

    /// The fault, for the one call that is the first to tell of it.
    pub fn news(&self) -> Option<Box<News>> {
        let fault = self.fault()?;
        let news = || Box::new(News { kind: self.kind(), label: self.label(), fault });
        self.guarded().filter(|guarded| guarded.is_news()).map(|_| news())
    }

    /// As [`Mapping::check`], for work that has read or written so many bytes: throws also if the file has become shorter
    /// than they reach, which the system tells nobody where that is inside of a page.
    pub(crate) fn check_range(&self, offset: u64, len: u64) -> Result<()> {
        if len >= WORTH_ASKING {
            self.look_at_length(offset, len);
        }
        self.check()
    }

    /// Asks whether the file still has a part of the region; if not, that is a fault.
    pub(crate) fn look_at_length(&self, offset: u64, len: u64) {
        let Some(guarded) = self.guarded() else { return };
        let Some(length) = sys::length_of_descriptor(guarded.descriptor()) else { return };
        let start = self.position() + self.lead() as u64;
        if length < start + offset + len {
            let missing = length.max(start + offset) - self.position();
            guarded.found_missing(missing, self.lead() as u64 + self.len() as u64 - missing);
        }
    }
}

fn space_at(path: &Path) -> Option<u64> {
    fs4::available_space(path).ok()
}

/// The error of a region that has faulted.
pub(crate) fn faulted(mapping: &Mapping, offset: u64) -> Error {
    Error::faulted(offset, mapping.news())
}
