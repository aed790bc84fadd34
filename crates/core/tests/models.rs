//! Every order of events of a few threads, tried by a model checker: the algorithms are those that run, on its words in
//! place of ours. Sleeping has no timeouts here, so that a lost wake-up is a deadlock, which the checker reports.

// They are about the algorithm, and the same everywhere: once is enough, where nothing is emulated.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use memmap_core::mutex::{self, Attempt, Manner};
use memmap_core::semaphore::{Answer, Record, Semaphore, Wake};
use memmap_core::word::Word;
use memmap_core::Result;

/// Whether every load and store of a word is made by a fetch_add of 0 and a swap: the checker looks for the orders that matter by who
/// touched a word last, and misses some where a thread has read the word itself before. So models run twice, as those of rings.
static EXACT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn is_exact() -> bool {
    EXACT.load(std::sync::atomic::Ordering::Relaxed)
}

/// A word of the checker's.
struct Checked(AtomicU32);

impl Checked {
    fn new() -> Self {
        Self(AtomicU32::new(0))
    }
}

impl Word for Checked {
    fn load(&self) -> u32 {
        if is_exact() {
            return self.0.fetch_add(0, Ordering::SeqCst);
        }
        self.0.load(Ordering::SeqCst)
    }

    fn store(&self, value: u32) {
        if is_exact() {
            self.0.swap(value, Ordering::SeqCst);
            return;
        }
        self.0.store(value, Ordering::SeqCst);
    }

    fn compare_exchange(&self, old: u32, new: u32) -> std::result::Result<u32, u32> {
        self.0.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}

/// A word that threads sleep on, as on a futex.
struct Slept {
    word: Checked,
    queue: Mutex<()>,
    woken: Condvar,
}

impl Slept {
    fn new() -> Self {
        Self { word: Checked::new(), queue: Mutex::new(()), woken: Condvar::new() }
    }

    fn sleep(&self, expected: u32) {
        let queue = self.queue.lock().unwrap();
        if self.word.load() == expected {
            drop(self.woken.wait(queue).unwrap());
        }
    }

    fn wake(&self, count: u32) {
        let _queue = self.queue.lock().unwrap();
        for _ in 0..count {
            self.woken.notify_one();
        }
    }
}

const COMES: Manner = Manner { waits: true, slept: false, starves: false, asks: false };
const ALL_LIVE: fn(u32) -> Result<bool> = |_| Ok(true);

/// As lib/mutex.ts takes it: one compare-and-swap, and all else only where that fails.
fn lock(state: &Slept, me: u32) {
    if state.word.compare_exchange(0, me).is_ok() {
        return;
    }
    let mut manner = COMES;
    loop {
        match mutex::attempt(&state.word, me, manner, ALL_LIVE).unwrap() {
            Attempt::Taken { abandoned } => return assert!(!abandoned),
            Attempt::Own => panic!("it was not ours"),
            Attempt::Busy { word } => state.sleep(word),
        }
        // From the second time on it has waited for long.
        manner = Manner { slept: true, starves: manner.slept, ..COMES };
    }
}

fn unlock(state: &Slept, me: u32) {
    if state.word.compare_exchange(me, 0).is_err() && mutex::release(&state.word, me).unwrap() {
        state.wake(1);
    }
}

/// Runs a model as it is with one bound on preemptions, and exactly with another: see [`EXACT`].
fn check(bound: usize, exact: usize, model: impl Fn() + Sync + Send + 'static) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    let model = std::sync::Arc::new(model);
    for (exactly, bound) in [(false, bound), (true, exact)] {
        EXACT.store(exactly, std::sync::atomic::Ordering::Relaxed);
        let mut builder = Builder::new();
        builder.preemption_bound = Some(bound);
        builder.max_branches = 10_000;
        let orders = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (counted, model) = (std::sync::Arc::clone(&orders), std::sync::Arc::clone(&model));
        builder.check(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        });
        let orders = orders.load(std::sync::atomic::Ordering::Relaxed);
        println!("{orders} orders of events{}", if exactly { ", exactly" } else { "" });
    }
}

