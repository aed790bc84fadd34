//! Searches that are cut into slices and shared by threads, and lines that are cut into blocks, against the plainest code that
//! does the same in one go. The slices are of a few bytes, so that nearly every match lies across a border.

mod common;

use std::sync::Arc;

use common::{options, Folder};
use memmap_core::lines::Block;
use memmap_core::pattern::Pattern;
use memmap_core::search_job::{Control, Search};
use memmap_core::{mmap_file, Access, Mapping, Source};
use proptest::prelude::*;
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// Which needle, then where the match and its groups begin and end.
type Match = (usize, Vec<Option<(usize, usize)>>);

/// Tries one position of a text.
type Matcher<'a> = Box<dyn Fn(&[u8], usize) -> Option<Match> + 'a>;

/// What is looked for, in the words of the model.
#[derive(Debug, Clone)]
enum Sought {
    Needles(Vec<Vec<u8>>),
    Expression { text: String, characters: bool, sticky: bool },
}

impl Sought {
    fn pattern(&self) -> Pattern {
        match self {
            Self::Needles(needles) => match needles.as_slice() {
                [needle] => Pattern::needle(needle),
                _ => Pattern::needles(&needles.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap(),
            },
            Self::Expression { text, characters, sticky } => {
                let syntax = syntax::Config::new().unicode(*characters).utf8(false);
                Pattern::expression(&syntax::parse_with(text, &syntax).unwrap(), *characters, *sticky).unwrap()
            }
        }
    }

    /// All matches in their order: every position is tried by itself.
    fn all(&self, text: &[u8]) -> Vec<Match> {
        let (characters, sticky) = match self {
            Self::Needles(_) => (false, false),
            Self::Expression { characters, sticky, .. } => (*characters, *sticky),
        };
        let inside = |at: usize| characters && at > 0 && text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let try_at = self.matcher();
        let mut found = Vec::new();
        let mut at = 0;
        while at <= text.len() {
            let is_whole = |(_, groups): &Match| groups[0] != Some((at, at)) || !inside(at);
            match try_at(text, at).filter(is_whole) {
                Some(one) => {
                    let (start, end) = one.1[0].unwrap();
                    found.push(one);
                    at = end;
                    if start == end {
                        at += 1;
                        while inside(at) {
                            at += 1;
                        }
                    }
                }
                None if sticky => break,
                None => at += 1,
            }
        }
        found
    }

    /// A function that tries one position.
    fn matcher(&self) -> Matcher<'_> {
        match self {
            Self::Needles(needles) => Box::new(|text, at| {
                let index = needles.iter().position(|needle| text[at..].starts_with(needle))?;
                Some((index, vec![Some((at, at + needles[index].len()))]))
            }),
            Self::Expression { text, characters, .. } => {
                let regex = Regex::builder()
                    .syntax(syntax::Config::new().unicode(*characters).utf8(false))
                    .configure(Regex::config().utf8_empty(false))
                    .build(text)
                    .unwrap();
                Box::new(move |text, at| {
                    let mut captures: Captures = regex.create_captures();
                    regex.search_captures(&Input::new(text).range(at..).anchored(Anchored::Yes), &mut captures);
                    captures.get_match()?;
                    let groups = captures.iter().map(|group| group.map(|span| (span.start, span.end)));
                    Some((0, groups.collect()))
                })
            }
        }
    }
}

/// Searches all forms in slices, and compares.
fn check(sought: &Sought, text: &[u8], around: &[u8], slice: usize, threads: usize, batch: (usize, Option<usize>)) {
    let folder = Folder::new();
    let path = folder.file("f", &[around, text, around].concat());
    let file = mmap_file::open(Source::Path(&path), options(Access::Read)).unwrap();
    let start = around.len() as u64;
    let expected = sought.all(text);
    let pattern = Arc::new(sought.pattern());
    let mut counts = vec![0; pattern.needle_count()];
    expected.iter().for_each(|(needle, _)| counts[*needle] += 1);
    // What can be stopped goes through a long rest step by step.
    for stoppable in [false, true] {
        let search = Search {
            mapping: Arc::clone(file.mapping()),
            start,
            end: start + text.len() as u64,
            pattern: Arc::clone(&pattern),
            control: Arc::new(Control::default()),
            slice,
            stoppable,
        };
        assert_eq!(search.count(threads).unwrap(), counts, "count");
        let first = search.first(threads).unwrap().map(|found| (found.needle, Some((found.start, found.end))));
        assert_eq!(first, expected.first().map(|(needle, groups)| (*needle, groups[0])), "first");
        assert_eq!(in_batches(&search, text, batch), expected, "batch");
    }
}

