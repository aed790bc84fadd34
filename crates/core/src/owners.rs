//! The mutexes and semaphores that one isolate uses, and who it is in each.
//!
//! However many objects JavaScript has for one, and over however many regions: in one place of one piece of memory an isolate
//! is one owner. It is so from the first time it takes something until the last region closes, or the isolate ends. What it
//! has at its last region's close it keeps, and can give back.

use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::life::{self, Lives, Remains};
use crate::mutex::{self, with_control, Attempt, Control, Manner, HANDED, MUTEX};
use crate::semaphore::{self, records, Answer, Semaphore, Wake, SEMAPHORE};
use crate::wait::Word;
use crate::{Error, ErrorKind, Region, Result};

/// How long a mutex that was handed on is left to those who wait for it, by one who does not wait himself.
const PATIENCE: Duration = Duration::from_millis(50);
/// About as many looks as the table of a semaphore takes to add up.
const SPINS: u32 = 100;
/// Of a control block: the word that is slept on, and that of a semaphore.
const STATE: u64 = std::mem::offset_of!(Control, state) as u64;
const SEQUENCE: u64 = std::mem::offset_of!(Control, sequence) as u64;

/// What lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of one.
    Mutex,
    /// Of so many.
    Semaphore,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::Mutex => mutex::BYTES,
            Self::Semaphore => semaphore::BYTES,
        }
    }

    fn header(self) -> u32 {
        match self {
            Self::Mutex => MUTEX,
            Self::Semaphore => SEMAPHORE,
        }
    }
}

/// One mutex or semaphore.
#[derive(Debug)]
struct Seat {
    kind: Kind,
    name: Rc<str>,
    position: u64,
    lives: Rc<Lives>,
    /// 0 as long as there was no need for one.
    id: u32,
    /// Regions that show it, by their numbers, and where.
    regions: Vec<(u64, u64)>,
    /// What is left of the last one, where it was closed too early.
    remains: Option<(Remains, u64)>,
    /// Since when it was seen handed on.
    handed: Option<Instant>,
}

/// Those of one isolate.
#[derive(Debug, Default)]
pub struct Owners {
    lives: FxHashMap<Rc<str>, Weak<Lives>>,
    seats: FxHashMap<u32, Seat>,
    places: FxHashMap<(Rc<str>, u64), u32>,
    last: u32,
}

fn names(kind: Kind, control: &Control, address: *mut u8, id: u32) -> bool {
    match kind {
        Kind::Mutex => mutex::names(&control.state, id),
        // SAFETY: the block is a semaphore's, and this is inside of `with_control`.
        Kind::Semaphore => semaphore::names(&control.state, unsafe { records(address) }, id),
    }
}

impl Seat {
    /// Who we are here; none where another program has locked the file, and has to be waited for.
    fn id(&mut self, region: &Region, offset: u64) -> Result<Option<u32>> {
        if self.id == 0 {
            let (kind, lives, position) = (self.kind, &self.lives, self.position);
            let drawn = with_control(region.mapping(), offset, kind.bytes(), |control, address| {
                control.verify(kind.header())?;
                let next = || control.counter.fetch_add(1, Ordering::SeqCst);
                lives.draw(position, next, |id| names(kind, control, address, id))
            })?;
            self.id = drawn.unwrap_or(0);
        }
        Ok((self.id != 0).then_some(self.id))
    }

    /// Whether we have anything in it; also where that cannot be seen.
    fn has_something(&self, region: &Region, offset: u64) -> bool {
        let Self { kind, id, .. } = *self;
        id != 0
            && with_control(region.mapping(), offset, kind.bytes(), |control, address| {
                Ok(names(kind, control, address, id))
            })
            .unwrap_or(true)
    }
}

