//! Anonymous and named memory, advice and limits on macOS. Checked by the compiler and clippy; never run here.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::shm::OFlags;

use super::macos_wait::wait_support;
use super::posix_memory::{lock, open_shm, touch, unlink_named, Memory};
use super::{FileFacts, FileMap, Identity};
use crate::advice::Advice;
use crate::limits::Support;
use crate::region::Sizing;
use crate::{Access, Error, Result};

/// The system rounds lengths of shared memory up to pages.
pub const NAMED_LENGTHS_ARE_EXACT: bool = false;
/// What opening a name takes besides: nothing, names are no files here.
pub(super) const NAMED_OPEN_FLAGS: i32 = 0;
const ONE_LENGTH: &str = "macOS lets shared memory have its length set once, when it is made";
/// One ftruncate ever.
pub const NAMED_SIZING: Sizing = Sizing::NotHere(ONE_LENGTH);
/// As named memory, which it is made of.
pub const ANONYMOUS_SIZING: Sizing = Sizing::NotHere(ONE_LENGTH);
/// More has no room among the addresses.
const MOST: u64 = 1 << 47;
/// How long somebody else's half-made memory is waited for.
const HALF_MADE: Duration = Duration::from_secs(1);

/// What the system says of shared memory, which is no file here: it has a length, and of its mode the permissions only.
///
/// # References
/// - [fstat(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/fstat.2.html)
pub fn inspect_shared(object: &File) -> Result<FileFacts> {
    let facts = object.metadata().map_err(|cause| Error::system("fstat", &cause))?;
    if facts.mode() & u32::from(libc::S_IFMT) != 0 {
        return super::inspect(object);
    }
    Ok(FileFacts { length: facts.len(), identity: Identity { device: facts.dev(), file: facts.ino() } })
}

/// Maps shared memory. A private map of it is refused by the system.
pub fn map_shared(object: &File, len: usize, access: Access, huge_pages: bool) -> Result<FileMap> {
    if access == Access::Copy {
        return Err(Error::unavailable("macOS has no private maps of shared memory: copy it with slice()"));
    }
    super::map_file(object, 0, len, access, huge_pages)
}

/// macOS has no such advice.
pub(super) fn ask_for_huge_pages(_memory: &Memory) {}

/// Makes named memory. Between its name and its length somebody else may open it, and waits (see [`wait_until_whole`]).
///
/// # References
/// - [shm_open(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/shm_open.2.html)
pub fn create_named(name: &str, len: u64, mode: u32) -> Result<File> {
    // The system would make an object for each 4 GiB before it says that so much cannot be mapped.
    if len > MOST {
        return Err(Error::raw("ftruncate", libc::ENOMEM));
    }
    // Whatever the umask: it is not asked here, and fchmod(2) knows files only.
    let object = File::from(open_shm(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)?);
    if let Err(cause) = object.set_len(len) {
        let _ = unlink_named(name);
        return Err(Error::system("ftruncate", &cause));
    }
    Ok(object)
}

/// Waits until somebody else's memory has its length. Who made it may have been killed before that.
pub(super) fn wait_until_whole(object: File) -> Result<File> {
    let from = Instant::now();
    while object.metadata().map_err(|cause| Error::system("fstat", &cause))?.len() == 0 {
        if from.elapsed() > HALF_MADE {
            return Err(Error::raw("shm_open", libc::EAGAIN)
                .advise("whoever made this memory did not finish; SharedMemory.unlink(name) removes it"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(object)
}

/// Makes memory without a name: a name that nobody can guess, removed at once.
pub fn create_anonymous(len: u64, growable: bool) -> Result<File> {
    if growable {
        return Err(Error::unavailable(ONE_LENGTH));
    }
    let name = format!("memmap-{:016x}", RandomState::new().hash_one(std::process::id()));
    let object = create_named(&name, len, 0o600)?;
    unlink_named(&name)?;
    Ok(object)
}

/// What may become of the length of an object that somebody handed over.
pub fn sizing_of(_object: &File) -> Sizing {
    NAMED_SIZING
}

/// madvise(2); false where macOS has no such advice.
///
/// # Safety
/// The range is the caller's own, and `DontNeed` loses nothing that is nowhere else.
///
/// # References
/// - [madvise(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/madvise.2.html)
pub unsafe fn advise(address: *mut u8, len: usize, advice: Advice) -> Result<bool> {
    let advice = match advice {
        Advice::Normal => libc::MADV_NORMAL,
        Advice::Random => libc::MADV_RANDOM,
        Advice::Sequential => libc::MADV_SEQUENTIAL,
        Advice::WillNeed => libc::MADV_WILLNEED,
        Advice::DontNeed => libc::MADV_DONTNEED,
        Advice::Cold | Advice::PageOut | Advice::HugePage | Advice::NoHugePage => return Ok(false),
    };
    // SAFETY: the caller's promise.
    if unsafe { libc::madvise(address.cast(), len, advice) } != 0 {
        return Err(Error::last("madvise"));
    }
    Ok(true)
}

/// Brings pages in by reading them.
///
/// # Safety
/// The range is mapped and readable, and under guard if a page may vanish.
pub unsafe fn populate(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { touch(address, len) };
}

/// mlock(2). Regions opened for reading are shared maps here, of which nothing is copied.
///
/// # Safety
/// The range is mapped and readable, and under guard if a page may vanish.
///
/// # References
/// - [mlock(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/mlock.2.html)
pub unsafe fn pin(address: *mut u8, len: usize, _by_reading: bool) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { lock(address, len) }
}

/// macOS has no such thing.
pub fn leave_out_of_dumps(_address: *mut u8, _len: usize) {}

/// Not asked: only the owner is told.
pub(super) fn may_write(_file: &File) -> bool {
    false
}

/// Not counted.
pub(super) fn pinned_now() -> u64 {
    0
}

/// The limit is everybody's.
pub(super) fn pins_without_limit() -> bool {
    false
}

/// macOS does not say.
pub fn shared_memory_left() -> Option<u64> {
    None
}

/// What macOS can do.
pub fn capabilities() -> Vec<(&'static str, Support)> {
    use Support::{Absent, Emulated, Native};
    let wait = wait_support();
    vec![
        ("windowsOfReadRegions", Absent),
        ("faultGuard", Native),
        ("namedSharedMemory", Native),
        ("exactNamedLengths", Absent),
        ("namedResize", Absent),
        ("descriptorOfSharedMemory", Native),
        ("sealedSharedMemory", Absent),
        ("allocateOnExtend", Native),
        ("resizeMappedFile", Native),
        ("fileLocks", Native),
        ("lockWaits", Emulated),
        ("wait", wait),
        ("waitAsync", if wait == Native { Emulated } else { Absent }),
        ("advise", Native),
        ("prefetch", Emulated),
        ("residency", Native),
        ("pin", Native),
        ("protect", Native),
        ("leaveOutOfCoreDumps", Absent),
        ("mapCount", Absent),
    ]
}

/// Whether a name is still this object's: nobody can tell here.
pub fn names(_name: &str, _object: &File) -> bool {
    true
}
