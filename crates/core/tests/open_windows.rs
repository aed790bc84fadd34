//! What Windows does its own way.

#![cfg(windows)]

mod common;

use std::path::Path;

use common::{code, open, options, Folder};
use memmap_core::{mmap_file, Access, Source};

#[test]
fn without_node_a_descriptor_cannot_be_looked_up() {
    let outcome = mmap_file::open(Source::Descriptor(0), options(Access::Read));
    assert_eq!(code(outcome), "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM");
}

#[test]
fn a_device_is_refused() {
    assert_eq!(code(mmap_file::open(Source::Path(Path::new("NUL")), options(Access::Read))), "ENODEV");
}

#[test]
fn others_may_open_a_mapped_file_and_grow_it() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    let _file = open(&path, Access::Write);
    let other = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    other.set_len(100_000).unwrap();
    assert_eq!(open(&path, Access::Write).mapping().len(), 100_000);
}

#[test]
fn the_image_can_be_pinned() {
    memmap_core::sys::pin_image();
}
