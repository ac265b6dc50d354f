//! Messages as real devices send them under every logging option, beyond the corpus, each with what a reader of the line
//! would say: is it an event, which host, what time. Shared by the suites that send them through a real daemon.

use cefctl::agent::accept::{Verdict, event, judge};
use cefctl::message::base64;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A message of `fixtures/devices/messages.jsonl`, which says what the fields mean.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub raw: Vec<u8>,
    /// From `CEF:` or the ASA id on, without what only ends the message. Empty: no event.
    event: Vec<u8>,
    host: String,
    time: String,
    /// The agent takes it with a changed id or version only.
    rewrite: bool,
    hopeless: bool,
    /// The agent reads the header as it is, but another one says the same.
    free: bool,
    /// Holds control characters, which daemons spell out.
    control: bool,
    pub datagram_only: bool,
}

pub fn load() -> Vec<Message> {
    let text = include_str!("../../fixtures/devices/messages.jsonl");
    let all: Vec<Message> = text.lines().map(|l| message(&serde_json::from_str(l).expect("JSON"))).collect();
    assert!(all.len() > 800, "{} messages only", all.len());
    all
}

fn message(v: &Value) -> Message {
    let bytes = |name: &str| -> Vec<u8> {
        let encoded = v[format!("{name}_b64")].as_str().map(|b| base64::decode(b).expect("base64"));
        let text = encoded.unwrap_or_else(|| v[name].as_str().unwrap_or_default().into());
        match (&v["fill"][0], &v["fill"][1]) {
            (Value::String(piece), Value::Number(n)) => {
                let times = usize::try_from(n.as_u64().expect("a number")).expect("a small one");
                String::from_utf8(text).expect("UTF-8").replace("{fill}", &piece.repeat(times)).into()
            }
            _ => text,
        }
    };
    let text = |name: &str| v[name].as_str().unwrap_or_default().to_owned();
    let forward = v["forward"] != false;
    let (event, raw) = match forward {
        true => (bytes("event"), [bytes("head"), bytes("event"), bytes("tail")].concat()),
        false => (Vec::new(), bytes("raw")),
    };
    Message {
        id: text("id"),
        raw,
        event,
        host: text("host"),
        time: text("time"),
        rewrite: v["rewrite"] == true,
        hopeless: v["hopeless"] == true,
        free: v["free"] == true,
        control: v["control"] == true,
        datagram_only: v["datagram"] == true,
    }
}

/// What became of the messages.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Count {
    pub delivered: usize,
    pub accepted: usize,
    pub intact: usize,
    pub host: usize,
    pub time: usize,
    /// Not ours, or more than once.
    pub too_many: usize,
    /// Read rightly as sent, and yet changed.
    pub touched: usize,
}

impl Count {
    /// Each of so many events arrived once, whole, and with its own header.
    pub fn every(events: usize) -> Count {
        Count { delivered: events, accepted: events, intact: events, host: events, time: events, ..Count::default() }
    }

    /// All of them: 15 of the 801 are of shapes that no header can save.
    pub fn all() -> Count {
        Count { accepted: 786, ..Count::every(801) }
    }

    /// All but four of these once their ids are changed.
    pub fn rewritten() -> Count {
        Count { accepted: 797, ..Count::every(801) }
    }
}

impl Message {
    pub fn is_event(&self) -> bool {
        !self.event.is_empty()
    }

    /// Sent without priority and with a digit first: a daemon that takes octet-counted frames reads it as a length.
    #[allow(dead_code)] // one of the two suites asks for it
    pub fn looks_counted(&self) -> bool {
        self.raw.first().is_some_and(u8::is_ascii_digit)
    }

    /// The same where another header that says as much is as good.
    pub fn rebuilt(&self) -> Message {
        Message { free: true, ..self.clone() }
    }

    /// A datagram that holds this event twice, one a line; `None` where it is none, or has no number in front, or a line end
    /// within.
    pub fn twice(&self) -> Option<Vec<u8>> {
        let one = trimmed(&self.raw);
        let digits = one.strip_prefix(b"<")?.iter().take_while(|b| b.is_ascii_digit()).count();
        let plain = digits > 0 && one.get(digits + 1) == Some(&b'>') && !one.contains(&b'\n') && !one.contains(&0);
        (self.is_event() && plain && one.len() < 20_000).then(|| [one, b"\n", one].concat())
    }

