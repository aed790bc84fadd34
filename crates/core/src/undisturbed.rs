//! Searches of a text that others change meanwhile.
//!
//! The engine of expressions goes over a match twice, to its end and back to its beginning, and panics if the second finds none:
//! since somebody has written there, or since what was mapped is gone. It keeps no state that depends on the text, so it can be
//! asked again, from where it was.

use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, set_hook, take_hook, AssertUnwindSafe};
use std::sync::Once;

/// One change in a match that is just found takes one. More than this is a bug.
const TRIES: u32 = 1000;

thread_local! {
    static SEARCHES: Cell<bool> = const { Cell::new(false) };
}

/// A panic of a search is an answer, of which nobody wants to read.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !SEARCHES.try_with(Cell::get).unwrap_or(false) {
                others(panic);
            }
        }));
    });
}

/// Searches, and again where the text was changed under it. What `search` has done until then must not be undone by that. It sets
/// the flag while what runs is not the engine: a panic of that is a bug.
pub fn undisturbed<T>(mut search: impl FnMut(&Cell<bool>) -> T) -> T {
    keep_quiet();
    let others = Cell::new(false);
    let mut tries = 1;
    loop {
        let before = SEARCHES.replace(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| search(&others)));
        SEARCHES.set(before);
        match outcome {
            Ok(found) => return found,
            Err(panic) if others.get() || tries == TRIES => resume_unwind(panic),
            Err(_) => tries += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_is_asked_again_but_not_for_ever_and_a_bug_is_one() {
        let mut left = 5;
        let found = undisturbed(|_| {
            left -= 1;
            assert!(left == 0, "the text has changed");
            7
        });
        assert_eq!((found, left), (7, 0));

        let mut tries = 0;
        let never = catch_unwind(AssertUnwindSafe(|| {
            undisturbed(|_| -> () {
                tries += 1;
                panic!("always")
            })
        }));
        assert!(never.is_err() && tries == TRIES);

        let mut tries = 0;
        let bug = catch_unwind(AssertUnwindSafe(|| {
            undisturbed(|others| -> () {
                others.set(true);
                tries += 1;
                panic!("of the caller")
            })
        }));
        assert!(bug.is_err() && tries == 1);
    }
}
