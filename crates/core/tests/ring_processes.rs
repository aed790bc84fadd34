//! Rings between real processes, that are killed, too; also run where another system or processor is emulated.

mod common;
#[path = "common/processes.rs"]
mod processes;

use std::time::{Duration, Instant};

use common::emulated;
use memmap_core::ring::queue::{Popped, Pushed};
use memmap_core::ring::{byte_length_for, Ring, DATA, SPACE};
use memmap_core::wait::Word;
use memmap_core::Region;
use processes::{opened, read, told, until, write, Memory, Other, LONG};

const CAPACITY: u64 = 4096;
/// Behind the ring: a bitmap for each producer and consumer.
const BITMAPS: u64 = byte_length_for(CAPACITY);
const BITMAP: usize = 2048;
const PRODUCERS: usize = 2;
const CONSUMERS: usize = 2;
const LENGTH: usize = BITMAPS as usize + PRODUCERS * CONSUMERS * BITMAP;

/// Of a ring whose producers are killed: records so long that a kill often meets the copying; and behind it, how many were pushed.
const WIDE: u64 = 1 << 20;
const LONG_RECORD: usize = 400_000;
const PUSHED: u64 = byte_length_for(WIDE);

/// A part of the ring: who sleeps is woken by others, and looks again by himself, as those of `lib/ring.ts`.
struct Participant {
    region: Region,
    ring: Ring,
}

impl Participant {
    fn new(region: Region, capacity: u64) -> Self {
        let ring = Ring::new(&region, 0, capacity).unwrap();
        Self { region, ring }
    }

    fn sleep(&mut self, word: u64, expected: u32) {
        Word::of(&mut self.region, word).unwrap().wait(expected, Duration::from_millis(200)).unwrap();
    }

    fn try_push(&mut self, record: &[u8]) -> bool {
        // SAFETY: a slice that may be read.
        unsafe { self.ring.push(&mut self.region, &raw const *record) }.unwrap() == Pushed::In
    }

    fn push(&mut self, record: &[u8]) {
        while !self.try_push(record) {
            let expected = self.ring.about_to_sleep(&self.region, false).unwrap();
            if self.try_push(record) {
                return;
            }
            self.sleep(SPACE, expected);
        }
    }

    fn try_pop(&mut self, target: &mut [u8]) -> Popped {
        // SAFETY: a slice that may be written.
        unsafe { self.ring.pop(&mut self.region, &raw mut *target) }.unwrap()
    }

    /// The next record's length; none at the end.
    fn pop(&mut self, target: &mut [u8]) -> Option<usize> {
        let mut expected = None;
        loop {
            match (self.try_pop(target), expected.take()) {
                (Popped::Out(length), _) => return Some(length),
                (Popped::Ended, _) => return None,
                (_, None) => expected = Some(self.ring.about_to_sleep(&self.region, true).unwrap()),
                (_, Some(word)) => self.sleep(DATA, word),
            }
        }
    }
}

/// A record: whose, its number, and so many bytes that tell both.
fn record_of(producer: usize, number: usize) -> Vec<u8> {
    let head = [producer as u32, number as u32].map(u32::to_le_bytes).concat();
    let body = (0..number * 37 % 500).map(|at| (at + number + producer) as u8);
    head.into_iter().chain(body).collect()
}

/// Whose it is and its number, if it is whole.
fn known(record: &[u8]) -> (usize, usize) {
    let read = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap()) as usize;
    let (producer, number) = (read(0), read(4));
    assert!(record == record_of(producer, number), "a torn record, {number} of {producer}");
    (producer, number)
}

fn each() -> usize {
    if emulated() {
        2000
    } else {
        8 * BITMAP
    }
}

fn bitmap_at(producer: usize, consumer: usize) -> u64 {
    BITMAPS + ((consumer * PRODUCERS + producer) * BITMAP) as u64
}

