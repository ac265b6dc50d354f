//! Lines of the agent's own Ruby plugins that decide what ends in the workspace (facts 1.12): the ASA id, the sender's
//! name, and which time becomes TimeGenerated. Current bundles have the first two right; an old or damaged plugin is
//! mended. An upgrade of the agent overwrites all of it.

use std::ops::Range;

/// Which time becomes TimeGenerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EventTime {
    /// When the device says that it happened
    Creation,
    /// When the agent took it
    Collection,
}

impl EventTime {
    fn expression(self) -> &'static str {
        match self {
            EventTime::Creation => "Time.at(time).utc",
            EventTime::Collection => "Time.now.utc",
        }
    }
}

/// A plugin with its repairs, or why it cannot be repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Nothing to do.
    Good,
    To {
        content: Vec<u8>,
        why: Vec<String>,
    },
    /// The lines are not where they were in any known version.
    Unknown(String),
}

const ASA_GOOD: &str = "return ident if ident.include?('%ASA')";
const ASA_OLD: &str = "return '%ASA' if ident.include?('%ASA')";

/// `security_lib.rb`: without the good line every ASA event loses its id.
pub fn asa(text: &[u8]) -> Repair {
    if live_line(text, ASA_GOOD).is_some() {
        return Repair::Good;
    }
    match live_line(text, ASA_OLD) {
        Some(at) => {
            Repair::To { content: replaced(text, at, ASA_GOOD), why: vec!["ASA events keep their id".to_owned()] }
        }
        None => Repair::Unknown("it has no line about %ASA that is known".to_owned()),
    }
}

const HOST: &str = "'Host' => record['host']";
const TIMESTAMP: &str = "'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(";

/// `filter_syslog_security.rb`: the sender's name, and on request the time.
pub fn filter(text: &[u8], time: Option<EventTime>) -> Repair {
    let (mut content, mut why) = (text.to_vec(), Vec::new());
    let Some(stamp) = live_line(&content, TIMESTAMP) else {
        return match (live_line(text, HOST), time) {
            (Some(_), None) => Repair::Good,
            _ => Repair::Unknown("it has no line 'Timestamp' => … that is known".to_owned()),
        };
    };
    if let Some(time) = time {
        match event_time(&content) {
            Some(now) if now == time => {}
            Some(now) => {
                let line = line_around(&content, stamp.start);
                let Some(at) = find(&content, now.expression().as_bytes(), line) else {
                    return Repair::Unknown("its time is not where it is in known versions".to_owned());
                };
                content = replaced(&content, at, time.expression());
                why.push(match time {
                    EventTime::Creation => "TimeGenerated is when the event happened".to_owned(),
                    EventTime::Collection => "TimeGenerated is when the agent took the event".to_owned(),
                });
            }
            None => return Repair::Unknown("it takes TimeGenerated from somewhere that is not known".to_owned()),
        }
    }
    if live_line(&content, HOST).is_none() {
        let Some(stamp) = live_line(&content, TIMESTAMP) else { return Repair::Good };
        let line = line_around(&content, stamp.start);
        let indent: Vec<u8> = content
            .get(line.start..stamp.start)
            .unwrap_or_default()
            .iter()
            .copied()
            .take_while(u8::is_ascii_whitespace)
            .collect();
        let mut new = indent;
        new.extend_from_slice(HOST.as_bytes());
        new.extend_from_slice(b",\n");
        content.splice(line.start..line.start, new);
        why.push("Computer is the sender's name".to_owned());
    }
    if why.is_empty() { Repair::Good } else { Repair::To { content, why } }
}

/// Which time the plugin uses; `None` where that is not known.
pub fn event_time(text: &[u8]) -> Option<EventTime> {
    let stamp = live_line(text, TIMESTAMP)?;
    let line = line_around(text, stamp.start);
    [EventTime::Creation, EventTime::Collection]
        .into_iter()
        .find(|t| find(text, t.expression().as_bytes(), line.clone()).is_some())
}

/// Where `needle` stands in a line that is no comment.
fn live_line(text: &[u8], needle: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(at) = find(text, needle.as_bytes(), from..text.len()) {
        let line = line_around(text, at.start);
        let before = text.get(line.start..at.start).unwrap_or_default();
        if !before.contains(&b'#') {
            return Some(at);
        }
        from = at.end;
    }
    None
}

fn line_around(text: &[u8], at: usize) -> Range<usize> {
    let start = text.get(..at).unwrap_or_default().iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let rest = text.get(at..).unwrap_or_default();
    start..at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

fn find(text: &[u8], needle: &[u8], within: Range<usize>) -> Option<Range<usize>> {
    let start = within.start;
    let at = text.get(within)?.windows(needle.len()).position(|w| w == needle)? + start;
    Some(at..at + needle.len())
}

fn replaced(text: &[u8], at: Range<usize>, with: &str) -> Vec<u8> {
    let mut content = text.to_vec();
    content.splice(at, with.bytes());
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "def self.get_ident(ident)\n  return 'CEF' if ident.include?('CEF')\n  return ident if ident.include?('%ASA')\nend\n";
    const FILTER: &str = "def filter(tag, time, record)\n  data = {\n    'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(Time.now.utc),\n    'EventTime' => x,\n    'Host' => record['host'],\n  }\nend\n";

    #[test]
    fn good_plugins_are_left_alone() {
        assert_eq!(asa(LIB.as_bytes()), Repair::Good);
        assert_eq!(filter(FILTER.as_bytes(), None), Repair::Good);
        assert_eq!(filter(FILTER.as_bytes(), Some(EventTime::Collection)), Repair::Good);
    }

    #[test]
    fn the_asa_id_comes_back_and_a_comment_is_no_line() {
        let old = LIB.replace(ASA_GOOD, ASA_OLD);
        let Repair::To { content, .. } = asa(old.as_bytes()) else { panic!("not repaired") };
        assert_eq!(content, LIB.as_bytes());
        let commented = format!("# {ASA_GOOD}\n{old}");
        assert!(matches!(asa(commented.as_bytes()), Repair::To { .. }));
        assert!(matches!(asa(b"nothing"), Repair::Unknown(_)));
    }

    #[test]
    fn host_is_put_back_in_the_record() {
        let old = FILTER.replace("    'Host' => record['host'],\n", "");
        let Repair::To { content, .. } = filter(old.as_bytes(), None) else { panic!("not repaired") };
        let text = String::from_utf8(content).unwrap();
        assert!(text.contains("  data = {\n    'Host' => record['host'],\n    'Timestamp'"), "{text}");
        assert_eq!(filter(text.as_bytes(), None), Repair::Good);
    }

    #[test]
    fn event_time_both_ways_and_back() {
        assert_eq!(event_time(FILTER.as_bytes()), Some(EventTime::Collection));
        let Repair::To { content, .. } = filter(FILTER.as_bytes(), Some(EventTime::Creation)) else { panic!() };
        assert_eq!(event_time(&content), Some(EventTime::Creation));
        let Repair::To { content, .. } = filter(&content, Some(EventTime::Collection)) else { panic!() };
        assert_eq!(content, FILTER.as_bytes());
        assert!(matches!(filter(b"odd", Some(EventTime::Creation)), Repair::Unknown(_)));
        let odd = FILTER.replace("Time.now.utc", "somebody.else");
        assert!(matches!(filter(odd.as_bytes(), Some(EventTime::Creation)), Repair::Unknown(_)));
    }
}