/// So many threads, each so often in the critical section; what they count is no atomic.
fn exclusion(threads: u32, rounds: usize, bound: usize, exact: usize) {
    check(bound, exact, move || {
        let shared = Arc::new((Slept::new(), UnsafeCell::new(0)));
        let work = move |shared: &(Slept, UnsafeCell<usize>), me| {
            for _ in 0..rounds {
                lock(&shared.0, me);
                // SAFETY: the mutex is held; that nobody else is here is what the checker looks at.
                shared.1.with_mut(|count| unsafe { *count += 1 });
                unlock(&shared.0, me);
            }
        };
        let others: Vec<_> = (2..=threads)
            .map(|me| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || work(&shared, me))
            })
            .collect();
        work(&shared, 1);
        for other in others {
            other.join().unwrap();
        }
        // SAFETY: the other threads are gone.
        assert_eq!(shared.1.with(|count| unsafe { *count }), threads as usize * rounds);
        // Free; or handed on, to sleepers that did not need it any more.
        assert!([0, mutex::HANDED].contains(&shared.0.word.load()));
    });
}

#[test]
fn of_two_threads_one_is_inside_and_none_sleeps_for_ever() {
    exclusion(2, 3, 5, 4);
}

#[test]
fn of_three_threads_one_is_inside_and_none_sleeps_for_ever() {
    exclusion(3, 1, 4, 3);
    exclusion(3, 2, 2, 2);
}

/// Where an owner dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dies {
    /// In the critical section, before anybody has come or after.
    Inside,
    /// After it has given the mutex back, before it woke anybody.
    BeforeWaking,
    /// In its sleep, or when it was woken and has not looked yet.
    Waiting,
}

/// What two that come to it share with one that dies.
struct Mortal {
    state: Slept,
    alive: AtomicBool,
    inside: AtomicBool,
    told: AtomicU32,
}

impl Mortal {
    /// Whoever sleeps wakes up some time after a death: its sleep has an end.
    fn dies(&self) {
        self.alive.store(false, Ordering::SeqCst);
        let _queue = self.state.queue.lock().unwrap();
        self.state.woken.notify_all();
    }

    /// As `Slept::sleep`; not at all where somebody has died since `alive` was asked for.
    fn sleep(&self, expected: u32, was_alive: bool) {
        let queue = self.state.queue.lock().unwrap();
        if self.state.word.load() == expected && was_alive == self.alive.load(Ordering::SeqCst) {
            drop(self.state.woken.wait(queue).unwrap());
        }
    }

    fn comes(&self, me: u32) {
        let mut manner = Manner { asks: true, ..COMES };
        let abandoned = loop {
            let was_alive = self.alive.load(Ordering::SeqCst);
            match mutex::attempt(&self.state.word, me, manner, |id| Ok(id != 1 || self.alive.load(Ordering::SeqCst)))
                .unwrap()
            {
                Attempt::Taken { abandoned } => break abandoned,
                Attempt::Own => panic!("it was not ours"),
                Attempt::Busy { word } => self.sleep(word, was_alive),
            }
            manner = Manner { slept: true, starves: manner.slept, ..manner };
        };
        assert!(!self.inside.swap(true, Ordering::SeqCst), "somebody else is inside");
        self.told.fetch_add(u32::from(abandoned), Ordering::SeqCst);
        self.inside.store(false, Ordering::SeqCst);
        unlock(&self.state, me);
    }
}

/// One dies; the two others get in, one after the other, and one of them is told if it died inside, else none.
fn death(dies: Dies, bound: usize, exact: usize) {
    check(bound, exact, move || {
        let shared = Arc::new(Mortal {
            state: Slept::new(),
            alive: AtomicBool::new(true),
            inside: AtomicBool::new(false),
            told: AtomicU32::new(0),
        });
        let word = &shared.state.word;
        if dies != Dies::Waiting {
            assert!(word.compare_exchange(0, 1).is_ok());
        }
        let others: Vec<_> = [2, 3]
            .map(|me| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.comes(me))
            })
            .into();
        match dies {
            Dies::Inside => {}
            Dies::BeforeWaking => drop(mutex::release(word, 1).unwrap()),
            Dies::Waiting => match mutex::attempt(word, 1, COMES, ALL_LIVE).unwrap() {
                Attempt::Taken { .. } => unlock(&shared.state, 1),
                Attempt::Busy { word } => shared.state.sleep(word),
                Attempt::Own => panic!("it was not ours"),
            },
        }
        shared.dies();
        for other in others {
            other.join().unwrap();
        }
        let told = shared.told.load(Ordering::SeqCst);
        assert_eq!(told, u32::from(dies == Dies::Inside));
    });
}

