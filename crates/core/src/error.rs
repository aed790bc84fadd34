//! Errors in Node's own vocabulary: a stable `code`, and a message that says what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::News;
use crate::remedy::remedy;
use crate::sys;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure, in the terms the JavaScript side hands on unchanged. One pointer, so that the many functions which only hand it
/// on do so in a register: what went wrong is its [`kind`](Error::kind).
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// What went wrong.
#[derive(Debug)]
pub enum ErrorKind {
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

/// What makes errors stays out of the functions that fail with one: they are many, and failing is rare.
macro_rules! failures {
    ($($kind:ident $name:ident $(($message:ident))?: $what:literal;)*) => {
        impl Error {
            $(
                #[doc = $what]
                #[cold]
                #[inline(never)]
                pub fn $name($($message: impl Into<String>)?) -> Self {
                    ErrorKind::$kind$(($message.into()))?.into()
                }
            )*
        }
    };
}

failures! {
    Closed closed: "The region was closed.";
    ReadOnly read_only: "A mutator was called on memory opened for reading.";
    Busy busy: "Somebody else has the file mapped.";
    FlushFailed flush_failed: "An earlier flush failed.";
    LockOverlap lock_overlap: "A wait for a lock of this thread's own.";
    Deadlock deadlock: "A wait for a lock that all wait for.";
    OutOfRange out_of_range(message): "An argument lies outside of what there is.";
    Unavailable unavailable(message): "This system or runtime has no such thing.";
    InvalidName invalid_name(message): "A name that shared memory cannot have.";
    InvalidPattern invalid_pattern(message): "What cannot be searched for.";
    InvalidState invalid_state(message): "The region was opened in a way that rules the call out.";
    SharedStateInvalid shared_state_invalid(message): "What lies in shared memory is not what it should be.";
    LockUnsupported lock_unsupported(message): "This system, or this file system, has no such locks.";
}

impl From<ErrorKind> for Error {
    #[cold]
    #[inline(never)]
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// The same, to be taken apart.
    pub fn into_kind(self) -> ErrorKind {
        *self.0
    }

    /// Whether it is that the region was closed.
    pub fn is_closed(&self) -> bool {
        matches!(*self.0, ErrorKind::Closed)
    }

    /// A page that the system could not supply, and what the first one who hears of it tells.
    #[cold]
    #[inline(never)]
    pub fn faulted(offset: u64, news: Option<Box<News>>) -> Self {
        ErrorKind::Faulted { offset, news }.into()
    }

    /// JavaScript cannot be given a window onto this memory, and why not.
    pub fn zero_copy_unavailable(why: &'static str) -> Self {
        ErrorKind::ZeroCopyUnavailable(why).into()
    }

    /// A failed system call.
    pub fn system(syscall: &'static str, cause: &io::Error) -> Self {
        Self::raw(syscall, cause.raw_os_error().unwrap_or(sys::EIO))
    }

    /// A failed system call, by the system's number.
    pub fn raw(syscall: &'static str, raw: i32) -> Self {
        ErrorKind::System(SystemError { raw, syscall, path: None, advice: None }).into()
    }

    /// The last failed system call of this thread.
    pub fn last(syscall: &'static str) -> Self {
        Self::system(syscall, &io::Error::last_os_error())
    }

    /// The same error, naming the file it was about.
    pub fn at(mut self, path: Option<&Path>) -> Self {
        if let ErrorKind::System(system) = &mut *self.0 {
            if system.path.is_none() {
                system.path = path.map(Path::to_path_buf);
            }
        }
        self
    }

    /// The same error, of another call.
    pub fn during(mut self, syscall: &'static str) -> Self {
        if let ErrorKind::System(system) = &mut *self.0 {
            system.syscall = syscall;
        }
        self
    }

    /// The same error, saying what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        if let ErrorKind::System(system) = &mut *self.0 {
            system.advice = Some(advice.into());
        }
        self
    }

    /// The stable code that users match on.
    pub fn code(&self) -> &'static str {
        match self.kind() {
            ErrorKind::System(system) => sys::errno(system.raw).0,
            ErrorKind::Closed => "ERR_REGION_CLOSED",
            ErrorKind::ReadOnly => "ERR_REGION_READONLY",
            ErrorKind::Faulted { .. } => "ERR_REGION_FAULTED",
            ErrorKind::Busy => "ERR_REGION_BUSY",
            ErrorKind::FlushFailed => "EIO",
            ErrorKind::OutOfRange(_) => "ERR_OUT_OF_RANGE",
            ErrorKind::InvalidName(_) | ErrorKind::InvalidPattern(_) => "ERR_INVALID_ARG_VALUE",
            ErrorKind::InvalidState(_) => "ERR_INVALID_STATE",
            ErrorKind::Unavailable(_) => "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM",
            ErrorKind::SharedStateInvalid(_) => "ERR_SHARED_STATE_INVALID",
            ErrorKind::LockUnsupported(_) => "ERR_LOCK_UNSUPPORTED",
            ErrorKind::LockOverlap => "ERR_LOCK_OVERLAP",
            ErrorKind::Deadlock => "EDEADLK",
            ErrorKind::ZeroCopyUnavailable(_) => "ERR_ZERO_COPY_UNAVAILABLE",
        }
    }

    /// Whether JavaScript throws a `RangeError` for it.
    pub fn is_range_error(&self) -> bool {
        matches!(self.kind(), ErrorKind::OutOfRange(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::System(system) => {
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
            ErrorKind::Closed => f.write_str("The region is closed; open it again to use it"),
            ErrorKind::ReadOnly => f.write_str(
                "The region was opened with access 'read'; open it with 'write' to change the file, \
                 or with 'copy' to change a private copy",
            ),
            ErrorKind::Faulted { offset, .. } => write!(
                f,
                "The system could not supply the page at offset {offset}: the file was truncated, the disk is full \
                 or reading failed; call refresh() to map what is there now"
            ),
            ErrorKind::Busy => f.write_str(
                "This system cannot shorten a file while somebody else has it mapped, another region or views of this one; \
                 close those first",
            ),
            ErrorKind::FlushFailed => f.write_str(
                "EIO: an earlier flush of this region failed, so what reached the disk is unknown; \
                 write the data again through a newly opened region",
            ),
            ErrorKind::LockOverlap => f.write_str(
                "This thread holds a lock of this range itself, and could not release it while it waits; release that one \
                 first, or wait with a timeout",
            ),
            ErrorKind::Deadlock => f.write_str(
                "EDEADLK: every holder of a lock of this range is itself blocked in a wait for one of this thread's; take \
                 locks in the same order everywhere, or wait with a timeout",
            ),
            ErrorKind::OutOfRange(message)
            | ErrorKind::Unavailable(message)
            | ErrorKind::InvalidState(message)
            | ErrorKind::InvalidName(message)
            | ErrorKind::InvalidPattern(message)
            | ErrorKind::SharedStateInvalid(message)
            | ErrorKind::LockUnsupported(message) => f.write_str(message),
            ErrorKind::ZeroCopyUnavailable(why) => write!(
                f,
                "A window onto this memory cannot be handed to JavaScript: {why}; \
                 slice(), read…() and the search methods work without one"
            ),
        }
    }
}

impl std::error::Error for Error {}