/// All matches, so many at most at a time, their bytes looked at.
fn in_batches(search: &Search, text: &[u8], (most, most_bytes): (usize, Option<usize>)) -> Vec<Match> {
    let groups = search.pattern.group_count();
    let (mut found, mut at): (Vec<Match>, u64) = (Vec::new(), 0);
    while at <= text.len() as u64 {
        let batch = search.batch(at, most, most_bytes).unwrap();
        assert!(batch.next > at, "a batch that goes nowhere");
        let rows = batch.spans.chunks(1 + 2 * groups);
        assert!(rows.len() <= most);
        let mut bytes = Vec::new();
        for row in rows {
            let place = |pair: &[f64]| {
                let [start, end] = [pair[0], pair[1]].map(|position| position - search.start as f64);
                (pair[0] >= 0.0).then_some((start as usize, end as usize))
            };
            let groups: Vec<_> = row[1..].chunks(2).map(place).collect();
            let (start, end) = groups[0].unwrap();
            bytes.extend_from_slice(&text[start..end]);
            found.push((row[0] as usize, groups));
        }
        assert_eq!(batch.bytes, if most_bytes.is_some() { bytes } else { Vec::new() });
        at = batch.next;
    }
    found
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..200),
        (0..200_usize).prop_map(|len| vec![b'a'; len]),
        (0..100_usize).prop_map(|len| b"ab".repeat(len)),
        prop::collection::vec(prop::sample::select(b"aab b\n".to_vec()), 0..200),
        // Whole characters, and parts of them.
        prop::collection::vec(prop::sample::select(b"ab\r\n\n\xc3\xa9\xa9".to_vec()), 0..200),
        prop::collection::vec(prop::sample::select(vec!["a", "b", "\u{e9}", "\u{20ac}", "\n"]), 0..80)
            .prop_map(|parts| parts.concat().into_bytes()),
    ]
}

fn needle() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["a", "b", "aa", "aaa", "ab", "ba", "aba", "abab", "ababa", "aab", "\n", "b\na"])
            .prop_map(|needle| needle.as_bytes().to_vec()),
        prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..12),
        (1..70_usize).prop_map(|len| vec![b'a'; len]),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "aa",
        "abab",
        "\\n",
        "[ab]",
        "[^a]",
        "[^\\n]",
        "(?mR:^)",
        "(?mR:$)",
        "(?-u:\\b)",
        "(?-u:\\B)",
        "\\A",
        "\\z",
        "",
        "[^\\n]*",
        "[ab\\n]+",
        "[ab\\n]*?",
        "(?-u:[\\x00-\\xff])",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
            2 => (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("(?:{one}|{other})")),
            2 => (inner.clone(), prop::sample::select(vec!["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{2,}?"]))
                .prop_map(|(inner, times)| format!("(?:{inner}){times}")),
            1 => inner.prop_map(|inner| format!("({inner})")),
        ]
    })
}

