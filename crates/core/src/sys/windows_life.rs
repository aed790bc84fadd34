//! Living owners on Windows: each holds a named object, which is there for as long as somebody has it open. Run by this
//! project's own CI under wine only.

use std::cell::RefCell;
use std::fs::File;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;

use rustc_hash::FxHashMap;
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Threading::{CreateEventW, OpenEventW, SYNCHRONIZATION_SYNCHRONIZE};

use crate::life::Holder;
use crate::{Error, ErrorKind, Result};

/// The locks of an isolate's owners in one piece of memory.
#[derive(Debug)]
pub struct LifeLocks {
    memory: String,
    held: RefCell<FxHashMap<u64, OwnedHandle>>,
}

/// Files are told apart by their numbers, named memory by its name; what has none is this process's, and goes from one of its
/// isolates to another by its handle.
pub fn life_name(file: bool, object: &File, label: Option<&Path>, _mark: impl FnOnce() -> u32) -> Result<String> {
    if file {
        let identity = super::inspect(object)?.identity;
        return Ok(format!("{:x}-{:x}", identity.device, identity.file));
    }
    Ok(match label {
        Some(name) => format!("n-{}", name.display()),
        None => format!("p-{}-{:x}", std::process::id(), object.as_raw_handle() as usize),
    })
}

impl LifeLocks {
    /// Of memory by this name.
    pub fn new(_object: &File, name: &str) -> Result<Self> {
        Ok(Self { memory: name.to_owned(), held: RefCell::default() })
    }

    fn name(&self, key: u64) -> Vec<u16> {
        format!("Local\\memmap-owner-{}-{key:x}", self.memory).encode_utf16().chain([0]).collect()
    }

    /// Makes the object of an owner; false if it is there.
    ///
    /// # References
    /// - [CreateEventW](https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createeventw)
    pub fn take(&self, key: u64) -> Result<bool> {
        let name = self.name(key);
        // SAFETY: the name is NUL-terminated and outlives the call; the error is asked for before any other call.
        let (handle, outcome) = unsafe { (CreateEventW(ptr::null(), 1, 0, name.as_ptr()), win::GetLastError()) };
        if handle.is_null() {
            return match outcome {
                win::ERROR_ACCESS_DENIED => Ok(false),
                _ => Err(Error::raw("CreateEvent", outcome as i32)),
            };
        }
        // SAFETY: the handle is new, so nobody else owns it.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle.cast()) };
        if outcome == win::ERROR_ALREADY_EXISTS {
            return Ok(false);
        }
        self.held.borrow_mut().insert(key, handle);
        Ok(true)
    }

    /// Lets it go.
    pub fn give_back(&self, key: u64) {
        self.held.borrow_mut().remove(&key);
    }

    /// Who has it.
    ///
    /// # References
    /// - [OpenEventW](https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-openeventw)
    pub fn holder(&self, key: u64) -> Result<Holder> {
        let name = self.name(key);
        // SAFETY: the name is NUL-terminated and outlives the call.
        let handle = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, name.as_ptr()) };
        if !handle.is_null() {
            // SAFETY: the handle is new, so nobody else owns it; it is closed here.
            drop(unsafe { OwnedHandle::from_raw_handle(handle.cast()) });
            return Ok(Holder::Owner);
        }
        let error = Error::last("OpenEvent");
        match error.kind() {
            ErrorKind::System(failed) if failed.raw == win::ERROR_FILE_NOT_FOUND as i32 => Ok(Holder::Nobody),
            // It is there, and another user's.
            ErrorKind::System(failed) if failed.raw == win::ERROR_ACCESS_DENIED as i32 => Ok(Holder::Owner),
            _ => Err(error),
        }
    }
}
