//! Secrets taken out of text: by the name that stands before them, by their shape, and, once known from one place, by
//! themselves everywhere else. Rather too much than too little: who reads a bundle needs no value that a password may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::mask::Mask;
use super::replace;
use crate::check::facts::Facts;

/// In place of a secret.
const STARS: &[u8] = b"***";

/// Why a content cannot be made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    #[error("it is no text, so secrets in it could not be found")]
    Binary,
    #[error("a secret could not be taken out of it")]
    Left,
}

/// Scrubbed content, and how much of what kind was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clean {
    pub content: Vec<u8>,
    pub counts: BTreeMap<String, u64>,
}

/// Part of a name that says that a secret follows.
const NAMES: &str = r"pass(?:word|wd|phrase|code)?|passwort|pwd|secret|token|credentials?|authorization|api_?-?key|apikey|[a-z]*_?-?(?:shared|account|access|workspace|primary|secondary|private|master|storage|auth|azure|encryption|signing|client)_?-?key|sas|sig|signature|connection_?-?string|community|authkey|privkey|psk|cookie|session_?-?id";

struct Rule {
    kind: &'static str,
    pattern: Regex,
    /// Group of the pattern that is the secret.
    secret: usize,
    /// Is what was found to be hidden elsewhere, too?
    learn: bool,
}

fn rule(kind: &'static str, pattern: &str, secret: usize, learn: bool) -> Option<Rule> {
    Some(Rule { kind, pattern: Regex::new(pattern).ok()?, secret, learn })
}

