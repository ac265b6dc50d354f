//! The agent's pattern (facts 1.11), matched by hand in linear time.
//!
//! The original is a backtracking expression with a look-ahead, searched in every line; on a long line it needs
//! milliseconds. What follows yields the same captures (leftmost match, first choice wins) from these observations:
//!
//! * the CEF branch `.*CEF.+?(?=0\|)` succeeds from a position exactly when that position is not behind `cef`, the
//!   last `CEF` that has a `0|` at least one byte later; it always takes that `cef`, and the first `0|` after it;
//! * a time always holds `digits:digits:digits`, so every candidate is found at a colon, and later colons give later
//!   starts;
//! * only the ASA branch can fail behind a time, and it looks no further than one word and two runs of blanks.
//!
//! The tests compare it with an equivalent expression without look-ahead and with verdicts of the original.

use std::ops::Range;

use super::time::ISO_SHAPE;

/// What the pattern captured, as places in the text behind the PRI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub time: Range<usize>,
    pub host: Option<Range<usize>>,
    pub ident: Range<usize>,
    pub message: Range<usize>,
    /// The branch of the ident: `true` for `…CEF…0|`, `false` for `%ASA…`.
    pub cef: bool,
}

/// Searches `text`, which must hold no line feed.
pub(crate) fn find(text: &[u8]) -> Option<Match> {
    let line = Line::new(text);
    let mut from = 0;
    while let Some(colon) = text.iter().skip(from).position(|&b| b == b':').map(|at| at + from) {
        let found = line.words_time(colon).or_else(|| line.iso_time(colon));
        if found.is_some() {
            return found;
        }
        from = colon + 1;
    }
    None
}

/// White space in the sense of the pattern's `\s`.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct Line<'a> {
    text: &'a [u8],
    /// The last `CEF` with a `0|` behind it, and that `0|`.
    cef: Option<(usize, usize)>,
}

impl<'a> Line<'a> {
    fn new(text: &'a [u8]) -> Self {
        Line { text, cef: last_cef(text) }
    }