impl Owners {
    /// Takes note of one in a region; its number here. Makes it if the memory is fresh, and refuses what is none.
    pub fn open(&mut self, region: &Region, number: u64, offset: u64, kind: Kind) -> Result<u32> {
        life::check(region)?;
        let name: Rc<str> = with_control(region.mapping(), offset, kind.bytes(), |control, address| {
            match kind {
                Kind::Mutex => control.adopt(MUTEX)?,
                // SAFETY: a block of so many bytes, inside of `with_control`.
                Kind::Semaphore => semaphore::adopt(control, unsafe { records(address) })?,
            }
            life::name_of(region, &control.mark)
        })?
        .into();
        let position = region.offset() + offset;
        if let Some(&found) = self.places.get(&(Rc::clone(&name), position)) {
            if let Some(seat) = self.seats.get_mut(&found).filter(|seat| seat.kind == kind) {
                if !seat.regions.contains(&(number, offset)) {
                    seat.regions.push((number, offset));
                }
                seat.remains = None;
                return Ok(found);
            }
        }
        let lives = match self.lives.get(&name).and_then(Weak::upgrade) {
            Some(lives) => lives,
            None => {
                let lives = Rc::new(Lives::new(region, &name)?);
                self.lives.insert(Rc::clone(&name), Rc::downgrade(&lives));
                lives
            }
        };
        self.last = self.last.wrapping_add(1);
        let regions = vec![(number, offset)];
        let seat = Seat { kind, name: Rc::clone(&name), position, lives, id: 0, regions, remains: None, handed: None };
        self.seats.insert(self.last, seat);
        self.places.insert((name, position), self.last);
        Ok(self.last)
    }

    fn seat(&mut self, number: u32) -> Result<&mut Seat> {
        self.seats.get_mut(&number).ok_or_else(Error::closed)
    }

    /// Who we are in it: 0 before the first try.
    pub fn id(&self, number: u32) -> u32 {
        self.seats.get(&number).map_or(0, |seat| seat.id)
    }

    /// Tries to take a mutex. None where another program has locked the file, which has to be waited for.
    pub fn attempt(&mut self, number: u32, region: &Region, offset: u64, manner: Manner) -> Result<Option<Attempt>> {
        let seat = self.seat(number)?;
        let Some(id) = seat.id(region, offset)? else { return Ok(None) };
        let waited = seat.handed.is_some_and(|since| since.elapsed() > PATIENCE);
        let manner = Manner { slept: manner.slept || waited, ..manner };
        let (lives, position) = (&seat.lives, seat.position);
        let mut taken = false;
        let done = with_control(region.mapping(), offset, mutex::BYTES, |control, _| {
            control.verify(MUTEX)?;
            let done = mutex::attempt(&control.state, id, manner, |other| lives.is_alive(position, other))?;
            taken = matches!(done, Attempt::Taken { .. });
            Ok(done)
        });
        let done = match done {
            Err(error) if taken => {
                // Another page of the region had vanished: nobody will hear that this one is ours.
                let _ = self.release_anew(number, region, offset);
                return Err(error);
            }
            done => done?,
        };
        let seat = self.seat(number)?;
        seat.handed = match done {
            Attempt::Busy { word: HANDED } => Some(seat.handed.unwrap_or_else(Instant::now)),
            _ => None,
        };
        Ok(Some(done))
    }

    /// Regions that show it, by their numbers, and where.
    pub fn regions(&self, number: u32) -> Vec<(u64, u64)> {
        self.seats.get(&number).map_or_else(Vec::new, |seat| seat.regions.clone())
    }

