//! The ring with the processor's own atomics: against a queue of the standard library's, with threads, with garbage for its
//! words, and after deaths at every step. Its models are in `ring_models.rs`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use memmap_core::ring::layout::{Control, Place, Seat, Shape, CELL};
use memmap_core::ring::queue::{Broken, Call, Popped, Pushed, Queue, Step, World};
use memmap_core::ring::{byte_length_for, Ring, LONGEST, SEATS, SHORTEST};
use memmap_core::shared_memory::{self, NameOptions};
use proptest::prelude::*;

/// A ring in the memory of this process.
struct Heap {
    control: Control,
    seats: Vec<Seat>,
    headers: Vec<AtomicU64>,
    cells: RefCell<Vec<u8>>,
}

/// Participant 1 is dead, once it has come to a step of its.
struct Life {
    dies: Option<Step>,
    dead: AtomicBool,
}

static FOR_EVER: Life = Life { dies: None, dead: AtomicBool::new(false) };

impl World for Life {
    fn is_dead(&self, owner: u64) -> bool {
        owner == 1 && self.dead.load(Ordering::SeqCst)
    }

    fn lives_on(&self, step: Step) -> bool {
        let lives = self.dies != Some(step);
        self.dead.fetch_or(!lives, Ordering::SeqCst);
        lives
    }
}

impl Heap {
    fn new(capacity: usize) -> Self {
        let seat = |owner| Seat { owner: AtomicU64::new(owner), claim: AtomicU64::new(0) };
        Self {
            control: Control::default(),
            seats: (1..=4).map(seat).collect(),
            headers: (0..capacity / CELL).map(|_| AtomicU64::new(0)).collect(),
            cells: RefCell::new(vec![0; capacity]),
        }
    }

    fn queue(&self) -> Queue<'_> {
        let shape = Shape::new(self.headers.len() * CELL);
        Queue { shape, control: &self.control, seats: &self.seats, headers: &self.headers }
    }

    fn push(&self, life: &Life, seat: usize, record: &[u8]) -> Result<Pushed, Broken> {
        let call = Call { seat, recover: true, world: life };
        self.queue().push(&call, record.len(), &mut 0, |Place { start, first, rest }| {
            let mut cells = self.cells.borrow_mut();
            cells[start..start + first].copy_from_slice(&record[..first]);
            cells[..rest].copy_from_slice(&record[first..]);
        })
    }

    fn pop(&self, life: &Life, seat: usize, room: usize) -> Result<(Popped, Vec<u8>), Broken> {
        let call = Call { seat, recover: true, world: life };
        let mut record = Vec::new();
        let popped = self.queue().pop(&call, room, |Place { start, first, rest }| {
            let cells = self.cells.borrow();
            record = [&cells[start..start + first], &cells[..rest]].concat();
        })?;
        Ok((popped, record))
    }
}

proptest! {
    #[test]
    fn it_does_what_a_queue_does(
        power in 6_u32..14,
        steps in prop::collection::vec((any::<bool>(), 0_usize..3000, any::<u8>()), 1..300),
    ) {
        let capacity = 1_usize << power;
        let heap = Heap::new(capacity);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let cells = |record: &Vec<u8>| record.len().div_ceil(CELL).max(1);
        for (pushes, length, value) in steps {
            if pushes {
                let record = vec![value; length % (capacity + 1)];
                let used: usize = model.iter().map(cells).sum();
                let expected = if (used + cells(&record)) * CELL <= capacity { Pushed::In } else { Pushed::Full };
                prop_assert_eq!(heap.push(&FOR_EVER, 0, &record), Ok(expected));
                if expected == Pushed::In {
                    model.push_back(record);
                }
            } else {
                let (popped, record) = heap.pop(&FOR_EVER, 1, length).unwrap();
                match model.front().map(Vec::len) {
                    None => prop_assert_eq!(popped, Popped::Empty),
                    Some(there) if there > length => prop_assert_eq!(popped, Popped::TooLong(there)),
                    Some(there) => {
                        prop_assert_eq!(popped, Popped::Out(there));
                        prop_assert_eq!(model.pop_front(), Some(record));
                    }
                }
            }
        }
    }

    /// Words of any value, also of such that look like a ring's: every call ends, and copies nothing from elsewhere.
    #[test]
    fn any_words_are_a_ring_or_none(
        control in prop::collection::vec(prop_oneof![0_u64..200, any::<u64>()], 5),
        headers in prop::collection::vec(
            prop_oneof![Just(0), (0_u64..4, 0_u64..8, 0_u64..1100).prop_map(|(lap, state, length)| (lap << 3 | state) << 11 | length), any::<u64>()],
            16,
        ),
        seats in prop::collection::vec((prop_oneof![0_u64..3, any::<u64>()], prop_oneof![0_u64..200, any::<u64>()]), 4),
        calls in prop::collection::vec((any::<bool>(), 0_usize..1025), 1..40),
    ) {
        let heap = Heap::new(16 * CELL);
        let words = [&heap.control.ended, &heap.control.dropped, &heap.control.tail.0, &heap.control.head.0, &heap.control.freed.0];
        for (word, value) in words.into_iter().zip(control).chain(heap.headers.iter().zip(headers)) {
            word.store(value, Ordering::Relaxed);
        }
        for (seat, (owner, claim)) in heap.seats.iter().zip(seats) {
            seat.owner.store(owner, Ordering::Relaxed);
            seat.claim.store(claim, Ordering::Relaxed);
        }
        let life = Life { dies: None, dead: AtomicBool::new(true) };
        for (pushes, length) in calls {
            if pushes {
                let _ = heap.push(&life, 1, &vec![1; length]);
            } else if let Ok((Popped::Out(found), record)) = heap.pop(&life, 1, length) {
                prop_assert!(found == record.len() && found <= length);
            }
        }
    }
}

