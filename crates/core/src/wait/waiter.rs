//! Waits that nobody stands still for: one thread for all of them, in all isolates of the process. An isolate whose event loop
//! can hear of them by itself (see [`Desk`]) does what the thread would do, and needs none.
//!
//! The table has who waits, by the owner (an isolate) and a number of the owner's. What the thread is to do about it is left for
//! it as orders, and then its bell is rung. Each time a wait is put before the system it gets a new number, by which the system
//! says how it ended: a region that is mapped anew puts its waits a second time, at their new addresses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::Word;
use crate::sys::{own_queue, Bell, Engine, OwnQueue};
use crate::{Error, Region, Result};

/// Called once, on any thread, when somebody notified the word, or the wait failed.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// A wait: its owner, and the number the owner gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The isolate.
    pub owner: u64,
    /// One of its waits.
    pub number: u32,
}

/// What became of a wait that was put before the system.
#[derive(Debug)]
pub enum Event {
    /// Somebody called it.
    Woken,
    /// Nobody is known to have called, but the word is another one by now.
    Different,
    /// It cannot go on.
    Failed(Error),
    /// The system refused it.
    Refused(std::io::Error),
    /// It was taken back.
    Ended,
}

struct Ticket {
    region: u64,
    offset: u64,
    expected: u32,
    /// The number under which it was last put before the system.
    put: u64,
    done: Done,
}

/// A wait as it was put before the system.
#[derive(Debug)]
struct Put {
    key: Key,
    word: Arc<Word>,
    expected: u32,
}

enum Order {
    Begin(u64, Put),
    End(u64),
}

#[derive(Default)]
struct Table {
    tickets: HashMap<Key, Ticket>,
    orders: Vec<Order>,
    /// Orders for those who carry them out themselves.
    desks: HashMap<u64, Vec<Order>>,
    last_put: u64,
    bell: Option<Arc<Bell>>,
}

/// Orders given, and carried out.
static GIVEN: AtomicU64 = AtomicU64::new(0);
static CARRIED_OUT: AtomicU64 = AtomicU64::new(0);

/// Nothing runs on the thread but calls of the system, and what hands an answer on to an isolate.
const STACK: usize = 256 * 1024;
/// [`settle`] waits no longer for a thread that has other things to do.
const SETTLED: Duration = Duration::from_millis(50);
/// The end of an isolate waits no longer for the table, in steps of 100 microseconds.
const TRIES_AT_END: u32 = 1000;

static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();

fn shared() -> &'static Mutex<Table> {
    TABLE.get_or_init(Mutex::default)
}

