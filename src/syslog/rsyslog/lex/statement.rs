//! The scanner between statements, where the oldest forms of the language live: filters at the start of a line, actions
//! that reach to its end, `$…` lines, BSD blocks.

use super::kind::{Kind, Mode, OBJECTS, STATEMENT_WORDS, State};
use super::{comment, is_blank, line_end, run};
use crate::syslog::rsyslog::lines::LINE_MARK;

pub(super) fn statement(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    if let Some((kind, end)) = line_start(text, at) {
        return (kind, end);
    }
    if let Some(found) = word(text, at, state) {
        return found;
    }
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, statement_space(text, at)),
        b'&' | b'{' | b'}' => (Kind::Punct, at + 1),
        b'#' => match line_end(text, at) {
            end if end < text.len() => (Kind::Comment, end + 1),
            _ => (Kind::Bad, at + 1),
        },
        b'*' => (Kind::LegacyAction, at + 1),
        b'/' if text.get(at + 1) == Some(&b'*') => comment(at, state),
        // The byte behind the slash may be anything but a star, a line end included.
        b'/' if at + 1 < text.len() => (Kind::LegacyAction, run(text, at + 2, |b| b != b'\n')),
        b':' => colon_action(text, at),
        b'$' if text.get(at + 1).is_some_and(u8::is_ascii_alphabetic) => dollar(text, at, state),
        // What fails for one exclamation mark fails for all that follow it directly.
        b'!' => bsd_tag(text, at).unwrap_or_else(|| (Kind::Bad, run(text, at, |b| b == b'!'))),
        b'+' | b'-' => bsd_host(text, at).unwrap_or_else(|| rest_of_line_action(text, at)),
        b'|' | b'.' | b'@' | b'^' | b'?' | b'~' | b'>' => rest_of_line_action(text, at),
        _ => (Kind::Bad, at + 1),
    }
}

fn at_line_start(text: &[u8], at: usize) -> bool {
    at == 0 || text.get(at - 1) == Some(&b'\n')
}

/// What the daemon looks for at the start of a line only: filters and `+host` lines. Leading blanks belong to them.
fn line_start(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    if !at_line_start(text, at) {
        return None;
    }
    let first = run(text, at, |b| matches!(b, b' ' | b'\t'));
    match *text.get(first)? {
        b':' => property_filter(text, first).map(|end| (Kind::PropFilter, end)),
        b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
            // `root,some-user` is a list of users, not a filter: the longer match.
            let end = pri_filter(text, first).filter(|end| first > at || *end >= word_end(text, at))?;
            Some((Kind::PriFilter, end))
        }
        b'+' | b'-' => {
            let name = run(text, first + 1, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
            let end = run(text, name, |b| matches!(b, b' ' | b'\t'));
            (name > first + 1 && text.get(end) == Some(&b'\n')).then_some((Kind::BsdHost, end))
        }
        _ => None,
    }
}

/// `:property, operation, "value"`. The value ends at a quote that no backslash precedes, or at the last quote there is.
fn property_filter(text: &[u8], colon: usize) -> Option<usize> {
    let blank = |b: u8| b == b' ';
    let name = if text.get(colon + 1) == Some(&b'$') { colon + 2 } else { colon + 1 };
    let name_end = run(text, name, |b| b.is_ascii_alphabetic() || b == b'-');
    let comma = run(text, name_end, blank);
    let op = run(text, comma + 1, blank);
    let op = if text.get(op) == Some(&b'!') { op + 1 } else { op };
    let op_end = run(text, op, |b| b.is_ascii_alphabetic());
    let comma2 = run(text, op_end, blank);
    let quote = run(text, comma2 + 1, blank);
    let shape = [(comma, b','), (comma2, b','), (quote, b'"')];
    if name_end == name || op_end == op || shape.iter().any(|(i, b)| text.get(*i) != Some(b)) {
        return None;
    }
    let mut last = None;
    for (i, _) in text.iter().enumerate().skip(quote + 1).filter(|(_, b)| **b == b'"') {
        last = Some(i + 1);
        if text[i - 1] != b'\\' {
            break;
        }
    }
    last
}

