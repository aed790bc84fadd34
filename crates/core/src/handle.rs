//! Regions that another isolate of this process may attach to: by a number and a secret, for as long as the region
//! that was shared is open. The descriptor itself never leaves the process's own table.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::region::{to_len, Kind, Plan};
use crate::sys::Identity;
use crate::{Error, Region, Result};

struct Offered {
    secret: u64,
    object: Weak<File>,
    plan: Plan,
    identity: Option<Identity>,
}

fn offered() -> &'static Mutex<HashMap<u64, Offered>> {
    static OFFERED: OnceLock<Mutex<HashMap<u64, Offered>>> = OnceLock::new();
    OFFERED.get_or_init(Mutex::default)
}

/// The offer of one region, withdrawn when dropped.
#[derive(Debug)]
pub struct Shareable {
    number: u64,
    secret: u64,
}

impl Shareable {
    /// Offers a region.
    pub(crate) fn new(object: &Arc<File>, plan: &Plan, identity: Option<Identity>) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Random keys of the process's own: nobody can guess a handle, or use one of an earlier process.
        let secret = RandomState::new().hash_one(number);
        let offer = Offered { secret, object: Arc::downgrade(object), plan: plan.clone(), identity };
        offered().lock().unwrap_or_else(PoisonError::into_inner).insert(number, offer);
        Ok(Self { number, secret })
    }

    /// What the other side must say.
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.number, self.secret)
    }
}

impl Drop for Shareable {
    fn drop(&mut self) {
        offered().lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Maps the memory of a region that was shared, at its present length. None where the handle is stale.
pub fn attach(kind: Kind, number: u64, secret: u64) -> Result<Option<Region>> {
    let (object, mut plan, identity) = {
        let offered = offered().lock().unwrap_or_else(PoisonError::into_inner);
        let Some(offer) = offered.get(&number).filter(|offer| offer.secret == secret) else { return Ok(None) };
        if offer.plan.kind != kind {
            return Err(Error::invalid_state(format!(
                "The handle is of a {}, not of a {}",
                offer.plan.kind.name(),
                kind.name()
            )));
        }
        let Some(object) = offer.object.upgrade() else { return Ok(None) };
        (object, offer.plan.clone(), offer.identity)
    };
    // The name is the sender's to remove.
    let available = plan.inspect(&object)?.length.saturating_sub(plan.offset);
    let len = to_len(plan.wanted.map_or(available, |wanted| wanted.min(available)))?;
    plan.wipe = false;
    let mapping = plan.map(Some(&object), true, len)?;
    let mut region = Region::new(mapping, Some(object), plan);
    region.identity = identity;
    Ok(Some(region))
}
