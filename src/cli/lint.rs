//! `cefctl lint`: what is right and wrong with the messages of a file, line by line, and which setting of the device to
//! change.

use anyhow::Context;

use super::args::{Format, LintArgs};
use super::exit::{Exit, fail};
use crate::agent::accept::View;
use crate::host::{Host, Interrupt};
use crate::message::lint::advice::Advice;
use crate::message::lint::frames::{Frames, Framing};
use crate::message::lint::packets::{Assembler, Filter};
use crate::message::lint::tally::{Arrival, Tally};
use crate::message::lint::{Level, Lint, lint, pcap};
use crate::report::{clean_bytes, json_safe, traffic};
use crate::ui::{Tone, Ui, wrap};

/// Bytes of an unpacked file; it is held in memory.
const UNPACKED_LIMIT: u64 = 1 << 30;

pub fn run(host: &Host, ui: &Ui, args: &LintArgs) -> anyhow::Result<Exit> {
    let stop = Interrupt::install().context("watching for Ctrl-C")?;
    let name = args.file.to_string_lossy();
    let bytes = host.read_input(&args.file).with_context(|| format!("cannot read {}", clean_bytes(name.as_bytes())))?;
    let bytes = unpacked(bytes).map_err(|e| fail(Exit::Problems, e, "unpack it with gunzip"))?;
    let mut desk =
        Desk { ui, args, stop: &stop, tally: Tally::default(), number: 0, page: String::new(), failed: None };
    let zone = host.clock.zone();
    let mut damage = None;
    if pcap::is_pcap(&bytes) {
        let mut assembler = Assembler::new(Filter { ports: args.port.into_iter().collect(), ..Filter::default() });
        let mut last = Arrival { time: None, zone: zone.clone() };
        let read = pcap::packets(&bytes, &mut |packet, time| {
            last = Arrival { time, zone: zone.clone() };
            assembler.feed(packet, &mut |seen| {
                desk.take(&seen.from.ip().to_string(), &seen.transport.to_string(), seen.bytes, seen.framing, &last);
            });
        });
        assembler.end(&mut |seen| {
            desk.take(&seen.from.ip().to_string(), &seen.transport.to_string(), seen.bytes, seen.framing, &last);
        });
        match read {
            Ok(packets) if desk.tally.messages == 0 => {
                let port = args.port.map(|p| format!(" to port {p}")).unwrap_or_default();
                ui.warn(&format!(
                    "the capture has {packets} packets, but no syslog message{port}; --port chooses another port"
                ));
            }
            Ok(_) => {}
            Err(error) => damage = Some(error),
        }
        if !assembler.encrypted.is_empty() {
            ui.warn("some connections are encrypted (TLS): what they carry cannot be read from a capture");
        }
    } else {
        let arrival = Arrival { time: None, zone };
        let mut frames = Frames::default();
        let mut on = |line: &[u8], framing| desk.take("", "", line, framing, &arrival);
        for part in bytes.chunks(64 << 10) {
            frames.feed(part, &mut on);
        }
        // The last line of a file needs no line feed.
        frames.end(&mut |line, _| on(line, Framing::LineFeed));
        if frames.too_long > 0 {
            ui.warn(&format!("{} lines are longer than 256 KiB and were left out", frames.too_long));
        }
    }
    desk.finish()?;
    if let Some(error) = damage {
        return Err(fail(Exit::Problems, error, "capture again, or cut the file with editcap"));
    }
    if stop.is_set() {
        return Ok(Exit::Interrupted);
    }
    Ok(match desk.tally.worst() {
        Some(Level::Lost | Level::Foreign) => Exit::Problems,
        Some(Level::Odd | Level::Rebuilt) if args.deny_warnings => Exit::Warnings,
        _ => Exit::Good,
    })
}

/// The content of a gzip file, anything else as it is.
fn unpacked(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    if !bytes.starts_with(&[0x1F, 0x8B, 0x08]) {
        return Ok(bytes);
    }
    let mut content = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(UNPACKED_LIMIT + 1).read_to_end(&mut content);
    let read = read.context("the gzip file is damaged")?;
    anyhow::ensure!(read as u64 <= UNPACKED_LIMIT, "the gzip file holds more than 1 GiB");
    Ok(content)
}

/// Takes messages, prints them, counts them.
struct Desk<'a> {
    ui: &'a Ui,
    args: &'a LintArgs,
    stop: &'a Interrupt,
    tally: Tally,
    number: u64,
    /// Printed when it has grown.
    page: String,
    failed: Option<std::io::Error>,
}

