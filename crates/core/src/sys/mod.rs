//! The only folder that knows which system this is: one set of functions, one file a system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_diagnosis;
#[cfg(target_os = "linux")]
mod linux_life;
#[cfg(target_os = "linux")]
mod linux_locks;
#[cfg(target_os = "linux")]
mod linux_memory;
#[cfg(target_os = "linux")]
mod linux_proc;
#[cfg(target_os = "linux")]
mod linux_wait;
#[cfg(target_os = "linux")]
mod linux_wait_ring;
#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(target_os = "linux")]
pub use linux_diagnosis::*;
#[cfg(target_os = "linux")]
pub use linux_life::*;
#[cfg(target_os = "linux")]
pub use linux_locks::*;
#[cfg(target_os = "linux")]
pub use linux_memory::*;
#[cfg(target_os = "linux")]
pub use linux_wait::*;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
mod macos_diagnosis;
#[cfg(target_os = "macos")]
mod macos_life;
#[cfg(target_os = "macos")]
mod macos_maps;
#[cfg(target_os = "macos")]
mod macos_memory;
#[cfg(target_os = "macos")]
mod macos_wait;
#[cfg(target_os = "macos")]
pub use macos::*;
#[cfg(target_os = "macos")]
pub use macos_diagnosis::*;
#[cfg(target_os = "macos")]
pub use macos_life::*;
#[cfg(target_os = "macos")]
pub use macos_maps::*;
#[cfg(target_os = "macos")]
pub use macos_memory::*;
#[cfg(target_os = "macos")]
pub use macos_wait::*;

#[cfg(not(target_os = "linux"))]
mod no_own_queue;
#[cfg(not(target_os = "linux"))]
mod polled_locks;
#[cfg(not(target_os = "linux"))]
pub use no_own_queue::*;
#[cfg(not(target_os = "linux"))]
pub use polled_locks::*;

mod asking;

#[cfg(unix)]
mod posix_memory;
#[cfg(unix)]
mod signal;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod unix_diagnosis;
#[cfg(unix)]
mod unix_life;
#[cfg(unix)]
mod unix_locks;
#[cfg(unix)]
pub use posix_memory::*;
#[cfg(unix)]
pub use unix::*;
#[cfg(unix)]
pub use unix_life::*;
#[cfg(unix)]
pub use unix_locks::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
mod windows_diagnosis;
#[cfg(windows)]
mod windows_faults;
#[cfg(windows)]
mod windows_life;
#[cfg(windows)]
mod windows_locks;
#[cfg(windows)]
mod windows_maps;
#[cfg(windows)]
mod windows_memory;
#[cfg(windows)]
mod windows_wait;
#[cfg(windows)]
pub use windows::*;
#[cfg(windows)]
pub use windows_diagnosis::*;
#[cfg(windows)]
pub use windows_faults::*;
#[cfg(windows)]
pub use windows_life::*;
#[cfg(windows)]
pub use windows_locks::*;
#[cfg(windows)]
pub use windows_maps::*;
#[cfg(windows)]
pub use windows_memory::*;
#[cfg(windows)]
pub use windows_wait::*;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!("memmap runs on Linux, macOS and Windows");

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenHow {
    /// For writing too.
    pub write: bool,
    /// Make it if it is not there.
    pub create: bool,
    /// It must not be there.
    pub exclusive: bool,
    /// Permissions of a file that is made, less the process's umask; Windows knows only read-only.
    pub mode: u32,
}

/// What tells one file from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device or volume.
    pub device: u64,
    /// Number of the file on it.
    pub file: u64,
}

/// What the system says of an open file.
#[derive(Debug, Clone, Copy)]
pub struct FileFacts {
    /// Bytes.
    pub length: u64,
    /// Which file it is.
    pub identity: Identity,
}

/// Which locks of ranges a descriptor allows, by how it was opened.
#[derive(Debug, Clone, Copy)]
pub struct LockAccess {
    /// It is for reading.
    pub shared: bool,
    /// It is for writing.
    pub exclusive: bool,
}

/// Memory the system gave for a file.
#[derive(Debug)]
pub struct FileMap {
    /// The range, its first byte at a multiple of [`granularity`] in the file.
    pub memory: Memory,
    /// The pages take stores: a stray write is harmless, so JavaScript may have windows onto them.
    pub writable: bool,
    /// Pages that were written are this process's own.
    pub private: bool,
}

/// How a thread came back that stood still for a word.
#[derive(Debug)]
pub enum Slept {
    /// Somebody called.
    Woken,
    /// The word was another one when the system looked.
    Differs,
    /// Nobody called in time.
    TimedOut,
    /// The system refused.
    Failed(std::io::Error),
}
