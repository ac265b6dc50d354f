//! POSIX regular expressions as rsyslog uses them through the C library: bytes, C locale, `.` takes a line end too.
//! Translated for the `regex` crate; what cannot be translated (back references, forms the C library refuses) is `None`,
//! and an evaluation that meets it is open.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// How a pattern is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// `:msg, regex, …`: groups and counts need a backslash; GNU's `\|`, `\+`, `\?` work.
    Basic,
    /// `re_match()`, `ereregex`.
    Extended,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    search: Regex,
    /// The same, anchored at both ends: for the longest match.
    whole: Regex,
}

/// Longest text for which the longest match is searched; behind it the first match found has to do.
const LONGEST_LIMIT: usize = 16 * 1024;

impl Pattern {
    pub fn new(pattern: &[u8], syntax: Syntax, ignore_case: bool) -> Option<Pattern> {
        let translated = Translator { text: pattern, at: 0, syntax, depth: 0 }.run()?;
        let build = |text: &str| {
            let mut b = RegexBuilder::new(text);
            b.unicode(false).dot_matches_new_line(true).case_insensitive(ignore_case).size_limit(4 << 20);
            b.build().ok()
        };
        Some(Pattern { search: build(&translated)?, whole: build(&format!("\\A(?:{translated})\\z"))? })
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.search.is_match(text)
    }

    /// Places of the whole match and its groups: of the leftmost matches the longest, as POSIX wants it.
    pub fn captures(&self, text: &[u8]) -> Option<Vec<Option<Range<usize>>>> {
        let first = self.search.captures(text)?;
        let found = first.get(0)?;
        let longest = if text.len() <= LONGEST_LIMIT { self.longest_end(text, found.range()) } else { found.end() };
        // Anchors and word borders look beyond the match, so the shortened text is used only where it is needed.
        if longest == found.end() {
            return Some(first.iter().map(|m| m.map(|m| m.range())).collect());
        }
        let part = &text[found.start()..longest];
        let again = self.whole.captures(part)?;
        let shift = |r: Range<usize>| r.start + found.start()..r.end + found.start();
        Some(again.iter().map(|m| m.map(|m| shift(m.range()))).collect())
    }

    fn longest_end(&self, text: &[u8], found: Range<usize>) -> usize {
        let ends = (found.end + 1..=text.len()).rev().take(4096);
        let mut longer = ends.filter(|end| self.whole.is_match(&text[found.start..*end]));
        longer.next().unwrap_or(found.end)
    }
}

struct Translator<'a> {
    text: &'a [u8],
    at: usize,
    syntax: Syntax,
    depth: usize,
}

/// One element of a pattern.
enum Part {
    /// Something a repeat may follow.
    Atom(String),
    /// `(`, `|`, `)`, `^`, `$` and the like.
    Other(String),
    Repeat(String),
}

