//! Errors in Node's own vocabulary: a stable `code`, and a message that says what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::News;
use crate::remedy::remedy;
use crate::sys;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure, in the terms the JavaScript side hands on unchanged.
#[derive(Debug)]
pub enum Error {
    /// The system refused a call.
    System(SystemError),
    /// The region was closed.
    Closed,
    /// A mutator was called on memory opened for reading.
    ReadOnly,
    /// The system could not supply a page: the offset in the region of the first one.
    Faulted {
        /// Byte in the region where the first fault happened.
        offset: u64,
        /// For the first one who hears of it.
        news: Option<Box<News>>,
    },
    /// Somebody else has the file mapped, and this system cannot change its length then.
    Busy,
    /// An earlier flush failed, so nobody can say what of the region is on the disk.
    FlushFailed,
    /// An argument lies outside of what the file or the region has.
    OutOfRange(String),
    /// This system or runtime has no such thing.
    Unavailable(String),
    /// A name that shared memory cannot have.
    InvalidName(String),
    /// A regular expression, or a list of needles, that cannot be searched for.
    InvalidPattern(String),
    /// The region was opened in a way that rules the call out.
    InvalidState(String),
    /// What lies in shared memory is not what it should be: somebody else's, of another version, or overwritten.
    SharedStateInvalid(String),
    /// This system, or this file system, has no such locks.
    LockUnsupported(String),
    /// A wait for a lock that could never end: this thread has it itself, and would be blocked.
    LockOverlap,
    /// A wait for a lock that could never end: all who could end it wait for this thread.
    Deadlock,
    /// JavaScript cannot be given a window onto this memory.
    ZeroCopyUnavailable(&'static str),
}

/// The parts of a failed system call that Node shows on an error.
#[derive(Debug)]
pub struct SystemError {
    /// The system's own number (`errno`, or `GetLastError()` on Windows).
    pub raw: i32,
    /// The call that failed.
    pub syscall: &'static str,
    /// The file it was about.
    pub path: Option<PathBuf>,
    /// What to do about it, where that is known.
    pub advice: Option<String>,
}

impl Error {
    /// A failed system call.
    pub fn system(syscall: &'static str, cause: &io::Error) -> Self {
        Self::raw(syscall, cause.raw_os_error().unwrap_or(sys::EIO))
    }

    /// A failed system call, by the system's number.
    pub fn raw(syscall: &'static str, raw: i32) -> Self {
        Self::System(SystemError { raw, syscall, path: None, advice: None })
    }

    /// The last failed system call of this thread.
    pub fn last(syscall: &'static str) -> Self {
        Self::system(syscall, &io::Error::last_os_error())
    }

    /// The same error, naming the file it was about.
    pub fn at(mut self, path: Option<&Path>) -> Self {
        if let Self::System(system) = &mut self {
            if system.path.is_none() {
                system.path = path.map(Path::to_path_buf);
            }
        }
        self
    }

    /// The same error, of another call.
    pub fn during(mut self, syscall: &'static str) -> Self {
        if let Self::System(system) = &mut self {
            system.syscall = syscall;
        }
        self
    }

    /// The same error, saying what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        if let Self::System(system) = &mut self {
            system.advice = Some(advice.into());
        }
        self
    }

    /// The stable code that users match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::System(system) => sys::errno(system.raw).0,
            Self::Closed => "ERR_REGION_CLOSED",
            Self::ReadOnly => "ERR_REGION_READONLY",
            Self::Faulted { .. } => "ERR_REGION_FAULTED",
            Self::Busy => "ERR_REGION_BUSY",
            Self::FlushFailed => "EIO",
            Self::OutOfRange(_) => "ERR_OUT_OF_RANGE",
            Self::InvalidName(_) | Self::InvalidPattern(_) => "ERR_INVALID_ARG_VALUE",
            Self::InvalidState(_) => "ERR_INVALID_STATE",
            Self::Unavailable(_) => "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM",
            Self::SharedStateInvalid(_) => "ERR_SHARED_STATE_INVALID",
            Self::LockUnsupported(_) => "ERR_LOCK_UNSUPPORTED",
            Self::LockOverlap => "ERR_LOCK_OVERLAP",
            Self::Deadlock => "EDEADLK",
            Self::ZeroCopyUnavailable(_) => "ERR_ZERO_COPY_UNAVAILABLE",
        }
    }

    /// Whether JavaScript throws a `RangeError` for it.
    pub fn is_range_error(&self) -> bool {
        matches!(self, Self::OutOfRange(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(system) => {
                let (code, _, meaning) = sys::errno(system.raw);
                write!(f, "{code}: {meaning}, {}", system.syscall)?;
                if let Some(path) = &system.path {
                    write!(f, " '{}'", path.display())?;
                }
                match system.advice.as_deref().or_else(|| remedy(code, system.syscall)) {
                    Some(advice) => write!(f, " ({advice})"),
                    None => Ok(()),
                }
            }
            Self::Closed => f.write_str("The region is closed; open it again to use it"),
            Self::ReadOnly => f.write_str(
                "The region was opened with access 'read'; open it with 'write' to change the file, \
                 or with 'copy' to change a private copy",
            ),
            Self::Faulted { offset, .. } => write!(
                f,
                "The system could not supply the page at offset {offset}: the file was truncated, the disk is full \
                 or reading failed; call refresh() to map what is there now"
            ),
            Self::Busy => f.write_str(
                "This system cannot shorten a file while somebody else has it mapped, another region or views of this one; \
                 close those first",
            ),
            Self::FlushFailed => f.write_str(
                "EIO: an earlier flush of this region failed, so what reached the disk is unknown; \
                 write the data again through a newly opened region",
            ),
            Self::LockOverlap => f.write_str(
                "This thread holds a lock of this range itself, and could not release it while it waits; release that one \
                 first, or wait with a timeout",
            ),
            Self::Deadlock => f.write_str(
                "EDEADLK: every holder of a lock of this range is itself blocked in a wait for one of this thread's; take \
                 locks in the same order everywhere, or wait with a timeout",
            ),
            Self::OutOfRange(message)
            | Self::Unavailable(message)
            | Self::InvalidState(message)
            | Self::InvalidName(message)
            | Self::InvalidPattern(message)
            | Self::SharedStateInvalid(message)
            | Self::LockUnsupported(message) => f.write_str(message),
            Self::ZeroCopyUnavailable(why) => write!(
                f,
                "A window onto this memory cannot be handed to JavaScript: {why}; \
                 slice(), read…() and the search methods work without one"
            ),
        }
    }
}

impl std::error::Error for Error {}
