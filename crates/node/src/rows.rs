//! Lists for JavaScript, as one string that `lib/rows.ts` reads: typed objects, and lists of strings, made the binary many
//! kilobytes larger (measured).

use std::fmt::{self, Display, Formatter, Write};

/// Each row is the number of its words, and the words; each of these ends with a NUL, which no name of the system's holds.
#[derive(Default)]
pub struct Rows(String);

impl Rows {
    /// One more.
    pub fn add(&mut self, words: &[&dyn Display]) {
        self.word(&words.len());
        words.iter().for_each(|word| self.word(word));
    }

    fn word(&mut self, word: &dyn Display) {
        // A string takes all that is written.
        let _ = write!(self.0, "{word}\0");
    }

    /// All of them.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A number, or nothing.
pub struct Known(pub Option<u64>);

impl Display for Known {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| number.fmt(out))
    }
}
