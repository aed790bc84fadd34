//! What the fuzz tests share: how many cases, and numbers that nobody made a function for.

#![allow(dead_code, reason = "every test file compiles this for itself and uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// How often something came about, to show that what is hunted happens.
#[derive(Default)]
pub struct Seen {
    pub answers: AtomicU64,
    pub errors: AtomicU64,
}

impl Seen {
    /// Counts an outcome; every error has a code that is Node's or ours.
    pub fn note<T>(&self, outcome: Result<T, memmap_core::Error>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                Some(value)
            }
            Err(error) => {
                let code = error.code();
                let named = code.starts_with("ERR_") || (code.starts_with('E') && code.len() > 2);
                assert!(named && !error.to_string().is_empty(), "{error:?}");
                self.errors.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// Runs a property as often as PROPTEST_CASES says, or `default` times; prints the counts.
pub fn hunt<S: Strategy>(
    what: &str,
    default: u32,
    strategy: S,
    property: impl Fn(&Seen, S::Value) -> Result<(), TestCaseError>,
) {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|given| given.parse().ok());
    let config = ProptestConfig {
        cases: given.unwrap_or(default),
        failure_persistence: None,
        max_global_rejects: u32::MAX,
        ..Default::default()
    };
    let cases = config.cases;
    let seen = Seen::default();
    let outcome = TestRunner::new(config).run(&strategy, |value| property(&seen, value));
    let (answers, errors) = (seen.answers.into_inner(), seen.errors.into_inner());
    if let Err(failure) = outcome {
        panic!("{what}: {failure}");
    }
    println!("{what}: {cases} cases, {answers} answers, {errors} errors");
    assert!(cases < 100 || (answers > 0 && errors > 0), "{what}: both must happen: {answers} answers, {errors} errors");
}

/// Positions and lengths: near 0, near `end`, at borders of pages, and where numbers of some width end.
pub fn number(end: u64) -> impl Strategy<Value = u64> + Clone {
    let page = crate::common::page() as u64;
    let near = move |at: u64| (0..7_u64).prop_map(move |by| at.wrapping_add(by).wrapping_sub(3));
    let borders = [1 << 31, 1 << 32, 1 << 47, 1 << 53, 1 << 63, u64::MAX, u64::MAX - page];
    prop_oneof![
        6 => 0..end.saturating_mul(2).max(1),
        4 => near(0),
        4 => near(end),
        3 => (0..4_u64).prop_flat_map(move |pages| near(pages * page)),
        2 => prop::sample::select(borders.to_vec()).prop_flat_map(near),
        1 => any::<u64>(),
    ]
}
