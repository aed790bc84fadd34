//! Words of shared memory as meeting points: threads and mappings of one process stand in for processes here.

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use common::{code, emulated, open, skipped, Folder};
use memmap_core::limits::{capabilities, Support};
use memmap_core::shared_memory::{self, NameOptions};
use memmap_core::wait::waiter::{self, Key};
use memmap_core::wait::{Outcome, Word};
use memmap_core::{private_memory, Access, Region, Result};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

fn supported(feature: &str) -> Support {
    capabilities().into_iter().find(|(name, _)| *name == feature).unwrap().1
}

/// Whether each call is told to just one wait, and none is overlooked: io_uring, or the named objects of Windows.
fn exact() -> bool {
    cfg!(windows) || (cfg!(target_os = "linux") && !emulated() && ring_allowed())
}

#[cfg(target_os = "linux")]
fn ring_allowed() -> bool {
    // What a container forbids, and an older kernel does not know.
    std::env::var_os("MEMMAP_WAITER").is_none() && io_uring::IoUring::new(2).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn ring_allowed() -> bool {
    false
}

fn named() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    format!("w-{}-{}-{now}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Two mappings of the same memory, as two processes have them.
fn two(len: usize) -> (Region, Region) {
    let name = named();
    let one = shared_memory::create(&name, len, NameOptions { mode: 0o600, unlink_on_close: true }).unwrap();
    let other = shared_memory::open(&name, Access::Write, Some(len as u64)).unwrap();
    // Both go on having it. Windows knows no such thing: there the name goes with the last of them.
    let _ = shared_memory::unlink(&name);
    (one, other)
}

fn store(region: &Region, offset: u64, value: u32) {
    region.mapping().write(offset, &value.to_le_bytes()).unwrap();
}

fn notify(region: &mut Region, offset: u64, count: u32) -> u32 {
    Word::of(region, offset).unwrap().notify(count).unwrap()
}

/// A wait of the thread's, and what it is told.
struct Begun {
    key: Key,
    told: Receiver<Result<()>>,
}

impl Begun {
    fn new(owner: u64, number: u64, region: &mut Region, offset: u64, expected: u32) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let key = Key { owner, number: NEXT.fetch_add(1, Ordering::Relaxed) };
        let (tell, told) = channel();
        let done = Box::new(move |outcome| drop(tell.send(outcome)));
        waiter::begin(key, number, region, offset, expected, done).unwrap().then_some(Self { key, told })
    }

    fn ends(&self) -> &'static str {
        match self.told.recv_timeout(LONG) {
            Ok(outcome) => code(outcome),
            Err(_) => "nothing",
        }
    }

    fn is_pending(&self) -> bool {
        self.told.recv_timeout(SHORT).is_err()
    }
}

fn owner() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_wait_ends_by_a_call_through_another_mapping() {
    let (mut mine, mut theirs) = two(8192);
    let word = Word::of(&mut mine, 4100).unwrap();
    assert_eq!(word.wait(1, LONG).unwrap(), Outcome::Different);
    let before = Instant::now();
    assert_eq!(word.wait(0, SHORT).unwrap(), Outcome::TimedOut);
    assert!(before.elapsed() >= SHORT);
    assert_eq!(word.wait(0, Duration::ZERO).unwrap(), Outcome::TimedOut);
    assert_eq!(notify(&mut theirs, 4100, u32::MAX), 0, "who has given up is not called");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| word.wait(0, LONG).unwrap());
        // The word stays as it is: only the call can end it.
        let woken = (0..20_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            notify(&mut theirs, 4100, 1) == 1
        });
        assert!(woken);
        assert_eq!(waits.join().unwrap(), Outcome::Woken);
        let waits = scope.spawn(|| word.wait(0, LONG).unwrap());
        std::thread::sleep(SHORT);
        store(&theirs, 4100, 7);
        notify(&mut theirs, 4100, u32::MAX);
        assert_ne!(waits.join().unwrap(), Outcome::TimedOut);
    });
}