/// In order: the surest first. That each pattern is one is held by a test.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let value = r#"("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^\s"',;<>&)\]}]+)"#;
    [
        rule("private key", r"(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*-----|\z))", 1, false),
        // PuTTY and OpenSSH keep theirs otherwise, but in the same kind of file
        rule("private key", r"(?s)(PuTTY-User-Key-File.*\z)", 1, false),
        rule("login in a URL", r#"[a-zA-Z][a-zA-Z0-9+.-]*://([^\s"'<>]+)@"#, 1, true),
        rule("login", r#"(?:^|[\s"'=,(])([^\s:@"'=/,()<>]+:[^\s@"',<>]+)@[A-Za-z0-9\[]"#, 1, true),
        rule("token", r"(?i)\b(?:bearer|basic|negotiate|sharedkey|sharedaccesssignature)[ =]+([A-Za-z0-9+/=._:~%&?-]{8,})", 1, true),
        rule("token", r"\b(eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?)", 1, true),
        rule("database login", r":om(?:mysql|pgsql|libdbi):[^,\n]*,[^,\n]*,[^,\n]*,([^;\s]+)", 1, true),
        // an environment variable's value goes to the end of the line
        rule(
            "value",
            r"(?m)^[ \t]*(?:(?:export|set|setenv|Environment=)[ \t]*)?[A-Za-z0-9_]*(?:KEY|SECRET|TOKEN|PASS|PASSWORD|PASSWD|PWD|CREDENTIALS?|SAS)[ \t]*=[ \t]*([^\r\n]+)",
            1,
            true,
        ),
        rule("value", &format!(r#"(?i)(?:\b|_|-)(?:{NAMES})(?:_?-?[a-z0-9]*)?["']?[ \t]*(?::=|=>|=|:)[ \t]*{value}"#), 1, true),
        // `password hunter2`, `--password hunter2`, `KEY=VALUE` in XML: <password>hunter2</password>
        rule("value", &format!(r#"(?i)(?:\b|_|-)(?:password|passwd|passphrase|secret|api-?key|token|pwd)[ \t]+{value}"#), 1, false),
        rule("value", &format!(r"(?i)<[a-z:_-]*(?:{NAMES})[a-z:_-]*(?:\s[^<>]*)?>([^<]+)<"), 1, true),
        rule("value", r"(?i)[?&](?:sig|code|key|token|access_token|password)=([^&\s\x22'<>]+)", 1, true),
        // workspace key: 64 bytes in base64; account keys: 64 or 32
        rule("key", r"(?:^|[^A-Za-z0-9+/=])([A-Za-z0-9+/]{86}==)", 1, true),
        rule("key", r"(?:^|[^A-Za-z0-9+/=])([A-Za-z0-9+/]{43}=)(?:[^A-Za-z0-9+/=]|$)", 1, true),
        rule("key", r"\b(A(?:KIA|SIA)[A-Z0-9]{16})\b", 1, true),
        rule("password hash", r"(\$(?:1|2[aby]?|5|6|7|y|gy|sha1|md5)\$[./A-Za-z0-9$,=+-]{8,})", 1, true),
    ]
    .into_iter()
    .flatten()
    .collect()
});

/// A value of these is no secret although its name says so, and hiding it everywhere would spoil the rest.
const HARMLESS: &[&str] = &[
    "***", "on", "off", "yes", "no", "true", "false", "none", "null", "nil", "0", "1", "required", "optional",
    "invalid", "file", "for", "is", "was", "not", "set", "unset", "changed", "expired", "empty", "missing", "wrong",
    "error",
];

/// Shortest secret that is hidden where it stands alone.
const SHORTEST: usize = 8;

/// Hides secrets.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// Known ones, to be hidden wherever they are.
    known: BTreeSet<Vec<u8>>,
}

impl Scrubber {
    /// Remembers the secrets that can be told in a content by their names or shapes.
    pub fn learn(&mut self, content: &[u8]) {
        for rule in RULES.iter().filter(|r| r.learn) {
            for found in rule.pattern.captures_iter(content) {
                let Some(secret) = found.get(rule.secret) else { continue };
                self.remember(secret.as_bytes());
                // `user:password` is two of them
                if let Some(at) = secret.as_bytes().iter().position(|b| *b == b':') {
                    self.remember(secret.as_bytes().get(at + 1..).unwrap_or_default());
                }
            }
        }
    }

    /// Remembers every long word of a content that must not show at all.
    pub fn learn_all(&mut self, content: &[u8]) {
        let border = |b: &u8| b.is_ascii_whitespace() || matches!(b, b':' | b'$' | b',' | b'"' | b'\'');
        content.split(border).for_each(|word| self.remember(word));
    }

    fn remember(&mut self, secret: &[u8]) {
        let bare = unquoted(secret);
        let path = bare.first() == Some(&b'/');
        if bare.len() >= SHORTEST && !is_harmless(bare) && !path && !bare.iter().all(u8::is_ascii_digit) {
            self.known.insert(bare.to_vec());
        }
    }

    /// The content without its secrets.
    ///
    /// # Errors
    /// What is no text, and what still holds a known secret afterwards.
    pub fn scrub(&self, content: &[u8]) -> Result<Clean, Unsafe> {
        if content.contains(&0) {
            return Err(Unsafe::Binary);
        }
        let (content, counts) = self.hide(content);
        self.check(&content)?;
        Ok(Clean { content, counts })
    }

    /// Is nothing left that is known to be secret? For JSON that was scrubbed value by value.
    ///
    /// # Errors
    /// Something is left.
    pub fn check(&self, content: &[u8]) -> Result<(), Unsafe> {
        let left = self.known.iter().any(|secret| find(content, secret).is_some());
        if left || find(content, b"PRIVATE KEY-----").is_some() { Err(Unsafe::Left) } else { Ok(()) }
    }

    /// As [`Scrubber::scrub`], whatever is left.
    pub fn hide(&self, content: &[u8]) -> (Vec<u8>, BTreeMap<String, u64>) {
        let mut content = content.to_vec();
        let mut counts = BTreeMap::new();
        for rule in RULES.iter() {
            let mut hits = 0;
            let next = rule.pattern.replace_all(&content, |found: &Captures<'_>| {
                let (whole, changed) = hide_group(found, rule.secret);
                hits += u64::from(changed);
                whole
            });
            if hits > 0 {
                content = next.into_owned();
                *counts.entry(rule.kind.to_owned()).or_default() += hits;
            }
        }
        // The longest first: one secret may contain another.
        let mut known: Vec<&Vec<u8>> = self.known.iter().collect();
        known.sort_by_key(|s| std::cmp::Reverse(s.len()));
        for secret in known {
            let hits = replace_all(&mut content, secret, STARS);
            if hits > 0 {
                *counts.entry("known secret".to_owned()).or_default() += hits;
            }
        }
        (content, counts)
    }

    /// As [`Scrubber::hide`] for text.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes()).0).into_owned()
    }
}

/// The match with its secret replaced; quotes stay, so that a configuration can still be read.
fn hide_group(found: &Captures<'_>, group: usize) -> (Vec<u8>, bool) {
    let whole = found.get(0).map(|m| (m.start(), m.as_bytes())).unwrap_or_default();
    let Some(secret) = found.get(group) else { return (whole.1.to_vec(), false) };
    let bare = unquoted(secret.as_bytes());
    if is_harmless(bare) || bare.is_empty() {
        return (whole.1.to_vec(), false);
    }
    let quote = secret.as_bytes().first().filter(|b| matches!(b, b'"' | b'\'') && bare.len() < secret.len());
    let before = whole.1.get(..secret.start() - whole.0).unwrap_or_default();
    let after = whole.1.get(secret.end() - whole.0..).unwrap_or_default();
    let quotes: &[u8] = quote.map(std::slice::from_ref).unwrap_or_default();
    ([before, quotes, STARS, quotes, after].concat(), true)
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        other => other,
    }
}

