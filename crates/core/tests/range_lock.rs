//! Locks: whom they keep out, whom they let in, and who is first.

mod common;
#[path = "common/locks.rs"]
mod locks;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use common::{code, open, Folder};
use locks::{at, end_of, file_of, free, from, queued, range, tried, until, whole, ALL, LONG};
use memmap_core::range_lock::{
    cancel, downgrade, end_owner, release, start, try_lock, wait, Extent, Kind, LockFile, Mode,
};
use memmap_core::{mmap_file, Access, OpenOptions, Source};
use proptest::prelude::*;
use Mode::{Exclusive, Shared};

/// What a process of [`ask_elsewhere`] is to try, and where one of [`hold_elsewhere`] says that it has its locks.
const ASKED: &str = "MEMMAP_TEST_LOCKS_ASKED";
const READY: &str = "MEMMAP_TEST_LOCKS_READY";
const LOCKED: &str = "MEMMAP_TEST_LOCKS_FILE";

/// Starts one test of this same program in a process of its own.
fn elsewhere(test: &str, path: &Path, name: &str, value: &str) -> Child {
    let runner = std::env::var("CROSS_RUNNER").unwrap_or_default();
    let mut words: Vec<&str> = runner.split_whitespace().collect();
    let program = std::env::current_exe().unwrap();
    words.push(program.to_str().unwrap());
    Command::new(words[0])
        .args(&words[1..])
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(LOCKED, path)
        .env(name, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Which of some ranges another process could lock now.
fn ask_elsewhere(path: &Path, asked: &[(Mode, Extent)]) -> Vec<bool> {
    let words: Vec<String> =
        asked.iter().map(|(mode, extent)| format!("{mode:?} {} {}", extent.start, extent.end)).collect();
    let output = elsewhere("another_process_asks", path, ASKED, &words.join(",")).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let answer = said.split("answer ").nth(1).unwrap_or_else(|| panic!("{said}"));
    answer.chars().take(asked.len()).map(|word| word == '+').collect()
}

#[test]
fn another_process_asks() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let file = file_of(Path::new(&std::env::var_os(LOCKED).unwrap()));
    let answers = asked.split(',').map(|words| {
        let words: Vec<&str> = words.split(' ').collect();
        let mode = if words[0] == "Shared" { Shared } else { Exclusive };
        let extent = at(words[1].parse().unwrap(), words[2].parse().unwrap());
        if free(&file, mode, extent) {
            '+'
        } else {
            '-'
        }
    });
    println!("answer {}", answers.collect::<String>());
}

/// A process that has bytes 10 to 20, and the file as such, until it is killed.
struct Holder(Child);

impl Holder {
    fn new(folder: &Folder, path: &Path) -> Self {
        let ready = folder.join("ready");
        let mut child = elsewhere("another_process_holds", path, READY, ready.to_str().unwrap());
        until("the other process has its locks", || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended");
            ready.exists()
        });
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_process_holds() {
    let Some(ready) = std::env::var_os(READY) else { return };
    let file = file_of(Path::new(&std::env::var_os(LOCKED).unwrap()));
    assert!(tried(&file, Exclusive, at(10, 20)).is_some());
    assert!(try_lock(&file, whole(1, Exclusive)).unwrap().is_some());
    std::fs::File::create(ready).unwrap().write_all(b"1").unwrap();
    // Killed long before; if not, it must not stay for ever.
    thread::sleep(4 * LONG);
}

#[test]
fn two_files_of_one_process_exclude_each_other() {
    let folder = Folder::new();
    let path = folder.join("f");
    let (one, other) = (file_of(&path), file_of(&path));
    let lock = tried(&one, Exclusive, at(0, 10)).unwrap();
    for file in [&one, &other] {
        assert!(!free(file, Exclusive, at(0, 10)));
        assert!(!free(file, Shared, at(9, 11)));
        assert!(!free(file, Exclusive, ALL));
        assert!(free(file, Exclusive, from(10)));
    }
    release(lock);
    assert!(free(&other, Exclusive, ALL));
    release(lock);
    assert!(free(&one, Exclusive, ALL));
}

#[test]
fn shared_locks_go_together_and_exclusive_ones_with_nobody() {
    let folder = Folder::new();
    let path = folder.join("f");
    let (one, other) = (file_of(&path), file_of(&path));
    let shared = [tried(&one, Shared, at(0, 10)).unwrap(), tried(&other, Shared, at(5, 15)).unwrap()];
    assert!(free(&one, Shared, ALL) && free(&other, Shared, ALL));
    assert!(!free(&one, Exclusive, at(0, 5)) && !free(&other, Exclusive, at(0, 5)));
    release(shared[0]);
    assert!(free(&one, Exclusive, at(0, 5)) && !free(&one, Exclusive, at(5, 6)));
    release(shared[1]);
    let exclusive = tried(&one, Exclusive, at(0, 10)).unwrap();
    assert!(!free(&other, Shared, at(0, 10)));
    release(exclusive);
}

#[test]
fn ranges_that_only_touch_do_not_meet_however_far_out_they_are() {
    let folder = Folder::new();
    let path = folder.join("f");
    let (one, other) = (file_of(&path), file_of(&path));
    let far = (1 << 53) - 1;
    let locks = [at(0, 1), at(1, 5000), at(5000, far), from(far)].map(|extent| tried(&one, Exclusive, extent).unwrap());
    for byte in [0, 1, 4999, 5000, far - 1, far] {
        assert!(!free(&other, Shared, at(byte, byte + 1)), "{byte}");
    }
    release(locks[3]);
    assert!(free(&other, Exclusive, from(far)));
    assert!(!free(&other, Exclusive, from(far - 1)));
    locks.into_iter().for_each(release);
    assert!(free(&other, Exclusive, ALL));
}

#[test]
fn a_lock_without_end_is_of_all_that_may_come() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 100]);
    let (one, other) = (file_of(&path), file_of(&path));
    let lock = tried(&one, Exclusive, from(50)).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    for extent in [at(99, 100), at(1000, 1001), at(1 << 40, (1 << 40) + 1), from(1 << 50)] {
        assert!(!free(&other, Exclusive, extent), "{extent:?}");
    }
    assert!(free(&other, Exclusive, at(0, 50)));
    assert_eq!(ask_elsewhere(&path, &[(Shared, at(1 << 50, 1 << 51)), (Exclusive, at(0, 50))]), [false, true]);
    release(lock);
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
}