#[test]
fn who_dies_at_any_step_holds_up_nobody_in_any_lap() {
    let steps = [
        Step::Claimed,
        Step::Reserved,
        Step::TailMoved,
        Step::Written,
        Step::Committed,
        Step::Taken,
        Step::HeadMoved,
        Step::Read,
        Step::Done,
    ];
    for step in steps {
        let heap = Heap::new(4 * CELL);
        for lap in 0..50_u8 {
            let life = Life { dies: Some(step), dead: AtomicBool::new(false) };
            let dies_pushing = heap.push(&life, 0, &[lap; 100]) == Ok(Pushed::Died);
            let dies_popping = !dies_pushing && heap.pop(&life, 0, 1000).unwrap().0 == Popped::Died;
            assert!(dies_pushing || dies_popping, "{step:?}");
            let living = Life { dies: None, dead: AtomicBool::new(true) };
            while let (Popped::Out(length), record) = heap.pop(&living, 1, 1000).unwrap() {
                assert_eq!((length, record), (100, vec![lap; 100]));
            }
            assert_eq!(heap.push(&living, 1, &[7; 4 * CELL]), Ok(Pushed::In), "{step:?}, lap {lap}");
            assert_eq!(heap.pop(&living, 2, 1000).unwrap().0, Popped::Out(4 * CELL));
        }
    }
}

#[test]
fn a_living_one_that_is_slow_is_waited_for() {
    let heap = Heap::new(4 * CELL);
    let life = Life { dies: Some(Step::TailMoved), dead: AtomicBool::new(false) };
    // Seat 1 is that of participant 2, who is never dead.
    assert_eq!(heap.push(&life, 1, &[1; 10]), Ok(Pushed::Died));
    assert_eq!(heap.push(&FOR_EVER, 2, &[2; 10]), Ok(Pushed::In));
    assert_eq!(heap.pop(&FOR_EVER, 3, 100).unwrap().0, Popped::Blocked);
}

#[test]
fn a_newcomer_that_does_nothing_in_a_dead_ones_seat_does_not_make_it_look_alive() {
    for step in [Step::Claimed, Step::Reserved, Step::TailMoved, Step::Written] {
        let heap = Heap::new(4 * CELL);
        let life = Life { dies: Some(step), dead: AtomicBool::new(false) };
        assert_eq!(heap.push(&life, 0, &[1; 10]), Ok(Pushed::Died));
        let living = Life { dies: None, dead: AtomicBool::new(true) };
        assert_eq!(heap.queue().sit(5, &living), Some(0));
        assert_eq!(heap.pop(&living, 1, 100).unwrap().0, Popped::Empty, "{step:?}");
    }
}

#[test]
fn who_has_lost_a_header_does_not_go_on_looking_as_if_it_had_it() {
    let heap = Heap::new(4 * CELL);
    let lives = |dies| Life { dies, dead: AtomicBool::new(false) };
    // One is about to swap the header at position 0, and another is faster, and dies.
    assert_eq!(heap.push(&lives(Some(Step::Claimed)), 1, &[1; 10]), Ok(Pushed::Died));
    let dead = lives(Some(Step::TailMoved));
    assert_eq!(heap.push(&dead, 0, &[2; 10]), Ok(Pushed::Died));
    assert_eq!(heap.pop(&dead, 2, 100).unwrap().0, Popped::Blocked, "the one may have it");
    // It finds out, and has something better to do.
    heap.queue().forget_claim(1);
    assert_eq!(heap.pop(&dead, 2, 100).unwrap().0, Popped::Empty);
}