    /// Counts what arrived of this message; what is wrong with it.
    pub fn judge(&self, arrived: &[Vec<u8>], rewritten: bool, count: &mut Count) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut complain = |what: String| wrong.push(format!("{}: {what}\n      sent {}", self.id, shown(&self.raw)));
        let wanted = usize::from(self.is_event());
        count.too_many += arrived.len().saturating_sub(wanted);
        if arrived.len() > wanted {
            complain(format!(
                "{} lines arrived:\n      {}",
                arrived.len(),
                arrived.iter().map(|l| shown(l)).collect::<Vec<_>>().join("\n      ")
            ));
        }
        if !self.is_event() {
            return wrong;
        }
        let Some(line) = arrived.first() else {
            complain("nothing arrived".into());
            return wrong;
        };
        count.delivered += 1;
        let mut complain = |what: &str| complain(format!("{what}\n      came {}", shown(line)));
        if !self.is_intact(line, rewritten) {
            complain("the event is another one");
        } else {
            count.intact += 1;
        }
        let refused = !matches!(judge(line), Verdict::Accepted(_));
        if !refused {
            count.accepted += 1;
        } else if !self.hopeless && (rewritten || !self.rewrite) {
            complain(&format!("the agent does not take it: {:?}", judge(line)).chars().take(160).collect::<String>());
        }
        let (host, time) = self.header_is_right(line);
        count.host += usize::from(host);
        count.time += usize::from(time);
        if !host {
            complain(&format!("host, should be {}", self.host));
        }
        if !time {
            complain(&format!("time, should be {}", self.time));
        }
        let raw = trimmed(&self.raw);
        let right_as_sent = matches!(judge(raw), Verdict::Accepted(_)) && self.header_is_right(raw) == (true, true);
        if !self.free && right_as_sent && spelled_out(line) != spelled_out(raw) {
            count.touched += 1;
            complain("was right as it was sent");
        }
        wrong
    }

    fn is_intact(&self, line: &[u8], rewritten: bool) -> bool {
        let mut event = self.event.clone();
        if rewritten && self.rewrite {
            // only what follows the id or version is the same
            let at = |l: &[u8]| {
                if l.starts_with(b"%") {
                    l.windows(8).position(|w| w[1] == b'-' && w[2..].iter().all(u8::is_ascii_digit))
                } else {
                    l.iter().position(|b| *b == b'|')
                }
            };
            event.drain(..at(&event).unwrap_or(0));
        }
        let (line, event) = match self.control {
            true => (spelled_out(trimmed(line)), spelled_out(&event)),
            false => (line.to_vec(), event),
        };
        line.ends_with(&event) || line.trim_ascii_end().ends_with(event.trim_ascii_end())
    }

    /// Host and time of the record that the agent would make, whatever it says of the event.
    fn header_is_right(&self, line: &[u8]) -> (bool, bool) {
        let cef = self.event.starts_with(b"C");
        let Some(event) = event::find(line) else { return (false, false) };
        let simple: &[u8] = if cef { b"CEF:0|V|P|1|2|N|5|" } else { b"%ASA-6-302013: x" };
        let line = [line.get(..event.start).unwrap_or_default(), simple].concat();
        let verdict = judge(&line);
        let Some(record) = verdict.record() else { return (false, false) };
        let host = record.host.map(|h| String::from_utf8_lossy(h).into_owned()).unwrap_or_default();
        let host_right = match self.host.as_str() {
            "any" => true,
            "sender" => ["127.0.0.1", "localhost", "--1"].contains(&host.as_str()),
            name => host == name,
        };
        let zone = TimeZone::system();
        let now = Timestamp::now();
        let Some(at) = record.event_time.resolve(now, &zone) else { return (host_right, false) };
        (host_right, self.time_is_right(at, now, &zone))
    }

    fn time_is_right(&self, at: Timestamp, now: Timestamp, zone: &TimeZone) -> bool {
        let clock =
            |zone: &TimeZone, wanted: &str| zone.to_datetime(at).time().strftime("%H:%M:%S").to_string() == wanted;
        let is_now = (now.as_second() - at.as_second()).abs() < 30;
        match self.time.split_once(':').unwrap_or((&self.time, "")) {
            ("any", _) => true,
            ("now", _) => is_now,
            ("clock", wanted) => clock(zone, wanted),
            ("clockutc", wanted) => clock(&TimeZone::UTC, wanted),
            ("local", wanted) => {
                let time: DateTime = wanted.parse().expect("a time");
                zone.to_timestamp(time).expect("a time").as_second() == at.as_second()
            }
            _ => self.time.parse::<Timestamp>().expect("a time").as_second() == at.as_second(),
        }
    }
}

/// Without what only ends a message.
fn trimmed(mut line: &[u8]) -> &[u8] {
    while let Some(shorter) =
        [b"#015".as_slice(), b"#012", b"#000", b"\r", b"\n", b"\0"].iter().find_map(|e| line.strip_suffix(*e))
    {
        line = shorter;
    }
    line
}

/// Daemons write control characters in their own ways: `#001`, a blank.
fn spelled_out(line: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(line).into_owned();
    for n in (0..32u8).filter(|n| *n != 9).chain([127]) {
        text = text.replace(&format!("#{n:03o}"), " ").replace(char::from(n), " ");
    }
    text.into_bytes()
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..170).unwrap_or(line)).escape_debug().to_string()
}
