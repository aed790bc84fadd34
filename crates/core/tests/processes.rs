//! Mutexes, semaphores and waiting between real processes, that are killed, too. These are also run where another system or
//! processor is emulated; what takes signals or many thousand processes is in `__test__/`, for Linux.

mod common;
#[path = "common/isolate.rs"]
mod isolate;
#[path = "common/processes.rs"]
mod processes;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::emulated;
use isolate::Isolate;
use memmap_core::mutex::{Attempt, Manner, WAITERS};
use memmap_core::owners::Kind;
use memmap_core::wait::waiter::{self, Key};
use memmap_core::wait::{Outcome, Word};
use memmap_core::Region;
use processes::{opened, read, told, until, write, Memory, Other, LONG};

const LENGTH: usize = 65_536;
/// Where things are, each far from the others.
const MUTEX: u64 = 64;
const SEMAPHORE: u64 = 4096;
const COUNTER: u64 = 8192;
const SAID: u64 = 8448;
const ASKED: u64 = 8704;
const ANSWERED: u64 = 8960;
const MEETING: u64 = 12_288;

const PROCESSES: u32 = 4;

fn fewer(natively: u32, emulated_: u32) -> u32 {
    if emulated() {
        emulated_
    } else {
        natively
    }
}

/// All begin when all are there.
fn meet(region: &Region, at: u32) {
    write(region, MEETING + 64 * u64::from(at), 1);
    until("all processes are there", || (0..PROCESSES).all(|at| read(region, MEETING + 64 * u64::from(at)) == 1));
}

fn mutex_in(region: Region) -> Isolate {
    Isolate::of(region, MUTEX, Kind::Mutex).unwrap()
}

fn sections() -> u32 {
    fewer(100_000, 20_000)
}

#[test]
fn four_processes_are_in_a_critical_section_in_turn_and_what_is_no_atomic_counts_them() {
    let memory = Memory::new(LENGTH);
    let begun = Instant::now();
    let others = (0..PROCESSES).map(|at| Other::start("part_counts", &[&memory.name, &at.to_string()]));
    others.collect::<Vec<_>>().into_iter().for_each(Other::ends_well);
    assert_eq!(read(&memory.region, COUNTER), PROCESSES * sections());
    println!("{PROCESSES} × {} sections took {:?}", sections(), begun.elapsed());
}

#[test]
fn part_counts() {
    let Some(told) = told("part_counts") else { return };
    let mut isolate = mutex_in(opened(&told[0]));
    meet(&isolate.region, told[1].parse().unwrap());
    for _ in 0..sections() {
        assert!(!isolate.lock());
        isolate.write(COUNTER, isolate.read(COUNTER) + 1);
        isolate.release();
    }
}

#[test]
fn an_owner_that_is_killed_is_dead_and_the_one_that_waits_is_told() {
    let memory = Memory::new(LENGTH);
    let mut here = mutex_in(memory.again());
    let mut longest = Duration::ZERO;
    for _ in 0..fewer(20, 5) {
        write(&memory.region, SAID, 0);
        let owner = Other::start("part_owns", &[&memory.name]);
        until("the other process has the mutex", || here.read(SAID) == 1);
        let asks = Manner { asks: true, ..Manner::default() };
        assert!(matches!(here.attempt(asks).unwrap(), Some(Attempt::Busy { .. })), "its owner lives");
        let waiter = Other::start("part_takes", &[&memory.name]);
        until("another one sleeps", || here.read(MUTEX + isolate::STATE) & WAITERS != 0);
        let begun = Instant::now();
        owner.kill();
        until("it was told", || here.read(SAID) >= 2);
        longest = longest.max(begun.elapsed());
        assert_eq!(here.read(SAID), 3, "that the last owner had died");
        waiter.ends_well();
        assert!(!here.lock(), "and nobody else is");
        here.release();
    }
    println!("{longest:?} from the kill on, at most");
}

#[test]
fn part_owns() {
    let Some(told) = told("part_owns") else { return };
    let mut isolate = mutex_in(opened(&told[0]));
    assert!(!isolate.lock());
    isolate.write(SAID, 1);
    std::thread::sleep(LONG);
}

#[test]
fn part_takes() {
    let Some(told) = told("part_takes") else { return };
    let mut isolate = mutex_in(opened(&told[0]));
    let abandoned = isolate.lock();
    isolate.write(SAID, 2 + u32::from(abandoned));
    isolate.release();
}

/// What is taken, by the table.
fn taken(region: &Region) -> u32 {
    (SEMAPHORE + 64..SEMAPHORE + 2048).step_by(8).map(|at| read(region, at + 4)).sum()
}

