//! Mapping again what is there now.

mod common;

use std::fs::{self, File};
use std::sync::Arc;

use common::{all, numbered, open, options, Folder};
use memmap_core::{mmap_file, Access, OpenOptions, Source};

const EVERY_ACCESS: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

#[test]
fn nothing_is_done_when_nothing_changed() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    for access in EVERY_ACCESS {
        let mut file = open(&path, access);
        let before = Arc::as_ptr(file.mapping());
        assert!(file.refresh().unwrap().is_none());
        assert_eq!(Arc::as_ptr(file.mapping()), before);
    }
}

#[test]
fn a_file_that_grew_is_mapped_to_its_end_and_the_old_memory_goes_on_until_it_is_closed() {
    let folder = Folder::new();
    let content = numbered(200_000);
    for access in EVERY_ACCESS {
        let path = folder.file("f", &content[..5000]);
        let mut file = open(&path, access);
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map(|mut other| {
                std::io::Write::write_all(&mut other, &content[5000..]).unwrap();
            })
            .unwrap();
        assert_eq!(file.mapping().len(), 5000);
        let old = file.refresh().unwrap().unwrap();
        assert_eq!(all(&old), &content[..5000]);
        old.close();
        assert!(file.mapping().equals(&content).unwrap());
        assert!(file.refresh().unwrap().is_none());
    }
}

#[test]
fn a_window_never_grows_beyond_what_was_asked_for() {
    let folder = Folder::new();
    let path = folder.file("f", &numbered(20_000));
    let wanted = OpenOptions { offset: 4097, length: Some(10_000), ..options(Access::Read) };
    let mut file = mmap_file::open(Source::Path(&path), wanted).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(100_000).unwrap();
    assert!(file.refresh().unwrap().is_none());
    assert!(file.mapping().equals(&numbered(20_000)[4097..14_097]).unwrap());
}

// Windows refuses to cut off what is mapped.
#[cfg(unix)]
#[test]
fn a_file_that_shrank_is_mapped_to_its_end() {
    let folder = Folder::new();
    let content = numbered(200_000);
    let path = folder.file("f", &content);
    let wanted = OpenOptions { offset: 5000, ..options(Access::Read) };
    let mut file = mmap_file::open(Source::Path(&path), wanted).unwrap();
    let set_len = |len| File::options().write(true).open(&path).unwrap().set_len(len).unwrap();

    set_len(100_001);
    file.refresh().unwrap().unwrap().close();
    assert_eq!(all(file.mapping()), &content[5000..100_001]);
    set_len(5000);
    file.refresh().unwrap().unwrap().close();
    assert!(file.mapping().is_empty());
    set_len(10);
    assert!(file.refresh().unwrap().is_none(), "it was empty before");
    set_len(6000);
    file.refresh().unwrap().unwrap().close();
    assert_eq!(all(file.mapping()), [0; 1000]);
}

// Windows refuses to rename over what is mapped.
#[cfg(unix)]
#[test]
fn a_path_that_names_another_file_by_now_is_noticed() {
    let folder = Folder::new();
    let path = folder.file("f", b"old");
    let file = open(&path, Access::Read);
    assert!(!file.replaced());
    fs::rename(folder.file("g", b"new"), &path).unwrap();
    assert!(file.replaced());
    assert_eq!(all(file.mapping()), b"old");
    let fresh = open(&path, Access::Read);
    assert!(!fresh.replaced());
    fs::remove_file(&path).unwrap();
    assert!(fresh.replaced());
    assert_eq!(all(fresh.mapping()), b"new");
}
