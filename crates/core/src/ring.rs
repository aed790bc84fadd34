//! A bounded ring of records in shared memory.
pub mod queue;
