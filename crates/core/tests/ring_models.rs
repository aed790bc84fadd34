//! The ring's algorithm under loom, which runs a model once for each order in which its threads can see each other's
//! stores. It is the very files that the crate has, compiled with loom's atomics. Sleep has no timeouts here: a wake-up
//! that is lost is a deadlock, which loom reports.

// They are about the algorithm, and the same everywhere: once is enough, where nothing is emulated.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

#[allow(dead_code)]
#[path = "../src/ring/layout.rs"]
mod layout;
#[allow(dead_code)]
#[path = "../src/ring/queue.rs"]
mod queue;
#[allow(dead_code)]
#[path = "../src/ring/seats.rs"]
mod seats;
/// loom's atomics. It looks for the orders that matter by who touched a word last, and misses those where a thread has read the
/// word itself before it swaps it, as all of ours do. So models run twice: as they are, where loads may see old values; and
/// with every load and store made by a swap or a fetch_add of 0, which it never misses.
#[allow(dead_code)]
mod sync {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{fence, Ordering};

        pub(crate) static EXACT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

        macro_rules! checked {
            ($name:ident, $value:ty) => {
                #[derive(Debug, Default)]
                pub(crate) struct $name(loom::sync::atomic::$name);

                impl $name {
                    pub(crate) fn new(value: $value) -> Self {
                        Self(loom::sync::atomic::$name::new(value))
                    }

                    pub(crate) fn load(&self, order: Ordering) -> $value {
                        if EXACT.load(Ordering::Relaxed) {
                            return self.0.fetch_add(0, Ordering::AcqRel);
                        }
                        self.0.load(order)
                    }

                    pub(crate) fn store(&self, value: $value, order: Ordering) {
                        if EXACT.load(Ordering::Relaxed) {
                            self.0.swap(value, Ordering::AcqRel);
                            return;
                        }
                        self.0.store(value, order);
                    }

                    pub(crate) fn compare_exchange(
                        &self,
                        old: $value,
                        new: $value,
                        won: Ordering,
                        lost: Ordering,
                    ) -> Result<$value, $value> {
                        self.0.compare_exchange(old, new, won, lost)
                    }

                    pub(crate) fn compare_exchange_weak(
                        &self,
                        old: $value,
                        new: $value,
                        won: Ordering,
                        lost: Ordering,
                    ) -> Result<$value, $value> {
                        self.0.compare_exchange(old, new, won, lost)
                    }

                    pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                        self.0.fetch_add(value, order)
                    }

                    pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                        self.0.fetch_or(value, order)
                    }
                }
            };
        }

        checked!(AtomicU64, u64);
        checked!(AtomicU32, u32);
    }
}

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use layout::{Control, Place, Seat, Shape, CELL};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use queue::{about_to_sleep, has_sleepers, Call, Popped, Pushed, Queue, Step, World};
use sync::atomic::{AtomicU32, AtomicU64, EXACT};

/// A ring with what the system is to it: memory, sleep, and knowledge of who has died. Seat `n` is that of participant `n + 1`.
struct Model {
    control: Control,
    seats: Vec<Seat>,
    headers: Vec<AtomicU64>,
    /// Of each cell. loom fails the model if one is read while it may be written.
    cells: Vec<UnsafeCell<u64>>,
    dead: AtomicBool,
    asleep: Mutex<()>,
    woken: Condvar,
}

/// Everybody lives, but participant 1 once it is said to be dead.
struct Life<'a> {
    model: &'a Model,
    dies: Option<Step>,
}

impl World for Life<'_> {
    fn is_dead(&self, owner: u64) -> bool {
        owner == 1 && self.model.dead.load(SeqCst)
    }

    fn lives_on(&self, step: Step) -> bool {
        self.dies != Some(step)
    }
}