#[test]
fn of_two_that_come_after_a_death_inside_one_is_told_and_both_get_in() {
    death(Dies::Inside, 3, 2);
}

#[test]
fn who_dies_after_giving_back_or_in_its_sleep_keeps_nobody_out_and_nobody_is_told() {
    death(Dies::BeforeWaking, 3, 2);
    death(Dies::Waiting, 3, 2);
}

/// Permits among threads of the checker.
struct Permits {
    state: Slept,
    sequence: Slept,
    records: Vec<Record<Checked>>,
    alive: [AtomicBool; 4],
    inside: AtomicU32,
}

impl Permits {
    fn new(holders: usize) -> Self {
        let record = |_| Record { owner: Checked::new(), count: Checked::new() };
        Self {
            state: Slept::new(),
            sequence: Slept::new(),
            records: (0..holders).map(record).collect(),
            alive: [(); 4].map(|()| AtomicBool::new(true)),
            inside: AtomicU32::new(0),
        }
    }

    /// Asks until there is an answer, and wakes who is to be woken.
    fn ask(
        &self,
        me: u32,
        ask: impl Fn(&Semaphore<'_, Checked, &dyn Fn(u32) -> Result<bool>>, Manner, &mut Wake) -> Result<Answer<u32>>,
    ) -> u32 {
        let is_alive = |id: u32| Ok(self.alive[id as usize].load(Ordering::SeqCst));
        let semaphore = Semaphore {
            state: &self.state.word,
            sequence: &self.sequence.word,
            records: &self.records,
            me,
            spins: 0,
            is_alive: &is_alive as &dyn Fn(u32) -> Result<bool>,
        };
        let mut manner = COMES;
        loop {
            let mut wake = Wake::default();
            let answer = ask(&semaphore, manner, &mut wake).unwrap();
            if wake.state {
                self.state.wake(1);
            }
            self.sequence.wake(wake.sequence);
            match answer {
                Answer::Done(result) => return result,
                Answer::Busy { word } => self.state.sleep(word),
                Answer::NoneLeft { word } => self.sequence.sleep(word),
            }
            manner.slept = true;
        }
    }

    fn acquire(&self, me: u32, permits: u32) {
        self.ask(me, |semaphore, manner, wake| semaphore.acquire(permits, manner, wake));
    }

    fn release(&self, me: u32) {
        self.ask(me, |semaphore, manner, wake| semaphore.release(1, manner, wake));
    }

    fn taken(&self) -> u32 {
        self.records.iter().map(|record| record.count.load()).sum()
    }
}

/// So many threads for so many permits; none sleeps for ever, and no more are inside.
fn permits(threads: u32, permits: u32, bound: usize, exact: usize) {
    check(bound, exact, move || {
        let shared = Arc::new(Permits::new(threads as usize));
        let work = move |shared: &Permits, me| {
            shared.acquire(me, permits);
            assert!(shared.inside.fetch_add(1, Ordering::SeqCst) < permits);
            shared.inside.fetch_sub(1, Ordering::SeqCst);
            shared.release(me);
        };
        let others: Vec<_> = (2..=threads)
            .map(|me| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || work(&shared, me))
            })
            .collect();
        work(&shared, 1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.taken(), 0);
    });
}

#[test]
fn no_more_than_the_permits_are_inside_and_none_sleeps_for_ever() {
    permits(2, 1, 4, 3);
    permits(3, 1, 2, 1);
    permits(3, 2, 2, 1);
}

#[test]
fn a_permit_of_the_dead_comes_back_once_and_wakes_who_waits() {
    check(2, 2, || {
        let shared = Arc::new(Permits::new(3));
        shared.acquire(1, 1);
        shared.alive[1].store(false, Ordering::SeqCst);
        let waiting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.acquire(2, 1))
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ask(3, |semaphore, manner, wake| semaphore.recover(manner, wake)))
        };
        assert_eq!(other.join().unwrap(), 1);
        waiting.join().unwrap();
        assert_eq!(shared.taken(), 1);
    });
}
