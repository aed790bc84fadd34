//! What the tests of locks share: asking for them, and looking at what the kernel has.

#![allow(dead_code, reason = "every test file compiles this for itself and uses a part of it")]

use std::path::Path;
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memmap_core::range_lock::{self, Extent, Kind, LockFile, Mode, Wanted};
use memmap_core::{Result, Source};

pub const ALL: Extent = Extent { start: 0, end: Extent::FOREVER };

/// What takes longer than this on any machine never comes.
pub const LONG: Duration = Duration::from_secs(30);

pub fn at(start: u64, end: u64) -> Extent {
    Extent { start, end }
}

pub fn from(start: u64) -> Extent {
    at(start, Extent::FOREVER)
}

/// A file to be locked in any way, made if it is not there, by an open file description of its own.
pub fn file_of(path: &Path) -> Arc<LockFile> {
    Arc::new(LockFile::open(Source::Path(path), Kind::Range, Mode::Exclusive, true).unwrap())
}

pub fn range(owner: u64, mode: Mode, extent: Extent) -> Wanted {
    Wanted { owner, kind: Kind::Range, mode, extent }
}

pub fn whole(owner: u64, mode: Mode) -> Wanted {
    Wanted { owner, kind: Kind::File, mode, extent: ALL }
}

/// Tries a lock of a range.
pub fn tried(file: &Arc<LockFile>, mode: Mode, extent: Extent) -> Option<u64> {
    range_lock::try_lock(file, range(1, mode, extent)).unwrap()
}

/// Whether a lock of a range could be had now; it is given back.
pub fn free(file: &Arc<LockFile>, mode: Mode, extent: Extent) -> bool {
    tried(file, mode, extent).map(range_lock::release).is_some()
}

/// A wait that cannot be over at once.
pub fn queued(file: &Arc<LockFile>, wanted: Wanted) -> u64 {
    let started = range_lock::start(file, wanted, false).unwrap();
    assert!(!started.held, "{wanted:?} was to be had at once");
    started.id
}

/// Where the end of a wait is told.
pub fn end_of(id: u64) -> Receiver<Result<()>> {
    let (sender, receiver) = channel();
    range_lock::when_done(
        id,
        Box::new(move |outcome| {
            let _ = sender.send(outcome);
        }),
    );
    receiver
}

/// Waits until something is so.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A seed for random tests: printed, and set by `MEMMAP_SEED`.
pub fn seed() -> u64 {
    let given = std::env::var("MEMMAP_SEED").ok().and_then(|given| given.parse().ok());
    let nanoseconds = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    let seed = given.unwrap_or_else(nanoseconds);
    println!("MEMMAP_SEED={seed}");
    seed
}

/// Random numbers of one seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// Less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn mode(&mut self) -> Mode {
        if self.below(2) == 0 {
            Mode::Shared
        } else {
            Mode::Exclusive
        }
    }

    /// Does nothing for up to so many microseconds, without giving the processor away.
    pub fn spin(&mut self, most: u64) {
        let end = Instant::now() + Duration::from_nanos(self.below(most * 1000 + 1));
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use memmap_core::range_lock::{Extent, Mode};

    /// Somebody the table knows nothing of: another open file description, as other processes have them.
    pub struct Outsider(File);

    impl Outsider {
        pub fn new(path: &Path) -> Self {
            Self(File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap())
        }

        fn control(&self, kind: i32, extent: Extent) -> bool {
            // SAFETY: a structure of plain numbers, for which zero is a value; `l_pid` must be it.
            let mut what: libc::flock = unsafe { std::mem::zeroed() };
            what.l_type = kind as _;
            what.l_whence = libc::SEEK_SET as _;
            what.l_start = extent.start as _;
            what.l_len = extent.len().unwrap_or(0) as _;
            // SAFETY: a descriptor that is open, and a structure that outlives the call.
            unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_OFD_SETLK, &raw mut what) == 0 }
        }

        pub fn try_lock(&self, mode: Mode, extent: Extent) -> bool {
            let kind = if mode == Mode::Shared { libc::F_RDLCK } else { libc::F_WRLCK };
            self.control(kind as _, extent)
        }

        pub fn unlock(&self, extent: Extent) {
            assert!(self.control(libc::F_UNLCK as _, extent));
        }

        fn flock(&self, operation: i32) -> bool {
            // SAFETY: a descriptor that is open.
            unsafe { libc::flock(self.0.as_raw_fd(), operation | libc::LOCK_NB) == 0 }
        }

        pub fn try_lock_file(&self, mode: Mode) -> bool {
            self.flock(if mode == Mode::Shared { libc::LOCK_SH } else { libc::LOCK_EX })
        }

        pub fn unlock_file(&self) {
            assert!(self.flock(libc::LOCK_UN));
        }

        /// Whether it could have a lock now; it is given back.
        pub fn could(&self, mode: Mode, extent: Extent) -> bool {
            let could = self.try_lock(mode, extent);
            if could {
                self.unlock(extent);
            }
            could
        }
    }

    /// The kernel's locks of a file, and those that wait for one.
    pub fn kernel_locks(path: &Path) -> Vec<String> {
        let inode = format!(":{} ", std::fs::metadata(path).unwrap().ino());
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| line.contains(&inode)).map(str::to_owned).collect()
    }

    /// Threads of this process.
    pub fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").unwrap().count()
    }
}

#[cfg(target_os = "linux")]
#[allow(unused_imports, reason = "as above")]
pub use linux::{kernel_locks, threads, Outsider};
