//! How many maps this process may still make. V8 itself dies when the system refuses it a map, so
//! we stop making ours while it still has room.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sys;
use crate::{Error, Result};

/// Below this many of our own ranges nobody looks at the system's count.
const UNCHECKED: usize = 4096;
/// Closed ranges that views still hold: their addresses may fill at most this much of the 128 TiB.
const RETIRED_BYTES: usize = 1 << 46;

static OURS: AtomicUsize = AtomicUsize::new(0);
static NEXT_LOOK: AtomicUsize = AtomicUsize::new(UNCHECKED);
static RETIRED: AtomicUsize = AtomicUsize::new(0);

/// One range of ours, counted until dropped.
#[derive(Debug)]
pub struct Counted {
    retired: AtomicUsize,
}

impl Counted {
    /// Counts a range that is about to be mapped; `ENOMEM` at 90 % of the system's limit.
    pub fn new() -> Result<Self> {
        let ours = OURS.fetch_add(1, Ordering::Relaxed) + 1;
        let counted = Self { retired: AtomicUsize::new(0) };
        if RETIRED.load(Ordering::Relaxed) > RETIRED_BYTES {
            return Err(Error::raw("mmap", sys::ENOMEM).advise(
                "closed regions still hold more than 64 TiB of addresses; drop the views onto them and let the event loop turn",
            ));
        }
        if ours >= NEXT_LOOK.load(Ordering::Relaxed) {
            look(ours)?;
        }
        Ok(counted)
    }

    /// The range was closed, but views keep its addresses.
    pub fn retire(&self, bytes: usize) {
        if self.retired.swap(bytes, Ordering::Relaxed) == 0 {
            RETIRED.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let ours = OURS.fetch_sub(1, Ordering::Relaxed) - 1;
        RETIRED.fetch_sub(*self.retired.get_mut(), Ordering::Relaxed);
        if ours + UNCHECKED < NEXT_LOOK.load(Ordering::Relaxed) {
            NEXT_LOOK.store(ours + UNCHECKED, Ordering::Relaxed);
        }
    }
}

fn look(ours: usize) -> Result<()> {
    let (Some(limit), Some(maps)) = (sys::map_limit(), sys::map_count()) else { return Ok(()) };
    let allowed = limit / 10 * 9;
    if maps >= allowed {
        return Err(Error::raw("mmap", sys::ENOMEM).advise(format!(
            "the process has {maps} maps of at most {limit}; close regions (mappings() lists them) or raise vm.max_map_count"
        )));
    }
    // A region can take up to three maps (a replaced page splits one): look again before that could do harm.
    NEXT_LOOK.store(ours + ((allowed - maps) / 4).clamp(1, UNCHECKED), Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The one unit test that maps or counts anything: the numbers are the process's own.
    #[test]
    #[cfg_attr(
        miri,
        ignore = "thousands of ranges, and the system's list of maps: minutes there, and no pointer is followed"
    )]
    fn the_counts_return_to_where_they_were() {
        let counts = || (OURS.load(Ordering::Relaxed), RETIRED.load(Ordering::Relaxed));
        let before = counts();
        let counted: Vec<_> = (0..3 * UNCHECKED).map(|_| Counted::new().unwrap()).collect();
        for one in counted.iter().step_by(2) {
            one.retire(1 << 20);
            one.retire(1 << 20);
        }
        assert_eq!(counts(), (before.0 + 3 * UNCHECKED, before.1 + ((3 * UNCHECKED / 2) << 20)));
        drop(counted);
        assert_eq!(counts(), before);
        assert!(NEXT_LOOK.load(Ordering::Relaxed) <= before.0 + UNCHECKED, "the next look is near again");

        let whole = Counted::new().unwrap();
        whole.retire(RETIRED_BYTES + 1);
        assert_eq!(Counted::new().unwrap_err().code(), "ENOMEM");
        drop(whole);
        assert_eq!(counts(), before);
        Counted::new().unwrap();
    }
}
