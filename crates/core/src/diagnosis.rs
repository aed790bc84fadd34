//! What the system tells of processes, shared memory, locks and its own limits, for whoever looks for the reason of something.
//! Only the command `memmap` asks. What a system does not tell is `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`.

use std::path::{Path, PathBuf};

use crate::range_lock::Extent;
use crate::sys::{self, Identity};
use crate::{shared_memory, Result};

/// What a map is of, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// This package's addon.
    Addon,
    /// Shared memory without a name, made by this package.
    Anonymous,
    /// A region of this package that was closed, and that views still hold the addresses of.
    Closed,
    /// Shared memory that has a name: this package's, or any other program's.
    Named,
    /// Shared memory of which the system tells neither the name nor who made it.
    Shared,
    /// A file, mapped by this package or by anybody else: the system tells no difference.
    File,
    /// The program itself or a library.
    Program,
    /// Memory of the process alone.
    Private,
    /// Something of the system's: devices, the kernel's own pages.
    System,
}

impl MapKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Addon => "addon",
            Self::Anonymous => "anonymous",
            Self::Closed => "closed",
            Self::Named => "named",
            Self::Shared => "shared",
            Self::File => "file",
            Self::Program => "program",
            Self::Private => "private",
            Self::System => "system",
        }
    }
}

/// One map of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapFacts {
    /// First address.
    pub start: u64,
    /// The address behind the last one.
    pub end: u64,
    /// As Linux writes them: `rw-s`, the last letter `p` where what is written stays with the process.
    pub permissions: String,
    /// Position in the file, where the system tells it.
    pub offset: Option<u64>,
    /// Which file, or which shared memory; zeros where the system does not tell, or where it is neither.
    pub identity: Identity,
    /// What it is of.
    pub kind: MapKind,
    /// The file or whatever else the system calls it; empty where it has no name.
    pub path: PathBuf,
    /// Bytes of it that are in memory, where that may be known.
    pub resident: Option<u64>,
}

/// A process, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// A process that has this package's addon loaded.
#[derive(Debug)]
pub struct User {
    /// Which.
    pub process: Process,
    /// Whose it is.
    pub owner: String,
    /// Maps it has.
    pub maps: u64,
    /// Bytes of files and shared memory that it has mapped, programs and libraries left out.
    pub mapped: u64,
}

impl User {
    /// The process with these maps.
    pub(crate) fn new(process: Process, owner: String, maps: &[MapFacts]) -> Self {
        let data =
            |map: &&MapFacts| matches!(map.kind, MapKind::Anonymous | MapKind::Named | MapKind::Shared | MapKind::File);
        let mapped = maps.iter().filter(data).map(|map| map.end - map.start).sum();
        Self { process, owner, maps: maps.len() as u64, mapped }
    }
}

/// Whether these are the maps of a process that uses this package.
pub(crate) fn have_addon(maps: &[MapFacts]) -> bool {
    maps.iter().any(|map| map.kind == MapKind::Addon)
}

/// Whether a file of this name, without its folder, is this package's addon.
pub(crate) fn is_addon(file: &[u8]) -> bool {
    file.starts_with(b"memmap.") && file.ends_with(b".node")
}

/// What is run anywhere is a program, with all of its parts.
#[cfg_attr(windows, allow(dead_code, reason = "Windows itself tells programs from files"))]
pub(crate) fn tell_programs(maps: &mut [MapFacts]) {
    let runs = |map: &&MapFacts| map.kind == MapKind::File && map.permissions.contains('x');
    let programs: Vec<PathBuf> = maps.iter().filter(runs).map(|map| map.path.clone()).collect();
    for map in maps {
        if map.kind == MapKind::File && programs.contains(&map.path) {
            map.kind = MapKind::Program;
        }
    }
}

/// What was found, and how many processes could not be looked at: other users' may not be.
#[derive(Debug)]
pub struct Seen<T> {
    /// In no order.
    pub found: Vec<T>,
    /// Processes.
    pub hidden: u32,
}

/// Shared memory that has a name.
#[derive(Debug)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Whether this package could have made it: other programs have names as well, some of which it does not allow.
    pub allowed: bool,
    /// Whose it is.
    pub owner: String,
    /// Its permissions.
    pub mode: u32,
    /// Bytes.
    pub byte_length: u64,
    /// Bytes of memory that it takes.
    pub allocated: u64,
    /// Milliseconds since 1970 when it was made, where the system keeps that.
    pub since: Option<u64>,
    /// Who has it open or mapped.
    pub processes: Vec<Process>,
}

/// How a lock was taken, which says what it excludes and when it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFamily {
    /// A range, of an open file: this package's, and other programs' of this kind.
    OpenFile,
    /// A range, of a process: fcntl, lockf, Java.
    Process,
    /// The file as such: flock.
    Whole,
    /// A lease, or a delegation of a file server's: who opens the file waits until it is given back.
    Lease,
    /// A range, and the system does not say whose.
    Unknown,
}

impl LockFamily {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenFile => "open-file",
            Self::Process => "process",
            Self::Whole => "flock",
            Self::Lease => "lease",
            Self::Unknown => "unknown",
        }
    }
}

/// The owner of a mutex or semaphore, whose life the system keeps by a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Byte of the file, within 32, where the mutex or semaphore is.
    pub position: u64,
    /// The owner's number in it.
    pub number: u32,
}

/// A lock of a file, or a wait for one.
#[derive(Debug)]
pub struct LockFacts {
    /// How it was taken.
    pub family: LockFamily,
    /// Nobody else has the range.
    pub exclusive: bool,
    /// Whether it is waited for.
    pub waits: bool,
    /// Which part; all of the file where it is one of the whole.
    pub extent: Extent,
    /// Not somebody's lock of the file, but one by which the owner of a mutex is known to live.
    pub owner: Option<Owner>,
    /// Who has it, as far as the system says: several where they share an open file.
    pub processes: Vec<Process>,
}

/// The maps of a process.
pub fn maps(pid: u32) -> Result<Vec<MapFacts>> {
    sys::maps_of(pid)
}

/// The processes that have this package's addon loaded, but for the one that asks.
pub fn users() -> Result<Seen<User>> {
    sys::users_of_addon()
}

/// All shared memory that has a name.
pub fn segments() -> Result<Seen<Segment>> {
    sys::named_segments(shared_memory::is_name)
}

/// The locks of a file.
pub fn locks(path: &Path) -> Result<Seen<LockFacts>> {
    sys::locks_of(path).map_err(|error| error.at(Some(path)))
}

/// Limits and settings of the system, by name; those that it does not have are left out.
pub fn machine() -> Vec<(&'static str, String)> {
    sys::machine()
}