fn sought() -> impl Strategy<Value = Sought> {
    prop_oneof![
        3 => needle().prop_map(|needle| Sought::Needles(vec![needle])),
        1 => Just(Sought::Needles(vec![Vec::new()])),
        4 => prop::collection::vec(needle(), 2..8).prop_map(Sought::Needles),
        8 => (expression(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(text, characters, sticky)| Sought::Expression { text, characters, sticky }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_and_threads_find_what_one_pass_finds(
        sought in sought(),
        text in text(),
        around in prop::sample::select(vec!["", "a", "ab", "aaa\n", "\u{e9}", "\n"]),
        slice in prop_oneof![1..9_usize, 1..65_usize],
        threads in 1..5_usize,
        most in prop_oneof![1..5_usize, Just(1000)],
        most_bytes in prop_oneof![Just(None), (1..20_usize).prop_map(Some)],
    ) {
        check(&sought, &text, around.as_bytes(), slice, threads, (most, most_bytes));
    }
}

/// Every slice begins one byte off: the two rows of matches that `count` compares never meet.
#[test]
fn needles_that_overlap_themselves_are_counted_right_at_every_border() {
    for needle in ["aa", "aaa", "abab", "aabaa", "abcabcab"] {
        let period = &needle[..needle.len().div_ceil(2)];
        for text in [period.repeat(40), "a".repeat(97), "ab".repeat(50), "abc".repeat(33), "aab".repeat(33)] {
            for slice in 1..12 {
                for threads in [1, 3] {
                    let sought = Sought::Needles(vec![needle.into()]);
                    check(&sought, text.as_bytes(), needle.as_bytes(), slice, threads, (3, Some(5)));
                    let sought = Sought::Needles(vec![needle.into(), "ba".into(), "a".into()]);
                    check(&sought, text.as_bytes(), needle.as_bytes(), slice, threads, (3, None));
                }
            }
        }
    }
}

/// Lines as the plainest code has them: where each begins and ends, and whether it has its end.
fn lines_of(text: &[u8]) -> Vec<(u64, u64, bool)> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        let terminated = line.ends_with(b"\n");
        lines.push((start as u64, (end - usize::from(terminated)) as u64, terminated));
        start = end;
    }
    lines
}

/// The lines of a block, which begins at `block.start` and has an end for each.
fn lines_in(block: Block, ends: &[f64]) -> Vec<(u64, u64, bool)> {
    let mut start = block.start;
    let mut lines = Vec::new();
    for (index, &end) in ends[..block.lines].iter().enumerate() {
        lines.push((start, end as u64, block.terminated || index + 1 < block.lines));
        start = end as u64 + 1;
    }
    lines
}

fn forwards(mapping: &Mapping, start: u64, end: u64, size: u64, room: usize) -> Vec<(u64, u64, bool)> {
    let (mut at, mut lines) = (start, Vec::new());
    while at < end {
        let mut ends = vec![f64::NAN; room];
        let block = mapping.first_lines(at, end, size, &mut ends, &Control::default()).unwrap();
        assert_eq!(block.start, at);
        assert!(block.lines >= 1);
        lines.extend(lines_in(block, &ends));
        let &(_, last, terminated) = lines.last().unwrap();
        at = last + u64::from(terminated);
    }
    assert_eq!(at, end.max(start));
    lines
}

fn backwards(mapping: &Mapping, start: u64, end: u64, size: u64, room: usize) -> Vec<(u64, u64, bool)> {
    let (mut to, mut lines) = (end, Vec::new());
    while to > start {
        let mut ends = vec![f64::NAN; room];
        let block = mapping.last_lines(start, to, size, &mut ends, &Control::default()).unwrap();
        assert!(block.lines >= 1 && block.start < to);
        let mut found = lines_in(block, &ends);
        let &(_, last, terminated) = found.last().unwrap();
        assert_eq!(last + u64::from(terminated), to);
        found.reverse();
        lines.extend(found);
        to = block.start;
    }
    lines.reverse();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_of_lines_are_the_lines_of_the_whole(
        text in prop_oneof![
            prop::collection::vec(prop::sample::select(b"a\n".to_vec()), 0..120),
            prop::collection::vec(prop::sample::select(b"abcdefgh\r\n".to_vec()), 0..300),
            prop::collection::vec(Just(b'\n'), 0..60),
            prop::collection::vec(Just(b'a'), 0..60),
        ],
        around in prop::sample::select(vec!["", "a", "\n", "a\n\n"]),
        size in 1..65_u64,
        room in prop_oneof![2..6_usize, Just(100)],
    ) {
        let folder = Folder::new();
        let path = folder.file("f", &[around.as_bytes(), &text, around.as_bytes()].concat());
        let file = mmap_file::open(Source::Path(&path), options(Access::Read)).unwrap();
        let (start, end) = (around.len() as u64, (around.len() + text.len()) as u64);
        let expected: Vec<_> =
            lines_of(&text).into_iter().map(|(from, to, terminated)| (from + start, to + start, terminated)).collect();
        prop_assert_eq!(forwards(file.mapping(), start, end, size, room), &*expected);
        prop_assert_eq!(backwards(file.mapping(), start, end, size, room), &*expected);
    }
}

#[test]
fn a_line_longer_than_several_slices_is_found_whole_from_both_ends() {
    let long = 9 << 20;
    let folder = Folder::new();
    for (before, after) in [("", ""), ("", "\n"), ("x\n", ""), ("x\n", "\ny"), ("\n", "\n\n"), ("x\ny\n", "\nz\n")] {
        let text = [before.as_bytes(), &vec![b'-'; long], after.as_bytes()].concat();
        let file = common::open(&folder.file("f", &text), Access::Read);
        let expected = lines_of(&text);
        for size in [1, 64, 4 << 20, (4 << 20) + 1, 64 << 20] {
            assert_eq!(
                forwards(file.mapping(), 0, text.len() as u64, size, 4),
                expected,
                "{before:?} {after:?} {size}"
            );
            assert_eq!(
                backwards(file.mapping(), 0, text.len() as u64, size, 4),
                expected,
                "{before:?} {after:?} {size}"
            );
        }
    }
}
