//! The list of ranges this process has mapped, for whoever looks for a leak.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// One range.
#[derive(Debug, Clone)]
pub struct MappingInfo {
    /// The class of the region.
    pub kind: &'static str,
    /// The file, if it was opened by path.
    pub path: Option<PathBuf>,
    /// Bytes the region shows.
    pub byte_length: u64,
    /// When it was mapped.
    pub since: SystemTime,
    /// Closed, but views onto it have not been collected yet.
    pub closed: bool,
}

struct List {
    entries: Vec<Option<MappingInfo>>,
    free: Vec<usize>,
}

static LIST: Mutex<List> = Mutex::new(List { entries: Vec::new(), free: Vec::new() });

/// An entry of the list, gone when dropped.
#[derive(Debug)]
pub struct Listed(usize);

impl Listed {
    /// Adds an entry.
    pub fn new(kind: &'static str, path: Option<&Path>, byte_length: u64) -> Self {
        let info = MappingInfo {
            kind,
            path: path.map(Path::to_path_buf),
            byte_length,
            since: SystemTime::now(),
            closed: false,
        };
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        match list.free.pop() {
            Some(index) => {
                list.entries[index] = Some(info);
                Self(index)
            }
            None => {
                list.entries.push(Some(info));
                Self(list.entries.len() - 1)
            }
        }
    }

    /// What the entry says.
    pub fn info(&self) -> Option<MappingInfo> {
        LIST.lock().unwrap_or_else(PoisonError::into_inner).entries[self.0].clone()
    }

    /// Marks the entry as closed.
    pub fn close(&self) {
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(info) = &mut list.entries[self.0] {
            info.closed = true;
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries[self.0] = None;
        list.free.push(self.0);
    }
}

/// All of them, in no order.
pub fn all() -> Vec<MappingInfo> {
    let list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    list.entries.iter().flatten().cloned().collect()
}