    /// Gives a mutex back through a region that shows it, and wakes one that waits.
    pub fn release(&mut self, number: u32, region: &mut Region, offset: u64) -> Result<()> {
        let id = self.seat(number)?.id;
        let write = |region: &Region| {
            with_control(region.mapping(), offset, mutex::BYTES, |control, _| mutex::release(&control.state, id))
        };
        match write(region) {
            Ok(true) => Word::of(region, offset + STATE)?.notify(1).map(drop),
            Ok(false) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::SharedStateInvalid(_)) => Err(error),
            Err(_) => self.release_anew(number, region, offset),
        }
    }

    /// As `release`, by a map of our own: the region's was protected since, or has lost a page. What is no more needs nobody to
    /// give it back.
    fn release_anew(&mut self, number: u32, region: &Region, offset: u64) -> Result<()> {
        let id = self.seat(number)?.id;
        let Some(remains) = Remains::of(region) else { return Err(Error::closed()) };
        let mut again = remains.map(offset + mutex::BYTES as u64)?;
        let written =
            with_control(again.mapping(), offset, mutex::BYTES, |control, _| mutex::release(&control.state, id));
        match written {
            Ok(true) => Word::of(&mut again, offset + STATE)?.notify(1).map(drop),
            Ok(false) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Faulted { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// As `release`, where all regions that showed it were closed.
    pub fn release_remains(&mut self, number: u32) -> Result<()> {
        let Some((remains, offset)) = self.seat(number)?.remains.take() else { return Err(Error::closed()) };
        let released =
            remains.map(offset + mutex::BYTES as u64).and_then(|mut region| self.release(number, &mut region, offset));
        self.remove(number);
        released
    }

    /// Leaves a mutex as if its owner had died: nobody here can give it back any more.
    pub fn forsake(&mut self, number: u32, region: &mut Region, offset: u64) -> Result<()> {
        let id = self.seat(number)?.id;
        let ours =
            with_control(region.mapping(), offset, mutex::BYTES, |control, _| Ok(mutex::forsake(&control.state, id)))?;
        if ours {
            Word::of(region, offset + STATE)?.notify(1)?;
        }
        Ok(())
    }

    /// As `forsake`, where all regions that showed it were closed.
    pub fn forsake_remains(&mut self, number: u32) -> Result<()> {
        let Some((remains, offset)) = self.seat(number)?.remains.take() else { return Err(Error::closed()) };
        let mut region = remains.map(offset + mutex::BYTES as u64)?;
        let forsaken = self.forsake(number, &mut region, offset);
        self.remove(number);
        forsaken
    }

    /// Asks something of a semaphore, and wakes who is to be woken. None where another program has locked the file.
    fn ask(
        &mut self,
        number: u32,
        region: &mut Region,
        offset: u64,
        ask: impl FnOnce(
            &Semaphore<'_, std::sync::atomic::AtomicU32, &dyn Fn(u32) -> Result<bool>>,
            &mut Wake,
        ) -> Result<Answer<u32>>,
    ) -> Result<Option<Answer<u32>>> {
        let seat = self.seat(number)?;
        let Some(me) = seat.id(region, offset)? else { return Ok(None) };
        let (lives, position) = (&seat.lives, seat.position);
        let is_alive = |other| lives.is_alive(position, other);
        let mut wake = Wake::default();
        let answer = with_control(region.mapping(), offset, semaphore::BYTES, |control, address| {
            control.verify(SEMAPHORE)?;
            let semaphore = Semaphore {
                state: &control.state,
                sequence: &control.sequence,
                // SAFETY: a block of so many bytes, inside of `with_control`.
                records: unsafe { records(address) },
                me,
                spins: SPINS,
                is_alive: &is_alive as &dyn Fn(u32) -> Result<bool>,
            };
            ask(&semaphore, &mut wake)
        });
        if wake.state {
            Word::of(region, offset + STATE)?.notify(1)?;
        }
        if wake.sequence > 0 {
            Word::of(region, offset + SEQUENCE)?.notify(wake.sequence)?;
        }
        answer.map(Some)
    }

    /// Takes a permit of a semaphore.
    pub fn acquire(
        &mut self,
        number: u32,
        region: &mut Region,
        offset: u64,
        permits: u32,
        manner: Manner,
    ) -> Result<Option<Answer<u32>>> {
        self.ask(number, region, offset, |semaphore, wake| semaphore.acquire(permits, manner, wake))
    }

    /// Gives permits back.
    pub fn give_back(
        &mut self,
        number: u32,
        region: &mut Region,
        offset: u64,
        count: u32,
        manner: Manner,
    ) -> Result<Option<Answer<u32>>> {
        self.ask(number, region, offset, |semaphore, wake| semaphore.release(count, manner, wake))
    }

    /// Gives back what the dead had: how many permits.
    pub fn recover(
        &mut self,
        number: u32,
        region: &mut Region,
        offset: u64,
        manner: Manner,
    ) -> Result<Option<Answer<u32>>> {
        self.ask(number, region, offset, |semaphore, wake| semaphore.recover(manner, wake))
    }

    /// A region is about to be closed. Where it was the last to show something we are no owner any more, unless we have it.
    pub fn region_closed(&mut self, number: u64, region: &Region) {
        let mut gone = Vec::new();
        for (&at, seat) in &mut self.seats {
            let Some(&(_, offset)) = seat.regions.iter().find(|(one, _)| *one == number) else { continue };
            seat.regions.retain(|(one, _)| *one != number);
            if !seat.regions.is_empty() {
                continue;
            }
            seat.remains = match seat.has_something(region, offset) {
                true => Remains::of(region).map(|remains| (remains, offset)),
                false => None,
            };
            if seat.remains.is_none() {
                gone.push(at);
            }
        }
        gone.into_iter().for_each(|at| self.remove(at));
    }

    fn remove(&mut self, number: u32) {
        // Somebody has opened it again.
        if self.seats.get(&number).is_none_or(|seat| !seat.regions.is_empty()) {
            return;
        }
        let Some(seat) = self.seats.remove(&number) else { return };
        seat.lives.end(seat.position, seat.id);
        self.places.remove(&(Rc::clone(&seat.name), seat.position));
        if Rc::strong_count(&seat.lives) == 1 {
            self.lives.remove(&seat.name);
        }
    }
}
