//! Waiting for words on Windows, whose own WaitOnAddress stays inside a process: by named objects. Run by this project's own CI
//! under wine only.
//!
//! A word has a semaphore, and a page with a number: how many wait who were not called yet. Who waits enters himself first and
//! looks at the word then; who calls takes people off the number and gives as many tokens. A process that is killed while it
//! waits stays in the number: a later wait then ends before somebody has called.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::{CreateFileMappingW, MapViewOfFile, FILE_MAP_WRITE, PAGE_READWRITE};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateSemaphoreW, GetCurrentProcessId, ReleaseSemaphore, SetEvent, WaitForMultipleObjects,
    WaitForSingleObject, INFINITE,
};

use super::asking::{Asking, Wait};
use super::windows_memory::{wide, View};
use super::{inspect, Slept};
use crate::region::{no_descriptor, Kind};
use crate::wait::waiter::Event;
use crate::wait::{Place, Word};
use crate::{Error, Result};

/// The call that waits.
pub const WAIT_CALL: &str = "WaitForSingleObject";

/// As many objects as can be waited for at once, less one for the bell.
const AT_A_TIME: usize = 63;
/// A token that was promised comes at once, unless who promised it was killed.
const PROMISED_MS: u32 = 1000;

#[derive(Debug)]
struct Objects {
    position: u64,
    semaphore: OwnedHandle,
    /// Who waits and was not called yet.
    waiters: View,
    /// Keeps its name taken.
    _section: OwnedHandle,
}

impl Objects {
    /// # References
    /// - [CreateSemaphoreW](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-createsemaphorew)
    /// - [CreateFileMappingW](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-createfilemappingw)
    fn new(whose: &str, position: u64) -> Result<Self> {
        // A plus is in no name of shared memory.
        let name = |what: &str| wide(&format!("Local\\memmap+{what}+{whose}+{position:x}"));
        let (tokens, number) = (name("tokens"), name("waiters"));
        // SAFETY: NUL-terminated names that outlive the calls.
        let (semaphore, section) = unsafe {
            (
                owned(CreateSemaphoreW(ptr::null(), 0, i32::MAX, tokens.as_ptr()), "CreateSemaphore")?,
                owned(
                    CreateFileMappingW(
                        win::INVALID_HANDLE_VALUE,
                        ptr::null(),
                        PAGE_READWRITE,
                        0,
                        size_of::<AtomicU32>() as u32,
                        number.as_ptr(),
                    ),
                    "CreateFileMapping",
                )?,
            )
        };
        // SAFETY: a handle we own.
        let view = unsafe { MapViewOfFile(section.as_raw_handle().cast(), FILE_MAP_WRITE, 0, 0, 0) }.Value;
        if view.is_null() {
            return Err(Error::last("MapViewOfFile"));
        }
        Ok(Self { position, semaphore, waiters: View(view.cast()), _section: section })
    }

    fn waiters(&self) -> &AtomicU32 {
        // SAFETY: the start of a page of the section, mapped for as long as `self` is there, that everybody uses as an atomic.
        unsafe { &*self.waiters.0.cast() }
    }
}

fn owned(handle: win::HANDLE, call: &'static str) -> Result<OwnedHandle> {
    if handle.is_null() {
        return Err(Error::last(call));
    }
    // SAFETY: the handle is new, so nobody else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle.cast()) })
}

/// Where the waits for a region's words meet: what is kept from one to the next.
#[derive(Debug, Default)]
pub struct Meetings {
    last: Option<Arc<Objects>>,
}

/// Where those who wait for a word meet.
#[derive(Debug)]
pub struct Meeting(Arc<Objects>);

impl Meetings {
    /// The meeting of a word.
    pub fn at(&mut self, place: &Place<'_>) -> Result<Meeting> {
        let objects = match self.last.take().filter(|last| last.position == place.position) {
            Some(last) => last,
            None => Arc::new(Objects::new(&whose(place)?, place.position)?),
        };
        self.last = Some(Arc::clone(&objects));
        Ok(Meeting(objects))
    }
}

/// What tells the memory from all other of the system: of a file its number, of shared memory its name; what has none
/// is the process's own, whose workers have the same handle of it.
fn whose(place: &Place<'_>) -> Result<String> {
    let region = place.region;
    let object = region.object.as_deref().ok_or_else(|| no_descriptor("waiting"))?;
    if region.kind() == Kind::MmapFile {
        let identity = inspect(object)?.identity;
        return Ok(format!("file+{:x}+{:x}", identity.device, identity.file));
    }
    Ok(match region.label() {
        Some(name) => format!("name+{}", name.display()),
        // SAFETY: a call without arguments.
        None => format!("handle+{:x}+{:x}", unsafe { GetCurrentProcessId() }, object.as_raw_handle() as usize),
    })
}

impl Meeting {
    /// Whether the region's own map shows the word as it is.
    pub fn is_readable(&self) -> bool {
        true
    }

    /// Whether the word is that one: the region's own map tells.
    pub fn compare(&self, _expected: u32) -> Option<io::Result<bool>> {
        None
    }

