//! CEF as facts 4.1 has it: seven header fields between bars, then an extension of `key=value`. Reads whatever devices
//! send and says what is wrong with it, because what a table shows is decided here.

use serde::Serialize;

/// What is wrong with a CEF event. The names (kebab case) are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    BlankAfterColon,
    VersionNot0,
    HeaderIncomplete,
    HeaderEscape,
    NameMissing,
    Severity,
    ExtensionText,
    UnescapedEquals,
    ValueEscape,
    DuplicateKey,
}

impl Problem {
    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Problem::BlankAfterColon => "blank-after-colon",
            Problem::VersionNot0 => "version-not-0",
            Problem::HeaderIncomplete => "header-incomplete",
            Problem::HeaderEscape => "header-escape",
            Problem::NameMissing => "name-missing",
            Problem::Severity => "severity",
            Problem::ExtensionText => "extension-text",
            Problem::UnescapedEquals => "unescaped-equals",
            Problem::ValueEscape => "value-escape",
            Problem::DuplicateKey => "duplicate-key",
        }
    }

    /// One plain sentence without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Problem::BlankAfterColon => "a blank stands between CEF: and the version",
            Problem::VersionNot0 => "the CEF version is not 0",
            Problem::HeaderIncomplete => "the header has fewer than seven bars",
            Problem::HeaderEscape => "a backslash in the header stands before something other than a bar or backslash",
            Problem::NameMissing => "vendor, product or name is empty",
            Problem::Severity => "the severity is neither 0 to 10 nor Unknown, Low, Medium, High, Very-High",
            Problem::ExtensionText => "the extension does not start with a key",
            Problem::UnescapedEquals => "a value holds an equals sign without a backslash",
            Problem::ValueEscape => {
                "a backslash in a value stands before something other than =, backslash, n, r or a bar"
            }
            Problem::DuplicateKey => "a key of the extension occurs twice",
        }
    }
}

/// A CEF event, its parts as they stand in the line (escapes and all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cef<'a> {
    pub version: &'a [u8],
    pub vendor: &'a [u8],
    pub product: &'a [u8],
    pub device_version: &'a [u8],
    pub class_id: &'a [u8],
    pub name: &'a [u8],
    pub severity: &'a [u8],
    /// Keys and values in their order.
    pub extension: Vec<(&'a [u8], &'a [u8])>,
    /// Each kind once, sorted.
    pub problems: Vec<Problem>,
}

impl<'a> Cef<'a> {
    /// The first value of a key, escapes undone.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let (_, value) = self.extension.iter().find(|(k, _)| *k == key.as_bytes())?;
        Some(unescape(value))
    }
}

/// Reads the event at the start of `text`, which must begin with `CEF:`. Missing fields are empty.
pub fn parse(text: &[u8]) -> Option<Cef<'_>> {
    let mut rest = text.strip_prefix(b"CEF:")?;
    let mut problems = Vec::new();
    if let Some(behind) = rest.strip_prefix(b" ") {
        problems.push(Problem::BlankAfterColon);
        rest = behind;
    }
    let mut fields = [b"".as_slice(); 7];
    for field in &mut fields {
        let Some((part, behind)) = split_header(rest) else {
            problems.push(Problem::HeaderIncomplete);
            *field = rest;
            rest = b"";
            break;
        };
        (*field, rest) = (part, behind);
    }
    let [version, vendor, product, device_version, class_id, name, severity] = fields;
    problems.extend(header_problems(&fields));
    let extension = extension(rest.strip_suffix(b"\r").unwrap_or(rest), &mut problems);
    problems.sort_unstable();
    problems.dedup();
    Some(Cef { version, vendor, product, device_version, class_id, name, severity, extension, problems })
}

/// Text up to the next bar without a backslash, and what follows the bar.
fn split_header(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let bar = text.iter().position(|&b| {
        let is_bar = b == b'|' && !escaped;
        escaped = b == b'\\' && !escaped;
        is_bar
    })?;
    Some((text.get(..bar)?, text.get(bar + 1..)?))
}

fn header_problems(fields: &[&[u8]; 7]) -> Vec<Problem> {
    let [version, vendor, product, _, _, name, severity] = fields;
    let mut problems = Vec::new();
    if *version != b"0" {
        problems.push(Problem::VersionNot0);
    }
    if [vendor, product, name].iter().any(|field| field.trim_ascii().is_empty()) {
        problems.push(Problem::NameMissing);
    }
    if fields.iter().any(|field| has_bad_escape(field, b"|\\")) {
        problems.push(Problem::HeaderEscape);
    }
    if !is_severity(severity) {
        problems.push(Problem::Severity);
    }
    problems
}

fn is_severity(text: &[u8]) -> bool {
    const WORDS: [&str; 5] = ["unknown", "low", "medium", "high", "very-high"];
    let Ok(text) = std::str::from_utf8(text.trim_ascii()) else { return false };
    text.parse::<u8>().is_ok_and(|n| n <= 10) || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Is there a backslash before a byte that is none of `allowed`, or at the end?
fn has_bad_escape(text: &[u8], allowed: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(&b) = bytes.next() {
        if b == b'\\' && !bytes.next().is_some_and(|next| allowed.contains(next)) {
            return true;
        }
    }
    false
}

fn is_key(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'[' | b']' | b'-')
}

