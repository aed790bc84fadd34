//! Trees of expressions: whatever the words are, they are read or refused, and what was read can be searched for.

use memmap_core::expression::read;
use memmap_core::pattern::Pattern;
use memmap_core::{Error, ErrorKind};
use proptest::prelude::*;

/// `a`, and `b` or `c`.
const LETTER: [u32; 3] = [0, 1, b'a' as u32];
const EITHER: [u32; 4] = [1, 1, b'b' as u32, b'c' as u32];

fn found(tree: &[u32], text: &[u8]) -> Option<(usize, usize)> {
    let pattern = Pattern::expression(&read(tree).unwrap(), false, false).unwrap();
    pattern.find(text, 0, text.len()).map(|found| (found.start, found.end))
}

fn is_refused(tree: &[u32]) -> bool {
    matches!(read(tree).map_err(Error::into_kind), Err(ErrorKind::InvalidPattern(_)))
}

#[test]
fn a_tree_is_read_from_its_leaves_to_its_root() {
    assert_eq!(found(&LETTER, b"xxa"), Some((2, 3)));
    let both = [&LETTER[..], &EITHER, &[6, 2]].concat();
    assert_eq!(found(&both, b"aac"), Some((1, 3)));
    let repeated = [&both[..], &[4, 2, u32::MAX, 1, 5, 1]].concat();
    assert_eq!(found(&repeated, b"abxabacab"), Some((3, 9)));
    let choice = [&both[..], &EITHER, &[7, 2]].concat();
    assert_eq!(found(&choice, b"xcab"), Some((1, 2)));
    assert_eq!(found(&[2, 2, 0x61, 0x61, 0xe9, 0x1f600], "\u{1f600}".as_bytes()), Some((0, 4)));
    assert_eq!(found(&[6, 0], b"x"), Some((0, 0)));
    assert_eq!(found(&[1, 0], b"x"), None);
    for (look, place) in [(0, 0), (1, 5), (2, 0), (3, 2), (4, 0), (5, 1)] {
        assert_eq!(found(&[3, look], b"ab\r\n-").map(|(start, _)| start), Some(place), "look {look}");
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    for tree in [
        &[][..],
        &[8],
        &[u32::MAX],
        &[0],
        &[0, 2, 97],
        &[0, u32::MAX],
        &[0, 1, 256],
        &[1, 1, 98],
        &[1, 1, 99, 98],
        &[1, 1, 0, 256],
        &[1, u32::MAX, 0, 1],
        &[2, 1, 0xd800, 0xd800],
        &[2, 1, 0, 0x11_0000],
        &[3, 6],
        &[4, 0, 1, 1],
        &[5, 1],
        &[6, 1],
        &[7, u32::MAX],
        &[0, 1, 97, 0, 1, 97],
        &[0, 1, 97, 4, 2, 1, 1],
        &[0, 1, 97, 5, 0],
        &[0, 1, 97, 5, u32::MAX],
    ] {
        assert!(is_refused(tree), "{tree:?}");
    }
}

#[test]
fn a_tree_of_250_parts_within_each_other_is_compiled_and_a_deeper_one_refused() {
    let nested = |depth: u32| {
        let groups = (1..depth).flat_map(|group| [5, group]);
        LETTER.into_iter().chain(groups).collect::<Vec<_>>()
    };
    // A worker of Node's that has little left has less, but release builds need a fraction of this.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let compiled = thread.spawn(move || found(&nested(250), b"xa")).unwrap();
    assert_eq!(compiled.join().unwrap(), Some((1, 2)));
    assert!(is_refused(&nested(251)));
    assert!(is_refused(&nested(100_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_are_read_or_refused(
        tree in prop::collection::vec(prop_oneof![4 => 0..9_u32, 1 => 97..123_u32, 1 => any::<u32>()], 0..60),
    ) {
        if let Ok(expression) = read(&tree) {
            // It may need too much memory, and then says so.
            if let Ok(pattern) = Pattern::expression(&expression, false, false) {
                pattern.find(b"abc\n", 0, 4);
            }
        }
    }
}
