//! What is looked for: one needle, many at once, or a regular expression. And how it is found in windows of bounded
//! length, so that somebody may break in between them.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_automata::util::captures::Captures;
use regex_automata::Input;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::undisturbed::undisturbed;
use crate::{Error, Result};

/// Longer matches than this are not worth overlapping windows: then a window is a whole number of lines, or everything.
const LONGEST_OVERLAP: usize = 1 << 20;
/// Nor is a line, to find the end of which is to go through this much.
const LONGEST_LINE: usize = 64 << 20;
/// What an expression may need once compiled.
const MOST_MEMORY: usize = 64 << 20;

/// A match of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// First byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
    /// Which needle it is; 0 for an expression.
    pub needle: usize,
}

/// How far a match may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// So many bytes at most.
    Bytes(usize),
    /// To the end of a line, since no line end is ever a part of it.
    Line,
    /// Anywhere.
    Anywhere,
}

#[derive(Debug)]
enum Engine {
    Empty,
    Byte(u8),
    Needle(Box<memmem::Finder<'static>>),
    Needles(AhoCorasick),
    Expression { regex: Regex, steps: Arc<DFA>, characters: bool, sticky: bool, may_be_empty: bool },
}

/// Something to look for, made ready once.
#[derive(Debug)]
pub struct Pattern {
    engine: Engine,
    reach: Reach,
    needles: usize,
}

impl Pattern {
    /// One needle.
    pub fn needle(needle: &[u8]) -> Self {
        let engine = match needle {
            [] => Engine::Empty,
            [byte] => Engine::Byte(*byte),
            _ => Engine::Needle(Box::new(memmem::Finder::new(needle).into_owned())),
        };
        Self { engine, reach: Reach::Bytes(needle.len()), needles: 1 }
    }

    /// Many needles at once. Of two that begin at the same byte the one that comes first in the list is found.
    pub fn needles(needles: &[&[u8]]) -> Result<Self> {
        let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
        let found = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(needles);
        let engine = found.map_err(|cause| Error::invalid_pattern(cause.to_string()))?;
        Ok(Self { engine: Engine::Needles(engine), reach: Reach::Bytes(longest), needles: needles.len() })
    }