fn table() -> MutexGuard<'static, Table> {
    shared().lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// Leaves an order: for the owner himself if he has a desk, else for the thread.
    fn order(&mut self, owner: u64, order: Order) {
        if let Some(desk) = self.desks.get_mut(&owner) {
            desk.push(order);
        } else {
            self.orders.push(order);
            GIVEN.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn put(&mut self, key: Key, word: Word, expected: u32) -> u64 {
        self.last_put += 1;
        let number = self.last_put;
        self.order(key.owner, Order::Begin(number, Put { key, word: Arc::new(word), expected }));
        number
    }

    fn start_thread(&mut self) -> Result<()> {
        if self.bell.is_some() {
            return Ok(());
        }
        let bell = Arc::new(Bell::new()?);
        let theirs = Arc::clone(&bell);
        crate::thread::spawn("memmap-wait", STACK, Box::new(move || run(&theirs)))?;
        self.bell = Some(bell);
        Ok(())
    }

    fn of_region(&self, owner: u64, number: u64) -> Vec<Key> {
        let of = |(key, ticket): &(&Key, &Ticket)| key.owner == owner && ticket.region == number;
        self.tickets.iter().filter(of).map(|(&key, _)| key).collect()
    }

    /// Lets go of the table, and has the thread look at it.
    fn ring(table: MutexGuard<'_, Self>) {
        let bell = table.bell.clone().filter(|_| !table.orders.is_empty());
        drop(table);
        if let Some(bell) = bell {
            bell.ring();
        }
    }
}

/// Begins to wait for a word of a region, which the caller knows by a number. False if the word is another one already, and
/// nobody will be called.
pub fn begin(key: Key, number: u64, region: &mut Region, offset: u64, expected: u32, done: Done) -> Result<bool> {
    let word = Word::of(region, offset)?;
    // First in, then a look: whoever has stored before it is seen, and whoever stores after it finds us when he calls.
    word.meeting().join();
    let looked = word.is(expected);
    let mut table = table();
    let begun = looked.and_then(|is_it| {
        if is_it && !table.desks.contains_key(&key.owner) {
            table.start_thread()?;
        }
        Ok(is_it)
    });
    if !matches!(begun, Ok(true)) {
        drop(table);
        word.meeting().leave();
        return begun;
    }
    let put = table.put(key, word, expected);
    table.tickets.insert(key, Ticket { region: number, offset, expected, put, done });
    Table::ring(table);
    Ok(true)
}

/// Gives a wait up: nobody is called. False if it has ended already, and the answer is on its way.
pub fn give_up(key: Key) -> bool {
    let mut table = table();
    let Some(ticket) = table.tickets.remove(&key) else { return false };
    table.order(key.owner, Order::End(ticket.put));
    Table::ring(table);
    true
}

/// A region was closed: its waits fail.
pub fn region_closed(owner: u64, number: u64) {
    let mut table = table();
    let ended: Vec<Key> = table.of_region(owner, number);
    if ended.is_empty() {
        return;
    }
    let mut tickets = Vec::new();
    for key in ended {
        if let Some(ticket) = table.tickets.remove(&key) {
            table.order(key.owner, Order::End(ticket.put));
            tickets.push(ticket);
        }
    }
    Table::ring(table);
    for ticket in tickets {
        (ticket.done)(Err(Error::closed()));
    }
}

/// A region was mapped anew: its waits go on where their words are now, and fail if those are in it no more.
pub fn region_moved(owner: u64, number: u64, region: &mut Region) {
    let mut table = table();
    let mut failed = Vec::new();
    for key in table.of_region(owner, number) {
        let Some(mut ticket) = table.tickets.remove(&key) else { continue };
        let old = ticket.put;
        match Word::of(region, ticket.offset) {
            Ok(word) => {
                // The new one first: whoever calls meanwhile finds one of the two.
                word.meeting().join();
                ticket.put = table.put(key, word, ticket.expected);
                table.tickets.insert(key, ticket);
            }
            Err(error) => failed.push((ticket, error)),
        }
        table.order(owner, Order::End(old));
    }
    Table::ring(table);
    for (ticket, error) in failed {
        (ticket.done)(Err(error));
    }
}

/// An isolate has ended: nobody waits for its answers any more.
pub fn end_owner(owner: u64) {
    // The process may be ending as well. Windows has then stopped all other threads, whatever they hold.
    let Some(mut table) = (0..TRIES_AT_END).find_map(|_| match shared().try_lock() {
        Ok(table) => Some(table),
        Err(TryLockError::Poisoned(table)) => Some(table.into_inner()),
        Err(TryLockError::WouldBlock) => {
            thread::sleep(Duration::from_micros(100));
            None
        }
    }) else {
        return;
    };
    let ended: Vec<Key> = table.tickets.keys().filter(|key| key.owner == owner).copied().collect();
    if ended.is_empty() {
        return;
    }
    for key in ended {
        if let Some(ticket) = table.tickets.remove(&key) {
            table.order(key.owner, Order::End(ticket.put));
        }
    }
    Table::ring(table);
}

/// An owner's own queue of the system's, where it has such a thing: no other thread comes between a call and who waits, and what
/// is ordered is done before the call that ordered it returns. Of one thread, which looks at it after each order, and when its
/// descriptor is readable.
#[derive(Debug)]
pub struct Desk {
    owner: u64,
    queue: OwnQueue,
    puts: HashMap<u64, Put>,
}

impl Desk {
    /// For an owner who does not wait for anything yet.
    pub fn new(owner: u64) -> Option<Self> {
        let queue = own_queue()?;
        table().desks.insert(owner, Vec::new());
        Some(Self { owner, queue, puts: HashMap::new() })
    }

    /// Readable when it is time to look.
    pub fn descriptor(&self) -> i32 {
        self.queue.descriptor()
    }

    /// Carries out what was ordered: the system has it then.
    pub fn carry_out(&mut self) {
        for order in table().desks.get_mut(&self.owner).map(std::mem::take).unwrap_or_default() {
            match order {
                Order::Begin(number, put) => {
                    self.queue.begin(number, &put.word, put.expected);
                    self.puts.insert(number, put);
                }
                Order::End(number) if self.puts.contains_key(&number) => self.queue.end(number),
                Order::End(_) => {}
            }
        }
        self.queue.submit();
    }

    /// Says how waits ended that have.
    pub fn look(&mut self) {
        let mut events = Vec::new();
        self.queue.collect(&mut events);
        for (number, event) in events {
            if let Some(put) = self.puts.remove(&number) {
                answer(number, &put, event);
            }
        }
        self.carry_out();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        end_owner(self.owner);
        self.carry_out();
        // Who is called until the system knows is somebody else.
        self.look();
        table().desks.remove(&self.owner);
    }
}

/// Waits until the system has what was begun before: who notifies a word then finds all waits of this process.
pub(super) fn settle() {
    let given = GIVEN.load(Ordering::SeqCst);
    if CARRIED_OUT.load(Ordering::SeqCst) >= given {
        return;
    }
    let end = Instant::now() + SETTLED;
    let mut looks = 0_u32;
    while CARRIED_OUT.load(Ordering::SeqCst) < given && Instant::now() < end {
        looks += 1;
        if looks < 100 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(50));
        }
    }
}

