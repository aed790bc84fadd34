//! Batches that are found ahead, by a thread and by its caller, against those of one thread.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{options, Folder};
use memmap_core::pattern::Pattern;
use memmap_core::read_ahead::{Part, ReadAhead};
use memmap_core::search_job::{Batch, Control, Search, SLICE};
use memmap_core::{mmap_file, Access, Region, Source};
use proptest::prelude::*;
use regex_automata::util::syntax;

/// Numbers and bytes of all matches.
#[derive(Debug, Default, PartialEq)]
struct All {
    spans: Vec<f64>,
    bytes: Vec<u8>,
}

impl All {
    fn add(&mut self, batch: &Batch) {
        self.spans.extend_from_slice(&batch.spans);
        self.bytes.extend_from_slice(&batch.bytes);
    }
}

fn pattern(text: &str) -> Arc<Pattern> {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    Arc::new(Pattern::expression(&syntax::parse_with(text, &syntax).unwrap(), false, false).unwrap())
}

fn search(file: &Region, (start, end): (usize, usize), pattern: &Arc<Pattern>) -> Search {
    Search {
        mapping: Arc::clone(file.mapping()),
        start: start as u64,
        end: end as u64,
        pattern: Arc::clone(pattern),
        control: Arc::new(Control::default()),
        slice: SLICE,
        stoppable: false,
    }
}

fn on_one_thread(search: &Search, most: usize) -> All {
    let (mut all, mut at) = (All::default(), 0);
    while at <= search.end - search.start {
        let batch = search.batch(at, most, Some(usize::MAX)).unwrap();
        all.add(&batch);
        at = batch.next;
    }
    all
}

/// All matches by reading ahead. `pause` is asked how long the caller is at work before it comes again. Where reading ahead ends
/// before the text does it is begun again, as the addon does.
fn ahead(search: &Search, most: usize, most_bytes: usize, mut pause: impl FnMut() -> Option<Duration>) -> All {
    let mut all = All::default();
    let mut part = Part { at: 0, most, most_bytes: Some(most_bytes) };
    let mut ahead: Option<ReadAhead> = None;
    while part.at <= search.end - search.start {
        let batch = match ahead.as_mut().and_then(|ahead| ahead.next_batch(search)) {
            Some(batch) => batch.unwrap(),
            None => {
                ahead = None;
                search.batch(part.at, most, Some(most_bytes)).unwrap()
            }
        };
        assert!(batch.next > part.at, "a batch that goes nowhere");
        assert!(batch.spans.len() <= most * (1 + 2 * search.pattern.group_count()));
        all.add(&batch);
        part.at = batch.next;
        if ahead.is_none() {
            ahead = ReadAhead::begin(search, part);
        }
        if let Some(ahead) = &ahead {
            assert!(ahead.is(search, part));
        }
        if let Some(time) = pause() {
            std::thread::sleep(time);
        }
    }
    all
}

/// Lines of random words, some very long.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec!["a", "ab", "7ms", "12ms", "abab", "x y", "\n", "\n\n", "aaaaaaaaaaaaaaaa"]);
    let part =
        (prop::collection::vec(word, 1..60), 1..400_usize).prop_map(|(words, times)| words.concat().repeat(times));
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_ahead_is_what_one_thread_finds(
        text in text(),
        around in prop::sample::select(vec!["", "a", "7", "ms\n"]),
        expression in prop::sample::select(vec![
            "[0-9]+ms", "ab", "a+", "[^\n]+", "[ab\n]{7}", "[\\x00-\\xff]{1000}", "([0-9])?(ms)", "(?:a[^\n]*)?b", "y", "\\ba",
        ]),
        most in prop_oneof![1..6_usize, 6..300_usize, Just(4096)],
        most_bytes in prop_oneof![3 => Just(1 << 20), 1 => 1..5000_usize],
        seed in any::<u64>(),
    ) {
        let folder = Folder::new();
        let path = folder.file("f", &[around.as_bytes(), &text, around.as_bytes()].concat());
        let file = mmap_file::open(Source::Path(&path), options(Access::Read)).unwrap();
        let search = search(&file, (around.len(), around.len() + text.len()), &pattern(expression));
        prop_assert!(search.pattern.can_be_sliced() && search.pattern.can_be_handed_on());
        let expected = on_one_thread(&search, 4096);
        // Mostly as fast as it can, so that it helps the thread; sometimes with work of its own, so that all is there when it comes.
        let mut random = seed;
        let found = ahead(&search, most, most_bytes, || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56 == 0).then(|| Duration::from_micros(random >> 40 & 0xff))
        });
        prop_assert_eq!(found.spans.len(), expected.spans.len());
        prop_assert!(found == expected);
    }
}
