//! The status word: one 32-bit cell a region, written here, read by JavaScript without a call.
//!
//! Cells live in pages that are never freed, so a late reader (a signal handler, an `Int32Array`
//! in some worker) always reads memory that exists. The first cell of all belongs to no region: it counts those that
//! have faulted, so that one word at a fixed address tells nearly every reader that there is nothing to look at.

use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// A page could not be supplied; from then on every method throws.
pub const FAULTED: i32 = 2;

/// Cells in one page.
pub const CELLS: usize = 1024;
const PAGES: usize = 4096;

#[repr(C, align(4096))]
struct Page([AtomicI32; CELLS]);

static FIRST: Page = Page([const { AtomicI32::new(0) }; CELLS]);
/// The pages after the first.
static TABLE: [AtomicPtr<Page>; PAGES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PAGES];
static FREE: Mutex<Cells> = Mutex::new(Cells { free: Vec::new(), made: 1 });

struct Cells {
    free: Vec<u32>,
    made: usize,
}

/// The cell of one region, returned when dropped.
#[derive(Debug)]
pub struct StatusCell {
    index: u32,
    word: &'static AtomicI32,
}

impl StatusCell {
    /// Takes a cell that reads 0; none when four million regions are open at once.
    pub fn take() -> Option<Self> {
        let mut cells = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match cells.free.pop() {
            Some(index) => index,
            None => {
                let index = cells.made;
                if index >= PAGES * CELLS {
                    return None;
                }
                if index.is_multiple_of(CELLS) {
                    let page = Box::leak(Box::new(Page([const { AtomicI32::new(0) }; CELLS])));
                    TABLE[index / CELLS].store(page, Ordering::Release);
                }
                cells.made += 1;
                index as u32
            }
        };
        let word = &page(index as usize / CELLS)?[index as usize % CELLS];
        word.store(0, Ordering::SeqCst);
        Some(Self { index, word })
    }

    /// Number of the cell: `index / CELLS` is its page.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The word itself.
    pub fn word(&self) -> &'static AtomicI32 {
        self.word
    }
}

impl Drop for StatusCell {
    fn drop(&mut self) {
        if self.word.swap(0, Ordering::SeqCst) & FAULTED != 0 {
            faulted_regions().fetch_sub(1, Ordering::SeqCst);
        }
        FREE.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.index);
    }
}

/// How many regions have faulted and are still there: the word at the very start of the first page.
pub fn faulted_regions() -> &'static AtomicI32 {
    &FIRST.0[0]
}

/// Says of a region that a page of it could not be supplied. Safe in a signal handler.
pub fn set_faulted(word: &AtomicI32) {
    if word.fetch_or(FAULTED, Ordering::SeqCst) & FAULTED == 0 {
        faulted_regions().fetch_add(1, Ordering::SeqCst);
    }
}

/// A page of cells, if it was made.
pub fn page(number: usize) -> Option<&'static [AtomicI32; CELLS]> {
    if number == 0 {
        return Some(&FIRST.0);
    }
    let page = TABLE.get(number)?.load(Ordering::Acquire);
    // SAFETY: a page is published once, after it was initialised, and leaked; nobody can free it.
    unsafe { page.as_ref() }.map(|page| &page.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_cell_is_clean_when_taken_again() {
        let cell = StatusCell::take().unwrap();
        let before = faulted_regions().load(Ordering::SeqCst);
        set_faulted(cell.word());
        set_faulted(cell.word());
        assert_eq!(cell.word().load(Ordering::SeqCst), FAULTED);
        assert_eq!(faulted_regions().load(Ordering::SeqCst), before + 1, "each is counted once");
        drop(cell);
        assert_eq!(faulted_regions().load(Ordering::SeqCst), before);
        let cells: Vec<_> = (0..2 * CELLS).map(|_| StatusCell::take().unwrap()).collect();
        assert!(cells.iter().all(|cell| cell.word().load(Ordering::SeqCst) == 0));
        let mut indexes: Vec<_> = cells.iter().map(StatusCell::index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        assert_eq!(indexes.len(), 2 * CELLS);
        assert_ne!(indexes[0], 0, "the first is nobody's");
        assert!(page(PAGES).is_none());
    }
}
