//! Splits one configuration file into tokens where the daemon's own scanner does. Nothing is lost: the tokens cover
//! every byte, and [`value`] says what the daemon reads out of one.
//!
//! The daemon reads its files line by line as C strings: a NUL hides the rest of its line *and the line end*, so a
//! comment or a word goes on in the next line.

use std::borrow::Cow;
use std::sync::Arc;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Blanks and tabs.
    Blank,
    /// The end of a line, with its carriage return.
    Newline,
    /// A backslash before the end of a line: both are skipped.
    Continuation,
    /// From `#` to the end of the line.
    Comment,
    /// A name, number or operator without quotes.
    Word,
    /// `"…"`, with escapes.
    Str,
    /// `'…'`, taken as it is.
    RawStr,
    /// A string whose closing quote is missing: it reaches to the end of the file.
    Unterminated,
    /// `@` as the first byte of a line: the start of a directive for the reader itself.
    Pragma,
    /// A NUL and what it hides.
    Hidden,
    /// Any other byte.
    Punct(u8),
}

/// One token: bytes `start..end` of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// Line it starts in, from 1.
    pub line: u32,
}

/// Iterator over the tokens of one text.
#[derive(Debug, Clone)]
pub struct Lexer {
    text: Arc<[u8]>,
    pos: usize,
    line: u32,
}

impl Lexer {
    pub fn new(text: Arc<[u8]>) -> Self {
        Lexer { text, pos: 0, line: 1 }
    }

    /// Goes on behind `token`.
    pub fn skip_to(&mut self, token: &Token) {
        self.pos = token.start;
        self.line = token.line;
    }

    /// Ends the text here.
    pub fn finish(&mut self) {
        self.pos = self.text.len();
    }
}

impl Iterator for Lexer {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let first = *self.text.get(self.pos)?;
        let (kind, end) = scan(&self.text, self.pos, first);
        let token = Token { kind, start: self.pos, end, line: self.line };
        self.line += self.text[self.pos..end].iter().filter(|b| **b == b'\n').count() as u32;
        self.pos = end;
        Some(token)
    }
}

/// Every token of a text.
pub fn tokens(text: &[u8]) -> Vec<Token> {
    Lexer::new(text.into()).collect()
}

fn scan(text: &[u8], at: usize, first: u8) -> (Kind, usize) {
    let line_start = at == 0 || text[at - 1] == b'\n';
    match first {
        b' ' | b'\t' => (Kind::Blank, run(text, at, |b| matches!(b, b' ' | b'\t'))),
        b'\n' => (Kind::Newline, at + 1),
        b'\r' if text.get(at + 1) == Some(&b'\n') => (Kind::Newline, at + 2),
        b'\\' => match line_end(text, at + 1) {
            Some(end) => (Kind::Continuation, end),
            None => (Kind::Punct(first), at + 1),
        },
        b'#' => (Kind::Comment, comment_end(text, at)),
        b'"' => string_end(text, at, b'"'),
        b'\'' => string_end(text, at, b'\''),
        b'@' if line_start => (Kind::Pragma, at + 1),
        0 => (Kind::Hidden, behind_hidden(text, at)),
        b if is_word(b) => (Kind::Word, word_end(text, at)),
        b => (Kind::Punct(b), at + 1),
    }
}

/// May this byte stand in a word without quotes? (A dot may too, between two that may.)
pub fn is_word(b: u8) -> bool {
    !matches!(
        b,
        b' ' | b'\t'
            | b'\r'
            | b'\n'
            | b'#'
            | b'\''
            | b'"'
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'\\'
            | b';'
            | b','
            | b'|'
            | b'.'
            | b'@'
            | b':'
            | 0
    )
}

fn run(text: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    at + text[at..].iter().take_while(|b| belongs(**b)).count()
}

/// End of the line end that starts here, if one does.
fn line_end(text: &[u8], at: usize) -> Option<usize> {
    match (text.get(at), text.get(at + 1)) {
        (Some(b'\n'), _) => Some(at + 1),
        (Some(b'\r'), Some(b'\n')) => Some(at + 2),
        _ => None,
    }
}

/// First byte behind the line end that a NUL hides.
fn behind_hidden(text: &[u8], at: usize) -> usize {
    let end = run(text, at, |b| b != b'\n');
    (end + 1).min(text.len())
}

fn comment_end(text: &[u8], mut at: usize) -> usize {
    loop {
        at = run(text, at, |b| b != b'\n' && b != 0);
        match text.get(at) {
            Some(0) => at = behind_hidden(text, at),
            Some(_) if at > 0 && text[at - 1] == b'\r' => return at - 1,
            _ => return at,
        }
    }
}

fn string_end(text: &[u8], start: usize, quote: u8) -> (Kind, usize) {
    let mut at = start + 1;
    while let Some(&b) = text.get(at) {
        match b {
            0 => at = behind_hidden(text, at),
            b'\\' if quote == b'"' => at += 2,
            b if b == quote => {
                return (if quote == b'"' { Kind::Str } else { Kind::RawStr }, at + 1);
            }
            _ => at += 1,
        }
    }
    (Kind::Unterminated, text.len())
}

fn word_end(text: &[u8], mut at: usize) -> usize {
    while let Some(&b) = text.get(at) {
        at = match b {
            b'`' => reference_end(text, at).unwrap_or(at + 1),
            b'.' if text.get(at + 1).is_some_and(|n| is_word(*n)) => at + 1,
            0 => behind_hidden(text, at),
            b if is_word(b) => at + 1,
            _ => return at,
        };
    }
    text.len()
}

