//! The list of mappings.

use std::time::UNIX_EPOCH;

use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;

/// One mapping.
#[napi(object)]
pub struct MappingFacts {
    /// The class of the region.
    pub kind: String,
    /// The file, if it was opened by path.
    pub path: Option<String>,
    /// Bytes.
    pub byte_length: f64,
    /// Milliseconds since 1970.
    pub since: f64,
    /// Closed, but views onto it have not been collected yet.
    pub closed: bool,
}

/// What this process has mapped, in no order: to sort it in JavaScript needs no code here.
#[napi]
pub fn mappings(env: Env) -> Result<Vec<MappingFacts>> {
    call(env, || {
        let facts = memmap_core::mappings::all().into_iter().map(|info| MappingFacts {
            kind: info.kind.to_owned(),
            path: info.path.map(|path| path.to_string_lossy().into_owned()),
            byte_length: info.byte_length as f64,
            since: info.since.duration_since(UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64() * 1000.0),
            closed: info.closed,
        });
        Ok(facts.collect())
    })
}