/// Keys and values: a key stands at the start or behind a blank and ends at an equals sign without a backslash; its
/// value goes on until the next key.
fn extension<'a>(text: &'a [u8], problems: &mut Vec<Problem>) -> Vec<(&'a [u8], &'a [u8])> {
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::new();
    // Start of the current key's value, and the key itself.
    let mut open: Option<(&[u8], usize)> = None;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        let equals = byte == b'=' && !escaped;
        escaped = byte == b'\\' && !escaped;
        if !equals {
            continue;
        }
        let head = text.get(..at).unwrap_or_default();
        let key = head.iter().rev().take_while(|&&b| is_key(b)).count();
        let start = at - key;
        let begins = start == 0 || text.get(start - 1) == Some(&b' ');
        if key == 0 || !begins {
            problems.push(Problem::UnescapedEquals);
            continue;
        }
        match open {
            Some((name, from)) => pairs.push((name, text.get(from..start.saturating_sub(1)).unwrap_or_default())),
            None if !text.get(..start).unwrap_or_default().trim_ascii().is_empty() => {
                problems.push(Problem::ExtensionText)
            }
            None => {}
        }
        open = Some((text.get(start..at).unwrap_or_default(), at + 1));
    }
    match open {
        Some((name, from)) => pairs.push((name, text.get(from..).unwrap_or_default())),
        None if !text.trim_ascii().is_empty() => problems.push(Problem::ExtensionText),
        None => {}
    }
    if pairs.iter().any(|(_, value)| has_bad_escape(value, b"=\\nr|")) {
        problems.push(Problem::ValueEscape);
    }
    let mut keys: Vec<&[u8]> = pairs.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        problems.push(Problem::DuplicateKey);
    }
    pairs
}

/// Undoes the escapes of header fields and values. A backslash before anything else stays.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(b) = bytes.next() {
        match (b, if b == b'\\' { bytes.next() } else { None }) {
            (b'\\', Some(b'n')) => out.push(b'\n'),
            (b'\\', Some(b'r')) => out.push(b'\r'),
            (b'\\', Some(next @ (b'\\' | b'|' | b'='))) => out.push(next),
            (b'\\', Some(next)) => out.extend([b'\\', next]),
            _ => out.push(b),
        }
    }
    out
}

/// Puts backslashes where a header field needs them; line breaks become blanks.
pub fn escape_header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Puts backslashes where a value needs them.
pub fn escape_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems(text: &str) -> Vec<Problem> {
        parse(text.as_bytes()).unwrap().problems
    }

    #[test]
    fn a_sound_event() {
        let text = br"CEF:0|Sec\|urity|threat \\ manager|1.0|100|worm stopped|Very-High|src=10.0.0.1 msg=a=b \= c dst=1.1.1.1 cs1=x";
        let cef = parse(text).unwrap();
        assert_eq!(unescape(cef.vendor), b"Sec|urity");
        assert_eq!(unescape(cef.product), br"threat \ manager");
        assert_eq!(cef.severity, b"Very-High");
        assert_eq!(cef.problems, [Problem::UnescapedEquals]);
        assert_eq!(cef.value("msg").unwrap(), b"a=b = c");
        assert_eq!(cef.value("cs1").unwrap(), b"x");
        assert_eq!(cef.extension.len(), 4);
    }

    #[test]
    fn problems_one_by_one() {
        use Problem::*;
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|src=1"), []);
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|"), []);
        assert_eq!(problems("CEF: 0|V|P|1|1|N|5|src=1"), [BlankAfterColon]);
        assert_eq!(problems("CEF:1|V|P|1|1|N|5|src=1"), [VersionNot0]);
        assert_eq!(problems("CEF:0|V|P|1|1|N|11|src=1"), [Severity]);
        assert_eq!(problems("CEF:0||P|1|1|N|5|src=1"), [NameMissing]);
        assert_eq!(problems(r"CEF:0|V\x|P|1|1|N|5|src=1"), [HeaderEscape]);
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|hello src=1"), [ExtensionText]);
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|hello"), [ExtensionText]);
        assert_eq!(problems(r"CEF:0|V|P|1|1|N|5|path=C:\users"), [ValueEscape]);
        assert_eq!(problems(r"CEF:0|V|P|1|1|N|5|msg=a\nb\=c\\"), []);
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|src=1 src=2"), [DuplicateKey]);
        assert_eq!(problems("CEF:0|V|P|1|1|N|5|src=1 |data0=example"), [UnescapedEquals]);
        assert!(problems("CEF:0|V|P|1|1|N").contains(&HeaderIncomplete));
        assert!(problems(r"CEF:0|V|P|1|1|N|5\|src=1").contains(&HeaderIncomplete));
        assert_eq!(parse(b"LEEF:1.0|"), None);
    }

    /// The original's own test message: malformed in three ways (facts 2.6).
    #[test]
    fn the_original_mock() {
        let cef = parse(b"CEF:0|TestCommonEventFormat|MOCK|common=event-format-test|end|TRAFFIC|1|rt=$common=event-formatted-receive_time deviceExternalId=0002D01655 src=1.1.1.1 cs1=CEF_TEST_InternetDNS |data0=example").unwrap();
        assert_eq!(cef.problems, [Problem::UnescapedEquals]);
        assert_eq!(cef.product, b"MOCK");
    }

    proptest! {
        #[test]
        fn escapes_come_back(text in "[ -~\n\r]{0,40}") {
            prop_assert_eq!(unescape(escape_value(&text).as_bytes()), text.clone().into_bytes());
            let line = format!("CEF:0|V|P|1|1|{}|5|msg={}", escape_header(&text), escape_value(&text));
            let cef = parse(line.as_bytes()).unwrap();
            prop_assert!(!cef.problems.contains(&Problem::UnescapedEquals));
            prop_assert_eq!(cef.extension.len(), 1);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&[b"CEF:".as_slice(), &bytes].concat());
        }
    }
}
