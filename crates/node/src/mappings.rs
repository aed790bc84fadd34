//! The list of mappings.

use std::time::UNIX_EPOCH;

use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::rows::Rows;

/// What this process has mapped, in no order: to sort it in JavaScript needs no code here. The class of the region, the file
/// or nothing, bytes, microseconds since 1970 (two in one millisecond have an order, too), and whether it is closed and views hold
/// its addresses.
#[napi]
pub fn mappings(env: Env) -> Result<String> {
    call(env, || {
        let mut rows = Rows::default();
        for info in memmap_core::mappings::all() {
            let path = info.path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default();
            let since = info.since.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros() as u64);
            rows.add(&[&info.kind, &path, &info.byte_length, &since, &u8::from(info.closed)]);
        }
        Ok(rows.finish())
    })
}