impl Model {
    fn new(cells: usize) -> Self {
        let seat = |owner| Seat { owner: AtomicU64::new(owner), claim: AtomicU64::new(0) };
        Self {
            control: Control::default(),
            seats: (1..=4).map(seat).collect(),
            headers: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            cells: (0..cells).map(|_| UnsafeCell::new(0)).collect(),
            dead: AtomicBool::new(false),
            asleep: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    fn queue(&self) -> Queue<'_> {
        let shape = Shape::new(self.headers.len() * CELL);
        Queue { shape, control: &self.control, seats: &self.seats, headers: &self.headers }
    }

    fn indexes(&self, place: Place) -> Vec<usize> {
        let cells = (place.first + place.rest).div_ceil(CELL).max(1);
        (0..cells).map(|at| (place.start / CELL + at) % self.cells.len()).collect()
    }

    /// A record of so many cells, all of which hold this.
    fn push(&self, seat: usize, value: u64, cells: usize, dies: Option<Step>) -> Pushed {
        let call = Call { seat, recover: true, world: &Life { model: self, dies } };
        let write = |place| {
            for index in self.indexes(place) {
                // SAFETY: loom looks whether anybody else is there.
                self.cells[index].with_mut(|cell| unsafe { *cell = value });
            }
        };
        let pushed = self.queue().push(&call, cells * CELL, &mut 0, write).expect("nothing is broken");
        if pushed == Pushed::In {
            self.wake(&self.control.data.0);
        }
        pushed
    }

    fn pop(&self, seat: usize, dies: Option<Step>) -> (Popped, u64) {
        let call = Call { seat, recover: true, world: &Life { model: self, dies } };
        let mut value = 0;
        let read = |place| {
            for (at, index) in self.indexes(place).into_iter().enumerate() {
                // SAFETY: as above.
                let found = self.cells[index].with(|cell| unsafe { *cell });
                assert!(at == 0 || found == value, "a record of two halves");
                value = found;
            }
        };
        let popped = self.queue().pop(&call, usize::MAX, read).expect("nothing is broken");
        if matches!(popped, Popped::Out(_)) {
            self.wake(&self.control.space.0);
        }
        (popped, value)
    }

    fn wake(&self, word: &AtomicU32) {
        if has_sleepers(word) {
            drop(self.asleep.lock().unwrap());
            self.woken.notify_all();
        }
    }

    /// What the system does where a word is as expected.
    fn sleep(&self, word: &AtomicU32, expected: u32) {
        let asleep = self.asleep.lock().unwrap();
        if word.load(SeqCst) == expected {
            drop(self.woken.wait(asleep).unwrap());
        }
    }

    fn push_waiting(&self, seat: usize, value: u64, cells: usize) {
        loop {
            if self.push(seat, value, cells, None) == Pushed::In {
                return;
            }
            let expected = about_to_sleep(&self.control.space.0);
            if self.push(seat, value, cells, None) == Pushed::In {
                return;
            }
            self.sleep(&self.control.space.0, expected);
        }
    }

    /// The next record; none at the end.
    fn pop_waiting(&self, seat: usize) -> Option<u64> {
        loop {
            let mut expected = None;
            for _ in 0..2 {
                match self.pop(seat, None) {
                    (Popped::Out(_), value) => return Some(value),
                    (Popped::Ended, _) => return None,
                    _ => {}
                }
                expected.get_or_insert_with(|| about_to_sleep(&self.control.data.0));
            }
            self.sleep(&self.control.data.0, expected.unwrap());
        }
    }

    /// All that is in now.
    fn drain(&self, seat: usize) -> Vec<u64> {
        let mut values = Vec::new();
        loop {
            match self.pop(seat, None) {
                (Popped::Out(_), value) => values.push(value),
                (Popped::Empty, _) => return values,
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}

/// Runs a model as it is with one bound on preemptions, and exactly with another: see `sync`.
fn check(preemptions: usize, exact: usize, model: impl Fn() + Sync + Send + 'static) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    let model = std::sync::Arc::new(model);
    for (is_exact, bound) in [(false, preemptions), (true, exact)] {
        EXACT.store(is_exact, Relaxed);
        let orders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (count, model) = (orders.clone(), model.clone());
        let mut builder = loom::model::Builder::new();
        // LOOM_MAX_PREEMPTIONS sets another bound.
        builder.preemption_bound = builder.preemption_bound.or(Some(bound));
        builder.max_branches = 10_000;
        builder.check(move || {
            count.fetch_add(1, Relaxed);
            model();
        });
        println!("{} orders{}", orders.load(Relaxed), if is_exact { ", exactly" } else { "" });
    }
}

fn in_order(values: &[u64], of: u64) -> bool {
    let own: Vec<_> = values.iter().filter(|&&value| value / 10 == of).collect();
    own.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn one_to_one_in_a_ring_that_is_too_small_every_record_arrives_once_in_order() {
    check(3, 3, || {
        let model = Arc::new(Model::new(2));
        let theirs = Arc::clone(&model);
        let producer = thread::spawn(move || {
            for value in 1..=3 {
                theirs.push_waiting(0, value, 1 + value as usize % 2);
            }
        });
        let values: Vec<_> = (0..3).map(|_| model.pop_waiting(1).unwrap()).collect();
        producer.join().unwrap();
        assert_eq!(values, [1, 2, 3]);
    });
}

/// Two push and some pop as long as they can at once; what is left is popped in the end. The ring begins its second lap.
fn two_and(consumers: usize, preemptions: usize, each: u64) {
    check(preemptions, 2, move || {
        let model = Arc::new(Model::new(2));
        assert_eq!(model.push(0, 1, 1, None), Pushed::In);
        assert_eq!(model.drain(0), [1]);
        let theirs = Arc::clone(&model);
        let producer = thread::spawn(move || push_some(&theirs, 0, each));
        let consumers: Vec<_> = (2..2 + consumers)
            .map(|seat| {
                let model = Arc::clone(&model);
                thread::spawn(move || (0..each).filter_map(|_| popped(&model, seat)).collect::<Vec<_>>())
            })
            .collect();
        let mut pushed = push_some(&model, 1, each);
        pushed.extend(producer.join().unwrap());
        let mut values = Vec::new();
        for consumer in consumers {
            let own = consumer.join().unwrap();
            assert!(in_order(&own, 1) && in_order(&own, 2), "{own:?}");
            values.extend(own);
        }
        values.extend(model.drain(3));
        pushed.sort_unstable();
        values.sort_unstable();
        assert_eq!(values, pushed);
    });
}

fn push_some(model: &Model, seat: usize, most: u64) -> Vec<u64> {
    let values = (1..=most).map(|turn| 10 * (seat as u64 + 1) + turn);
    values.take_while(|&value| model.push(seat, value, 1, None) == Pushed::In).collect()
}

fn popped(model: &Model, seat: usize) -> Option<u64> {
    match model.pop(seat, None) {
        (Popped::Out(_), value) => Some(value),
        _ => None,
    }
}

#[test]
fn two_producers_and_two_consumers_every_record_arrives_once() {
    two_and(2, 0, 1);
}

#[test]
fn two_producers_and_one_consumer_each_producers_records_come_in_order() {
    two_and(1, 1, 2);
}

#[test]
fn two_consumers_that_finish_at_once_leave_room_for_a_producer_that_sleeps() {
    check(2, 3, || {
        let model = Arc::new(Model::new(2));
        assert_eq!(model.push(0, 1, 1, None), Pushed::In);
        assert_eq!(model.push(0, 2, 1, None), Pushed::In);
        let mut consumers = Vec::new();
        for seat in 1..=2 {
            let model = Arc::clone(&model);
            consumers.push(thread::spawn(move || model.pop_waiting(seat).unwrap()));
        }
        model.push_waiting(0, 3, 2);
        let values: HashSet<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(values, HashSet::from([1, 2]));
        assert_eq!(model.drain(1), [3]);
    });
}

#[test]
fn a_record_is_in_before_the_end_or_its_producer_is_told() {
    check(3, 3, || {
        let model = Arc::new(Model::new(1));
        let theirs = Arc::clone(&model);
        let producer = thread::spawn(move || theirs.push(0, 1, 1, None));
        let theirs = Arc::clone(&model);
        let ender = thread::spawn(move || {
            theirs.queue().end();
            theirs.wake(&theirs.control.data.0);
        });
        let value = model.pop_waiting(1);
        let pushed = producer.join().unwrap();
        ender.join().unwrap();
        assert_eq!(value.is_some(), pushed == Pushed::In, "{value:?} {pushed:?}");
        if value.is_some() {
            assert_eq!(model.pop_waiting(1), None);
        }
        assert_eq!(model.push(0, 2, 1, None), Pushed::Ended);
    });
}

/// One dies at this step of its push. Whoever is there at the same time, and after it, goes on.
fn producer_dies(step: Step) {
    check(4, 3, move || {
        let model = Arc::new(Model::new(2));
        let theirs = Arc::clone(&model);
        let dying = thread::spawn(move || {
            theirs.push(0, 1, 1, Some(step));
            theirs.dead.store(true, SeqCst);
        });
        let theirs = Arc::clone(&model);
        let living = thread::spawn(move || theirs.push_waiting(1, 2, 1));
        let mut values = Vec::from_iter(popped(&model, 2));
        dying.join().unwrap();
        living.join().unwrap();
        values.extend(model.drain(2));
        let whole = matches!(step, Step::Committed);
        assert!(values.contains(&2), "{values:?}");
        assert_eq!(values.contains(&1), whole, "{values:?}");
        assert_eq!(values.len(), 1 + usize::from(whole));
        // All of the ring can be used again.
        assert_eq!(model.push(1, 3, 2, None), Pushed::In);
        assert_eq!(model.drain(2), [3]);
    });
}

#[test]
fn a_producer_that_dies_at_any_step_takes_nobody_with_it() {
    for step in [Step::Claimed, Step::Reserved, Step::TailMoved, Step::Written, Step::Committed] {
        producer_dies(step);
    }
}

/// One dies at this step of its pop. Its record is gone, or is still there for others; the rest goes on.
fn consumer_dies(step: Step) {
    check(4, 3, move || {
        let model = Arc::new(Model::new(2));
        assert_eq!(model.push(1, 1, 1, None), Pushed::In);
        assert_eq!(model.push(1, 2, 1, None), Pushed::In);
        let theirs = Arc::clone(&model);
        let dying = thread::spawn(move || {
            let popped = theirs.pop(0, Some(step));
            theirs.dead.store(true, SeqCst);
            popped
        });
        let theirs = Arc::clone(&model);
        let living = thread::spawn(move || popped(&theirs, 2));
        let pushed = model.push(1, 3, 1, None) == Pushed::In;
        dying.join().unwrap();
        let mut values = Vec::from_iter(living.join().unwrap());
        values.extend(model.drain(2));
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}");
        let lost = usize::from(step != Step::Claimed);
        assert_eq!(values.len(), 2 + usize::from(pushed) - lost, "{values:?}");
        assert_eq!(model.push(1, 4, 2, None), Pushed::In, "all of the ring can be used again");
        assert_eq!(model.drain(2), [4]);
    });
}

#[test]
fn a_consumer_that_dies_at_any_step_takes_no_more_than_its_record_with_it() {
    for step in [Step::Claimed, Step::Taken, Step::HeadMoved, Step::Read, Step::Done] {
        consumer_dies(step);
    }
}

#[test]
fn a_newcomer_in_a_dead_ones_seat_does_not_make_it_look_alive() {
    check(4, 2, || {
        let model = Arc::new(Model::new(2));
        assert_eq!(model.push(0, 1, 1, Some(Step::TailMoved)), Pushed::Died);
        model.dead.store(true, SeqCst);
        let theirs = Arc::clone(&model);
        let newcomer = thread::spawn(move || {
            let seat = theirs.queue().sit(5, &Life { model: &theirs, dies: None }).unwrap();
            assert_eq!(seat, 0);
            theirs.push(seat, 2, 1, None)
        });
        let mut values = Vec::from_iter(popped(&model, 2));
        assert_eq!(newcomer.join().unwrap(), Pushed::In);
        values.extend(model.drain(2));
        assert_eq!(values, [2]);
    });
}

#[test]
fn a_living_producer_is_never_taken_for_a_dead_one() {
    check(3, 3, || {
        let model = Arc::new(Model::new(2));
        let theirs = Arc::clone(&model);
        let producer = thread::spawn(move || {
            assert_eq!(theirs.push(0, 1, 1, None), Pushed::In);
            assert_eq!(theirs.push(0, 2, 1, None), Pushed::In);
        });
        let mut values = Vec::from_iter(popped(&model, 2));
        values.extend(popped(&model, 2));
        producer.join().unwrap();
        values.extend(model.drain(2));
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn a_living_consumer_is_never_taken_for_a_dead_one() {
    check(3, 3, || {
        let model = Arc::new(Model::new(1));
        assert_eq!(model.push(0, 1, 1, None), Pushed::In);
        let theirs = Arc::clone(&model);
        let consumer = thread::spawn(move || popped(&theirs, 1));
        let other = popped(&model, 2);
        let pushed = model.push(0, 2, 1, None) == Pushed::In;
        let mut values: Vec<_> = consumer.join().unwrap().into_iter().chain(other).collect();
        values.sort_unstable();
        assert!(values == [1] || values == [1, 2], "{values:?}");
        assert_eq!(model.drain(3).len() + values.len(), 1 + usize::from(pushed));
    });
}