    /// A regular expression over bytes. `characters`: the text is characters in UTF-8, and an empty match is never inside of
    /// one. `sticky`: a match begins where the search begins, or just behind the match before.
    pub fn expression(expression: &Hir, characters: bool, sticky: bool) -> Result<Self> {
        let refused = |cause: &dyn std::fmt::Display| Error::invalid_pattern(cause.to_string());
        let regex = Regex::builder()
            .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(MOST_MEMORY)))
            .build_from_hir(expression)
            .map_err(|cause| match cause.size_limit() {
                Some(limit) => refused(&format!("it needs more than {} MiB once compiled", limit >> 20)),
                None => refused(&cause),
            })?;
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_MEMORY)))
            .build_from_hir(expression)
            .map_err(|cause| refused(&cause))?;
        let steps = DFA::builder()
            .configure(DFA::config().skip_cache_capacity_check(true))
            .build_from_nfa(nfa)
            .map_err(|cause| refused(&cause))?;
        let reach = match expression.properties().maximum_len() {
            Some(longest) if longest <= LONGEST_OVERLAP => Reach::Bytes(longest),
            _ if !may_hold_newline(expression) => Reach::Line,
            _ => Reach::Anywhere,
        };
        let engine = Engine::Expression {
            regex,
            steps: Arc::new(steps),
            characters,
            sticky,
            may_be_empty: expression.properties().minimum_len().is_none_or(|shortest| shortest == 0),
        };
        Ok(Self { engine, reach, needles: 1 })
    }

    /// How many needles there are; 1 for an expression.
    pub fn needle_count(&self) -> usize {
        self.needles
    }

    /// Groups of an expression, with the whole match as the first; 1 for needles.
    pub fn group_count(&self) -> usize {
        match &self.engine {
            Engine::Expression { regex, .. } => regex.group_info().group_len(regex_automata::PatternID::ZERO),
            _ => 1,
        }
    }

    /// The same for another thread: expressions have scratch memory that only one can use at a time.
    pub fn for_another_thread(&self) -> Self {
        let engine = match &self.engine {
            Engine::Empty => Engine::Empty,
            Engine::Byte(byte) => Engine::Byte(*byte),
            Engine::Needle(finder) => Engine::Needle(finder.clone()),
            Engine::Needles(automaton) => Engine::Needles(automaton.clone()),
            Engine::Expression { regex, steps, characters, sticky, may_be_empty } => Engine::Expression {
                regex: regex.clone(),
                steps: Arc::clone(steps),
                characters: *characters,
                sticky: *sticky,
                may_be_empty: *may_be_empty,
            },
        };
        Self { engine, ..*self }
    }

    /// Whether a range may be cut into slices that are searched apart from each other.
    pub fn can_be_sliced(&self) -> bool {
        self.reach != Reach::Anywhere && !matches!(self.engine, Engine::Expression { sticky: true, .. })
    }

    /// Whether threads can take turns at it without much ado.
    pub fn can_be_handed_on(&self) -> bool {
        !matches!(self.engine, Engine::Expression { may_be_empty: true, .. })
    }

    /// Where a window must end so that every match which begins before `border` lies wholly in it; at most `end`. None where that
    /// is far away.
    fn window_end(&self, haystack: &[u8], border: usize, end: usize) -> Option<usize> {
        match self.reach {
            Reach::Bytes(longest) => Some(border.saturating_add(longest.saturating_sub(1)).min(end)),
            Reach::Line => {
                let far = end.min(border.saturating_add(LONGEST_LINE));
                match memchr::memchr(b'\n', &haystack[border..far]) {
                    Some(newline) => Some(border + newline + 1),
                    None => (far == end).then_some(end),
                }
            }
            Reach::Anywhere => (border == end).then_some(end),
        }
    }

    /// The first match in `[at, end)`. What lies around is looked at by assertions only.
    pub fn find(&self, haystack: &[u8], at: usize, end: usize) -> Option<Found> {
        let part = || &haystack[at..end];
        let place = |start: usize, len: usize| Found { start: at + start, end: at + start + len, needle: 0 };
        match &self.engine {
            Engine::Empty => Some(place(0, 0)),
            Engine::Byte(byte) => memchr::memchr(*byte, part()).map(|start| place(start, 1)),
            Engine::Needle(finder) => finder.find(part()).map(|start| place(start, finder.needle().len())),
            Engine::Needles(automaton) => automaton
                .find(aho_corasick::Input::new(haystack).span(at..end))
                .map(|found| Found { start: found.start(), end: found.end(), needle: found.pattern().as_usize() }),
            Engine::Expression { regex, characters, sticky, .. } => {
                let mut from = at;
                loop {
                    let found = undisturbed(|_| regex.search(&expression_input(haystack, from, end, *sticky)))?;
                    if !(*characters && found.is_empty() && is_inside_character(haystack, found.start())) {
                        return Some(Found { start: found.start(), end: found.end(), needle: 0 });
                    }
                    from = found.start() + 1;
                    if *sticky || from > end {
                        return None;
                    }
                }
            }
        }
    }

    /// The groups of the match that `find` has found at `found.start`: two positions each, -1 where a group has no part in it.
    pub fn groups(&self, haystack: &[u8], found: Found, scratch: &mut Scratch, mut take: impl FnMut(f64, f64)) {
        let Engine::Expression { regex, .. } = &self.engine else {
            return take(found.start as f64, found.end as f64);
        };
        if self.group_count() == 1 {
            // There is nothing to look for that is not known already.
            return take(found.start as f64, found.end as f64);
        }
        let captures = scratch.groups.get_or_insert_with(|| regex.create_captures());
        undisturbed(|_| regex.search_captures(&expression_input(haystack, found.start, found.end, true), captures));
        // Where the text has changed meanwhile there may be no match any more: then it has no groups.
        take(found.start as f64, found.end as f64);
        for group in 1..self.group_count() {
            match captures.get_group(group) {
                Some(span) => take(span.start as f64, span.end as f64),
                None => take(-1.0, -1.0),
            }
        }
    }

    /// Where the search goes on after a match, as JavaScript has it: a match may be empty right behind another, and after an
    /// empty one the next byte, or character, is stepped over.
    pub fn behind(&self, haystack: &[u8], found: Found) -> usize {
        if found.end > found.start {
            return found.end;
        }
        let mut next = found.end + 1;
        if matches!(self.engine, Engine::Expression { characters: true, .. }) {
            while is_inside_character(haystack, next) {
                next += 1;
            }
        }
        next
    }

    /// Visits the matches that begin in `[at, to)` of the text `haystack[..end]`, until `visit` wants no more. Where the search
    /// goes on: at `to` or behind it, and behind `end` when it is over. None, and nobody was visited, where a match may reach
    /// so far that this part cannot be searched alone.
    pub fn walk(
        &self,
        haystack: &[u8],
        mut at: usize,
        to: usize,
        end: usize,
        mut visit: impl FnMut(Found) -> bool,
    ) -> Option<usize> {
        let window_end = self.window_end(haystack, to, end)?;
        // At the very end a match may be empty.
        let last = to == end;
        if let Engine::Expression { regex, sticky: false, may_be_empty: false, .. } = &self.engine {
            if at >= to {
                return Some(if last && at == end { end + 1 } else { at });
            }
            // The crate's own way from match to match, where JavaScript's is the same: it asks for its memory once. To any thread
            // but the first that asks takes as long as to find a short match.
            let wants_more = undisturbed(|ours| {
                for found in regex.find_iter(Input::new(haystack).span(at..window_end)) {
                    if !last && found.start() >= to {
                        break;
                    }
                    at = found.end();
                    ours.set(true);
                    if !visit(Found { start: found.start(), end: found.end(), needle: 0 }) {
                        return false;
                    }
                    ours.set(false);
                }
                true
            });
            return Some(match wants_more {
                false => at,
                true if last => end + 1,
                true => at.max(to),
            });
        }
        while at < to || (last && at == end) {
            match self.find(haystack, at, window_end) {
                Some(found) if last || found.start < to => {
                    at = self.behind(haystack, found);
                    if !visit(found) {
                        return Some(at);
                    }
                }
                _ if last || self.is_sticky() => return Some(end + 1),
                // One that begins just at `to` is found from there, whole.
                _ => return Some(to),
            }
        }
        Some(at)
    }

    /// Where the first match in `[at, end)` ends, found step by step, with a question in between whether to go on: the only way
    /// to stop a search that may have to go through everything. It takes several times as long as `find`.
    ///
    /// The inner error is the answer no.
    pub fn find_end<E>(
        &self,
        haystack: &[u8],
        at: usize,
        end: usize,
        every: usize,
        scratch: &mut Scratch,
        mut go_on: impl FnMut(usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<Option<usize>, E> {
        let Engine::Expression { steps, sticky, .. } = &self.engine else { return Ok(Some(end)) };
        let cache = scratch.steps.get_or_insert_with(|| steps.create_cache());
        let Ok(mut state) = steps.start_state_forward(cache, &expression_input(haystack, at, end, *sticky)) else {
            return Ok(Some(end));
        };
        let (mut found, mut from) = (None, at);
        while from < end {
            let to = end.min(from + every);
            for (index, byte) in (from..to).zip(&haystack[from..to]) {
                // It cannot give up as it is configured; if it did, the slower way would be right too.
                let Ok(next) = steps.next_state(cache, state, *byte) else { return Ok(Some(end)) };
                state = next;
                if state.is_tagged() {
                    if state.is_match() {
                        // It is told a byte late.
                        found = Some(index);
                    } else if state.is_dead() {
                        return Ok(found);
                    } else if state.is_quit() {
                        return Ok(Some(end));
                    }
                }
            }
            go_on(to)?;
            from = to;
        }
        let last = match haystack.get(end) {
            Some(byte) => steps.next_state(cache, state, *byte),
            None => steps.next_eoi_state(cache, state),
        };
        match last {
            Ok(state) if state.is_match() => Ok(Some(end)),
            Ok(_) => Ok(found),
            Err(_) => Ok(Some(end)),
        }
    }

    /// Whether a match must begin where the search does.
    pub fn is_sticky(&self) -> bool {
        matches!(self.engine, Engine::Expression { sticky: true, .. })
    }

    /// How many matches of one byte a range has, where that is the pattern: there is a faster way than one by one.
    pub fn count_bytes(&self, part: &[u8]) -> Option<u64> {
        match &self.engine {
            Engine::Byte(byte) => Some(bytecount::count(part, *byte) as u64),
            _ => None,
        }
    }
}

/// Memory of searches for one pattern, to be used again.
#[derive(Debug, Default)]
pub struct Scratch {
    groups: Option<Captures>,
    steps: Option<Cache>,
}

fn expression_input(haystack: &[u8], at: usize, end: usize, sticky: bool) -> Input<'_> {
    let anchored = if sticky { regex_automata::Anchored::Yes } else { regex_automata::Anchored::No };
    Input::new(haystack).span(at..end).anchored(anchored)
}

/// Whether a position is between two bytes of one character in UTF-8.
fn is_inside_character(text: &[u8], at: usize) -> bool {
    at > 0 && text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// Whether a match may hold a line end.
fn may_hold_newline(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| (range.start()..=range.end()).contains(&'\n'))
        }
        HirKind::Class(Class::Bytes(class)) => class.iter().any(|range| (range.start()..=range.end()).contains(&b'\n')),
        HirKind::Repetition(repetition) => may_hold_newline(&repetition.sub),
        HirKind::Capture(capture) => may_hold_newline(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_hold_newline),
    }
}
