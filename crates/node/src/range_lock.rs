//! Locks of files: what `lib/file-lock.ts` calls.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use memmap_core::range_lock::{self, Extent, Kind, LockFile, Mode, Wanted};
use memmap_core::{sys, Result as CoreResult, Source};
use napi::{Env, Result};
use napi_derive::napi;

use crate::array_buffer::{external, Raw};
use crate::background::{nothing, promise};
use crate::errors::{call, call_js};
use crate::regions;

const EXCLUSIVE: u32 = 1;
const WHOLE_FILE: u32 = 2;
const CREATE: u32 = 4;
/// The thread stands still until the lock is there.
const BLOCKING: u32 = 8;

/// The isolate of this thread. What it holds and waits for goes with it.
struct Owner(u64);

impl Drop for Owner {
    fn drop(&mut self) {
        range_lock::end_owner(self.0);
    }
}

thread_local! {
    static OWNER: Owner = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Owner(NEXT.fetch_add(1, Ordering::Relaxed))
    };
}

fn wanted(flags: u32, start: f64, end: f64) -> Wanted {
    let kind = if flags & WHOLE_FILE == 0 { Kind::Range } else { Kind::File };
    let extent = match kind {
        // Infinity becomes the greatest number, which stands for it.
        Kind::Range => Extent { start: start as u64, end: end as u64 },
        Kind::File => Extent { start: 0, end: Extent::FOREVER },
    };
    let mode = if flags & EXCLUSIVE == 0 { Mode::Shared } else { Mode::Exclusive };
    Wanted { owner: OWNER.with(|owner| owner.0), kind, mode, extent }
}

/// A file that is opened for this lock alone.
fn lock_file(
    path: Option<String>,
    raw_path: Option<&[u8]>,
    descriptor: i32,
    flags: u32,
    wanted: &Wanted,
) -> CoreResult<Arc<LockFile>> {
    let path = path.map(PathBuf::from).or_else(|| raw_path.map(sys::path_from_bytes));
    let source = path.as_deref().map_or(Source::Descriptor(descriptor), Source::Path);
    LockFile::open(source, wanted.kind, wanted.mode, flags & CREATE != 0).map(Arc::new)
}

fn try_now(file: &Arc<LockFile>, wanted: Wanted) -> CoreResult<f64> {
    Ok(range_lock::try_lock(file, wanted)?.map_or(0.0, |id| id as f64))
}

fn start_now(file: &Arc<LockFile>, wanted: Wanted, flags: u32) -> CoreResult<f64> {
    let started = range_lock::start(file, wanted, flags & BLOCKING != 0)?;
    Ok(if started.held { started.id as f64 } else { -(started.id as f64) })
}

thread_local! {
    /// What the two calls without arguments are asked. Leaked: the ArrayBuffer over it may be looked at until the very end.
    static ASKED: &'static [Cell<f64>; 4] = Box::leak(Box::default());
}

/// Where lib/file-lock.ts writes the arguments of `try_asked_lock` and `release_asked_lock`. A callback with arguments costs
/// as much again as one without, and two of them half of what the system's two calls do.
#[napi(ts_return_type = "ArrayBuffer")]
pub fn asked_lock(env: Env) -> Result<Raw> {
    call_js(env, || {
        let asked = ASKED.with(|asked| *asked);
        Ok(Raw::from(external(env, ptr::from_ref(asked).cast_mut().cast(), size_of_val(asked), None)?.0))
    })
}

/// As `try_lock_region`, of the four numbers written there; -1 if that fails, and `try_lock_region` says why.
#[napi]
pub fn try_asked_lock() -> f64 {
    let tried = catch_unwind(|| {
        let [region, flags, start, end] = ASKED.with(|asked| asked.each_ref().map(Cell::get));
        try_now(&regions::with(region, |region| region.lock_file())?, wanted(flags as u32, start, end))
    });
    tried.ok().and_then(CoreResult::ok).unwrap_or(-1.0)
}

/// As `release_lock`, of the first number written there.
#[napi]
pub fn release_asked_lock() {
    // A panic would be a bug of ours, and must not end the process: the lock goes with its file then.
    let _ = catch_unwind(|| range_lock::release(ASKED.with(|asked| asked[0].get()) as u64));
}

/// Takes a lock of a region's file if that can be done at once: its number, or 0.
#[napi]
pub fn try_lock_region(env: Env, region: f64, flags: u32, start: f64, end: f64) -> Result<f64> {
    call(env, || try_now(&regions::with(region, |region| region.lock_file())?, wanted(flags, start, end)))
}

/// As `try_lock_region`, of a file.
#[napi]
pub fn try_lock_file(
    env: Env,
    path: Option<String>,
    raw_path: Option<&[u8]>,
    descriptor: i32,
    flags: u32,
    start: f64,
    end: f64,
) -> Result<f64> {
    call(env, || {
        let wanted = wanted(flags, start, end);
        try_now(&lock_file(path, raw_path, descriptor, flags, &wanted)?, wanted)
    })
}

/// Takes a place in the queue for a lock of a region's file. Its number; a negative one if it has to wait: for
/// `lock_granted`, or for `wait_for_lock`.
#[napi]
pub fn start_lock_region(env: Env, region: f64, flags: u32, start: f64, end: f64) -> Result<f64> {
    call(env, || start_now(&regions::with(region, |region| region.lock_file())?, wanted(flags, start, end), flags))
}

/// As `start_lock_region`, of a file.
#[napi]
pub fn start_lock_file(
    env: Env,
    path: Option<String>,
    raw_path: Option<&[u8]>,
    descriptor: i32,
    flags: u32,
    start: f64,
    end: f64,
) -> Result<f64> {
    call(env, || {
        let wanted = wanted(flags, start, end);
        start_now(&lock_file(path, raw_path, descriptor, flags, &wanted)?, wanted, flags)
    })
}

/// A promise of a lock that has to wait: of nothing, or of the error to throw.
#[napi(ts_return_type = "Promise<Error | null>")]
pub fn lock_granted(env: Env, id: f64) -> Result<Raw> {
    call_js(env, || {
        let (settle, promise) = promise(env)?;
        range_lock::when_done(id as u64, Box::new(move |outcome| settle(outcome.map(|()| nothing()))));
        Ok(promise)
    })
}

/// Stands still until a lock is there, but no longer than so many milliseconds; whether it is.
#[napi]
pub fn wait_for_lock(env: Env, id: f64, milliseconds: f64) -> Result<bool> {
    call(env, || range_lock::wait(id as u64, Duration::from_secs_f64((milliseconds / 1000.0).clamp(0.0, 1.0))))
}

/// Gives a lock back, or a wait for one up.
#[napi]
pub fn release_lock(env: Env, id: f64) -> Result<()> {
    call(env, || {
        range_lock::release(id as u64);
        Ok(())
    })
}

/// Makes an exclusive lock a shared one.
#[napi]
pub fn downgrade_lock(env: Env, id: f64) -> Result<()> {
    call(env, || range_lock::downgrade(id as u64))
}

/// Whether the path that was locked names another file by now, or none.
#[napi]
pub fn lock_replaced(env: Env, id: f64) -> Result<bool> {
    call(env, || Ok(range_lock::replaced(id as u64)))
}
