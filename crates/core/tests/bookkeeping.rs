//! What the process knows of its mappings: the list of them, their status words, how many it may have.

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use common::{open, options, Folder};
use memmap_core::mappings::{self, MappingInfo};
use memmap_core::{mmap_file, status, Access, OpenOptions, Source};

/// Oldest first: the list has no order, since others come and go meanwhile.
fn listed(path: &Path) -> Vec<MappingInfo> {
    let mut found: Vec<_> = mappings::all().into_iter().filter(|info| info.path.as_deref() == Some(path)).collect();
    found.sort_by_key(|info| info.since);
    found
}

#[test]
fn a_mapping_is_listed_until_its_last_holder_is_gone() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    assert!(listed(&path).is_empty());
    let first = open(&path, Access::Read);
    let second = mmap_file::open(Source::Path(&path), OpenOptions { offset: 4999, ..options(Access::Write) }).unwrap();
    let found = listed(&path);
    assert_eq!(found.iter().map(|info| info.byte_length).collect::<Vec<_>>(), [5000, 1]);
    assert!(found.iter().all(|info| info.kind == "MmapFile" && !info.closed));

    let held = Arc::clone(first.mapping());
    first.close();
    second.close();
    let found = listed(&path);
    assert_eq!(found.len(), 1, "what nobody holds is gone at once");
    assert!(found[0].closed);
    drop(held);
    assert!(listed(&path).is_empty());
}

#[test]
fn every_live_mapping_has_a_status_word_of_its_own_that_javascript_can_find() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    let files: Vec<_> = (0..50).map(|_| open(&path, Access::Read)).collect();
    let mut indexes: Vec<_> = files.iter().map(|file| file.mapping().cell().index() as usize).collect();
    for (file, index) in files.iter().zip(&indexes) {
        let word = &status::page(index / status::CELLS).unwrap()[index % status::CELLS];
        assert!(std::ptr::eq(word, file.mapping().cell().word()));
        assert_eq!(word.load(Ordering::SeqCst), 0);
    }
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), files.len());
    let page = status::page(0).unwrap();
    assert_eq!(page.as_ptr() as usize % 4096, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn maps_are_refused_while_the_process_still_has_room_for_others() {
    const NAME: &str = "maps_are_refused_while_the_process_still_has_room_for_others";
    common::lives(NAME, || {
        let limit = memmap_core::sys::map_limit().unwrap();
        if common::emulated() || limit > 200_000 {
            // qemu keeps a table of the guest's maps that this would take minutes to fill.
            common::skipped(&format!("the limit of {limit} maps is not reached: it would take too long here"));
            return;
        }
        let count = || memmap_core::sys::map_count().unwrap();
        let folder = Folder::new();
        let path = folder.file("f", &[1; 100]);
        let wanted = OpenOptions { keep_open: false, ..options(Access::Read) };
        let before = count();
        let mut files = Vec::new();
        let refused = loop {
            match mmap_file::open(Source::Path(&path), wanted) {
                Ok(file) => files.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), "ENOMEM");
        assert!(refused.to_string().contains("max_map_count"), "{refused}");
        let now = count();
        assert!(now >= limit / 10 * 9 && now <= limit / 10 * 9 + 10, "{now} of {limit}");
        // And again, until something was given back.
        assert_eq!(mmap_file::open(Source::Path(&path), wanted).unwrap_err().code(), "ENOMEM");
        files.truncate(files.len() - 10);
        files.push(mmap_file::open(Source::Path(&path), wanted).unwrap());
        drop(files);
        // The allocator keeps some maps of its own for what the many files took.
        assert!(count() <= before + 1000, "{} after {before}", count());
        open(&path, Access::Read).close();
    });
}
