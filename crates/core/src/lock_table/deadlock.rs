//! Waits that can never end: a thread that stands still for what only itself, or threads that wait for it, could release.

use super::{conflict, State, Table};
use crate::Error;

impl Table {
    /// Whether a thread that stands still waits for itself: for a lock of its own, or for threads that stand still too
    /// and wait for it.
    pub(super) fn deadlock(&self, id: u64) -> Option<Error> {
        let me = self.tickets.get(&id)?.wanted.owner;
        let (mut seen, mut open) = (Vec::new(), vec![id]);
        while let Some(next) = open.pop() {
            for owner in self.waited_for(next) {
                if owner == me {
                    return Some(if next == id { Error::lock_overlap() } else { Error::deadlock() });
                }
                if !seen.contains(&owner) {
                    seen.push(owner);
                    let stuck = self.tickets.iter().filter(|(_, ticket)| {
                        ticket.blocking
                            && ticket.wanted.owner == owner
                            && matches!(ticket.state, State::Queued | State::Asking)
                    });
                    open.extend(stuck.map(|(&id, _)| id));
                }
            }
        }
        None
    }

    /// The isolates that must let go first.
    fn waited_for(&self, id: u64) -> Vec<u64> {
        let Some((ticket, queue)) = self.key(id).and_then(|key| Some((self.tickets.get(&id)?, self.queues.get(&key)?)))
        else {
            return Vec::new();
        };
        let holders = self.among(&queue.held).filter(|other| conflict(&other.wanted, &ticket.wanted));
        let earlier = self
            .among(queue.waiting.iter().map(|other| &other.id).take_while(|&&other| other != id))
            .filter(|other| other.blocking && other.wanted.extent.overlaps(&ticket.wanted.extent));
        holders.chain(earlier).map(|other| other.wanted.owner).collect()
    }
}
