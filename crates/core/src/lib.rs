//! What `memmap` does, without JavaScript: mapping files, surviving vanished pages, searching bytes.
//!
//! A newcomer's path through it: [`mmap_file`] opens and maps a file, [`mapping`] owns the range of
//! addresses and decides when it goes, [`guard`] turns a vanished page into an [`error::Error`],
//! [`access`] and [`search`] work on the bytes. Everything that differs between systems lives
//! behind one set of functions in [`sys`].

pub mod access;
pub mod advice;
pub mod diagnosis;
pub mod error;
pub mod expression;
pub mod fault;
pub mod flush;
pub mod guard;
pub mod handle;
pub mod life;
pub mod limits;
pub mod lines;
mod lock_table;
mod lock_wait;
pub mod map_budget;
pub mod mapping;
pub mod mappings;
pub mod mmap_file;
pub mod mutex;
pub mod owners;
pub mod pattern;
pub mod private_memory;
pub mod range_lock;
pub mod read_ahead;
pub mod region;
mod remedy;
pub mod residency;
pub mod ring;
pub mod search;
pub mod search_job;
pub mod semaphore;
pub mod shared_memory;
pub mod status;
mod sync;
pub mod sys;
pub mod thread;
mod undisturbed;
pub mod wait;
pub mod word;

pub use error::{Error, ErrorKind, Result};
pub use mapping::{Access, Mapping, Protection};
pub use mmap_file::{Create, OpenOptions, Source};
pub use region::Region;