#[test]
fn threads_push_and_pop_in_memory_they_share() {
    const EACH: u64 = 20_000;
    let capacity = 4096;
    let name = format!("ring-{}", std::process::id());
    let options = NameOptions { mode: 0o600, unlink_on_close: true };
    let region = shared_memory::create(&name, byte_length_for(capacity) as usize, options).unwrap();
    let open = &|| shared_memory::open(&name, memmap_core::Access::Write, None).unwrap();
    let sums = thread::scope(|scope| {
        let push_all = |producer: u64| {
            let mut region = open();
            let mut ring = Ring::new(&region, 0, capacity).unwrap();
            for number in 0..EACH {
                let record = [producer, number].map(u64::to_le_bytes).concat().repeat(1 + number as usize % 9);
                // SAFETY: a slice that may be read.
                while unsafe { ring.push(&mut region, &raw const record[..]) }.unwrap() != Pushed::In {
                    thread::yield_now();
                }
            }
        };
        let producers = [0, 1].map(|producer| scope.spawn(move || push_all(producer)));
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut region = open();
                    let mut ring = Ring::new(&region, 0, capacity).unwrap();
                    let mut target = [0; 200];
                    let mut last = [None, None];
                    let mut sums = [(0, 0); 2];
                    loop {
                        // SAFETY: an array that may be written.
                        let length = match unsafe { ring.pop(&mut region, &raw mut target[..]) }.unwrap() {
                            Popped::Out(length) => length,
                            Popped::Ended => return sums,
                            _ => {
                                thread::yield_now();
                                continue;
                            }
                        };
                        let read = |at: usize| u64::from_le_bytes(target[at..at + 8].try_into().unwrap());
                        let (producer, number) = (read(0) as usize, read(8));
                        assert_eq!(length, 16 * (1 + number as usize % 9));
                        assert!(target[..length].chunks(16).all(|part| part == &target[..16]));
                        assert!(last[producer] < Some(number), "{last:?} {number}");
                        last[producer] = Some(number);
                        sums[producer] = (sums[producer].0 + 1, sums[producer].1 + number);
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        let mut region = open();
        Ring::new(&region, 0, capacity).unwrap().end(&mut region).unwrap();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    region.close();
    for producer in 0..2 {
        let (count, sum) =
            sums.iter().fold((0, 0), |(count, sum), own| (count + own[producer].0, sum + own[producer].1));
        assert_eq!((count, sum), (EACH, EACH * (EACH - 1) / 2));
    }
}

#[test]
fn what_is_no_ring_is_refused() {
    let region = shared_memory::anonymous(byte_length_for(8192) as usize, false).unwrap();
    for capacity in [0, 1, 64, SHORTEST - 1, SHORTEST + 1, LONGEST * 2, u64::MAX] {
        assert_eq!(Ring::new(&region, 0, capacity).unwrap_err().code(), "ERR_OUT_OF_RANGE");
    }
    for offset in [1, 32, 8192, u64::MAX, u64::MAX - 63] {
        assert_eq!(Ring::new(&region, offset, 8192).unwrap_err().code(), "ERR_OUT_OF_RANGE");
    }
    Ring::new(&region, 0, 8192).unwrap();
    Ring::new(&region, 0, 8192).unwrap();
    assert_eq!(Ring::new(&region, 0, 4096).unwrap_err().code(), "ERR_SHARED_STATE_INVALID");
    region.mapping().write(0, b"other").unwrap();
    assert_eq!(Ring::new(&region, 0, 8192).unwrap_err().code(), "ERR_SHARED_STATE_INVALID");
}

#[test]
fn a_seat_that_is_dropped_is_free_again() {
    let capacity = 4096;
    let mut region = shared_memory::anonymous(byte_length_for(capacity) as usize, false).unwrap();
    let mut rings: Vec<_> = (0..=SEATS).map(|_| Ring::new(&region, 0, capacity).unwrap()).collect();
    let record: &[u8] = b"x";
    let mut target = [0; 8];
    let last = rings.pop().unwrap();
    let try_out = |ring: &mut Ring, region: &mut memmap_core::Region, target: &mut [u8]| {
        // SAFETY: slices that may be read and written.
        unsafe { ring.push(region, &raw const record[..]).map(|_| ring.pop(region, &raw mut target[..]).unwrap()) }
    };
    for ring in &mut rings {
        assert_eq!(try_out(ring, &mut region, &mut target).unwrap(), Popped::Out(1));
    }
    let mut last = last;
    assert_eq!(try_out(&mut last, &mut region, &mut target).unwrap_err().code(), "ERR_INVALID_STATE");
    // One gives its seat back, and one just goes, as when its process is killed.
    rings.pop().unwrap().leave(&region);
    assert_eq!(try_out(&mut last, &mut region, &mut target).unwrap(), Popped::Out(1));
    drop(rings.pop());
    let mut more = Ring::new(&region, 0, capacity).unwrap();
    assert_eq!(try_out(&mut more, &mut region, &mut target).unwrap(), Popped::Out(1));
}