impl Translator<'_> {
    fn run(mut self) -> Option<String> {
        let mut out = String::new();
        // Start of the last atom in `out`; none where a repeat has nothing to repeat.
        let mut atom: Option<usize> = None;
        let mut repeated = false;
        let mut groups: Vec<usize> = Vec::new();
        while self.at < self.text.len() {
            let start = out.len();
            match self.part(atom.is_some())? {
                Part::Atom(text) => {
                    out.push_str(&text);
                    atom = Some(start);
                    repeated = false;
                }
                Part::Other(text) if text == ")" => {
                    out.push(')');
                    atom = groups.pop();
                    self.depth -= 1;
                    repeated = false;
                }
                Part::Other(text) => {
                    if text == "(" {
                        groups.push(start);
                        self.depth += 1;
                    }
                    out.push_str(&text);
                    atom = None;
                }
                Part::Repeat(text) => {
                    let from = atom?;
                    // Two repeats in a row: the second one repeats the first, where the crate would see a lazy repeat.
                    if repeated {
                        out.insert_str(from, "(?:");
                        out.push(')');
                    }
                    out.push_str(&text);
                    repeated = true;
                }
            }
        }
        groups.is_empty().then_some(out)
    }

    fn part(&mut self, has_atom: bool) -> Option<Part> {
        let basic = self.syntax == Syntax::Basic;
        let start = self.at;
        let b = self.text[self.at];
        self.at += 1;
        Some(match b {
            b'\\' => return self.escaped(has_atom),
            b'[' => Part::Atom(self.bracket()?),
            b'.' => Part::Atom(".".to_owned()),
            b'*' if has_atom => Part::Repeat("*".to_owned()),
            b'*' if basic => literal(b),
            b'^' if !basic || self.basic_start(start) => Part::Other("^".to_owned()),
            b'$' if !basic || self.basic_end() => Part::Other("$".to_owned()),
            b'+' | b'?' if !basic => Part::Repeat((b as char).to_string()),
            b'{' if !basic => Part::Repeat(self.count(b"}")?),
            b'|' if !basic => Part::Other("|".to_owned()),
            b'(' if !basic => Part::Other("(".to_owned()),
            b')' if !basic && self.depth > 0 => Part::Other(")".to_owned()),
            b'*' => return None,
            b => literal(b),
        })
    }

    /// `^` anchors a basic pattern at its start and behind `\(` and `\|`.
    fn basic_start(&self, at: usize) -> bool {
        at == 0 || [&b"\\("[..], b"\\|"].iter().any(|p| self.text[..at].ends_with(p))
    }

    fn basic_end(&self) -> bool {
        let rest = &self.text[self.at..];
        rest.is_empty() || rest.starts_with(b"\\)") || rest.starts_with(b"\\|")
    }

    fn escaped(&mut self, has_atom: bool) -> Option<Part> {
        let b = *self.text.get(self.at)?;
        self.at += 1;
        let basic = self.syntax == Syntax::Basic;
        Some(match b {
            b'(' if basic => Part::Other("(".to_owned()),
            b')' if basic && self.depth > 0 => Part::Other(")".to_owned()),
            b')' if basic => return None,
            b'|' if basic => Part::Other("|".to_owned()),
            b'{' if basic && has_atom => Part::Repeat(self.count(b"\\}")?),
            b'{' | b'}' if basic => return None,
            b'+' | b'?' if basic && has_atom => Part::Repeat((b as char).to_string()),
            b'w' => Part::Atom("[A-Za-z0-9_]".to_owned()),
            b'W' => Part::Atom("[^A-Za-z0-9_]".to_owned()),
            b's' => Part::Atom("[ \\t\\n\\x0b\\x0c\\r]".to_owned()),
            b'S' => Part::Atom("[^ \\t\\n\\x0b\\x0c\\r]".to_owned()),
            b'b' | b'B' => Part::Other(format!("\\{}", b as char)),
            b'<' => Part::Other("\\b{start}".to_owned()),
            b'>' => Part::Other("\\b{end}".to_owned()),
            b'`' => Part::Other("\\A".to_owned()),
            b'\'' => Part::Other("\\z".to_owned()),
            // A back reference.
            b'1'..=b'9' => return None,
            b => literal(b),
        })
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`
    fn count(&mut self, close: &[u8]) -> Option<String> {
        let rest = &self.text[self.at..];
        let end = rest.windows(close.len()).position(|w| w == close)?;
        let inner = std::str::from_utf8(&rest[..end]).ok()?;
        let (low, high) = inner.split_once(',').map_or((inner, inner), |(l, h)| (l, h));
        let number = |t: &str| if t.is_empty() { Some(None) } else { t.parse::<u32>().ok().map(Some) };
        let (low, high) = (number(low)?, number(high)?);
        // The C library's own limit.
        if inner.is_empty() || [low, high].iter().flatten().any(|n| *n > 32_767) {
            return None;
        }
        self.at += end + close.len();
        Some(match high {
            Some(high) => format!("{{{},{high}}}", low.unwrap_or(0)),
            None => format!("{{{},}}", low.unwrap_or(0)),
        })
    }

    /// A bracket expression, in which a backslash is a plain byte.
    fn bracket(&mut self) -> Option<String> {
        let mut out = String::from("[");
        if self.text.get(self.at) == Some(&b'^') {
            out.push('^');
            self.at += 1;
        }
        let first = self.at;
        loop {
            let b = *self.text.get(self.at)?;
            match (b, self.text.get(self.at + 1)) {
                (b']', _) if self.at > first => {
                    self.at += 1;
                    out.push(']');
                    return Some(out);
                }
                (b'[', Some(b':')) => {
                    let rest = &self.text[self.at..];
                    let end = rest.windows(2).position(|w| w == b":]")? + 2;
                    out.push_str(std::str::from_utf8(&rest[..end]).ok()?);
                    self.at += end;
                }
                // Equivalence classes and collating elements.
                (b'[', Some(b'=' | b'.')) => return None,
                (low, Some(b'-')) if !matches!(self.text.get(self.at + 2), None | Some(b']')) => {
                    let high = self.text[self.at + 2];
                    if low > high || (high == b'[' && matches!(self.text.get(self.at + 3), Some(b':' | b'=' | b'.'))) {
                        return None;
                    }
                    out.push_str(&format!("{}-{}", byte(low), byte(high)));
                    self.at += 3;
                }
                (b, _) => {
                    out.push_str(&byte(b));
                    self.at += 1;
                }
            }
        }
    }
}

fn literal(b: u8) -> Part {
    Part::Atom(byte(b))
}

/// One byte, safe anywhere in a pattern.
fn byte(b: u8) -> String {
    if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("\\x{b:02x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ere(pattern: &str, text: &str) -> Option<bool> {
        Pattern::new(pattern.as_bytes(), Syntax::Extended, false).map(|p| p.is_match(text.as_bytes()))
    }

    fn bre(pattern: &str, text: &str) -> Option<bool> {
        Pattern::new(pattern.as_bytes(), Syntax::Basic, false).map(|p| p.is_match(text.as_bytes()))
    }

    #[test]
    fn extended() {
        assert_eq!(ere("CEF:|%(ASA|FTD)-", "x %FTD-6"), Some(true));
        assert_eq!(ere("[|][^|]*[|]", "|a|"), Some(true));
        assert_eq!(ere(r"[\d]x", r"\x"), Some(true));
        assert_eq!(ere(r"[\d]x", "5x"), Some(false));
        assert_eq!(ere("[]a]b", "]b"), Some(true));
        assert_eq!(ere("[[:digit:]]{2,3}", "a12"), Some(true));
        assert_eq!(ere("a+?$", ""), Some(true));
        assert_eq!(ere(r"(a)\1", "aa"), None);
        assert_eq!(ere("*a", "*a"), None);
        assert_eq!(ere("(a", "(a"), None);
        assert_eq!(ere("a)", "a)"), Some(true));
    }

    #[test]
    fn basic() {
        assert_eq!(bre(r"CEF\|ASA", "%ASA-"), Some(true));
        assert_eq!(bre("CEF|ASA", "%ASA-"), Some(false));
        assert_eq!(bre("CEF|ASA", "CEF|ASA"), Some(true));
        assert_eq!(bre(r"\(ab\)\{2\}", "abab"), Some(true));
        assert_eq!(bre("a+", "aa"), Some(false));
        assert_eq!(bre("*a", "*a"), Some(true));
        assert_eq!(bre("a^b$c", "a^b$c"), Some(true));
    }

    #[test]
    fn longest_of_the_leftmost() {
        let p = Pattern::new(b"(a|ab)(c|bcd)?", Syntax::Extended, false).unwrap();
        let found = p.captures(b"xabcd").unwrap();
        assert_eq!(found[0], Some(1..5));
    }
}
