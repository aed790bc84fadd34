//! Patterns: many needles at once and regular expressions, and searches in the background.

use std::sync::Arc;

use memmap_core::expression;
use memmap_core::lines::Block;
use memmap_core::pattern::Pattern;
use memmap_core::read_ahead::Part;
use memmap_core::search_job::{Batch, Control, Search, SLICE};
use memmap_core::{Error, Mapping};
use napi::bindgen_prelude::{
    Either, External, Float64Array, Float64ArraySlice, ToNapiValue, Uint8Array, Uint8ArraySlice,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::background::{answer_in_background, register};
use crate::errors::call;
use crate::{read_ahead, regions};

/// A pattern that JavaScript holds; it goes when it is collected.
type Held = External<Arc<Pattern>>;

/// Bytes of matches that a batch copies before it ends.
const BATCH_BYTES: usize = 64 * 1024;
/// Longer than what a batch mostly has, and short enough for V8.
const LONGEST_COPY: usize = 1 << 20;

/// Makes needles ready: one, or many that are looked for at once.
#[napi(ts_return_type = "object")]
pub fn compile_needles(env: Env, needles: Vec<Uint8Array>) -> Result<Held> {
    call(env, || {
        let bytes: Vec<&[u8]> = needles.iter().map(|needle| &**needle).collect();
        let pattern = match bytes.as_slice() {
            [needle] => Pattern::needle(needle),
            _ => Pattern::needles(&bytes)?,
        };
        Ok(External::new(Arc::new(pattern)))
    })
}

/// Makes a regular expression ready: the tree that lib/expression.ts makes of it.
#[napi(ts_return_type = "object")]
pub fn compile_expression(env: Env, tree: &[u32], characters: bool, sticky: bool) -> Result<Held> {
    call(env, || {
        let expression = expression::read(tree)?;
        Ok(External::new(Arc::new(Pattern::expression(&expression, characters, sticky)?)))
    })
}

/// Matches in a row.
#[napi(object, object_from_js = false)]
pub struct MatchBatch<'env> {
    /// For each: which needle, then first byte and end of the match and of each group; -1 for one that has no part in it.
    #[napi(ts_type = "Float64Array")]
    pub spans: Either<Float64ArraySlice<'env>, Float64Array>,
    /// The bytes of the matches, one behind the other.
    #[napi(ts_type = "Uint8Array")]
    pub bytes: Either<Uint8ArraySlice<'env>, Uint8Array>,
    /// Where the search goes on, from the start of the text; behind its end when it is over.
    pub next: f64,
}

/// On its way to JavaScript: into V8's own memory, since what is ours it gives back in a turn of the event loop, and a loop over
/// a scan may keep that from coming until it is over. Not what is long, though: V8 ends the process where it has no memory.
pub struct Answer(Batch);

impl ToNapiValue for Answer {
    unsafe fn to_napi_value(env: napi::sys::napi_env, Self(batch): Self) -> Result<napi::sys::napi_value> {
        let theirs = Env::from_raw(env);
        let Batch { spans, bytes, next, .. } = batch;
        let answer = MatchBatch {
            spans: match size_of_val(spans.as_slice()) <= LONGEST_COPY {
                true => Either::A(Float64ArraySlice::copy_from(&theirs, &spans)?),
                false => Either::B(spans.into()),
            },
            bytes: match bytes.len() <= LONGEST_COPY {
                true => Either::A(Uint8ArraySlice::copy_from(&theirs, &bytes)?),
                false => Either::B(bytes.into()),
            },
            next: next as f64,
        };
        // SAFETY: the environment is the caller's.
        unsafe { MatchBatch::to_napi_value(env, answer) }
    }
}

fn search(
    region: f64,
    start: f64,
    end: f64,
    pattern: &Held,
    stoppable: Option<&Arc<Control>>,
) -> memmap_core::Result<Search> {
    Ok(Search {
        mapping: regions::mapping(region)?,
        start: start as u64,
        end: end as u64,
        pattern: Arc::clone(pattern),
        control: stoppable.map(Arc::clone).unwrap_or_default(),
        slice: SLICE,
        stoppable: stoppable.is_some(),
    })
}

/// A search that the ticket ends.
fn search_behind(region: f64, start: f64, end: f64, pattern: &Held, ticket: u32) -> memmap_core::Result<Search> {
    let control = Arc::default();
    let search = search(region, start, end, pattern, Some(&control))?;
    register(ticket, &control);
    Ok(search)
}

fn four(numbers: &[f64]) -> memmap_core::Result<[f64; 4]> {
    numbers.try_into().map_err(|_| Error::out_of_range("four numbers are needed"))
}

fn counts(counts: Vec<u64>) -> Float64Array {
    counts.into_iter().map(|count| count as f64).collect::<Vec<_>>().into()
}

/// How many matches of each needle there are.
#[napi]
pub fn count_pattern(env: Env, region: f64, start: f64, end: f64, pattern: &Held) -> Result<Float64Array> {
    call(env, || search(region, start, end, pattern, None)?.count(1).map(counts))
}

