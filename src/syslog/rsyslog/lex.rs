//! Splits configuration text into tokens exactly where the daemon's own scanner does: the longest match wins, the
//! earlier rule among equals, and what may stand somewhere depends on what came before (statement, expression, object).
//! That is how `/var/log/x` is an action in one place and two divisions in another. Nothing is lost: [`tokens`] covers
//! every byte of the file.

use std::ops::Range;

use super::lines::Lines;

mod kind;
mod statement;

pub use kind::{Kind, Mode, ObjectKind, State, Word};

use kind::EXPR_WORDS;
use statement::statement;

/// One token of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Place in the file.
    pub span: Range<usize>,
}

/// All tokens of a file; their spans joined give the whole file, in order. Includes are not followed.
pub fn tokens(input: &[u8]) -> Vec<Token> {
    let lines = Lines::new(input);
    let (mut out, mut state, mut at, mut done) = (Vec::new(), State::default(), 0, 0);
    let push = |out: &mut Vec<Token>, kind, span: Range<usize>| {
        if !span.is_empty() {
            out.push(Token { kind, span });
        }
    };
    while let Some((kind, end)) = next(&lines.text, at, &mut state) {
        let span = lines.file_span(at..end);
        push(&mut out, Kind::Dropped, done..span.start.max(done));
        let span = span.start.max(done)..span.end.max(done);
        done = span.end;
        push(&mut out, kind, span);
        at = end;
    }
    push(&mut out, Kind::Dropped, done..input.len());
    out
}

/// The token at `at` and where it ends; `None` at the end of the text.
pub fn next(text: &[u8], at: usize, state: &mut State) -> Option<(Kind, usize)> {
    if at >= text.len() {
        return None;
    }
    if state.comment {
        let end = find(text, at, b"*/");
        state.comment = end.is_none();
        return Some((Kind::Comment, end.map_or(text.len(), |i| i + 2)));
    }
    Some(match state.mode {
        Mode::Statement => statement(text, at, state),
        Mode::Object => object(text, at, state),
        Mode::Expr => expr(text, at, state),
        Mode::Call => call(text, at, state),
        Mode::Procedure => procedure(text, at, state),
        Mode::Include => include(text, at, state),
    })
}

// ---- one mode each ----

fn object(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'#' => (Kind::Comment, run(text, at, |b| b != b'\n')),
        b'/' if text.get(at + 1) == Some(&b'*') => comment(at, state),
        b')' => {
            state.mode = Mode::Statement;
            (Kind::EndObject, at + 1)
        }
        b',' | b'[' | b']' | b'=' => (Kind::Punct, at + 1),
        b'"' => quoted(text, at, b'"', Escapes::Object).map_or((Kind::Bad, at + 1), |end| (Kind::Str, end)),
        b'`' => quoted(text, at, b'`', Escapes::Object).map_or((Kind::Bad, at + 1), |end| (Kind::Backtick, end)),
        b if b.is_ascii_alphabetic() => {
            (Kind::Name, run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')))
        }
        _ => (Kind::Bad, at + 1),
    }
}

fn expr(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    let two = text.get(at..at + 2).unwrap_or_default();
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'/' if two == b"/*" => comment(at, state),
        b'=' | b'!' | b'<' | b'>' if matches!(two, b"==" | b"!=" | b"<=" | b">=" | b"<>") => (Kind::Punct, at + 2),
        b';' => {
            state.mode = Mode::Statement;
            (Kind::Punct, at + 1)
        }
        b'(' | b')' | b'[' | b']' | b'=' | b',' | b'*' | b'/' | b'%' | b'+' | b'&' | b'-' | b'<' | b'>' => {
            (Kind::Punct, at + 1)
        }
        b'0'..=b'9' => (Kind::Number, number(text, at)),
        b'$' => (Kind::Var, variable(text, at)),
        b'\'' => quoted(text, at, b'\'', Escapes::Expr).map_or((Kind::Bad, at + 1), |end| (Kind::Str, end)),
        b'`' => quoted(text, at, b'`', Escapes::Expr).map_or((Kind::Bad, at + 1), |end| (Kind::Backtick, end)),
        b'"' => match quoted(text, at, b'"', Escapes::Expr) {
            Some(end) if has_bare_dollar(&text[at..end]) => (Kind::BadDollar, end),
            Some(end) => (Kind::Str, end),
            None => (Kind::Bad, at + 1),
        },
        b if b.is_ascii_alphabetic() => {
            let end = run(text, at, |b| b.is_ascii_alphanumeric() || b == b'_');
            let found = EXPR_WORDS.iter().find(|(w, _)| text[at..end].eq_ignore_ascii_case(w.as_bytes()));
            if matches!(found, Some((_, Word::Then | Word::Do))) {
                state.mode = Mode::Statement;
            }
            (found.map_or(Kind::Func, |(_, w)| Kind::Word(*w)), end)
        }
        _ => (Kind::Bad, at + 1),
    }
}