#[test]
fn what_nobody_else_has_and_what_is_no_word_is_refused() {
    let folder = Folder::new();
    let path = folder.file("file", &[0; 100]);
    let mut private = private_memory::allocate(100, private_memory::AllocateOptions::default()).unwrap();
    assert_eq!(code(Word::of(&mut private, 0)), "ERR_INVALID_STATE");
    assert_eq!(code(Word::of(&mut open(&path, Access::Copy), 0)), "ERR_INVALID_STATE");
    let mut file = open(&path, Access::Write);
    for offset in [97, 100, 1 << 40, u64::MAX] {
        assert_eq!(code(Word::of(&mut file, offset)), "ERR_OUT_OF_RANGE", "{offset}");
    }
    assert_eq!(code(Word::of(&mut file, 2)), "ERR_OUT_OF_RANGE");
    assert_eq!(code(Word::of(&mut file, 96)), "no error");
}

#[test]
fn a_region_opened_for_reading_waits_and_calls() {
    let folder = Folder::new();
    let path = folder.file("file", &[0; 20_000]);
    let (mut reads, mut writes) = (open(&path, Access::Read), open(&path, Access::Write));
    let begun = Begun::new(owner(), 1, &mut reads, 16_384, 0).unwrap();
    assert!(begun.is_pending());
    store(&writes, 16_384, 1);
    notify(&mut writes, 16_384, 1);
    assert_eq!(begun.ends(), "no error");
    assert!(Begun::new(owner(), 1, &mut reads, 16_384, 0).is_none(), "it is another word by now");
    let word = Word::of(&mut writes, 0).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| word.wait(0, LONG).unwrap());
        std::thread::sleep(SHORT);
        store(&open(&path, Access::Write), 0, 1);
        notify(&mut reads, 0, 1);
        assert_eq!(waits.join().unwrap(), Outcome::Woken);
    });
}

#[test]
fn a_thousand_waits_are_called_one_by_one() {
    const WAITS: usize = 1000;
    let (mut mine, mut theirs) = two(65_536);
    let owner = owner();
    let begun: Vec<_> = (0..WAITS).map(|_| Begun::new(owner, 1, &mut mine, 64, 0).unwrap()).collect();
    if exact() {
        let ended = || begun.iter().filter(|begun| begun.told.try_recv().is_ok()).count();
        let count = |wanted: usize| {
            let end = Instant::now() + LONG;
            let mut sum = ended();
            while sum < wanted && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
                sum += ended();
            }
            std::thread::sleep(SHORT);
            sum + ended()
        };
        assert_eq!(notify(&mut theirs, 64, 10), 10);
        assert_eq!(count(10), 10);
        assert_eq!(notify(&mut theirs, 64, u32::MAX), 990);
        assert_eq!(count(990), 990);
        assert_eq!(notify(&mut theirs, 64, u32::MAX), 0);
    } else {
        skipped("calls are counted only where the system tells each");
        store(&theirs, 64, 1);
        notify(&mut theirs, 64, u32::MAX);
        assert!(begun.iter().all(|begun| begun.ends() == "no error"));
    }
    // As many words, each called once.
    let begun: Vec<_> = (0..WAITS).map(|at| Begun::new(owner, 1, &mut mine, 128 + 4 * at as u64, 0).unwrap()).collect();
    for (at, begun) in begun.iter().enumerate().rev() {
        assert!(begun.told.try_recv().is_err(), "nobody has called {at}");
        store(&theirs, 128 + 4 * at as u64, 1);
        notify(&mut theirs, 128 + 4 * at as u64, 1);
        if at % 100 == 0 {
            assert_eq!(begun.ends(), "no error");
        }
    }
    assert!(begun.iter().enumerate().all(|(at, begun)| at % 100 == 0 || begun.ends() == "no error"));
}

