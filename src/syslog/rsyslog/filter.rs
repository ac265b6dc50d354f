//! The two filters from before RainerScript: facility and severity (`mail.info`, sysklogd's rules) and property filters
//! (`:msg, contains, "x"`).

use serde::{Deserialize, Serialize};

use crate::syslog::Text;

/// Number of facilities, the one for invalid PRIs (24) included.
const FACILITIES: usize = 26;
const ALL: u8 = 0xff;

/// `facility.severity`, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriFilter {
    pub text: Text,
    /// Per facility the severities that pass, bit n for severity n.
    mask: Vec<u8>,
}

impl PriFilter {
    /// Decodes a selector list. Where the daemon stumbles over a name it keeps what it has so far: so do we, beside the
    /// complaint.
    pub fn parse(text: &Text) -> (PriFilter, Option<String>) {
        let mut filter = PriFilter { text: text.clone(), mask: vec![0; FACILITIES] };
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // The daemon takes the severity behind the first dot and applies it to all facilities before it.
            let dot = rest.iter().position(|b| *b == b'.').map_or(rest.len(), |i| i + 1);
            let level_end = rest[dot..].iter().position(|b| b",;".contains(b)).map_or(rest.len(), |i| dot + i);
            let next = rest[level_end..].iter().position(|b| !b",;".contains(b)).map_or(rest.len(), |i| level_end + i);
            let level = match Level::parse(&rest[dot..level_end]) {
                Ok(level) => level,
                Err(why) => return (filter, Some(why)),
            };
            let facilities = rest[..dot.saturating_sub(1)].split(|b| *b == b';').next().unwrap_or_default();
            for name in facilities.split(|b| *b == b',').filter(|f| !f.is_empty()) {
                match filter.apply(name, level) {
                    Ok(()) => {}
                    Err(why) => return (filter, Some(why)),
                }
            }
            rest = &rest[next..];
        }
        (filter, None)
    }

    fn apply(&mut self, facility: &[u8], level: Level) -> Result<(), String> {
        if facility.first() == Some(&b'*') {
            self.mask.iter_mut().for_each(|m| level.apply(m));
            return Ok(());
        }
        let code = facility_code(facility)
            .ok_or_else(|| format!("unknown facility name \"{}\"", String::from_utf8_lossy(facility)))?;
        if let Some(mask) = self.mask.get_mut(code) {
            level.apply(mask);
        }
        Ok(())
    }

    /// Does an event of this facility and severity pass?
    pub fn passes(&self, facility: u8, severity: u8) -> bool {
        self.mask.get(usize::from(facility)).is_some_and(|m| m & (1 << (severity & 7)) != 0)
    }

    /// `*.*`
    pub fn is_all(&self) -> bool {
        self.mask[..25].iter().all(|m| *m == ALL)
    }
}

/// The part behind the dot.
#[derive(Debug, Clone, Copy)]
struct Level {
    bits: u8,
    none: bool,
    negated: bool,
}

impl Level {
    fn parse(text: &[u8]) -> Result<Level, String> {
        let negated = text.first() == Some(&b'!');
        let text = if negated { &text[1..] } else { text };
        let single = text.first() == Some(&b'=');
        let name = if single { &text[1..] } else { text };
        let level = |bits| Ok(Level { bits, none: false, negated });
        match name.to_ascii_lowercase().as_slice() {
            b"*" => level(ALL),
            b"none" => Ok(Level { bits: ALL, none: true, negated }),
            lower => match severity_code(lower) {
                Some(code) if single => level(1 << code),
                Some(code) => level(ALL >> (7 - code)),
                None => Err(format!("unknown priority name \"{}\"", String::from_utf8_lossy(text))),
            },
        }
    }

    fn apply(self, mask: &mut u8) {
        if self.none != self.negated { *mask &= !self.bits } else { *mask |= self.bits }
    }
}

/// Severity by name or number.
pub fn severity_code(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"emerg" | b"panic" => 0,
        b"alert" => 1,
        b"crit" => 2,
        b"err" | b"error" => 3,
        b"warning" | b"warn" => 4,
        b"notice" => 5,
        b"info" => 6,
        b"debug" => 7,
        digits => return digit_code(digits).filter(|n| *n < 8).map(|n| n as u8),
    })
}

/// The names a filter knows; other programs' `audit`, `alert` and `clock` are not among them.
const FACILITY_NAMES: [(&str, usize); 26] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("security", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("bsd_security", 13),
    ("console", 14),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
    ("invld", 24),
    // The daemon's own mark messages.
    ("mark", 25),
];

/// Facility by name; a number counts in steps of eight, as the daemon has it (`8.*` is `user.*`).
pub fn facility_code(name: &[u8]) -> Option<usize> {
    let known = FACILITY_NAMES.iter().find(|(n, _)| name.eq_ignore_ascii_case(n.as_bytes()));
    known.map(|(_, c)| *c).or_else(|| digit_code(name).map(|n| n >> 3))
}