#[test]
fn a_lock_that_is_downgraded_lets_shared_ones_in_and_no_exclusive_one() {
    let folder = Folder::new();
    let path = folder.join("f");
    let (one, other) = (file_of(&path), file_of(&path));
    let lock = tried(&one, Exclusive, at(0, 10)).unwrap();
    let waits = queued(&other, range(2, Shared, at(5, 15)));
    let done = end_of(waits);
    downgrade(lock).unwrap();
    done.recv_timeout(LONG).unwrap().unwrap();
    assert!(!free(&other, Exclusive, at(0, 10)));
    assert!(!free(&one, Exclusive, at(0, 10)));
    let asked = [(Shared, ALL), (Exclusive, at(0, 1)), (Exclusive, at(14, 15)), (Exclusive, from(15))];
    assert_eq!(ask_elsewhere(&path, &asked), [true, false, false, true]);
    // Nothing happens: it is one already.
    downgrade(lock).unwrap();
    release(lock);
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, at(0, 5)), (Exclusive, at(5, 6))]), [true, false]);
    release(waits);
    assert_eq!(code(downgrade(lock)), "ERR_INVALID_STATE");
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
}

#[test]
fn locks_of_the_file_as_such_and_of_its_ranges_do_not_meet() {
    let folder = Folder::new();
    let path = folder.join("f");
    let (one, other) = (file_of(&path), file_of(&path));
    let lock = try_lock(&one, whole(1, Exclusive)).unwrap().unwrap();
    assert!(free(&other, Exclusive, ALL));
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
    for file in [&one, &other] {
        assert_eq!(try_lock(file, whole(2, Shared)).unwrap(), None);
    }
    downgrade(lock).unwrap();
    let shared = [&one, &other].map(|file| try_lock(file, whole(2, Shared)).unwrap().unwrap());
    assert_eq!(try_lock(&other, whole(2, Exclusive)).unwrap(), None);
    release(lock);
    release(shared[0]);
    assert_eq!(try_lock(&one, whole(2, Exclusive)).unwrap(), None);
    release(shared[1]);
    release(try_lock(&one, whole(2, Exclusive)).unwrap().unwrap());
}