    fn at(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// End of the run of bytes that satisfy `class`, from `at` on.
    fn run(&self, at: usize, class: impl Fn(u8) -> bool) -> usize {
        at + self.text.iter().skip(at).take_while(|&&b| class(b)).count()
    }

    /// Start of the run of bytes that satisfy `class`, ending before `end`.
    fn run_back(&self, end: usize, class: impl Fn(u8) -> bool) -> usize {
        let head = self.text.get(..end).unwrap_or_default();
        end - head.iter().rev().take_while(|&&b| class(b)).count()
    }

    /// Two or three words, then `h:m:s`, whose first colon is given.
    fn words_time(&self, colon: usize) -> Option<Match> {
        let hour = self.run_back(colon, |b| b.is_ascii_digit());
        if hour == colon || hour == 0 || self.at(hour - 1) != Some(b' ') {
            return None;
        }
        let minute = self.run(colon + 1, |b| b.is_ascii_digit());
        if minute == colon + 1 || self.at(minute) != Some(b':') {
            return None;
        }
        let end = self.run(minute + 1, |b| b.is_ascii_digit());
        if end == minute + 1 {
            return None;
        }
        let second_word = self.word_back(hour)?;
        let first_word = self.word_back(second_word)?;
        let start = self.word_back(first_word).unwrap_or(first_word);
        // The seconds may give up digits: the last of them is then taken as host. More than one never helps further.
        let shorter = (end - minute > 2).then(|| end - 1);
        [Some(end), shorter].into_iter().flatten().find_map(|end| self.rest(start..end))
    }

    /// Start of the word that ends with blanks right before `end`.
    fn word_back(&self, end: usize) -> Option<usize> {
        let blanks = self.run_back(end, |b| b == b' ');
        let word = self.run_back(blanks, is_word);
        (blanks < end && word < blanks).then_some(word)
    }

    /// `YYYY-MM-DDThh:mm:ss`, one byte of any kind, 3 to 12 more; the colon behind `hh` is given.
    fn iso_time(&self, colon: usize) -> Option<Match> {
        let start = colon.checked_sub(13)?;
        let head = self.text.get(start..start + ISO_SHAPE.len())?;
        let fits = |(&s, b): (&u8, &u8)| if s == b'd' { b.is_ascii_digit() } else { s == *b };
        if !ISO_SHAPE.iter().zip(head).all(fits) {
            return None;
        }
        let tail = start + ISO_SHAPE.len() + 1;
        let class = |b: &&u8| is_word(**b) || matches!(**b, b'-' | b':' | b'+');
        let most = self.text.iter().skip(tail).take(12).take_while(class).count();
        (3..=most).rev().find_map(|len| self.rest(start..tail + len))
    }

    /// Everything behind the time: colon, host, ident, message.
    fn rest(&self, time: Range<usize>) -> Option<Match> {
        let from = time.end + usize::from(self.at(time.end) == Some(b':'));
        let word = self.run(from, is_space);
        let (host, ident) = self
            .with_host(word)
            .or_else(|| self.ident(word).map(|ident| (None, ident)))
            .or_else(|| self.with_blank_host(from, word))?;
        let (ident, cef) = ident;
        let message = if cef {
            ident.end
        } else {
            let blanks = self.run(ident.end, is_space);
            blanks + usize::from(self.at(blanks) == Some(b':'))
        };
        Some(Match { time, host, ident, message: message..self.text.len(), cef })
    }

    /// A host starting at `at`, as long as possible, and the ident behind it.
    fn with_host(&self, at: usize) -> Option<(Option<Range<usize>>, Ident)> {
        let end = self.run(at, |b| b != b':' && b != b' ');
        if end == at {
            return None;
        }
        if let Some(ident) = self.ident(self.behind_host(end)) {
            return Some((Some(at..end), ident));
        }
        // The host may be cut short where an ident starts inside the word.
        let asa = (at + 1..end).rev().find(|&a| self.asa_end(a).is_some());
        let cef = self.cef.map(|(cef, _)| cef).filter(|cef| (at + 1..end).contains(cef));
        let cut = asa.max(cef)?;
        self.ident(cut).map(|ident| (Some(at..cut), ident))
    }

    /// `\s*` may give back white space, and white space other than a blank can be a host: before a colon it has to.
    fn with_blank_host(&self, from: usize, colon: usize) -> Option<(Option<Range<usize>>, Ident)> {
        if self.at(colon) != Some(b':') || colon == from {
            return None;
        }
        let end = if self.at(colon - 1) == Some(b' ') { colon - 1 } else { colon };
        if end == from || self.at(end - 1) == Some(b' ') {
            return None;
        }
        self.ident(colon + 1).map(|ident| (Some(end - 1..end), ident))
    }

    /// Skips ` ?:?` behind a host.
    fn behind_host(&self, end: usize) -> usize {
        let end = end + usize::from(self.at(end) == Some(b' '));
        end + usize::from(self.at(end) == Some(b':'))
    }

    /// `\s*` and the ident.
    fn ident(&self, at: usize) -> Option<Ident> {
        let at = self.run(at, is_space);
        match self.cef {
            Some((cef, version)) if at <= cef => Some((at..version, true)),
            _ => self.asa_end(at).map(|end| (at..end, false)),
        }
    }

    /// End of `%ASA` and 8 to 10 digits or dashes.
    fn asa_end(&self, at: usize) -> Option<usize> {
        let id = self.text.get(at..)?.strip_prefix(b"%ASA")?;
        let len = id.iter().take(10).take_while(|&&b| b.is_ascii_digit() || b == b'-').count();
        (len >= 8).then_some(at + 4 + len)
    }
}

/// Place of the ident, and whether it is the CEF branch.
type Ident = (Range<usize>, bool);

/// The last `CEF` with a `0|` at least one byte behind it, and the first such `0|`.
pub(super) fn last_cef(text: &[u8]) -> Option<(usize, usize)> {
    let last_version = rfind(text, b"0|")?;
    // One more byte lies between `CEF` and `0|`.
    let cef = rfind(text.get(..last_version.checked_sub(1)?)?, b"CEF")?;
    let behind = cef + 4;
    text.get(behind..)?.windows(2).position(|w| w == b"0|").map(|at| (cef, behind + at))
}

fn rfind(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).rposition(|w| w == word)
}
