//! Any ends of ranges of locks, against a list of who has what: whoever is refused is refused for a lock that overlaps, and
//! what is released is free for another process, which here is another open file description.

mod common;
#[path = "common/fuzz.rs"]
mod fuzz;
#[path = "common/locks.rs"]
mod locks;

use common::Folder;
use fuzz::{hunt, number};
use locks::{at, file_of, range};
use memmap_core::range_lock::{downgrade, release, try_lock, Extent, Mode};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Lock { file: usize, shared: bool, start: u64, end: u64 },
    Release(prop::sample::Index),
    Downgrade(prop::sample::Index),
    ReleaseNobodys(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let end = || prop_oneof![4 => 0..40_u64, 2 => number(20), 1 => LAST - 2..LAST + 3, 1 => Just(Extent::FOREVER)];
    prop_oneof![
        8 => (0..2_usize, any::<bool>(), end(), end())
            .prop_map(|(file, shared, start, end)| Step::Lock { file, shared, start, end }),
        4 => any::<prop::sample::Index>().prop_map(Step::Release),
        2 => any::<prop::sample::Index>().prop_map(Step::Downgrade),
        1 => any::<u64>().prop_map(Step::ReleaseNobodys),
    ]
}

/// Behind it living owners have their bytes, and no lock reaches there.
const LAST: u64 = 1 << 62;

#[test]
fn any_ranges_are_locked_as_a_list_says() {
    let folder = Folder::new();
    hunt("lock ranges", 400, prop::collection::vec(step(), 1..30), |seen, steps| {
        // New each time, so that no case is blamed for what another one left.
        let path = folder.join("f");
        let _ = std::fs::remove_file(&path);
        // Two of this process, by open file descriptions of their own.
        let files = [file_of(&path), file_of(&path)];
        let mut held: Vec<(u64, Mode, Extent)> = Vec::new();
        let mut released: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Lock { file, shared, start, end } => {
                    let mode = if shared { Mode::Shared } else { Mode::Exclusive };
                    let extent = at(start, end);
                    let outcome = seen.note(try_lock(&files[file], range(1, mode, extent)));
                    // lib/ lets none of these through; here nothing may break.
                    let sound = start < end && start < LAST;
                    let in_the_way = held.iter().any(|(_, other, theirs)| {
                        theirs.overlaps(&extent) && (mode == Mode::Exclusive || *other == Mode::Exclusive)
                    });
                    if let Some(Some(id)) = outcome {
                        prop_assert!(!in_the_way, "{:?} beside {:?}", extent, held);
                        held.push((id, mode, extent));
                    } else if sound && end <= LAST {
                        prop_assert!(matches!(outcome, Some(None)) && in_the_way, "{:?} refused: {:?}", extent, held);
                    }
                }
                Step::Release(which) if !held.is_empty() => {
                    let (id, ..) = held.swap_remove(which.index(held.len()));
                    release(id);
                    released.push(id);
                }
                Step::Downgrade(which) if !held.is_empty() => {
                    let place = which.index(held.len());
                    if seen.note(downgrade(held[place].0)).is_some() {
                        held[place].1 = Mode::Shared;
                    }
                }
                Step::ReleaseNobodys(id) if held.iter().all(|(other, ..)| *other != id) => {
                    release(id);
                    prop_assert!(downgrade(id).is_err());
                }
                _ => {}
            }
        }
        for (id, ..) in held {
            release(id);
        }
        for id in released {
            prop_assert!(seen.note(downgrade(id)).is_none(), "who was released has nothing to make less of");
        }
        #[cfg(target_os = "linux")]
        prop_assert_eq!(locks::kernel_locks(&path), Vec::<String>::new());
        Ok(())
    });
}
