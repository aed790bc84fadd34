//! Rings of records: what `lib/ring.ts` calls.

use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::ptr;

use memmap_core::ring::queue::{Popped, Pushed};
use memmap_core::ring::{self, Ring};
use memmap_core::{Error, Result as CoreResult};
use napi::bindgen_prelude::{ArrayBuffer, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

/// What a push comes to.
const IN: i32 = 0;
const FULL: i32 = 1;
const ENDED: i32 = 2;
/// It failed: the call that takes arguments says why.
const FAILED: i32 = -1;
/// What a pop comes to that gives no record; else it is the record's length.
const NONE: i32 = -2;
const AT_END: i32 = -3;
/// The next record is longer than what there is room for: this less its length.
const TOO_LONG: i32 = -4;

/// Bytes in front of the record: the ring's number, and the record's length.
const ASKED: usize = 16;

/// One that JavaScript uses.
struct Entry {
    region: f64,
    offset: u64,
    capacity: u64,
    /// Objects for it.
    users: usize,
    ring: Ring,
}

thread_local! {
    /// In the order of their numbers, which are never used again.
    static RINGS: RefCell<Vec<(u64, Entry)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(1) };
    /// Memory of JavaScript's that lib/ring.ts keeps for as long as its isolate lives.
    static SCRATCH: Cell<*mut [u8]> = const { Cell::new(ptr::slice_from_raw_parts_mut(ptr::null_mut(), 0)) };
}

fn place_of(rings: &[(u64, Entry)], number: f64) -> Option<usize> {
    rings.binary_search_by_key(&(number as u64), |(number, _)| *number).ok()
}

/// Does something with a ring. Nothing in `work` may call JavaScript.
fn with<T>(number: f64, work: impl FnOnce(&mut Ring, &mut memmap_core::Region) -> CoreResult<T>) -> CoreResult<T> {
    RINGS.with_borrow_mut(|rings| {
        let (_, entry) = place_of(rings, number).map(|place| &mut rings[place]).ok_or_else(Error::closed)?;
        regions::with(entry.region, |region| work(&mut entry.ring, region))
    })
}

/// Where the two calls without arguments find what they are asked: the number of a ring and the length of a record, as
/// doubles, and the record behind them, which is also where a pop leaves it. A callback with arguments costs as much
/// again as one without, and one that is given bytes twice that.
#[napi]
pub fn ring_scratch(env: Env, mut buffer: ArrayBuffer) -> Result<()> {
    call(env, || {
        // SAFETY: the slice is only kept as an address, of memory that JavaScript keeps and does not give away.
        SCRATCH.set(ptr::from_mut(unsafe { buffer.as_mut() }));
        Ok(())
    })
}

/// The bytes that a ring takes, for as many of records.
#[napi]
pub fn ring_byte_length(capacity: f64) -> f64 {
    ring::byte_length_for(capacity as u64) as f64
}

/// The ring at a place of a region, by a number. The same one for all who ask for the same place.
#[napi]
pub fn open_ring(env: Env, region: f64, offset: f64, capacity: f64) -> Result<f64> {
    call(env, || {
        let (offset, capacity) = (offset as u64, capacity as u64);
        RINGS.with_borrow_mut(|rings| {
            let place = (region, offset, capacity);
            let same = rings.iter_mut().find(|(_, entry)| (entry.region, entry.offset, entry.capacity) == place);
            if let Some((number, entry)) = same {
                regions::with(region, |region| entry.ring.look(region))?;
                entry.users += 1;
                return Ok(*number as f64);
            }
            let ring = regions::with(region, |region| Ring::new(region, offset, capacity))?;
            let number = NEXT.replace(NEXT.get() + 1);
            rings.push((number, Entry { region, offset, capacity, users: 1, ring }));
            Ok(number as f64)
        })
    })
}

/// An object for a ring is no more.
#[napi]
pub fn close_ring(env: Env, number: f64) -> Result<()> {
    call(env, || {
        RINGS.with_borrow_mut(|rings| {
            if let Some(place) = place_of(rings, number) {
                rings[place].1.users -= 1;
                if rings[place].1.users == 0 {
                    leave(rings.remove(place).1);
                }
            }
            Ok(())
        })
    })
}