#[test]
fn of_overlapping_shared_locks_of_one_description_those_that_stay_keep_all_they_had() {
    let folder = Folder::new();
    let path = folder.join("f");
    let one = file_of(&path);
    let asked: Vec<_> = (0..20).map(|byte| (Exclusive, at(byte, byte + 1))).collect();
    let wholly = |bytes: std::ops::Range<u64>| (0..20).map(|byte| !bytes.contains(&byte)).collect::<Vec<_>>();

    let first = tried(&one, Shared, at(0, 10)).unwrap();
    let second = tried(&one, Shared, at(5, 15)).unwrap();
    release(first);
    assert_eq!(ask_elsewhere(&path, &asked), wholly(5..15));
    let inner = tried(&one, Shared, at(8, 9)).unwrap();
    release(inner);
    assert_eq!(ask_elsewhere(&path, &asked), wholly(5..15));
    let outer = tried(&one, Shared, ALL).unwrap();
    release(outer);
    assert_eq!(ask_elsewhere(&path, &asked), wholly(5..15));
    let twin = tried(&one, Shared, at(5, 15)).unwrap();
    release(second);
    assert_eq!(ask_elsewhere(&path, &asked), wholly(5..15));
    release(twin);
    assert_eq!(ask_elsewhere(&path, &asked), wholly(0..0));
}

#[test]
fn locks_of_one_region_exclude_each_other_and_outlive_it() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 100]);
    let region = open(&path, Access::Write);
    let [one, other] = [(); 2].map(|()| Arc::new(LockFile::of_region(&region).unwrap()));
    let lock = tried(&one, Exclusive, at(0, 10)).unwrap();
    assert!(!free(&other, Exclusive, at(9, 10)) && !free(&other, Shared, at(0, 1)));
    let shared = [&one, &other].map(|file| tried(file, Shared, at(20, 30)).unwrap());
    drop((one, other));
    region.close();
    release(shared[0]);
    let asked = [(Shared, at(0, 10)), (Shared, at(20, 30)), (Exclusive, at(20, 30))];
    assert_eq!(ask_elsewhere(&path, &asked), [false, true, false]);
    release(lock);
    release(shared[1]);
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
}

#[test]
fn opening_reading_and_closing_the_file_elsewhere_changes_nothing() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 100]);
    let file = file_of(&path);
    let lock = tried(&file, Exclusive, at(200, 300)).unwrap();
    for access in [Access::Read, Access::Write] {
        open(&path, access).close();
    }
    assert_eq!(std::fs::read(&path).unwrap().len(), 100);
    drop(file_of(&path));
    drop(file);
    assert_eq!(ask_elsewhere(&path, &[(Shared, at(299, 300)), (Exclusive, at(0, 200))]), [false, true]);
    release(lock);
}

#[test]
fn those_who_wait_get_it_in_their_order() {
    let folder = Folder::new();
    let path = folder.join("f");
    let lock = tried(&file_of(&path), Exclusive, ALL).unwrap();
    let waits: Vec<u64> =
        (0..20).map(|index| queued(&file_of(&path), range(index, Exclusive, at(index / 4, 30)))).collect();
    let done: Vec<_> = waits.iter().map(|&id| end_of(id)).collect();
    let mut held = lock;
    for (index, (&id, done)) in waits.iter().zip(&done).enumerate() {
        assert!(done.try_recv().is_err(), "{index} was not its turn");
        release(held);
        done.recv_timeout(LONG).unwrap().unwrap();
        held = id;
    }
    release(held);
}

#[test]
fn shared_ones_do_not_overtake_an_exclusive_one_that_waits() {
    let folder = Folder::new();
    let path = folder.join("f");
    let file = file_of(&path);
    let lock = tried(&file, Shared, at(0, 10)).unwrap();
    let exclusive = queued(&file_of(&path), range(2, Exclusive, at(0, 10)));
    let shared = [1, 2].map(|owner| queued(&file, range(owner, Shared, at(0, 10))));
    let (first, others) = (end_of(exclusive), shared.map(end_of));
    release(lock);
    first.recv_timeout(LONG).unwrap().unwrap();
    assert!(others.iter().all(|done| done.try_recv().is_err()));
    release(exclusive);
    others.into_iter().for_each(|done| done.recv_timeout(LONG).unwrap().unwrap());
    shared.into_iter().for_each(release);
}