impl Desk<'_> {
    fn take(&mut self, from: &str, transport: &str, bytes: &[u8], framing: Framing, arrival: &Arrival) {
        if self.stop.is_set() || self.failed.is_some() {
            return;
        }
        self.number += 1;
        let judged = lint(bytes, framing);
        let advice = self.tally.add(from, transport, &judged, arrival);
        let quiet = self.args.short && judged.level == Level::Good;
        match self.args.output {
            Format::Json => self.page.push_str(&json_line(self.number, from, transport, &judged, &advice)),
            Format::Text if quiet => {}
            Format::Text => self.text(from, transport, &judged, &advice),
        }
        if self.page.len() > 32 << 10 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.ui.result(&std::mem::take(&mut self.page)) {
            self.failed = Some(error);
        }
    }

    fn text(&mut self, from: &str, transport: &str, judged: &Lint<'_>, advice: &[Advice]) {
        let (tone, word) = match judged.level {
            Level::Good => (Tone::Good, "good"),
            Level::Odd => (Tone::Warn, "odd"),
            Level::Rebuilt => (Tone::Warn, "rebuilt"),
            Level::Foreign => (Tone::Bad, "foreign"),
            Level::Lost => (Tone::Bad, "lost"),
        };
        let source = if from.is_empty() { String::new() } else { format!(" from {from} {transport}") };
        let mut line = clean_bytes(judged.line.raw);
        let room = self.ui.width().saturating_sub(4);
        if let Some((end, _)) = line.char_indices().nth(room) {
            line.truncate(end);
            line.push('…');
        }
        let word = self.ui.paint(tone, word);
        self.page.push_str(&format!("{}{source}: {word}\n    {line}\n", self.number));
        let priority = judged.priority().map(|p| format!(", {p}")).unwrap_or_default();
        self.labelled("header", &format!("{}{priority}", judged.envelope()));
        self.labelled("event", &judged.event());
        self.labelled("agent", &judged.fate());
        for oddity in judged.oddities() {
            self.labelled("odd", &oddity);
        }
        for advice in advice {
            self.labelled("change", &advice.text);
        }
    }

    fn labelled(&mut self, label: &str, text: &str) {
        let head = format!("    {label:<7} ");
        let text = wrap(&crate::report::clean(text), self.ui.width().min(100), head.len());
        self.page.push_str(&head);
        self.page.push_str(&text);
        self.page.push('\n');
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let tally = std::mem::take(&mut self.tally).sorted();
        match self.args.output {
            Format::Json => {
                self.page.push_str(&format!("{}\n", json_safe(&serde_json::json!({ "totals": tally }).to_string())))
            }
            Format::Text => self.totals(&tally),
        }
        self.tally = tally;
        self.flush();
        match self.failed.take() {
            Some(error) => Err(error).context("cannot write to standard output"),
            None => Ok(()),
        }
    }

    fn totals(&mut self, tally: &Tally) {
        if tally.messages > 0 {
            self.page.push('\n');
        }
        let summary = self.ui.paint(Tone::Strong, &traffic::summary(tally));
        self.page.push_str(&format!("{summary}\n"));
        // For one line everything is said.
        if tally.messages < 2 {
            return;
        }
        for sender in &tally.senders {
            for (n, (label, text)) in traffic::lines(sender, None).into_iter().enumerate() {
                match (n, sender.from.is_empty()) {
                    (0, true) => {}
                    (0, false) => self.page.push_str(&format!("{}\n", crate::report::clean(&text))),
                    _ => self.labelled(label, &text),
                }
            }
        }
    }
}

/// One object on one line.
fn json_line(number: u64, from: &str, transport: &str, judged: &Lint<'_>, advice: &[Advice]) -> String {
    let line = &judged.line;
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let object = serde_json::json!({
        "number": number,
        "from": Some(from).filter(|f| !f.is_empty()),
        "transport": Some(transport).filter(|t| !t.is_empty()),
        "bytes": line.raw.len(),
        "framing": judged.framing.id(),
        "level": judged.level.id(),
        "envelope": judged.envelope(),
        "form": line.form,
        "pri": line.pri,
        "priority": judged.priority(),
        "time": text(Some(line.time()).filter(|t| !t.is_empty())),
        "host": text(line.host()),
        "tag": text(line.tag()),
        "event": line.kind().map(|k| k.id()),
        "product": judged.product(),
        "agent": View::of(&judged.verdict),
        "odd": judged.oddities(),
        "advice": advice,
        "text": String::from_utf8_lossy(line.raw),
    });
    format!("{}\n", json_safe(&object.to_string()))
}
