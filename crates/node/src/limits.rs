//! What the system allows, and what it can do.

use memmap_core::limits as core;
use napi_derive::napi;

use crate::rows::Rows;

/// What the system allows this process; infinite where there is no limit, negative where it does not say.
#[napi(object)]
pub struct LimitFacts {
    /// Bytes in a page.
    pub page_size: f64,
    /// Maps this process has.
    pub maps: f64,
    /// Maps it may have.
    pub max_maps: f64,
    /// Bytes it may still pin.
    pub pinnable: f64,
    /// Bytes left for shared memory.
    pub shared_memory: f64,
}

/// Asks the system.
#[napi]
pub fn limits() -> LimitFacts {
    let limits = core::limits();
    let or_infinite = |limit: Option<u64>| limit.map_or(f64::INFINITY, |limit| limit as f64);
    LimitFacts {
        page_size: limits.page_size as f64,
        maps: limits.maps as f64,
        max_maps: or_infinite(limits.max_maps),
        pinnable: or_infinite(limits.pinnable),
        shared_memory: limits.shared_memory.map_or(-1.0, |left| left as f64),
    }
}

/// What this system can do: each feature, and `native`, `emulated` or `absent`.
#[napi]
pub fn capabilities() -> String {
    let mut rows = Rows::default();
    core::capabilities().into_iter().for_each(|(feature, support)| rows.add(&[&feature, &support.name()]));
    rows.finish()
}
