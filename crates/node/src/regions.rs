//! The regions of one isolate, by number. Each isolate runs on a thread of its own, so the table is
//! the thread's, and a worker that ends drops what it left open.

use std::cell::RefCell;
use std::sync::Arc;

use memmap_core::{Access, Error, Mapping, Protection, Region, Result};
use napi::Env;

use crate::{held, wait};

/// Low bits of a number: the place in the table. The rest is raised each time the place is taken again, so
/// that a stale number is nobody's.
const PLACE_BITS: u32 = 24;

#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    generation: u64,
    region: Option<Region>,
}

impl Table {
    /// Not inlined: nearly every function of the addon begins with it.
    #[inline(never)]
    fn region(&mut self, number: f64) -> Option<&mut Region> {
        let (place, generation) = split(number);
        self.places.get_mut(place).filter(|entry| entry.generation == generation)?.region.as_mut()
    }
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Takes a region in and gives its number.
fn insert(region: Region) -> f64 {
    TABLE.with_borrow_mut(|table| {
        let place = table.free.pop().unwrap_or_else(|| {
            table.places.push(Place { generation: 0, region: None });
            (table.places.len() - 1) as u32
        });
        let entry = &mut table.places[place as usize];
        // 28 bits of generation above 24 of place: exact in a double.
        entry.generation = (entry.generation + 1) & 0xfff_ffff;
        entry.region = Some(region);
        ((entry.generation << PLACE_BITS) | u64::from(place)) as f64
    })
}

fn split(number: f64) -> (usize, u64) {
    let number = number as u64;
    ((number & ((1 << PLACE_BITS) - 1)) as usize, number >> PLACE_BITS)
}

/// Does something with a region. Nothing in `work` may call JavaScript.
pub fn with<T>(number: f64, work: impl FnOnce(&mut Region) -> Result<T>) -> Result<T> {
    TABLE.with_borrow_mut(|table| table.region(number).map_or(Err(Error::closed()), work))
}

/// The memory of a region, held.
pub fn mapping(number: f64) -> Result<Arc<Mapping>> {
    with(number, |region| Ok(Arc::clone(region.mapping())))
}

/// Takes a region out.
pub fn remove(number: f64) -> Option<Region> {
    let (place, generation) = split(number);
    TABLE.with_borrow_mut(|table| {
        let entry = table.places.get_mut(place).filter(|entry| entry.generation == generation)?;
        let region = entry.region.take()?;
        table.free.push(place as u32);
        Some(region)
    })
}

/// Where in the answer it stands whether named memory was created.
pub const CREATED: usize = 5;

/// What TypeScript wants to know of a mapping, in the order `lib/memory.ts` reads it.
pub fn describe(mapping: &Mapping, out: &mut [f64]) -> Result<()> {
    let protection = match mapping.protection() {
        Protection::None => 0,
        Protection::Read => 1,
        Protection::Write => 2,
        Protection::Execute => 3,
    };
    let facts = [
        mapping.len() as f64,
        mapping.lead() as f64,
        f64::from(mapping.cell().index()),
        f64::from(u8::from(mapping.takes_stores())),
        f64::from(protection),
    ];
    let place = out.get_mut(..facts.len()).ok_or_else(|| Error::out_of_range("no room for the answer"))?;
    place.copy_from_slice(&facts);
    Ok(())
}

/// Takes a region in, describes it, and gives its number.
pub fn adopt(region: Region, out: &mut [f64]) -> Result<f64> {
    describe(region.mapping(), out)?;
    let access = match region.access() {
        Access::Read => 0,
        Access::Write => 1,
        Access::Copy => 2,
    };
    if let [.., place, offset] = out {
        (*place, *offset) = (f64::from(access), region.offset() as f64);
    }
    Ok(insert(region))
}

/// Closes what a region showed before it was mapped anew, and describes what it shows now.
pub fn replace(env: Env, number: f64, old: Arc<Mapping>, out: &mut [f64]) -> Result<()> {
    // Before what they look at goes.
    with(number, |region| {
        wait::region_moved(number, region);
        Ok(())
    })?;
    // lib/memory.ts detaches its buffers after this, if the thread is not ended just in between.
    held::about_to_retire(env, &old);
    old.close();
    describe(&*mapping(number)?, out)
}