/// A region is about to be closed, and with it what its rings keep open.
pub fn region_closed(number: f64) {
    RINGS.with_borrow_mut(|rings| {
        while let Some(place) = rings.iter().position(|(_, entry)| entry.region == number) {
            leave(rings.remove(place).1);
        }
    });
}

fn leave(mut entry: Entry) {
    let _ = regions::with(entry.region, |region| {
        entry.ring.leave(region);
        Ok(())
    });
}

fn pushed(outcome: Pushed) -> i32 {
    match outcome {
        Pushed::In => IN,
        Pushed::Ended => ENDED,
        Pushed::Full | Pushed::Died => FULL,
    }
}

fn popped(outcome: Popped) -> i32 {
    match outcome {
        // No ring is longer than 1 GiB.
        Popped::Out(length) => length as i32,
        Popped::TooLong(length) => TOO_LONG - length as i32,
        Popped::Ended => AT_END,
        Popped::Empty | Popped::Blocked | Popped::Died => NONE,
    }
}

/// The ring, the length and the place of the record in the scratch memory.
fn asked() -> (f64, usize, *mut [u8]) {
    let scratch = SCRATCH.get();
    if scratch.len() < ASKED {
        return (0.0, 0, scratch);
    }
    let first = scratch.cast::<u8>();
    // SAFETY: JavaScript keeps the memory, and does not run meanwhile.
    let [number, length] = unsafe { first.cast::<[f64; 2]>().read_unaligned() };
    let room = scratch.len() - ASKED;
    (number, (length as usize).min(room), ptr::slice_from_raw_parts_mut(first.wrapping_add(ASKED), room))
}

/// Pushes the record in the scratch memory.
#[napi]
pub fn push_asked() -> i32 {
    let tried = catch_unwind(|| {
        let (number, length, scratch) = asked();
        let record = ptr::slice_from_raw_parts(scratch.cast::<u8>().cast_const(), length);
        // SAFETY: as in `asked`.
        with(number, |ring, region| unsafe { ring.push(region, record) })
    });
    tried.ok().and_then(CoreResult::ok).map_or(FAILED, pushed)
}

/// Pops a record to the scratch memory.
#[napi]
pub fn pop_asked() -> i32 {
    let tried = catch_unwind(|| {
        let (number, _, scratch) = asked();
        // SAFETY: as in `asked`.
        with(number, |ring, region| unsafe { ring.pop(region, scratch) })
    });
    tried.ok().and_then(CoreResult::ok).map_or(FAILED, popped)
}

/// Pushes a record.
#[napi]
pub fn push_record(env: Env, number: f64, record: Uint8ArraySlice) -> Result<i32> {
    // The view may lie in the ring itself, so it is not taken as a slice: see bytes.rs.
    let record = ptr::slice_from_raw_parts(record.as_ptr(), record.len());
    // SAFETY: the view is an argument of this call, during which no JavaScript runs that could change it.
    call(env, || with(number, |ring, region| unsafe { ring.push(region, record) }).map(pushed))
}

/// Pops a record to the beginning of `target`.
#[napi]
pub fn pop_record(env: Env, number: f64, mut target: Uint8ArraySlice) -> Result<i32> {
    // SAFETY: as in `push_record`.
    let target: *mut [u8] = unsafe { target.as_mut() };
    // SAFETY: as in `push_record`.
    call(env, || with(number, |ring, region| unsafe { ring.pop(region, target) }).map(popped))
}

/// Nothing is pushed to the ring any more.
#[napi]
pub fn end_ring(env: Env, number: f64) -> Result<()> {
    call(env, || with(number, |ring, region| ring.end(region)))
}

/// Whether nothing is pushed to the ring any more.
#[napi]
pub fn ring_ended(env: Env, number: f64) -> Result<bool> {
    call(env, || with(number, |ring, region| ring.ended(region)))
}

/// How many records were dropped with those who pushed them.
#[napi]
pub fn ring_dropped(env: Env, number: f64) -> Result<f64> {
    call(env, || with(number, |ring, region| ring.dropped(region)).map(|dropped| dropped as f64))
}

/// Before one sleeps: what has to stand in the word.
#[napi]
pub fn about_to_sleep(env: Env, number: f64, as_consumer: bool) -> Result<i32> {
    call(env, || with(number, |ring, region| ring.about_to_sleep(region, as_consumer)).map(u32::cast_signed))
}
