//! Regular expressions as lib/expression.ts hands them over: not as a text, which would take a parser and the tables of Unicode,
//! but as a tree. It is written in words, each part behind what it is made of, so it is read without recursion.

use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition,
};

use crate::{Error, Result};

// What a part begins with; lib/expression.ts says what comes behind each.
const LITERAL: u32 = 0;
const BYTE: u32 = 1;
const CHARACTER: u32 = 2;
const LOOK: u32 = 3;
const REPETITION: u32 = 4;
const CAPTURE: u32 = 5;
const SEQUENCE: u32 = 6;
const CHOICE: u32 = 7;

/// The engine goes down from a part to what it is made of by recursion, on whatever stack JavaScript has left.
const DEEPEST: usize = 250;

/// Reads a tree.
pub fn read(tree: &[u32]) -> Result<Hir> {
    let mut reader = Reader { rest: tree, parts: Vec::new(), most_groups: tree.len() };
    while !reader.rest.is_empty() {
        let (part, depth) = reader.part()?;
        if depth > DEEPEST {
            return Err(Error::invalid_pattern(format!("it is nested more than {DEEPEST} deep")));
        }
        reader.parts.push((part, depth));
    }
    match reader.parts.pop() {
        Some((whole, _)) if reader.parts.is_empty() => Ok(whole),
        _ => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::invalid_pattern("it is no tree of an expression")
}

struct Reader<'a> {
    rest: &'a [u32],
    /// Those that are no part of another one yet, and how deep each is.
    parts: Vec<(Hir, usize)>,
    /// The engine makes room for as many groups as the highest number says.
    most_groups: usize,
}

impl Reader<'_> {
    fn part(&mut self) -> Result<(Hir, usize)> {
        let leaf = |hir| Ok((hir, 1));
        match self.word()? {
            LITERAL => {
                let count = self.word()? as usize;
                let bytes = self.words(count)?.iter().map(|&byte| u8::try_from(byte));
                leaf(Hir::literal(bytes.collect::<std::result::Result<Vec<_>, _>>().map_err(|_| malformed())?))
            }
            BYTE => {
                let ranges = self.ranges(|word| u8::try_from(word).ok(), ClassBytesRange::new)?;
                leaf(Hir::class(Class::Bytes(ClassBytes::new(ranges))))
            }
            CHARACTER => {
                let ranges = self.ranges(char::from_u32, ClassUnicodeRange::new)?;
                leaf(Hir::class(Class::Unicode(ClassUnicode::new(ranges))))
            }
            LOOK => leaf(Hir::look(match self.word()? {
                0 => Look::Start,
                1 => Look::End,
                2 => Look::StartCRLF,
                3 => Look::EndCRLF,
                4 => Look::WordAscii,
                5 => Look::WordAsciiNegate,
                _ => return Err(malformed()),
            })),
            REPETITION => {
                let [min, max, greedy] = [self.word()?, self.word()?, self.word()?];
                let (sub, depth) = self.last()?;
                let max = (max != u32::MAX).then_some(max);
                if max.is_some_and(|max| max < min) {
                    return Err(malformed());
                }
                Ok((Hir::repetition(Repetition { min, max, greedy: greedy != 0, sub: Box::new(sub) }), depth + 1))
            }
            CAPTURE => {
                let index = self.word()?;
                if index == 0 || index as usize > self.most_groups {
                    return Err(malformed());
                }
                let (sub, depth) = self.last()?;
                Ok((Hir::capture(Capture { index, name: None, sub: Box::new(sub) }), depth + 1))
            }
            SEQUENCE => self.several(Hir::concat),
            CHOICE => self.several(Hir::alternation),
            _ => Err(malformed()),
        }
    }

    fn word(&mut self) -> Result<u32> {
        self.words(1).map(|words| words[0])
    }

    fn words(&mut self, count: usize) -> Result<&[u32]> {
        let (words, rest) = self.rest.split_at_checked(count).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(words)
    }

    fn ranges<T, R>(&mut self, read: impl Fn(u32) -> Option<T>, range: impl Fn(T, T) -> R) -> Result<Vec<R>> {
        let count = self.word()? as usize;
        let words = self.words(count.saturating_mul(2))?;
        let ends = words.chunks(2).map(|ends| match *ends {
            [first, last] if first <= last => Some(range(read(first)?, read(last)?)),
            _ => None,
        });
        ends.collect::<Option<_>>().ok_or_else(malformed)
    }

    fn last(&mut self) -> Result<(Hir, usize)> {
        self.parts.pop().ok_or_else(malformed)
    }

    fn several(&mut self, join: impl Fn(Vec<Hir>) -> Hir) -> Result<(Hir, usize)> {
        let count = self.word()? as usize;
        let from = self.parts.len().checked_sub(count).ok_or_else(malformed)?;
        let depth = self.parts[from..].iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        let parts = self.parts.drain(from..).map(|(part, _)| part).collect();
        // One by itself is not joined with anything.
        Ok((join(parts), depth + usize::from(count != 1)))
    }
}