/// Matches in a row. `part` is where the text starts and ends, where in it the search goes on, and how many there may be.
#[napi(ts_return_type = "MatchBatch")]
pub fn matches(env: Env, region: f64, pattern: &Held, part: &[f64], with_bytes: bool) -> Result<Answer> {
    call(env, || {
        let [start, end, at, most] = four(part)?;
        let part = Part { at: at as u64, most: most as usize, most_bytes: with_bytes.then_some(BATCH_BYTES) };
        read_ahead::batch(region, part, search(region, start, end, pattern, None)?).map(Answer)
    })
}

/// As `count_pattern`, in the background, on so many threads.
#[napi(ts_return_type = "Promise<Error | Float64Array>")]
pub fn count_in_background(
    env: Env,
    region: f64,
    start: f64,
    end: f64,
    pattern: &Held,
    threads: u32,
    ticket: u32,
) -> Result<Raw> {
    answer_in_background(env, || {
        let search = search_behind(region, start, end, pattern, ticket)?;
        Ok(move || search.count(threads as usize).map(counts))
    })
}

/// Where the first match is, or -1, in the background.
#[napi(ts_return_type = "Promise<Error | number>")]
pub fn first_in_background(
    env: Env,
    region: f64,
    start: f64,
    end: f64,
    pattern: &Held,
    threads: u32,
    ticket: u32,
) -> Result<Raw> {
    answer_in_background(env, || {
        let search = search_behind(region, start, end, pattern, ticket)?;
        Ok(move || {
            let first = search.first(threads as usize)?;
            Ok(first.map_or(-1.0, |found| (search.start + found.start as u64) as f64))
        })
    })
}

/// As `matches`, in the background.
#[napi(ts_return_type = "Promise<Error | MatchBatch>")]
pub fn matches_in_background(
    env: Env,
    region: f64,
    pattern: &Held,
    part: &[f64],
    with_bytes: bool,
    ticket: u32,
) -> Result<Raw> {
    answer_in_background(env, || {
        let [start, end, at, most] = four(part)?;
        let search = search_behind(region, start, end, pattern, ticket)?;
        let bytes = with_bytes.then_some(BATCH_BYTES);
        Ok(move || search.batch(at as u64, most as usize, bytes).map(Answer))
    })
}

fn lines(
    mapping: &Mapping,
    start: u64,
    end: u64,
    size: u64,
    reverse: bool,
    ends: &mut [f64],
    control: &Control,
) -> memmap_core::Result<Block> {
    if reverse {
        mapping.last_lines(start, end, size, ends, control)
    } else {
        mapping.first_lines(start, end, size, ends, control)
    }
}

/// The first lines of a range that is not empty, or its last ones: where they end is stored in `ends`, and where they begin in
/// its last place. How many there are; negative where the last one has no end.
#[napi]
pub fn line_ends(
    env: Env,
    region: f64,
    start: f64,
    end: f64,
    size: f64,
    reverse: bool,
    mut ends: Float64ArraySlice,
) -> Result<i32> {
    // SAFETY: `ends` is the scan's own array, and no JavaScript runs during this call.
    let ends = unsafe { ends.as_mut() };
    call(env, || {
        let mapping = regions::mapping(region)?;
        let last = ends.len() - 1;
        let (found, start_of_block) = ends.split_at_mut(last);
        let block = lines(&mapping, start as u64, end as u64, size as u64, reverse, found, &Control::default())?;
        start_of_block[0] = block.start as f64;
        let lines = block.lines as i32;
        Ok(if block.terminated { lines } else { -lines })
    })
}

/// Lines with their bytes.
#[napi(object)]
pub struct LineBlock {
    /// First byte of the first.
    pub start: f64,
    /// Where each ends.
    pub ends: Float64Array,
    /// Whether the last one has its end.
    pub terminated: bool,
    /// The bytes, up to the last one's end.
    pub bytes: Uint8Array,
}

/// As `line_ends`, in the background, with the bytes. `part` is start and end, bytes of a block, and how many lines it may have.
#[napi(ts_return_type = "Promise<Error | LineBlock>")]
pub fn lines_in_background(env: Env, region: f64, part: &[f64], reverse: bool, ticket: u32) -> Result<Raw> {
    answer_in_background(env, || {
        let [start, end, size, most] = four(part)?;
        let mapping = regions::mapping(region)?;
        let control: Arc<Control> = Arc::default();
        register(ticket, &control);
        Ok(move || {
            let mut ends = vec![0.0; most as usize];
            let block = lines(&mapping, start as u64, end as u64, size as u64, reverse, &mut ends, &control)?;
            ends.truncate(block.lines);
            let last = ends.last().map_or(block.start, |&last| last as u64);
            let bytes = mapping.copy(block.start, (last - block.start) as usize)?;
            Ok(LineBlock {
                start: block.start as f64,
                ends: ends.into(),
                terminated: block.terminated,
                bytes: bytes.into(),
            })
        })
    })
}
