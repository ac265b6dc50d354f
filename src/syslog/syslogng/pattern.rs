//! Patterns of filters and rewrite rules, held against bytes. The daemon's PCRE works on bytes; ours on characters, so
//! every byte is given its own character.

use std::cell::RefCell;
use std::sync::Arc;

use super::filter::{Pattern, PatternKind};

/// Steps a pattern may take before we give up on it.
const EFFORT: usize = 2_000_000;

/// A pattern ready for use.
#[derive(Debug, Clone)]
pub enum Matcher {
    Regex(Box<fancy_regex::Regex>),
    Text { text: Vec<u8>, prefix: bool, inside: bool, ignore_case: bool },
    Glob(Vec<u8>),
}

/// The pattern takes too many steps on this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pattern takes too many steps on this text")]
pub struct TooHard;

/// What a pattern found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub start: usize,
    pub end: usize,
    /// The whole and the groups; a group that took no part is empty.
    pub groups: Vec<Vec<u8>>,
}

thread_local! {
    /// Patterns made so far: making one costs far more than using it, and the same few are used again and again.
    static MADE: RefCell<Vec<(Pattern, Option<Arc<Matcher>>)>> = const { RefCell::new(Vec::new()) };
}

/// Patterns that are remembered.
const REMEMBERED: usize = 200;

impl Matcher {
    /// As [`Matcher::new`], remembering what it made.
    pub fn remembered(pattern: &Pattern) -> Option<Arc<Matcher>> {
        MADE.with_borrow_mut(|made| {
            if let Some((_, matcher)) = made.iter().find(|(p, _)| p == pattern) {
                return matcher.clone();
            }
            if made.len() >= REMEMBERED {
                made.clear();
            }
            let matcher = Matcher::new(pattern).map(Arc::new);
            made.push((pattern.clone(), matcher.clone()));
            matcher
        })
    }

    /// `None` for a pattern we cannot follow.
    pub fn new(pattern: &Pattern) -> Option<Matcher> {
        let text = pattern.text.as_bytes();
        match pattern.kind {
            PatternKind::Pcre | PatternKind::Posix => {
                let source = widen(text);
                let regex = fancy_regex::RegexBuilder::new(&source)
                    .case_insensitive(pattern.has("ignore-case"))
                    .backtrack_limit(EFFORT)
                    .build();
                regex.ok().map(|r| Matcher::Regex(Box::new(r)))
            }
            PatternKind::String => Some(Matcher::Text {
                text: text.to_vec(),
                prefix: pattern.has("prefix"),
                inside: pattern.has("substring"),
                ignore_case: pattern.has("ignore-case"),
            }),
            PatternKind::Glob => Some(Matcher::Glob(text.to_vec())),
        }
    }

    /// The first place from `from` on.
    pub fn find(&self, text: &[u8], from: usize) -> Result<Option<Found>, TooHard> {
        let whole = |end: usize| Found { start: 0, end, groups: vec![text[..end].to_vec()] };
        Ok(match self {
            Matcher::Regex(regex) => return regex_find(regex, text, from),
            Matcher::Text { text: wanted, prefix, inside, ignore_case } => {
                let same = |a: &[u8]| if *ignore_case { a.eq_ignore_ascii_case(wanted) } else { a == wanted };
                let n = wanted.len();
                match (*prefix, *inside) {
                    (true, _) => text.get(..n).is_some_and(same).then(|| whole(n)),
                    (_, true) => {
                        let start = (from..(text.len() + 1).saturating_sub(n)).find(|i| same(&text[*i..*i + n]));
                        start.map(|start| Found {
                            start,
                            end: start + n,
                            groups: vec![text[start..start + n].to_vec()],
                        })
                    }
                    // As the daemon compares: the pattern may be shorter only by nothing, longer never.
                    (false, false) => same(text).then(|| whole(n)),
                }
            }
            // The daemon holds it against UTF-8 only.
            Matcher::Glob(glob) => {
                (std::str::from_utf8(text).is_ok() && glob_matches(glob, text)).then(|| whole(text.len()))
            }
        })
    }
}

fn regex_find(regex: &fancy_regex::Regex, text: &[u8], from: usize) -> Result<Option<Found>, TooHard> {
    let wide = widen(text);
    let at = |byte: usize| text.iter().take(byte).map(|b| if b.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let byte = |wide_at: usize| wide.get(..wide_at).map_or(0, |s| s.chars().count());
    let captures = regex.captures_from_pos(&wide, at(from)).map_err(|_| TooHard)?;
    let Some(captures) = captures else { return Ok(None) };
    let groups = (0..captures.len()).map(|i| captures.get(i).map(|m| narrow(m.as_str())).unwrap_or_default()).collect();
    Ok(captures.get(0).map(|m| Found { start: byte(m.start()), end: byte(m.end()), groups }))
}

fn widen(text: &[u8]) -> String {
    text.iter().map(|b| char::from(*b)).collect()
}

fn narrow(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

/// `*` and `?` only, over the whole text.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                g += 1;
                retry = Some((g, t));
            }
            Some(b) if *b == b'?' || *b == text[t] => (g, t) = (g + 1, t + 1),
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (g, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::Text;

    fn found(kind: PatternKind, pattern: &str, flags: &[&str], text: &[u8]) -> Option<Vec<Vec<u8>>> {
        let flags = flags.iter().map(|f| f.to_string()).collect();
        let pattern = Pattern { text: Text::from(pattern), kind, flags };
        Matcher::new(&pattern).unwrap().find(text, 0).unwrap().map(|f| f.groups)
    }

    #[test]
    fn kinds() {
        use PatternKind::*;
        assert_eq!(found(Pcre, "(?<=<)([0-9]+)(?=>)", &[], b"x<13>").unwrap()[1], b"13");
        assert_eq!(found(Pcre, "f\\w", &["ignore-case"], b"aFw").unwrap()[0], b"Fw");
        assert_eq!(found(Pcre, "(.)(x)?$", &[], b"a\xff").unwrap(), [b"\xff".to_vec(), b"\xff".to_vec(), vec![]]);
        assert_eq!(found(String, "CEF:", &["substring"], b"a CEF:0").unwrap()[0], b"CEF:");
        assert_eq!(found(String, "a ", &["prefix"], b"a CEF:0").unwrap()[0], b"a ");
        assert_eq!(found(String, "a", &[], b"a CEF:0"), None);
        assert!(found(Glob, "a*:?", &[], b"a CEF:0").is_some());
        assert!(found(Glob, "a*:", &[], b"a CEF:0").is_none());
        let broken = Pattern { text: "(".into(), kind: Pcre, flags: Vec::new() };
        assert!(Matcher::new(&broken).is_none());
    }

    #[test]
    fn gives_up_instead_of_hanging() {
        let pattern = Pattern { text: "^(?=(a+)+$)b|(a+)+\\1z".into(), kind: PatternKind::Pcre, flags: Vec::new() };
        let text = [b'a'; 5000];
        assert!(Matcher::new(&pattern).unwrap().find(&text, 0).is_err());
    }

    #[test]
    fn places_count_bytes() {
        let pattern = Pattern { text: "x".into(), kind: PatternKind::Pcre, flags: Vec::new() };
        let found = Matcher::new(&pattern).unwrap().find(b"\xffx\xffx", 2).unwrap().unwrap();
        assert_eq!((found.start, found.end), (3, 4));
    }
}