#[test]
fn a_wait_that_is_given_up_takes_no_call_from_others() {
    let (mut mine, mut theirs) = two(4096);
    let owner = owner();
    let mut value = 0;
    for round in 0..1000_u32 {
        let begun: Vec<_> = (0..2).map(|_| Begun::new(owner, 1, &mut mine, 0, value).unwrap()).collect();
        // Not where calls are told: then the call alone has to do.
        if !exact() || round % 2 == 0 {
            value += 1;
            store(&theirs, 0, value);
        }
        // At once with the call, which may have chosen just that one.
        let about_to = AtomicU32::new(0);
        let given_up = std::thread::scope(|scope| {
            let calls = scope.spawn({
                let (about_to, word) = (&about_to, Word::of(&mut theirs, 0).unwrap());
                move || {
                    about_to.store(1, Ordering::SeqCst);
                    word.notify(1).unwrap()
                }
            });
            while about_to.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            // A little later each time: between the call and the answer is a thread's waking.
            let later = Instant::now() + Duration::from_nanos(u64::from(round % 100) * 300);
            while Instant::now() < later {}
            let given_up = waiter::give_up(begun[0].key);
            calls.join().unwrap();
            given_up
        });
        if !given_up {
            assert_eq!(begun[0].ends(), "no error", "it had the call before");
            notify(&mut theirs, 0, 1);
        }
        // One alone was called: if it was the one that had been given up, the call is handed on.
        assert_eq!(begun[1].ends(), "no error", "round {round}");
        assert!(!waiter::give_up(begun[1].key), "it has ended");
    }
}

#[test]
fn a_call_at_the_moment_in_which_a_wait_begins_is_not_missed() {
    let rounds = if emulated() { 300 } else { 3000 };
    let (mut mine, mut theirs) = two(4096);
    let (owner, turn) = (owner(), AtomicU32::new(0));
    let missed = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                while turn.load(Ordering::SeqCst) <= round {
                    std::thread::yield_now();
                }
                // A little later each time, up to some 20 microseconds.
                let later = Instant::now() + Duration::from_nanos(u64::from(round % 100) * 200);
                while Instant::now() < later {}
                store(&theirs, 0, round + 1);
                notify(&mut theirs, 0, u32::MAX);
            }
        });
        let missed = (0..rounds).find(|&round| {
            turn.store(round + 1, Ordering::SeqCst);
            // Where nothing has begun, the other was faster.
            Begun::new(owner, 1, &mut mine, 0, round).is_some_and(|begun| begun.ends() != "no error")
        });
        turn.store(u32::MAX, Ordering::SeqCst);
        missed
    });
    assert_eq!(missed, None);
}

#[test]
fn waits_end_with_their_region_and_follow_it_where_it_is_mapped_anew() {
    let folder = Folder::new();
    let path = folder.file("file", &[0; 20_000]);
    let (mut mine, mut theirs) = (open(&path, Access::Read), open(&path, Access::Write));
    let owner = owner();
    let stays = Begun::new(owner, 5, &mut mine, 0, 0).unwrap();
    let goes = Begun::new(owner, 5, &mut mine, 16_384, 0).unwrap();
    let elsewhere = Begun::new(owner, 6, &mut theirs, 0, 0).unwrap();
    if cfg!(not(windows)) {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8000).unwrap();
        let old = mine.refresh().unwrap().unwrap();
        waiter::region_moved(owner, 5, &mut mine);
        old.close();
        let ended = goes.ends();
        // Whoever looked at the word between the two has found its page gone: the thread that begins it, or looks at all in turn.
        assert!(matches!(ended, "ERR_OUT_OF_RANGE" | "ERR_REGION_FAULTED"), "{ended}");
    } else {
        assert!(waiter::give_up(goes.key));
    }
    assert!(stays.is_pending());
    store(&theirs, 0, 1);
    notify(&mut theirs, 0, u32::MAX);
    assert_eq!((stays.ends(), elsewhere.ends()), ("no error", "no error"));
    let closed = Begun::new(owner, 5, &mut mine, 4, 0).unwrap();
    let other = Begun::new(owner, 6, &mut theirs, 4, 0).unwrap();
    waiter::region_closed(owner, 5);
    mine.close();
    assert_eq!(closed.ends(), "ERR_REGION_CLOSED");
    assert!(other.is_pending());
    waiter::end_owner(owner);
    assert!(!waiter::give_up(other.key), "it went with its owner");
}

#[test]
fn every_system_says_how_it_waits() {
    assert_ne!(supported("wait"), Support::Absent);
    assert_ne!(supported("waitAsync"), Support::Absent);
}