#[test]
fn those_who_wait_for_other_ranges_are_not_waited_for() {
    let folder = Folder::new();
    let path = folder.join("f");
    let file = file_of(&path);
    let lock = tried(&file, Exclusive, at(0, 10)).unwrap();
    let waits = queued(&file, range(1, Exclusive, at(0, 10)));
    let beside = start(&file, range(1, Exclusive, from(10)), false).unwrap();
    assert!(beside.held);
    end_of(beside.id).recv_timeout(LONG).unwrap().unwrap();
    [beside.id, waits, lock].into_iter().for_each(release);
    assert!(free(&file, Exclusive, ALL));
}

#[test]
fn a_wait_that_is_cancelled_lets_those_behind_it_move_up() {
    let folder = Folder::new();
    let path = folder.join("f");
    let file = file_of(&path);
    let lock = tried(&file, Shared, at(0, 10)).unwrap();
    let exclusive = queued(&file, range(1, Exclusive, at(0, 10)));
    let shared = queued(&file, range(2, Shared, at(5, 10)));
    let (first, second) = (end_of(exclusive), end_of(shared));
    cancel(exclusive);
    first.recv_timeout(LONG).unwrap().unwrap();
    second.recv_timeout(LONG).unwrap().unwrap();
    // Who asks after the end is told as well.
    end_of(exclusive).recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(code(wait(exclusive, LONG)), "ERR_INVALID_STATE");
    assert!(wait(shared, Duration::ZERO).unwrap());
    [lock, shared].into_iter().for_each(release);
}

#[test]
fn a_wait_for_another_process_can_be_cancelled() {
    let folder = Folder::new();
    let path = folder.join("f");
    let mut holder = Holder::new(&folder, &path);
    let (file, other) = (file_of(&path), file_of(&path));
    for pause in 0..20 {
        let waits = [queued(&file, range(1, Exclusive, ALL)), queued(&file, whole(1, Shared))];
        let behind = queued(&file, range(2, Shared, at(19, 20)));
        let done = waits.map(end_of);
        thread::sleep(Duration::from_millis(pause % 5));
        waits.into_iter().for_each(cancel);
        done.into_iter().for_each(|done| done.recv_timeout(LONG).unwrap().unwrap());
        cancel(behind);
        // By another description: of this one the kernel may still be waiting for that range.
        assert!(free(&other, Exclusive, at(0, 10)) && !free(&other, Shared, at(19, 20)));
    }
    holder.kill();
    // A thread that was in the system's wait may have to let go of what it was given as the holder died.
    until("all is free again", || free(&file, Exclusive, ALL));
    until("the file is free, too", || try_lock(&file, whole(1, Exclusive)).unwrap().map(release).is_some());
}

#[test]
fn the_locks_of_a_process_that_is_killed_go_to_the_next() {
    let folder = Folder::new();
    let path = folder.join("f");
    let mut holder = Holder::new(&folder, &path);
    let file = file_of(&path);
    assert!(!free(&file, Shared, at(19, 20)) && !free(&file, Exclusive, ALL) && free(&file, Exclusive, from(20)));
    assert_eq!(try_lock(&file, whole(1, Shared)).unwrap(), None);
    let waits = [queued(&file, range(1, Exclusive, at(0, 11))), queued(&file_of(&path), whole(1, Exclusive))];
    let standing = queued(&file, range(2, Shared, at(15, 16)));
    let done = waits.map(end_of);
    let waiting = thread::spawn(move || wait(standing, LONG));
    thread::sleep(Duration::from_millis(20));
    assert!(done.iter().all(|done| done.try_recv().is_err()));
    let killed = Instant::now();
    holder.kill();
    done.into_iter().for_each(|done| done.recv_timeout(LONG).unwrap().unwrap());
    assert!(waiting.join().unwrap().unwrap());
    println!("the next had it after {:?}", killed.elapsed());
    assert_eq!(
        ask_elsewhere(&path, &[(Shared, at(10, 11)), (Shared, at(15, 16)), (Exclusive, ALL)]),
        [false, true, false]
    );
    waits.into_iter().for_each(release);
    release(standing);
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
}