/// `facility.severity` and what may be strung to it.
fn pri_filter(text: &[u8], at: usize) -> Option<usize> {
    let facility = run(text, at, |b| b == b'*' || b.is_ascii_alphabetic());
    let digits = run(text, facility, |b| (b'0'..=b'7').contains(&b));
    if !matches!(text.get(digits), Some(b'.' | b',')) {
        return None;
    }
    let end = run(text, digits + 1, |b| {
        matches!(b, b',' | b'!' | b'=' | b';' | b'.' | b'*' | b'0'..=b'7') || b.is_ascii_alphabetic()
    });
    (end > digits + 1).then_some(end)
}

/// A keyword, an object with its bracket, or a word that is an action by itself (`root,admin`).
fn word(text: &[u8], at: usize, state: &mut State) -> Option<(Kind, usize)> {
    let first = text[at];
    if !(first.is_ascii_alphanumeric() || first == b'_') {
        return None;
    }
    if text.get(at..at + LINE_MARK.len()).is_some_and(|t| t.eq_ignore_ascii_case(LINE_MARK.as_bytes())) {
        return Some((Kind::Dropped, (run(text, at, |b| b != b')') + 1).min(text.len())));
    }
    let end = word_end(text, at);
    for (name, kind) in OBJECTS {
        let name_end = at + name.len();
        if text.get(at..name_end).is_some_and(|t| t.eq_ignore_ascii_case(name.as_bytes())) {
            let bracket = run(text, name_end, is_blank);
            if text.get(bracket) == Some(&b'(') && bracket + 1 > end {
                state.mode = Mode::Object;
                return Some((Kind::Begin(kind), bracket + 1));
            }
        }
    }
    match STATEMENT_WORDS.iter().find(|(name, ..)| text[at..end].eq_ignore_ascii_case(name.as_bytes())) {
        Some((_, word, mode)) => {
            state.mode = *mode;
            Some((Kind::Word(*word), end))
        }
        None => Some((Kind::LegacyAction, end)),
    }
}

fn word_end(text: &[u8], at: usize) -> usize {
    run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b',' | b';'))
}

/// Blanks up to where the next line starts with something that takes its blanks along.
fn statement_space(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() && is_blank(text[end]) && line_start(text, end).is_none() {
        end += 1;
    }
    end
}

/// `:omusrmsg:…` and other module actions.
fn colon_action(text: &[u8], at: usize) -> (Kind, usize) {
    let name = run(text, at + 1, |b| b.is_ascii_alphanumeric());
    match name > at + 1 && text.get(name) == Some(&b':') {
        true => (Kind::LegacyAction, line_end(text, at)),
        false => (Kind::Bad, at + 1),
    }
}

fn rest_of_line_action(text: &[u8], at: usize) -> (Kind, usize) {
    match text[at] {
        b'+' => (Kind::Bad, at + 1),
        b => match line_end(text, at) {
            end if end > at + 1 || b == b'~' => (Kind::LegacyAction, end),
            _ => (Kind::Bad, at + 1),
        },
    }
}

fn dollar(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    let end = line_end(text, at);
    let line = &text[at..end];
    // Without a line end behind it (a text that is cut off) it is no directive.
    if end == text.len() {
        return (Kind::Bad, at + 1);
    }
    let starts = |name: &str| line.get(..name.len()).is_some_and(|l| l.eq_ignore_ascii_case(name.as_bytes()));
    if starts("$includeconfig") {
        state.mode = Mode::Include;
        return (Kind::IncludeDirective, at + "$includeconfig".len());
    }
    (if starts("$ruleset ") { Kind::LegacyRuleset } else { Kind::Directive }, end)
}

fn bsd_tag(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    let name = run(text, at + 1, |b| !is_blank(b));
    let end = run(text, name, |b| matches!(b, b' ' | b'\t'));
    (name > at + 1 && text.get(end) == Some(&b'\n')).then_some((Kind::BsdTag, end))
}

/// `+*` or `-*`, alone on its line but for a comment that may even follow on a later line.
fn bsd_host(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    if text.get(at + 1) != Some(&b'*') {
        return None;
    }
    let rest = run(text, at + 2, is_blank);
    if text.get(rest) == Some(&b'#') {
        return Some((Kind::BsdHost, run(text, rest, |b| b != b'\n')));
    }
    let newline = text.get(at + 2..rest)?.iter().rposition(|b| *b == b'\n')?;
    Some((Kind::BsdHost, at + 2 + newline))
}