/// First byte behind the backtick that closes the one at `at`; both must stand in one line.
pub fn reference_end(text: &[u8], at: usize) -> Option<usize> {
    let end = run(text, at + 1, |b| b != b'`' && b != b'\n');
    (text.get(end) == Some(&b'`')).then_some(end + 1)
}

/// What the daemon reads out of a word or a string, backticks left as they are.
pub fn value(kind: Kind, raw: &[u8]) -> Vec<u8> {
    let raw = visible(raw);
    match kind {
        Kind::Str => unescape(inner(&raw)),
        Kind::RawStr => inner(&raw).to_vec(),
        _ => raw.into_owned(),
    }
}

/// A string without its quotes.
fn inner(raw: &[u8]) -> &[u8] {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

/// The text without what NUL bytes hide.
fn visible(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&0) {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let end = run(raw, at, |b| b != 0);
        out.extend_from_slice(&raw[at..end]);
        at = if end < raw.len() { behind_hidden(raw, end) } else { end };
    }
    Cow::Owned(out)
}

/// Escapes of a double-quoted string: `\n` and the like, `\xHH`, `\oOOO`; any other escaped byte stands for itself.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        at += 1;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let Some(&escaped) = text.get(at) else { break };
        if let Some(end) = line_end(text, at) {
            at = end;
            continue;
        }
        at += 1;
        let number = |base: u32, most: usize| {
            let digits = text[at..].iter().take(most).take_while(|d| (**d as char).is_digit(base)).count();
            let text = std::str::from_utf8(&text[at..at + digits]).unwrap_or_default();
            u32::from_str_radix(text, base).ok().map(|n| (n as u8, digits))
        };
        let coded = match escaped {
            b'x' => number(16, 2),
            b'o' => number(8, 3),
            _ => None,
        };
        if let Some((byte, digits)) = coded {
            out.push(byte);
            at += digits;
            continue;
        }
        out.push(match escaped {
            b'a' => 7,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &[u8]) -> Vec<(Kind, String)> {
        let blank = |k| matches!(k, Kind::Blank | Kind::Newline);
        let text_of = |t: &Token| String::from_utf8_lossy(&text[t.start..t.end]).into_owned();
        tokens(text).iter().filter(|t| !blank(t.kind)).map(|t| (t.kind, text_of(t))).collect()
    }

    fn words(text: &[u8]) -> Vec<String> {
        shown(text).into_iter().filter(|(k, _)| *k == Kind::Word).map(|(_, t)| t).collect()
    }

    #[test]
    fn words_and_dots() {
        assert_eq!(
            words(b"level(crit..emerg) 127.0.0.1 a.b. <= s-1.b/x"),
            ["level", "crit", "emerg", "127.0.0.1", "a.b", "<=", "s-1.b/x"]
        );
        assert_eq!(words(b"55`p`x `a b`"), ["55`p`x", "`a b`"]);
        assert_eq!(words(b"caf\xe9#x\ny"), ["caf\u{fffd}", "y"]);
    }

    #[test]
    fn pragmas_only_at_the_start_of_a_line() {
        let kinds: Vec<Kind> = shown(b"@x\n @y\r\n@z").into_iter().map(|(k, _)| k).collect();
        use Kind::*;
        assert_eq!(kinds, [Pragma, Word, Punct(b'@'), Word, Pragma, Word]);
    }

    #[test]
    fn strings() {
        let value_of = |text: &[u8]| {
            let t = tokens(text)[0];
            (t.kind, String::from_utf8_lossy(&value(t.kind, &text[t.start..t.end])).into_owned())
        };
        assert_eq!(
            value_of(
                br#""a\"b\|\n\x41\
c""#
            ),
            (Kind::Str, "a\"b|\nAc".into())
        );
        assert_eq!(value_of(br"'a\|b'"), (Kind::RawStr, r"a\|b".into()));
        assert_eq!(value_of(b"\"a\nb\""), (Kind::Str, "a\nb".into()));
        assert_eq!(value_of(b"\"abc\\\"").0, Kind::Unterminated);
        assert_eq!(value_of(b"'"), (Kind::Unterminated, "'".into()));
    }

    #[test]
    fn nul_hides_the_rest_of_its_line() {
        // As the daemon reads it: one word, and a comment that goes on.
        let text = b"inter\0nal(); };\nsyntax x";
        let first = tokens(text)[0];
        assert_eq!(value(first.kind, &text[first.start..first.end]), b"intersyntax");
        assert_eq!(words(b"# a\0b\nsource s\nlog"), ["log"]);
    }

    #[test]
    fn carriage_returns() {
        use Kind::*;
        let kinds: Vec<Kind> = tokens(b"# c\r\na\\\r\nb\r").iter().map(|t| t.kind).collect();
        assert_eq!(kinds, [Comment, Newline, Word, Continuation, Word, Punct(b'\r')]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            check_cover(&text);
        }

        #[test]
        fn nothing_is_lost_in_likely_text(text in "([a-z`'\"#@\\\\(){};\r\n\t .|\0]|source|@include ){0,120}") {
            check_cover(text.as_bytes());
        }
    }

    fn check_cover(text: &[u8]) {
        let mut at = 0;
        let mut line = 1;
        for t in tokens(text) {
            assert_eq!((t.start, t.line), (at, line));
            assert!(t.end > t.start);
            let raw = &text[t.start..t.end];
            assert!(value(t.kind, raw).len() <= raw.len());
            line += raw.iter().filter(|b| **b == b'\n').count() as u32;
            at = t.end;
        }
        assert_eq!(at, text.len());
    }
}