#[test]
fn what_an_isolate_had_and_waited_for_goes_with_it() {
    let folder = Folder::new();
    let path = folder.join("f");
    let file = file_of(&path);
    let (ends, stays) = (77_001, 77_002);
    let locks = [at(0, 10), at(10, 20)].map(|extent| try_lock(&file, range(ends, Exclusive, extent)).unwrap());
    assert!(locks.iter().all(Option::is_some));
    let whole_file = try_lock(&file, whole(ends, Exclusive)).unwrap().unwrap();
    let others = try_lock(&file, range(stays, Exclusive, at(20, 30))).unwrap().unwrap();
    let waits = queued(&file, range(ends, Exclusive, at(5, 25)));
    let next = queued(&file, range(stays, Exclusive, at(0, 20)));
    let (ended, done) = (end_of(waits), end_of(next));
    end_owner(ends);
    ended.recv_timeout(LONG).unwrap().unwrap();
    done.recv_timeout(LONG).unwrap().unwrap();
    assert!(!free(&file, Exclusive, at(20, 21)) && !free(&file, Exclusive, at(0, 1)));
    assert!(try_lock(&file, whole(stays, Exclusive)).unwrap().map(release).is_some());
    assert_eq!(code(downgrade(whole_file)), "ERR_INVALID_STATE");
    end_owner(ends);
    [others, next].into_iter().for_each(release);
    assert_eq!(ask_elsewhere(&path, &[(Exclusive, ALL)]), [true]);
}

#[test]
fn who_stands_still_for_a_lock_of_its_own_is_told() {
    let folder = Folder::new();
    let path = folder.join("f");
    let me = 78_001;
    let lock = try_lock(&file_of(&path), range(me, Shared, at(0, 10))).unwrap().unwrap();
    let file = file_of(&path);
    let began = start(&file, range(me, Exclusive, at(9, 20)), true).unwrap();
    assert!(!began.held);
    assert_eq!(code(wait(began.id, LONG)), "ERR_LOCK_OVERLAP");
    assert!(free(&file, Exclusive, from(10)), "its place in the queue is gone");
    // With a timeout one only waits, and so does somebody else.
    for (owner, blocking) in [(me, false), (me + 1, true)] {
        let began = start(&file, range(owner, Exclusive, at(9, 20)), blocking).unwrap();
        assert!(!wait(began.id, Duration::from_millis(5)).unwrap());
        cancel(began.id);
    }
    release(lock);
}

#[test]
fn of_threads_that_stand_still_for_each_other_one_is_told() {
    let folder = Folder::new();
    let path = folder.join("f");
    let both_hold = Arc::new(Barrier::new(3));
    let threads: Vec<_> = (0..3)
        .map(|index: u64| {
            let (path, both_hold) = (path.clone(), Arc::clone(&both_hold));
            thread::spawn(move || {
                let owner = 79_000 + index;
                let file = file_of(&path);
                let lock = try_lock(&file, range(owner, Exclusive, at(index, index + 1))).unwrap().unwrap();
                both_hold.wait();
                let next = (index + 1) % 3;
                let began = start(&file, range(owner, Shared, at(next, next + 1)), true).unwrap();
                let deadline = Instant::now() + LONG;
                // In short steps, as the addon does.
                let outcome = loop {
                    match wait(began.id, Duration::from_millis(50)) {
                        Ok(false) => assert!(Instant::now() < deadline, "{index} waits for ever"),
                        outcome => break outcome,
                    }
                };
                release(lock);
                release(began.id);
                code(outcome)
            })
        })
        .collect();
    let mut codes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["EDEADLK", "no error", "no error"]);
    assert!(free(&file_of(&path), Exclusive, ALL));
}

#[test]
fn who_waits_for_somebody_that_can_still_let_go_is_not_told_of_a_deadlock() {
    let folder = Folder::new();
    let path = folder.join("f");
    let file = file_of(&path);
    let (one, other) = (80_001, 80_002);
    let mine = try_lock(&file, range(one, Exclusive, at(0, 1))).unwrap().unwrap();
    let theirs = try_lock(&file, range(other, Exclusive, at(1, 2))).unwrap().unwrap();
    // Awaited: some callback may still release what that isolate has.
    let awaited = queued(&file, range(other, Exclusive, at(0, 1)));
    let began = start(&file, range(one, Exclusive, at(1, 2)), true).unwrap();
    assert!(!wait(began.id, Duration::from_millis(20)).unwrap());
    let waiting = thread::spawn(move || wait(began.id, LONG));
    thread::sleep(Duration::from_millis(5));
    release(theirs);
    assert!(waiting.join().unwrap().unwrap());
    [mine, began.id, awaited].into_iter().for_each(release);
}