#[test]
fn every_record_of_two_producers_comes_to_one_of_two_consumers_once_and_in_order() {
    let memory = Memory::new(LENGTH);
    let mut here = Participant::new(memory.again(), CAPACITY);
    let start = |part: &str, at: usize| Other::start(part, &[&memory.name, &at.to_string()]);
    let begun = Instant::now();
    let consumers: Vec<_> = (0..CONSUMERS).map(|at| start("part_pops", at)).collect();
    let producers: Vec<_> = (0..PRODUCERS).map(|at| start("part_pushes", at)).collect();
    producers.into_iter().for_each(Other::ends_well);
    here.ring.end(&mut here.region).unwrap();
    consumers.into_iter().for_each(Other::ends_well);
    for producer in 0..PRODUCERS {
        let bitmaps = [0, 1].map(|consumer| {
            let mut bits = [0; BITMAP];
            memory.region.mapping().read(bitmap_at(producer, consumer), &mut bits).unwrap();
            bits
        });
        let came = |number: usize| bitmaps.iter().filter(|bits| bits[number / 8] >> (number % 8) & 1 == 1).count();
        let wrong: Vec<_> = (0..each()).filter(|&number| came(number) != 1).collect();
        assert!(wrong.is_empty(), "lost or twice, of producer {producer}: {wrong:?}");
    }
    assert_eq!(here.ring.dropped(&here.region).unwrap(), 0);
    println!("{PRODUCERS} × {} records took {:?}", each(), begun.elapsed());
}

#[test]
fn part_pushes() {
    let Some(told) = told("part_pushes") else { return };
    let mut participant = Participant::new(opened(&told[0]), CAPACITY);
    let producer = told[1].parse().unwrap();
    (0..each()).for_each(|number| participant.push(&record_of(producer, number)));
}

#[test]
fn part_pops() {
    let Some(told) = told("part_pops") else { return };
    let mut participant = Participant::new(opened(&told[0]), CAPACITY);
    let (mut bitmaps, mut next) = ([[0_u8; BITMAP]; PRODUCERS], [0; PRODUCERS]);
    let mut target = [0; CAPACITY as usize];
    while let Some(length) = participant.pop(&mut target) {
        let (producer, number) = known(&target[..length]);
        assert!(number >= next[producer], "{number} of {producer} after {}", next[producer]);
        next[producer] = number + 1;
        bitmaps[producer][number / 8] |= 1 << (number % 8);
    }
    let consumer = told[1].parse().unwrap();
    for (producer, bits) in bitmaps.iter().enumerate() {
        participant.region.mapping().write(bitmap_at(producer, consumer), bits).unwrap();
    }
}

fn long_record(number: u32) -> Vec<u8> {
    let mut record = vec![number as u8; LONG_RECORD];
    record[..4].copy_from_slice(&number.to_le_bytes());
    record
}

#[test]
fn a_producer_that_is_killed_anywhere_holds_up_nobody_and_loses_nothing_it_had_pushed() {
    let memory = Memory::new(PUSHED as usize + 64);
    let mut here = Participant::new(memory.again(), WIDE);
    let mut target = vec![0; WIDE as usize];
    let whole = vec![7; WIDE as usize];
    let (mut records, kills) = (0, if emulated() { 5 } else { 30 });
    for kill in 0..kills {
        write(&memory.region, PUSHED, 0);
        let producer = Other::start("part_pushes_endlessly", &[&memory.name]);
        until("the other process pushes", || read(&memory.region, PUSHED) > 0);
        let mut next = 0;
        let mut look = |record: &[u8]| {
            assert!(record == long_record(next), "not {next}, or torn");
            next += 1;
        };
        // Killed in the middle of work, or when it sleeps since there is no room.
        let end = Instant::now() + Duration::from_micros(700 * kill);
        while kill % 4 != 0 && Instant::now() < end {
            if let Popped::Out(length) = here.try_pop(&mut target) {
                look(&target[..length]);
            }
        }
        producer.kill();
        // All of it can be had again, behind what the dead one has left.
        until("nobody is held up", || {
            while let Popped::Out(length) = here.try_pop(&mut target) {
                look(&target[..length]);
            }
            here.try_push(&whole)
        });
        assert_eq!(here.try_pop(&mut target), Popped::Out(whole.len()));
        let pushed = read(&memory.region, PUSHED);
        assert!(next == pushed || next == pushed + 1, "{next} of {pushed} came");
        records += next;
    }
    println!("{records} records came, {} were dropped, of {kills}", here.ring.dropped(&here.region).unwrap());
}

#[test]
fn part_pushes_endlessly() {
    let Some(told) = told("part_pushes_endlessly") else { return };
    let mut participant = Participant::new(opened(&told[0]), WIDE);
    let begun = Instant::now();
    for number in 0.. {
        participant.push(&long_record(number));
        write(&participant.region, PUSHED, number + 1);
        assert!(begun.elapsed() < LONG, "it was to be killed long before");
    }
}
