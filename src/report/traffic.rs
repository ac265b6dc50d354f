//! What senders send, in lines for people: the same under `troubleshoot --watch` and `lint`.

use super::clean::clean;
use crate::message::lint::Level;
use crate::message::lint::tally::{Clock, Counts, Sender, Tally};

/// A sender in lines: a label (empty for the first) and what belongs to it. `seconds`: how long was looked, where known.
pub fn lines(sender: &Sender, seconds: Option<f64>) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let transport = if sender.transport.is_empty() { String::new() } else { format!(" {}", sender.transport) };
    let rate =
        seconds.filter(|s| *s > 0.0).map(|s| format!(", {:.1}/s", sender.messages as f64 / s)).unwrap_or_default();
    out.push((
        "",
        format!(
            "{}{transport}: {}{rate}, largest {} bytes",
            clean(&sender.from),
            messages(sender.messages),
            sender.largest
        ),
    ));
    out.push(("event", counts(&sender.products)));
    out.push(("header", counts(&sender.envelope)));
    out.push(("level", counts(&sender.priorities)));
    if sender.framing.keys().any(|k| k != "datagram" && k != "line-feed") {
        out.push(("framing", counts(&sender.framing)));
    }
    out.push(("time", clock(sender)));
    out.push(("agent", fate(sender)));
    out.extend(sender.fates.iter().map(|(text, n)| ("", format!("{n} {}", clean(text)))));
    out.extend(sender.oddities.iter().map(|(text, n)| ("odd", format!("{n}: {}", clean(text)))));
    if let Some((level, sample)) = sender.sample.as_ref().filter(|(level, _)| *level > Level::Good) {
        out.push(("sample", format!("({}) {}", level.id(), clean(sample))));
    }
    out.extend(sender.advice.iter().map(|(advice, _)| ("change", clean(&advice.text))));
    out
}

/// What becomes of all messages, in one sentence.
pub fn summary(tally: &Tally) -> String {
    let parts: Vec<String> = Level::ALL
        .iter()
        .filter_map(|level| Some((tally.of_level(*level), words(*level))).filter(|(n, _)| *n > 0))
        .map(|(n, words)| format!("{n} {words}"))
        .collect();
    let others =
        if tally.others > 0 { format!("; {} of further senders not told apart", tally.others) } else { String::new() };
    format!("{}: {}{others}", messages(tally.messages), if parts.is_empty() { "none".into() } else { parts.join(", ") })
}

fn messages(n: u64) -> String {
    if n == 1 { "1 message".into() } else { format!("{n} messages") }
}

/// What becomes of messages of a level.
pub fn words(level: Level) -> &'static str {
    match level {
        Level::Good => "arrive as they should",
        Level::Odd => "arrive, but are odd",
        Level::Rebuilt => "arrive only with a rebuilt header",
        Level::Foreign => "are no CEF, ASA or FTD",
        Level::Lost => "are lost at the agent",
    }
}

fn fate(sender: &Sender) -> String {
    let of = |level: &Level| Some((sender.of_level(*level), words(*level))).filter(|(n, _)| *n > 0);
    Level::ALL.iter().filter_map(of).map(|(n, words)| format!("{n} {words}")).collect::<Vec<_>>().join(", ")
}

/// The most frequent words first, five at the most.
fn counts(counts: &Counts) -> String {
    let mut all: Vec<(&String, &u64)> = counts.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let (shown, rest) = all.split_at(all.len().min(5));
    let mut words: Vec<String> = shown.iter().map(|(word, n)| format!("{} ({n})", clean(word))).collect();
    if !rest.is_empty() {
        words.push(format!("{} more kinds", rest.len()));
    }
    words.join("; ")
}

/// The sender's clock in words.
pub fn clock(sender: &Sender) -> String {
    match sender.time.clock() {
        Clock::Unknown => "cannot be compared".into(),
        Clock::Right => format!("right (within {} s)", sender.time.least.abs().max(sender.time.most.abs())),
        Clock::Zone(by) => format!("constantly {}: a time zone that the header does not name", ahead(by)),
        Clock::Off(by) => format!("up to {}: the clock is not set, or events come late", ahead(by)),
    }
}

/// `2 h 30 min ahead`
fn ahead(seconds: i64) -> String {
    let word = if seconds < 0 { "behind" } else { "ahead" };
    let seconds = seconds.unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts: Vec<String> = [(days, "d"), (hours, "h"), (minutes, "min")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    if parts.is_empty() { format!("{seconds} s {word}") } else { format!("{} {word}", parts.join(" ")) }
}