#[test]
#[cfg(unix)]
fn a_lock_tells_when_its_path_names_another_file() {
    use memmap_core::range_lock::replaced;
    let folder = Folder::new();
    let path = folder.file("f", b"1");
    let lock = tried(&file_of(&path), Exclusive, ALL).unwrap();
    assert!(!replaced(lock));
    let new = folder.file("new", b"2");
    std::fs::rename(new, &path).unwrap();
    assert!(replaced(lock));
    let newer = tried(&file_of(&path), Exclusive, ALL).expect("another file, so another lock");
    assert!(!replaced(newer));
    std::fs::remove_file(&path).unwrap();
    assert!(replaced(newer));
    [lock, newer].into_iter().for_each(release);
    assert!(!replaced(lock));
}

#[test]
fn what_cannot_be_locked_is_refused() {
    let folder = Folder::new();
    let missing = folder.join("missing");
    for (kind, mode) in [(Kind::Range, Shared), (Kind::Range, Exclusive), (Kind::File, Shared), (Kind::File, Exclusive)]
    {
        let opened = |path, create| LockFile::open(Source::Path(path), kind, mode, create);
        assert_eq!(code(opened(&missing, false)), "ENOENT");
        assert!(!missing.exists());
        assert_eq!(code(opened(folder.path(), false)), "EISDIR", "{kind:?} {mode:?}");
        assert_eq!(code(opened(folder.path(), true)), "EISDIR", "{kind:?} {mode:?}");
    }
    LockFile::open(Source::Path(&missing), Kind::Range, Shared, true).unwrap();
    assert!(missing.exists());
    let region = mmap_file::open(
        Source::Path(&folder.file("f", b"abc")),
        OpenOptions { keep_open: false, ..common::options(Access::Read) },
    );
    assert_eq!(code(LockFile::of_region(&region.unwrap())), "ERR_INVALID_STATE");
}

#[test]
#[cfg(unix)]
fn a_lock_needs_a_file_that_is_open_and_an_exclusive_one_one_that_is_open_for_writing() {
    let folder = Folder::new();
    let path = folder.file("f", b"abc");
    assert_eq!(code(LockFile::open(Source::Descriptor(-1), Kind::Range, Shared, false)), "EBADF");
    let file = Arc::new(LockFile::open(Source::Path(&path), Kind::Range, Shared, false).unwrap());
    assert_eq!(code(try_lock(&file, range(1, Exclusive, ALL))), "EBADF");
    assert_eq!(code(start(&file, range(1, Exclusive, ALL), false)), "EBADF");
    let region = Arc::new(LockFile::of_region(&open(&path, Access::Read)).unwrap());
    assert_eq!(code(try_lock(&region, range(1, Exclusive, ALL))), "EBADF");
    let shared = [&file, &region].map(|file| tried(file, Shared, ALL).unwrap());
    shared.into_iter().for_each(release);
    // The file as such is locked with any descriptor.
    release(try_lock(&file, whole(1, Exclusive)).unwrap().unwrap());
    assert!(free(&file_of(&path), Exclusive, ALL), "nothing stayed locked");
}

/// Bytes from 0 on; this one stands for all that follow.
const LAST: u64 = 24;

fn extent() -> impl Strategy<Value = Extent> {
    (0..LAST, 1..=LAST).prop_map(|(start, length)| {
        let end = start + length;
        at(start, if end > LAST { Extent::FOREVER } else { end })
    })
}

fn bytes(extent: Extent) -> BTreeSet<u64> {
    (extent.start..extent.end.min(LAST + 1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_extent_without_others_has_the_bytes_that_none_of_them_has(
        whole in extent(),
        others in prop::collection::vec(extent(), 0..6),
    ) {
        let mut expected = bytes(whole);
        for &other in &others {
            expected.retain(|byte| !bytes(other).contains(byte));
            prop_assert_eq!(whole.overlaps(&other), !bytes(whole).is_disjoint(&bytes(other)));
        }
        let parts = whole.without(&others);
        prop_assert!(parts.iter().all(|part| !part.is_empty()));
        // In their order, and apart.
        prop_assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert_eq!(parts.into_iter().flat_map(bytes).collect::<BTreeSet<_>>(), expected);
    }
}
