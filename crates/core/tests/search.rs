//! Finding and counting, in any window, against the plainest code that does the same.

mod common;

use common::{code, options, Folder};
use memmap_core::{mmap_file, Access, Mapping, OpenOptions, Source};
use proptest::prelude::*;

/// Every place in the window where the needle begins and lies wholly inside.
fn matches(window: &[u8], needle: &[u8]) -> Vec<usize> {
    if needle.is_empty() {
        return (0..=window.len()).collect();
    }
    window.windows(needle.len()).enumerate().filter(|(_, part)| *part == needle).map(|(index, _)| index).collect()
}

/// Those that a search finds which goes on behind each match.
fn apart(all: &[usize], len: usize) -> Vec<usize> {
    let mut next = 0;
    let mut kept = Vec::new();
    for &index in all.iter() {
        if index >= next {
            kept.push(index);
            next = index + len.max(1);
        }
    }
    kept
}

/// All positions, asked for in portions.
fn in_portions(mapping: &Mapping, start: u64, end: u64, needle: &[u8], portion: usize) -> Vec<usize> {
    let mut out = vec![-1.0; portion];
    let mut from = start;
    let mut found = Vec::new();
    // An empty needle is also found at the very end, behind which no search can start.
    while from <= end {
        let filled = mapping.indexes_of(from, end, needle, &mut out).unwrap();
        found.extend(out[..filled].iter().map(|&index| index as usize - start as usize));
        if filled < portion {
            break;
        }
        from = out[filled - 1] as u64 + needle.len().max(1) as u64;
    }
    found
}

fn data() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let with_needle = |bytes: Vec<u8>, at: usize, len: usize, foreign: Option<Vec<u8>>| {
        let at = at % (bytes.len() + 1);
        let len = len.min(bytes.len() - at);
        let needle = foreign.unwrap_or_else(|| bytes[at..at + len].to_vec());
        (bytes, needle)
    };
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6000),
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, len)| vec![byte; len]),
        prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..6000),
        prop::collection::vec(prop::sample::select(b"the quick brown fox\n".to_vec()), 0..6000),
    ];
    let len = prop_oneof![Just(0_usize), Just(1), Just(2), 3..20_usize, 20..300_usize];
    // Mostly a piece of the data itself, so that there is something to find.
    let foreign = prop_oneof![4 => Just(None), 1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(Some)];
    (bytes, any::<prop::sample::Index>(), len, foreign).prop_map(move |(bytes, at, len, foreign)| {
        let at = at.index(bytes.len() + 1);
        with_needle(bytes, at, len, foreign)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_search_finds_what_plain_code_finds(
        (bytes, needle) in data(),
        before in 0..5000_usize,
        edges in any::<(prop::sample::Index, prop::sample::Index)>(),
        portion in 1..40_usize,
    ) {
        let folder = Folder::new();
        // The needle lies on both sides of the region too: nothing there may be found.
        let around = needle.repeat(3);
        let path = folder.file("f", &[vec![0; before], around.clone(), bytes.clone(), around.clone()].concat());
        let window = OpenOptions {
            offset: (before + around.len()) as u64,
            length: Some(bytes.len() as u64),
            ..options(Access::Read)
        };
        let file = mmap_file::open(Source::Path(&path), window).unwrap();
        let mapping = file.mapping();

        let (one, other) = (edges.0.index(bytes.len() + 1), edges.1.index(bytes.len() + 1));
        for (start, end) in [(0, bytes.len()), (one.min(other), one.max(other)), (one, one)] {
            let all = matches(&bytes[start..end], &needle);
            let apart = apart(&all, needle.len());
            let (from, to) = (start as u64, end as u64);
            let absolute = |index: Option<&usize>| index.map(|index| from + *index as u64);
            prop_assert_eq!(mapping.index_of(from, to, &needle).unwrap(), absolute(all.first()));
            prop_assert_eq!(mapping.last_index_of(from, to, &needle).unwrap(), absolute(all.last()));
            prop_assert_eq!(mapping.count(from, to, &needle).unwrap(), apart.len() as u64);
            prop_assert_eq!(in_portions(mapping, from, to, &needle, portion), apart);
        }
    }
}

#[test]
fn a_window_beyond_the_region_is_refused_and_one_that_ends_before_it_starts_is_empty() {
    let folder = Folder::new();
    let file = common::open(&folder.file("f", b"0123456789"), Access::Read);
    let mapping = file.mapping();
    for (start, end) in [(0, 11), (11, 11), (5, u64::MAX), (u64::MAX, u64::MAX)] {
        assert_eq!(code(mapping.index_of(start, end, b"0")), "ERR_OUT_OF_RANGE", "{start} {end}");
        assert_eq!(code(mapping.last_index_of(start, end, b"0")), "ERR_OUT_OF_RANGE", "{start} {end}");
        assert_eq!(code(mapping.count(start, end, b"0")), "ERR_OUT_OF_RANGE", "{start} {end}");
        assert_eq!(code(mapping.indexes_of(start, end, b"0", &mut [0.0])), "ERR_OUT_OF_RANGE", "{start} {end}");
    }
    assert_eq!(mapping.index_of(5, 2, b"3").unwrap(), None);
    assert_eq!(mapping.count(5, 2, b"").unwrap(), 1);
    assert_eq!(mapping.index_of(10, 10, b"").unwrap(), Some(10));
    assert_eq!(mapping.last_index_of(3, 10, b"").unwrap(), Some(10));
    assert_eq!(mapping.indexes_of(0, 10, b"0", &mut []).unwrap(), 0);
}
