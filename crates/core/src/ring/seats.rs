//! Who takes part in a ring, what each has written down in its seat, and what has been left by one that died.

use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::queue::{Queue, World};

/// What one does at a position.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Producer,
    Consumer,
}

impl Queue<'_> {
    /// Takes a seat for a participant: one that is free, or that of a dead one. None if all are taken.
    pub fn sit(&self, owner: u64, world: &impl World) -> Option<usize> {
        let free = |found| found == 0;
        let dead = |found| world.is_dead(found);
        self.sit_where(owner, free).or_else(|| self.sit_where(owner, dead))
    }

    fn sit_where(&self, owner: u64, may: impl Fn(u64) -> bool) -> Option<usize> {
        (0..self.seats.len()).map(|turn| self.spread(turn)).find(|&index| {
            let seat = &self.seats[index];
            let found = seat.owner.load(Acquire);
            let sits = may(found) && seat.owner.compare_exchange(found, owner, AcqRel, Relaxed).is_ok();
            if sits {
                // Of the one before: now it would be ours.
                seat.claim.store(0, Release);
            }
            sits
        })
    }

    /// Four seats share a cache line: the first ones to come get each a line of their own.
    fn spread(&self, turn: usize) -> usize {
        turn * 4 % self.seats.len() + turn * 4 / self.seats.len()
    }

    /// Whether a seat is still this participant's: memory may have been zeroed, or written by others.
    pub fn sits(&self, seat: usize, owner: u64) -> bool {
        self.seats.get(seat).is_some_and(|seat| seat.owner.load(Acquire) == owner)
    }

    /// Gives a seat back.
    pub fn leave(&self, seat: usize, owner: u64) {
        if self.sits(seat, owner) {
            self.seats[seat].claim.store(0, Release);
            let _ = self.seats[seat].owner.compare_exchange(owner, 0, AcqRel, Relaxed);
        }
    }

    pub(super) fn claim(&self, seat: usize, position: u64, role: Role) {
        self.seats[seat].claim.store(key(position, role), Release);
    }

    /// Who has not won a header must not go on looking as if it had.
    pub fn forget_claim(&self, seat: usize) {
        if let Some(seat) = self.seats.get(seat) {
            seat.claim.store(0, Release);
        }
    }

    /// Whether nobody who lives has written this position down.
    pub(super) fn is_orphan(&self, position: u64, role: Role, world: &impl World) -> bool {
        let key = key(position, role);
        self.seats.iter().all(|seat| {
            if seat.claim.load(Acquire) != key {
                return true;
            }
            let owner = seat.owner.load(Acquire);
            owner == 0 || world.is_dead(owner)
        })
    }
}

fn key(position: u64, role: Role) -> u64 {
    position.wrapping_add(1) << 1 | role as u64
}
