//! The maps of a process, this one's and another's, as each system tells them. What only Linux tells is tested in `__test__/`.

mod common;
#[path = "common/processes.rs"]
mod processes;

use std::fs::canonicalize;
use std::path::Path;
use std::thread;
use std::time::Duration;

use common::{code, emulated, numbered, open, skipped, Folder};
use memmap_core::diagnosis::{self, MapFacts, MapKind};
use memmap_core::{Access, Region};
use processes::{told, until, Other, LONG};

const PAGES: u64 = 8;

fn page() -> u64 {
    common::page() as u64
}

fn content() -> Vec<u8> {
    numbered((PAGES * page()) as usize)
}

/// The maps of a file that a process has.
fn of(pid: u32, path: &Path) -> Vec<MapFacts> {
    let path = canonicalize(path).unwrap();
    let maps = diagnosis::maps(pid).unwrap();
    maps.into_iter().filter(|map| canonicalize(&map.path).is_ok_and(|found| found == path)).collect()
}

fn address(region: &Region) -> u64 {
    region.mapping().address(0) as u64
}

#[test]
fn a_file_that_is_mapped_is_in_the_list_by_its_path_and_not_after_it_was_closed() {
    let folder = Folder::new();
    let path = folder.file("a file", &content());
    let own = std::process::id();
    assert!(of(own, &path).is_empty());
    for (access, permissions) in [(Access::Write, "rw-s"), (Access::Copy, "rw-p")] {
        let file = open(&path, access);
        let maps = of(own, &path);
        let found: Vec<_> = maps.iter().map(|map| (map.start, map.end - map.start, map.kind)).collect();
        assert_eq!(found, [(address(&file), PAGES * page(), MapKind::File)]);
        assert_eq!(maps[0].permissions, permissions);
        // A copy's position is known on Linux only, and Windows tells none.
        assert_eq!(maps[0].offset.unwrap_or(0), 0);
        file.close();
        assert!(of(own, &path).is_empty(), "{access:?}");
    }
}

#[test]
fn what_is_in_memory_of_it_is_told_in_bytes() {
    let folder = Folder::new();
    let path = folder.file("f", &content());
    let file = open(&path, Access::Write);
    file.mapping().write(3 * page(), b"here").unwrap();
    let resident = of(std::process::id(), &path)[0].resident;
    if cfg!(windows) && resident.is_none() {
        return skipped("wine does not tell what of a process is in memory");
    }
    let resident = resident.unwrap();
    assert!((page()..=PAGES * page()).contains(&resident), "{resident}");
}

#[test]
fn a_copy_that_was_written_here_and_there_is_private_in_all_of_its_parts() {
    let folder = Folder::new();
    let path = folder.file("f", &content());
    let file = open(&path, Access::Copy);
    file.mapping().write(3 * page(), b"here").unwrap();
    let maps = of(std::process::id(), &path);
    assert!(maps.iter().all(|map| map.permissions == "rw-p"), "{maps:?}");
    assert_eq!(maps.iter().map(|map| map.end - map.start).sum::<u64>(), PAGES * page());
}

#[test]
fn maps_are_in_order_of_their_addresses_and_none_lies_over_another() {
    let maps = diagnosis::maps(std::process::id()).unwrap();
    assert!(maps.len() > 10, "{}", maps.len());
    assert!(maps.iter().all(|map| map.start < map.end && map.permissions.len() == 4));
    assert!(maps.windows(2).all(|pair| pair[0].end <= pair[1].start));
    if emulated() {
        return skipped("the emulator gives no page of its guest the right to run");
    }
    let program = std::env::current_exe().unwrap();
    let programs: Vec<_> = of(std::process::id(), &program);
    assert!(!programs.is_empty() && programs.iter().all(|map| map.kind == MapKind::Program), "{programs:?}");
    assert!(programs.iter().any(|map| map.permissions == "r-xp"), "{programs:?}");
}

#[test]
fn what_another_process_has_mapped_is_told_and_nothing_when_it_was_killed() {
    let folder = Folder::new();
    let path = folder.file("f", &content());
    let other = Other::start("part_maps", &[path.to_str().unwrap()]);
    let pid = other.pid();
    until("the other process has the file mapped", || !of(pid, &path).is_empty());
    let maps = of(pid, &path);
    let found: Vec<_> = maps.iter().map(|map| (map.end - map.start, map.permissions.as_str(), map.kind)).collect();
    assert_eq!(found, [(PAGES * page(), "rw-s", MapKind::File)]);
    other.kill();
    // Where somebody still looks at a process that has ended, it is one without maps.
    assert!(diagnosis::maps(pid).is_ok_and(|maps| maps.is_empty()) || code(diagnosis::maps(pid)) == "ESRCH");
}

#[test]
fn part_maps() {
    let Some(told) = told("part_maps") else { return };
    let _file = open(Path::new(&told.join(" ")), Access::Write);
    thread::sleep(LONG);
}

#[test]
fn no_process_is_told_from_one_without_maps() {
    for pid in [u32::MAX, u32::MAX - 3, 0x7fff_fff0] {
        assert_eq!(code(diagnosis::maps(pid)), "ESRCH", "{pid}");
    }
}

#[test]
fn who_has_the_addon_is_looked_for_among_all_processes_and_this_test_has_not() {
    let other = Other::start("part_waits", &[]);
    let pid = other.pid();
    let users = diagnosis::users().unwrap();
    assert!(users.found.iter().all(|user| user.process.pid != pid && user.process.pid != std::process::id()));
}

#[test]
fn part_waits() {
    if told("part_waits").is_some() {
        thread::sleep(Duration::from_secs(60));
    }
}