fn is_harmless(value: &[u8]) -> bool {
    HARMLESS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

pub(super) fn find(content: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    content.windows(part.len()).position(|w| w == part)
}

/// Replaces every occurrence; returns their number.
fn replace_all(content: &mut Vec<u8>, old: &[u8], new: &[u8]) -> u64 {
    let mut hits = 0;
    let mut out = Vec::new();
    let mut rest = content.as_slice();
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(new);
        rest = rest.get(at + old.len()..).unwrap_or_default();
        hits += 1;
    }
    if hits > 0 {
        out.extend_from_slice(rest);
        *content = out;
    }
    hits
}

/// The contents in facts that are bytes.
pub fn learn_facts(scrubber: &mut Scrubber, facts: &Facts) {
    let daemons = [&facts.rsyslog, &facts.syslog_ng];
    for file in daemons.into_iter().flat_map(|d| d.config.files.values()) {
        if let Ok(content) = &file.content {
            scrubber.learn(&content.0);
        }
    }
    for process in facts.processes.values() {
        scrubber.learn(process.cmdline.join(" ").as_bytes());
    }
}

/// Hides secrets in the bytes of facts, before they are JSON: what is no UTF-8 would be a list of numbers there. A word
/// that follows an option such as `--password` is one, too.
pub fn facts(scrubber: &Scrubber, mask: &Mask, facts: &mut Facts) {
    let clean = |bytes: &[u8]| mask.apply(&scrubber.hide(bytes).0);
    for daemon in [&mut facts.rsyslog, &mut facts.syslog_ng] {
        for content in daemon.config.files.values_mut().filter_map(|f| f.content.as_mut().ok()) {
            replace(content, clean);
        }
        if let Ok(validation) = &mut daemon.validation {
            replace(&mut validation.stderr, clean);
        }
    }
    if let Ok(stats) = &mut facts.syslog_ng_says.stats {
        replace(stats, clean);
    }
    for probe in facts.probe.values_mut() {
        replace(&mut probe.sent, clean);
        if let Some(arrived) = &mut probe.arrived {
            replace(arrived, clean);
        }
    }
    static OPTION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(&format!(r"(?i)^--?(?:[a-z0-9]+[_-])*(?:{NAMES}|key)$")).ok());
    for process in facts.processes.values_mut() {
        let mut hide = false;
        for word in &mut process.cmdline {
            if hide {
                *word = "***".into();
            }
            hide = OPTION.as_ref().is_some_and(|o| o.is_match(word.as_bytes()));
        }
    }
}

/// Hides secrets in every text of a JSON value. Names of fields are ours, but for paths and units.
pub fn json(scrubber: &Scrubber, value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(scrubber.text(&text)),
        Value::Array(list) => Value::Array(list.into_iter().map(|v| json(scrubber, v)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, v)| (scrubber.text(&name), json(scrubber, v))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
pub(super) fn rules() -> usize {
    RULES.len()
}