fn call(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        // A name of one letter is refused: the rule for stray bytes stands before the one for names.
        b => match run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            end if b.is_ascii_alphabetic() && end > at + 1 => {
                state.mode = Mode::Statement;
                (Kind::Name, end)
            }
            _ => (Kind::Bad, at + 1),
        },
    }
}

fn procedure(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'(' | b',' => (Kind::Punct, at + 1),
        b')' => {
            state.mode = Mode::Statement;
            (Kind::Punct, at + 1)
        }
        quote @ (b'"' | b'\'') => match quoted(text, at, quote, Escapes::Expr) {
            Some(end) if quote == b'\'' || !has_bare_dollar(&text[at..end]) => (Kind::Str, end),
            _ => (Kind::Bad, at + 1),
        },
        _ => (Kind::Bad, at + 1),
    }
}

fn include(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    if is_blank(text[at]) {
        return (Kind::Space, run(text, at, is_blank));
    }
    state.mode = Mode::Statement;
    (Kind::IncludePath, run(text, at, |b| !is_blank(b)))
}

// ---- pieces ----

fn comment(at: usize, state: &mut State) -> (Kind, usize) {
    state.comment = true;
    (Kind::Comment, at + 2)
}

fn number(text: &[u8], at: usize) -> usize {
    let hex = run(text, at + 2, |b| b.is_ascii_hexdigit());
    if text[at] != b'0' {
        run(text, at, |b| b.is_ascii_digit())
    } else if matches!(text.get(at + 1), Some(b'x' | b'X')) && hex > at + 2 {
        hex
    } else {
        run(text, at + 1, |b| (b'0'..=b'7').contains(&b))
    }
}

/// `$msg`, `$!json!path`, `$.local`, `$/global`, `$$now`.
fn variable(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    if matches!(text.get(end), Some(b'$' | b'!' | b'.' | b'/')) {
        end += 1;
    }
    run(text, end, |b| b.is_ascii_alphanumeric() || matches!(b, b'!' | b'@' | b'-' | b'_' | b'.' | b'[' | b']'))
}

/// Which backslash sequences a text may hold; any other one makes the daemon refuse the opening quote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Expr,
    Object,
}

/// End of a quoted text that starts at `at`.
fn quoted(text: &[u8], at: usize, quote: u8, escapes: Escapes) -> Option<usize> {
    let mut i = at + 1;
    loop {
        match *text.get(i)? {
            b if b == quote => return Some(i + 1),
            b'\\' => i += escape(&text[i..], quote, escapes)?,
            _ => i += 1,
        }
    }
}

/// Length of a backslash sequence.
fn escape(text: &[u8], quote: u8, escapes: Escapes) -> Option<usize> {
    let octal = |n: usize| text.get(1..1 + n).is_some_and(|t| t.iter().all(|b| (b'0'..=b'7').contains(b)));
    let plain: &[u8] = match (escapes, quote) {
        (Escapes::Expr, b'`') => b"'`\"\\bntr",
        (Escapes::Expr, _) => b"'\"\\$bntr",
        (Escapes::Object, b'`') => b"'`?\\abfnrtv",
        (Escapes::Object, _) => b"'\"?\\abfnrtv",
    };
    let hex = text.get(2..4).is_some_and(|t| t.iter().all(u8::is_ascii_hexdigit));
    match *text.get(1)? {
        b if plain.contains(&b) => Some(2),
        b'x' | b'X' if escapes == Escapes::Expr && hex => Some(4),
        _ if escapes == Escapes::Expr && octal(3) => Some(4),
        // One to three digits; the digits behind the first are plain bytes to the scan.
        _ if escapes == Escapes::Object && octal(1) => Some(2),
        _ => None,
    }
}

/// A `$` without a backslash in a double-quoted text.
fn has_bare_dollar(quoted: &[u8]) -> bool {
    let mut bytes = quoted.iter();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => {
                bytes.next();
            }
            b'$' => return true,
            _ => {}
        }
    }
    false
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n')
}

/// First place from `at` on whose byte does not belong.
fn run(text: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let at = at.min(text.len());
    at + text[at..].iter().position(|b| !belongs(*b)).unwrap_or(text.len() - at)
}

fn line_end(text: &[u8], at: usize) -> usize {
    run(text, at, |b| b != b'\n')
}

fn find(text: &[u8], at: usize, needle: &[u8]) -> Option<usize> {
    text.get(at..)?.windows(needle.len()).position(|w| w == needle).map(|i| at + i)
}

#[cfg(test)]
mod tests;