/// Name of a facility as `$syslogfacility-text` gives it.
pub fn facility_name(code: u8) -> &'static str {
    const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
        "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("invld")
}

/// Name of a severity as `$syslogseverity-text` gives it.
pub fn severity_name(code: u8) -> &'static str {
    const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    NAMES.get(usize::from(code)).copied().unwrap_or("invld")
}

/// As `atoi` on a text that starts with a digit.
fn digit_code(text: &[u8]) -> Option<usize> {
    let digits: Vec<u8> = text.iter().copied().take_while(u8::is_ascii_digit).take(6).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Operation of a property filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PropOp {
    Contains,
    IsEqual,
    IsEmpty,
    StartsWith,
    /// Basic regular expression.
    Regex,
    /// Extended regular expression.
    EreRegex,
}

/// `:property, [!]operation, "value"`, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropFilter {
    pub text: Text,
    /// In lower case; `$now` and its like keep their dollar sign.
    pub property: Text,
    pub negated: bool,
    pub op: PropOp,
    pub value: Text,
}

impl PropFilter {
    /// Decodes the filter; where it fails the daemon leaves the whole statement out.
    pub fn parse(text: &Text) -> Result<PropFilter, String> {
        let line = text.as_bytes().trim_ascii();
        let line = line.strip_prefix(b":").unwrap_or(line);
        let (property, rest) = split_comma(line).ok_or("no property")?;
        let (op, rest) = split_comma(rest).ok_or("no compare operation")?;
        let negated = op.first() == Some(&b'!');
        let name = if negated { &op[1..] } else { op };
        let ops = [
            ("contains", PropOp::Contains),
            ("isequal", PropOp::IsEqual),
            ("isempty", PropOp::IsEmpty),
            ("startswith", PropOp::StartsWith),
            ("regex", PropOp::Regex),
            ("ereregex", PropOp::EreRegex),
        ];
        let Some((_, op)) = ops.iter().find(|(n, _)| name.eq_ignore_ascii_case(n.as_bytes())) else {
            return Err(format!("invalid compare operation '{}'", String::from_utf8_lossy(op)));
        };
        let property = Text::from(property).to_lower();
        Ok(PropFilter { text: text.clone(), property, negated, op: *op, value: quoted_value(rest) })
    }
}

fn split_comma(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = line.iter().position(|b| *b == b',')?;
    Some((line[..comma].trim_ascii(), line[comma + 1..].trim_ascii_start()))
}

/// The text between quotes. One backslash is eaten before every byte, whatever it is: `\|` becomes `|`.
fn quoted_value(rest: &[u8]) -> Text {
    let mut out = Vec::new();
    let mut bytes = rest.strip_prefix(b"\"").unwrap_or(rest).iter();
    while let Some(b) = bytes.next() {
        match b {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            b => out.push(*b),
        }
    }
    Text(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(filter: &str) -> Vec<(u8, u8)> {
        let (f, problem) = PriFilter::parse(&Text::from(filter));
        assert_eq!(problem, None, "{filter}");
        (0..24).flat_map(|f| (0..8).map(move |s| (f, s))).filter(|(fac, sev)| f.passes(*fac, *sev)).collect()
    }

    #[test]
    fn severities() {
        assert_eq!(passing("*.*").len(), 192);
        assert_eq!(passing("mail.warning"), (0..5).map(|s| (2, s)).collect::<Vec<_>>());
        assert_eq!(passing("mail.=info"), [(2, 6)]);
        assert_eq!(passing("mail.!err"), []);
        assert_eq!(passing("mail.*;mail.!err"), (4..8).map(|s| (2, s)).collect::<Vec<_>>());
        assert_eq!(passing("*.*;auth,authpriv.none").len(), 192 - 16);
        assert_eq!(passing("*.info;mail.none;authpriv.none;cron.none").len(), 21 * 7);
        assert_eq!(passing("kern,daemon.crit").len(), 6);
    }

    #[test]
    fn unknown_names_end_the_decoding() {
        let (filter, problem) = PriFilter::parse(&Text::from("mail.info;nonsense.info;kern.info"));
        assert_eq!(problem.as_deref(), Some("unknown facility name \"nonsense\""));
        assert!(filter.passes(2, 6) && !filter.passes(0, 6));
    }

    #[test]
    fn property_filters() {
        let f = PropFilter::parse(&Text::from(r#":rawmsg, !regex, "CEF\|ASA""#)).unwrap();
        assert_eq!((f.property.as_bytes(), f.negated, f.op), (&b"rawmsg"[..], true, PropOp::Regex));
        assert_eq!(f.value, "CEF|ASA");
        assert!(PropFilter::parse(&Text::from(r#":msg, like, "x""#)).is_err());
    }
}