/// The thread.
fn run(bell: &Arc<Bell>) {
    let mut engine = Engine::new(bell);
    let mut puts: HashMap<u64, Put> = HashMap::new();
    let mut events = Vec::new();
    loop {
        // Before the orders: what is ordered after we have looked rings again.
        let heard = bell.heard();
        let (orders, given) = {
            let mut table = table();
            (std::mem::take(&mut table.orders), GIVEN.load(Ordering::SeqCst))
        };
        for order in orders {
            match order {
                Order::Begin(number, put) => {
                    engine.begin(number, &put.word, put.expected);
                    puts.insert(number, put);
                }
                Order::End(number) if puts.contains_key(&number) => engine.end(number, &mut events),
                Order::End(_) => {}
            }
        }
        engine.submit();
        CARRIED_OUT.store(given, Ordering::SeqCst);
        if events.is_empty() {
            engine.sleep(bell, heard, &mut events);
        }
        for (number, event) in events.drain(..) {
            if let Some(put) = puts.remove(&number) {
                answer(number, &put, event);
            }
        }
    }
}

/// The system has said how a wait ended.
fn answer(number: u64, put: &Put, event: Event) {
    let mut table = table();
    let current = table.tickets.get(&put.key).is_some_and(|ticket| ticket.put == number);
    let woken = matches!(event, Event::Woken);
    let outcome = match event {
        Event::Woken => Ok(()),
        Event::Different if current => Ok(()),
        Event::Failed(error) if current => Err(error),
        Event::Refused(cause) if current => Err(put.word.refused(&cause)),
        Event::Different | Event::Failed(_) | Event::Refused(_) | Event::Ended => return,
    };
    let Some(ticket) = table.tickets.remove(&put.key) else {
        drop(table);
        if woken {
            // Given up when the call was on its way: it is somebody else's. If the page has gone, so have all others.
            let _ = put.word.wake(1);
        }
        return;
    };
    if !current {
        table.order(put.key.owner, Order::End(ticket.put));
    }
    // This is the thread itself: it looks at its orders before it sleeps again.
    drop(table);
    (ticket.done)(outcome);
}
