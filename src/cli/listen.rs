//! `cefctl listen`: stands in for the agent on its port and says of each line what the agent would make of it.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context;

use super::args::{Format, ListenArgs};
use super::exit::Exit;
use crate::agent::accept::damage::Damage;
use crate::agent::accept::reason::Reason;
use crate::agent::accept::{Note, Verdict};
use crate::host::{Host, Interrupt};
use crate::message::receive::{End, Frame, Limits, Listener, Totals};
use crate::report::{clean_bytes, json_safe};
use crate::ui::{Tone, Ui};

pub fn run(host: &Host, ui: &Ui, args: &ListenArgs) -> anyhow::Result<Exit> {
    let stop = Interrupt::install().context("watching for Ctrl-C")?;
    let mut out = match &args.out {
        Some(path) => Some(host.create_output(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => None,
    };
    let listener = Listener::bind(&*host.net, &[SocketAddr::new(args.address, args.port)])?;
    for address in listener.addresses() {
        ui.say(&format!("listening on {address} in the agent's place; Ctrl-C ends it and shows the totals"));
    }
    let limits = Limits { count: args.count, time: args.seconds.map(Duration::from_secs), ..Limits::default() };
    let mut broken = None;
    let totals = listener.run(&*host.clock, &stop, &limits, out.as_mut().map(|o| o as &mut dyn Write), |frame| {
        let line = match args.output {
            Format::Text => text_line(ui, frame),
            Format::Json => json_line(frame),
        };
        match ui.result(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                broken = Some(e);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = broken {
        return Err(error).context("cannot write to standard output");
    }
    ui.result(&match args.output {
        Format::Text => text_totals(&totals),
        Format::Json => format!("{}\n", serde_json::json!({ "totals": totals })),
    })?;
    // ending it by Ctrl-C is the usual way
    Ok(Exit::Good)
}

/// One line on one line of the terminal: what became of it, from whom, its beginning.
fn text_line(ui: &Ui, frame: &Frame<'_>) -> String {
    let (tone, word, detail) = match (&frame.verdict, frame.end) {
        (_, End::TooLong) => (Tone::Bad, "too long", "longer than 4 MiB: not judged".to_owned()),
        (None, _) => {
            (Tone::Bad, "cut off", "the connection ended within the line: the agent never reads it".to_owned())
        }
        (Some(Verdict::Accepted(record)), _) => (Tone::Good, "accepted", notes(&record.notes)),
        (Some(Verdict::Damaged(_, damage)), _) => (Tone::Warn, "damaged", damages(damage)),
        (Some(Verdict::Dropped(refusal)), _) => (Tone::Bad, "dropped", refusal.reason.text().to_owned()),
    };
    let width = ui.width().max(60);
    let mut text = clean_bytes(frame.bytes);
    if let Some((end, _)) = text.char_indices().nth(width.saturating_sub(10)) {
        text.truncate(end);
        text.push('…');
    }
    let word = ui.paint(tone, &format!("{word:<8}"));
    if detail.is_empty() { format!("{word} {text}\n") } else { format!("{word} {text}\n         {detail}\n") }
}

fn damages(damage: &[Damage]) -> String {
    damage.iter().map(|d| d.text()).collect::<Vec<_>>().join("; ")
}

fn notes(notes: &[Note]) -> String {
    notes.iter().map(|n| n.text()).collect::<Vec<_>>().join("; ")
}

fn json_line(frame: &Frame<'_>) -> String {
    let mut object = serde_json::json!({
        "peer": frame.peer.to_string(),
        "bytes": frame.bytes.len(),
        "text": String::from_utf8_lossy(frame.bytes),
    });
    let (verdict, detail) = match (&frame.verdict, frame.end) {
        (_, End::TooLong) => ("too-long", None),
        (None, _) => ("unterminated", None),
        (Some(Verdict::Accepted(record)), _) => {
            ("accepted", Some(("notes", record.notes.iter().map(|n| n.id()).collect::<Vec<_>>())))
        }
        (Some(Verdict::Damaged(_, damage)), _) => {
            ("damaged", Some(("damage", damage.iter().map(|d| d.id()).collect())))
        }
        (Some(Verdict::Dropped(refusal)), _) => ("dropped", Some(("reason", vec![refusal.reason.id()]))),
    };
    object["verdict"] = verdict.into();
    if let Some((key, ids)) = detail {
        object[key] = ids.into();
    }
    if let Some(record) = frame.verdict.as_ref().and_then(Verdict::record) {
        object["stream"] = serde_json::json!(record.stream);
        object["host"] = record.host.map(|h| String::from_utf8_lossy(h).into_owned()).into();
        object["facility"] = record.facility.into();
        object["severity"] = record.severity.into();
    }
    format!("{}\n", json_safe(&object.to_string()))
}

/// The totals, with a sentence for each reason.
fn text_totals(totals: &Totals) -> String {
    let mut text = format!(
        "\n{} lines over {} connections: {} accepted, {} damaged, {} dropped\n",
        totals.lines, totals.connections, totals.accepted, totals.damaged, totals.dropped
    );
    let reason = |id: &str| Reason::ALL.iter().find(|r| r.id() == id).map_or("", |r| r.text());
    let damage = |id: &str| Damage::ALL.iter().find(|d| d.id() == id).map_or("", |d| d.text());
    for (id, count) in &totals.reasons {
        text.push_str(&format!("  dropped  {count:>6}  {id}: {}\n", reason(id)));
    }
    for (id, count) in &totals.damages {
        text.push_str(&format!("  damaged  {count:>6}  {id}: {}\n", damage(id)));
    }
    if totals.too_long > 0 {
        text.push_str(&format!("  too long {:>6}  not judged\n", totals.too_long));
    }
    if totals.unterminated > 0 {
        text.push_str(&format!("  cut off  {:>6}  the connection ended within the line\n", totals.unterminated));
    }
    text
}
