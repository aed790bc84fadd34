//! What the system allows, and what it can do.

use crate::sys;

/// What the system allows this process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes in a page.
    pub page_size: u64,
    /// Maps this process has; 0 where the system does not count.
    pub maps: u64,
    /// Maps it may have; none where there is no limit to run into.
    pub max_maps: Option<u64>,
    /// Bytes it may pin; none where there is no limit.
    pub pinnable: Option<u64>,
    /// Bytes left for shared memory; none where the system does not say.
    pub shared_memory: Option<u64>,
}

/// Asks the system.
pub fn limits() -> Limits {
    Limits {
        page_size: sys::page_size() as u64,
        maps: sys::map_count().unwrap_or(0) as u64,
        max_maps: sys::map_limit().map(|limit| limit as u64),
        pinnable: sys::pinnable(),
        shared_memory: sys::shared_memory_left(),
    }
}

/// How well a feature is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// By a call of the system made for it.
    Native,
    /// By other means.
    Emulated,
    /// Not at all.
    Absent,
}

impl Support {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Absent => "absent",
        }
    }
}

/// What this system can do, by feature.
pub fn capabilities() -> Vec<(&'static str, Support)> {
    sys::capabilities()
}