    /// Stands still.
    ///
    /// # References
    /// - [WaitForSingleObject](https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitforsingleobject)
    pub fn wait(&self, expected: u32, at_most: Duration, load: impl Fn() -> Result<u32>) -> Result<Slept> {
        self.join();
        // Who stores, then calls: either he finds us, or we find what he has stored.
        let found = load();
        if !found.as_ref().is_ok_and(|&found| found == expected) {
            let called = self.leave();
            return found.map(|_| if called { Slept::Woken } else { Slept::Differs });
        }
        let called = self.take(milliseconds(at_most)) || self.leave();
        Ok(if called { Slept::Woken } else { Slept::TimedOut })
    }

    /// Takes a token, if one comes in time.
    fn take(&self, milliseconds: u32) -> bool {
        // SAFETY: a handle we own.
        unsafe { WaitForSingleObject(self.handle(), milliseconds) == win::WAIT_OBJECT_0 }
    }

    fn handle(&self) -> win::HANDLE {
        self.0.semaphore.as_raw_handle().cast()
    }

    /// Wakes so many, and says how many there were.
    pub fn wake(&self, count: u32) -> io::Result<u32> {
        let all = self.0.waiters();
        let taken = all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waiters| {
            (waiters > 0).then(|| waiters.saturating_sub(count))
        });
        let Ok(before) = taken else { return Ok(0) };
        let called = before.min(count);
        // SAFETY: a handle we own.
        if unsafe { ReleaseSemaphore(self.handle(), called.cast_signed(), ptr::null_mut()) } == 0 {
            let cause = io::Error::last_os_error();
            all.fetch_add(called, Ordering::SeqCst);
            return Err(cause);
        }
        Ok(called)
    }

    /// Enters.
    pub fn join(&self) {
        self.0.waiters().fetch_add(1, Ordering::SeqCst);
    }

    /// Leaves without having taken a token. True if one was meant for us: then it is taken.
    pub fn leave(&self) -> bool {
        let left = self.0.waiters().fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waiters| waiters.checked_sub(1));
        left.is_err() && self.take(PROMISED_MS)
    }

    /// Whether somebody has called: takes a token, if there is one.
    pub fn called(&self) -> bool {
        self.take(0)
    }
}

/// At least as long.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros().div_ceil(1000)).map_or(INFINITE - 1, |milliseconds| milliseconds.min(INFINITE - 1))
}

/// What calls the thread that waits for all.
#[derive(Debug)]
pub struct Bell {
    rung: AtomicU32,
    event: OwnedHandle,
}

impl Bell {
    /// A bell.
    pub fn new() -> Result<Self> {
        // SAFETY: no names, no attributes; the event is reset by whom it wakes.
        let event = unsafe { owned(CreateEventW(ptr::null(), 0, 0, ptr::null()), "CreateEvent") }?;
        Ok(Self { rung: AtomicU32::new(0), event })
    }

    /// How often it was rung.
    pub fn heard(&self) -> u32 {
        self.rung.load(Ordering::SeqCst)
    }

    /// Rings it.
    pub fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        // SAFETY: a handle we own.
        unsafe { SetEvent(self.event.as_raw_handle().cast()) };
    }
}

/// Many waits of one thread.
#[derive(Debug)]
pub struct Engine(Asking);

impl Engine {
    /// No waits yet.
    pub fn new(_bell: &Arc<Bell>) -> Self {
        Self(Asking::new(AT_A_TIME))
    }

    /// Begins to wait.
    pub fn begin(&mut self, number: u64, word: &Arc<Word>, expected: u32) {
        self.0.begin(number, word, expected);
    }

    /// Takes a wait back; it is told when that is done.
    pub fn end(&mut self, number: u64, events: &mut Vec<(u64, Event)>) {
        self.0.end(number, events);
    }

    /// Nothing is left to be done: who began has entered himself.
    pub fn submit(&mut self) {}

    /// Until something has happened: a wait has ended, or the bell was rung since.
    pub fn sleep(&mut self, bell: &Bell, heard: u32, events: &mut Vec<(u64, Event)>) {
        self.0.sleep(bell, heard, events);
    }
}

/// Waits for a token of any of a few words, or the bell, or the end of the time: whose token was taken.
///
/// # References
/// - [WaitForMultipleObjects](https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitformultipleobjects)
pub(super) fn wait_for_any(waits: &[Wait], bell: &Bell, heard: u32, at_most: Option<Duration>) -> Option<usize> {
    if bell.heard() != heard {
        return None;
    }
    // Waits for the same word have one handle, and none may be there twice.
    let mut handles: Vec<win::HANDLE> = Vec::with_capacity(waits.len() + 1);
    let mut whose = Vec::with_capacity(waits.len());
    for (at, wait) in waits.iter().enumerate() {
        let handle = wait.word.meeting().handle();
        if !handles.contains(&handle) {
            handles.push(handle);
            whose.push(at);
        }
    }
    handles.push(bell.event.as_raw_handle().cast());
    let time = at_most.map_or(INFINITE, milliseconds);
    // SAFETY: handles that the words and the bell own, for as long as the call takes.
    let answer = unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, time) };
    whose.get(answer.wrapping_sub(win::WAIT_OBJECT_0) as usize).copied()
}
