//! No call reads a byte beside the map: the pages on both sides are forbidden, and touching one ends the test.

#![cfg(target_os = "linux")]

mod common;

use common::{numbered, options, page, Folder};
use memmap_core::{mmap_file, Access, Mapping, OpenOptions, Region, Source};
use std::ops::Range;

/// Forbids a page that nobody has, or one of `ours`, which nobody reads; false if somebody else has it.
fn forbid(address: usize, ours: &[Region]) -> bool {
    // SAFETY: with NOREPLACE nothing that is mapped can be lost.
    let got = unsafe {
        libc::mmap(
            address as *mut libc::c_void,
            page(),
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    if got as usize == address {
        return true;
    }
    if got != libc::MAP_FAILED {
        // Systems that do not know NOREPLACE take the address as a hint.
        // SAFETY: just mapped, and nobody else knows of it.
        unsafe { libc::munmap(got, page()) };
    }
    // SAFETY: a page of a map that only this test has, and it does not read that one.
    ours.iter().any(|file| pages(file).contains(&address))
        && unsafe { libc::mprotect(address as *mut libc::c_void, page(), libc::PROT_NONE) == 0 }
}

fn pages(file: &Region) -> Range<usize> {
    let mapping = file.mapping();
    let base = mapping.base() as usize;
    base..base + mapping.lead() + mapping.len()
}

/// Maps the file so that what lies on both sides of the map is forbidden.
fn between_forbidden_pages(wanted: OpenOptions, path: &std::path::Path, test: impl Fn(&Mapping)) {
    // One of many: its neighbours are most likely more of them.
    let mut files: Vec<_> = (0..20).map(|_| mmap_file::open(Source::Path(path), wanted).unwrap()).collect();
    let mut forbidden = Vec::new();
    for _ in 0..files.len() {
        let file = files.remove(0);
        let Range { start, end } = pages(&file);
        assert_eq!(end % page(), 0, "the last byte is the last of a page");
        let sides = [end, start - page()];
        if !forbidden.iter().any(|page| (start..end).contains(page)) {
            forbidden.extend(sides);
            if sides.iter().all(|&side| forbid(side, &files)) {
                test(file.mapping());
                // The forbidden pages stay so: the process is for this test alone.
                return;
            }
        }
        files.push(file);
    }
    panic!("no map ever lay between pages that nobody else has");
}

#[test]
fn nothing_beside_the_map_is_read() {
    let folder = Folder::new();
    let mut content = numbered(3 * page());
    let end = content.len();
    content[..9].copy_from_slice(b"at-start!");
    content[end - 7..].copy_from_slice(b"at-end!");
    let path = folder.file("f", &content);
    for offset in [0, 1, page() as u64 + 17] {
        for access in [Access::Read, Access::Write, Access::Copy] {
            let wanted = OpenOptions { offset, ..options(access) };
            between_forbidden_pages(wanted, &path, |mapping| search_all(mapping, &content[offset as usize..]));
        }
    }
}

fn search_all(mapping: &Mapping, content: &[u8]) {
    let total = content.len() as u64;
    assert_eq!(mapping.len() as u64, total);
    let mut needles: Vec<Vec<u8>> = vec![b"at-end!".to_vec(), b"!".to_vec(), b"".to_vec(), b"at-start!".to_vec()];
    for len in (1..35).chain([63, 64, 65, 127, 128, 129, 256, 257, 1000, 5000]) {
        let tail = &content[content.len() - len..];
        // At the end; over the end by a byte and by many; not there at all.
        needles.extend([tail.to_vec(), [tail, b"x"].concat(), [tail, &[0; 100]].concat(), vec![0xF7; len]]);
        let head = &content[..len];
        needles.extend([head.to_vec(), [b"x", head].concat()]);
    }
    needles.push(content.to_vec());
    needles.push([content, b"x"].concat());
    let mut out = [0.0; 16];
    for needle in &needles {
        let fits = |end: u64| needle.len() as u64 <= end;
        for start in [0, 1, total / 2, total - 70, total - 9, total - 1, total] {
            let expected = content[start as usize..].len() >= needle.len() && content.ends_with(needle);
            let last = mapping.last_index_of(start, total, needle).unwrap();
            if expected {
                assert_eq!(last, Some(total - needle.len() as u64));
            }
            let first = mapping.index_of(start, total, needle).unwrap();
            assert_eq!(first.is_some(), last.is_some());
            assert_eq!(mapping.count(start, total, needle).unwrap() > 0, first.is_some());
            let filled = mapping.indexes_of(start, total, needle, &mut out).unwrap();
            assert_eq!(filled > 0, first.is_some());
        }
        // Windows that end inside, with the needle over their end.
        for end in [0, 1, 15, 16, 17, 31, 33, 63, 65, total - 1] {
            if let Some(found) = mapping.last_index_of(0, end, needle).unwrap() {
                assert!(fits(end) && found + needle.len() as u64 <= end);
            }
            if let Some(found) = mapping.index_of(0, end, needle).unwrap() {
                assert!(found + needle.len() as u64 <= end);
            }
        }
    }
    assert!(mapping.equals(content).unwrap());
    let mut bytes = vec![0; content.len()];
    mapping.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, content);
    for len in 1..100 {
        mapping.read(total - len, &mut bytes[..len as usize]).unwrap();
        mapping.read(0, &mut bytes[..len as usize]).unwrap();
    }
    if mapping.access() == Access::Copy {
        for len in 1..100 {
            mapping.fill(total - len, len as usize, b"abc").unwrap();
            mapping.write(total - len, &bytes[..len as usize]).unwrap();
            mapping.move_within(total - len, 0, len as usize).unwrap();
            mapping.move_within(0, total - len, len as usize).unwrap();
        }
    }
}
