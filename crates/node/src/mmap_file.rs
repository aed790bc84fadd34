//! Opening a file, and what became of it.

use std::path::PathBuf;

use memmap_core::mmap_file::{self, Create, OpenOptions, Source};
use memmap_core::sys;
use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::region::access_of;
use crate::regions;

const CREATE: u32 = 1;
const EXCLUSIVE: u32 = 2;
const SPARSE: u32 = 4;
const KEEP_OPEN: u32 = 8;
const HUGE_PAGES: u32 = 16;
const GUARD: u32 = 32;

/// Opens and maps a file: by `path`, by the bytes of its path, or by a descriptor. A negative length means to
/// the end of the file. Fills `out` and returns the region's number.
#[napi]
#[allow(
    clippy::too_many_arguments,
    reason = "an options object would cost 600 ns to read; only lib/mmap-file.ts calls this"
)]
pub fn open_file(
    env: Env,
    path: Option<String>,
    raw_path: Option<&[u8]>,
    descriptor: i32,
    access: u32,
    offset: f64,
    length: f64,
    flags: u32,
    mode: u32,
    mut out: Float64ArraySlice,
) -> Result<f64> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let path = path.map(PathBuf::from).or_else(|| raw_path.map(sys::path_from_bytes));
        let options = OpenOptions {
            access: access_of(access),
            offset: offset as u64,
            length: (length >= 0.0).then_some(length as u64),
            create: match flags & (CREATE | EXCLUSIVE) {
                0 => Create::No,
                CREATE => Create::IfMissing,
                _ => Create::Exclusive,
            },
            mode,
            sparse: flags & SPARSE != 0,
            keep_open: flags & KEEP_OPEN != 0,
            huge_pages: flags & HUGE_PAGES != 0,
            guard: flags & GUARD != 0,
        };
        let source = path.as_deref().map_or(Source::Descriptor(descriptor), Source::Path);
        regions::adopt(mmap_file::open(source, options)?, out)
    })
}

/// Bytes in the file now.
#[napi]
pub fn file_size(env: Env, region: f64) -> Result<f64> {
    call(env, || regions::with(region, |file| file.file_size().map(|size| size as f64)))
}

/// Whether the path names another file by now.
#[napi]
pub fn replaced(env: Env, region: f64) -> Result<bool> {
    call(env, || regions::with(region, |file| Ok(file.replaced())))
}