#[test]
fn permits_are_exact_when_one_that_has_some_and_one_that_waits_are_killed() {
    const PERMITS: u32 = 3;
    let memory = Memory::new(LENGTH);
    let mut here = Isolate::of(memory.again(), SEMAPHORE, Kind::Semaphore).unwrap();
    here.acquire(PERMITS);
    for _ in 0..fewer(10, 3) {
        write(&memory.region, SAID, 0);
        let holder = Other::start("part_holds", &[&memory.name, "2"]);
        until("the other process has its permits", || here.read(SAID) == 2);
        // The lowest bit of the sequence: somebody may sleep.
        let sleeps = || here.read(SEMAPHORE + isolate::SEQUENCE) & 1 == 1;
        let waiting = Other::start("part_holds", &[&memory.name, "1"]);
        until("another one sleeps", sleeps);
        waiting.kill();
        assert_eq!(taken(&memory.region), PERMITS);
        assert_eq!(here.recover(), 0, "one that only waited had nothing");
        let waits = Other::start("part_holds", &[&memory.name, "1"]);
        until("one more sleeps", || here.read(SEMAPHORE + isolate::SEQUENCE) & 1 == 1);
        holder.kill();
        assert_eq!((taken(&memory.region), here.read(SAID)), (PERMITS, 2), "the dead keep theirs");
        assert_eq!(here.recover(), 2);
        until("who waited has one", || here.read(SAID) == 3);
        assert_eq!(taken(&memory.region), 2);
        waits.kill();
        assert_eq!(here.recover(), 1);
        assert_eq!(taken(&memory.region), 1);
    }
}

#[test]
fn part_holds() {
    let Some(told) = told("part_holds") else { return };
    let mut isolate = Isolate::of(opened(&told[0]), SEMAPHORE, Kind::Semaphore).unwrap();
    for _ in 0..told[1].parse().unwrap() {
        isolate.acquire(3);
        isolate.write(SAID, isolate.read(SAID) + 1);
    }
    std::thread::sleep(LONG);
}

/// Waits until a word is another one, by a wait that is called each time: nobody looks at it again by himself.
fn wait_while(region: &mut Region, offset: u64, value: u32) {
    while read(region, offset) == value {
        let ended = Word::of(region, offset).unwrap().wait(value, LONG).unwrap();
        assert_ne!(ended, Outcome::TimedOut, "a call was missed");
    }
}

/// The same by the thread that waits for all.
fn await_while(region: &mut Region, offset: u64, value: u32) {
    while read(region, offset) == value {
        let (tell, told) = channel();
        let key = Key { owner: 1, number: value };
        if waiter::begin(key, 1, region, offset, value, Box::new(move |ended| drop(tell.send(ended)))).unwrap() {
            told.recv_timeout(LONG).expect("a call was missed").unwrap();
        }
    }
}

fn store_and_call(region: &mut Region, offset: u64, value: u32) {
    write(region, offset, value);
    Word::of(region, offset).unwrap().notify(1).unwrap();
}

fn turns() -> u32 {
    fewer(2000, 500)
}

#[test]
fn two_processes_call_each_other_and_no_call_is_missed() {
    let memory = Memory::new(LENGTH);
    let mut here = memory.again();
    let other = Other::start("part_answers", &[&memory.name]);
    let begun = Instant::now();
    for turn in 0..turns() {
        store_and_call(&mut here, ASKED, turn + 1);
        if turn % 2 == 0 {
            wait_while(&mut here, ANSWERED, turn);
        } else {
            await_while(&mut here, ANSWERED, turn);
        }
    }
    other.ends_well();
    println!("{} turns took {:?}", turns(), begun.elapsed());
}

#[test]
fn part_answers() {
    let Some(told) = told("part_answers") else { return };
    let mut here = opened(&told[0]);
    for turn in 0..turns() {
        if turn % 4 < 2 {
            wait_while(&mut here, ASKED, turn);
        } else {
            await_while(&mut here, ASKED, turn);
        }
        store_and_call(&mut here, ANSWERED, turn + 1);
    }
}

#[test]
fn a_process_that_is_killed_in_a_wait_leaves_the_others_their_calls() {
    let memory = Memory::new(LENGTH);
    let mut here = memory.again();
    for turn in 0..fewer(10, 3) {
        let waits = |says: &str| {
            let other = Other::start("part_waits", &[&memory.name, &turn.to_string(), says]);
            until("another process waits", || read(&memory.region, SAID).to_string() == says);
            std::thread::sleep(Duration::from_millis(20));
            other
        };
        let killed = waits(&format!("{}", 2 * turn + 1));
        let other = waits(&format!("{}", 2 * turn + 2));
        killed.kill();
        store_and_call(&mut here, ASKED, turn + 1);
        // As many as there may be: the one that is dead had a place, too, where calls are counted (Windows).
        Word::of(&mut here, ASKED).unwrap().notify(u32::MAX).unwrap();
        other.ends_well();
    }
}

#[test]
fn part_waits() {
    let Some(told) = told("part_waits") else { return };
    let mut here = opened(&told[0]);
    write(&here, SAID, told[2].parse().unwrap());
    wait_while(&mut here, ASKED, told[1].parse().unwrap());
}
