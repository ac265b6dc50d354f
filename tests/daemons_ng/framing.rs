//! How events are told apart on TCP: line ends of every kind, and counted octets where a version can take them.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::daemon::{counted, loopback, send_tcp, send_udp, with_lf};
use crate::drop_in::Collector;
use crate::{Case, Kind, device};

pub const CASES: &[Case] = &[
    ("line_ends", line_ends),
    ("counted", |k| modern(k, |c, l| send_tcp(loopback(c.counted), l, counted))),
    ("counted_and_line_end", |k| modern(k, |c, l| send_tcp(loopback(c.counted), l, |line| counted(&with_lf(line))))),
    ("lines", |k| modern(k, |c, l| send_tcp(loopback(c.port), l, with_lf))),
    ("datagrams", |k| modern(k, |c, l| send_udp(loopback(c.port), l))),
    ("counted_on_the_usual_port", counted_on_the_usual_port),
    ("counted_against_lines", counted_against_lines),
];

const LIMIT: Duration = Duration::from_secs(10);

/// LF, CR LF, NUL, LF NUL; the last one without any.
fn line_ends(kind: Kind) -> Result<()> {
    for end in ["\n", "\r\n", "\0", "\n\0"] {
        let collector = Collector::new(kind, |_| {})?;
        let (_daemon, agent) = collector.start()?;
        let events: Vec<Vec<u8>> = (0..20).map(device::event).collect();
        let mut bytes = events.iter().flat_map(|e| [e, end.as_bytes()].concat()).collect::<Vec<u8>>();
        bytes.truncate(bytes.len() - end.len());
        device::tcp(collector.port, &bytes);
        let arrived = agent.wait(events.len(), LIMIT);
        ensure!(arrived == events, "{end:?}: {} arrived", arrived.len());
    }
    Ok(())
}

/// Senders of RFC 5424, with and without structured data, BOM, fields. What the agent reads goes on as it is.
fn modern(kind: Kind, send: fn(&Collector, &[Vec<u8>])) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (daemon, agent) = collector.start()?;
    let cef = "CEF:0|V|P|1|2|n|5|src=192.0.2.1 msg=a";
    let pairs = [
        ("<134>1 2026-08-01T10:00:00.123Z fw1 app 1 - - ", ""),
        ("<134>1 2026-08-01T10:00:00.123456+02:00 fw1 app 1 ID47 [x@1 a=\"b ]\\\" c\"][y@1] ", ""),
        ("<134>1 2026-08-01T10:00:00.123Z fw1 app - - - \u{feff}", ""),
        ("<134>1 2026-08-01T10:00:00Z fw1 app 1 - - ", "<134>2026-08-01T10:00:00.000Z fw1 "),
        ("<134>1 2026-08-01T10:00:00Z VAULT ", "<134>2026-08-01T10:00:00.000Z VAULT "),
        ("<134>1 2026-08-01T10:00:00.123Z - app 1 - - ", "<134>2026-08-01T10:00:00.123Z 127.0.0.1 "),
        ("<134>Aug  1 10:00:00 fw1 app[7]: ", ""),
    ];
    let sent: Vec<Vec<u8>> =
        (0..).zip(&pairs).map(|(n, (header, _))| format!("{header}{cef}{n}").into_bytes()).collect();
    let wanted = (0..).zip(&pairs).map(|(n, (header, rebuilt))| {
        let header = if rebuilt.is_empty() { header } else { rebuilt };
        format!("{header}{cef}{n}").into_bytes()
    });
    send(&collector, &sent);
    let arrived = agent.wait(sent.len(), LIMIT);
    for line in wanted {
        let shown = |l: &[u8]| String::from_utf8_lossy(l).into_owned();
        let all: Vec<String> = arrived.iter().map(|l| shown(l)).collect();
        ensure!(arrived.contains(&line), "{}\nis not in\n{}\n{}", shown(&line), all.join("\n"), daemon.messages());
    }
    ensure!(arrived.len() == sent.len(), "{} arrived", arrived.len());
    Ok(())
}

/// Where all TCP senders count, the usual port can be theirs.
fn counted_on_the_usual_port(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |w| w.counted_port = Some(w.port))?;
    let (_daemon, agent) = collector.start()?;
    let events: Vec<Vec<u8>> = (0..20).map(device::event).collect();
    send_tcp(loopback(collector.port), &events, counted);
    let arrived = agent.wait(events.len(), LIMIT);
    ensure!(arrived == events, "{} arrived", arrived.len());
    Ok(())
}

/// The reason for two ports: a sender that counts runs its events into one on the port for lines.
fn counted_against_lines(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (_daemon, agent) = collector.start()?;
    let events: Vec<Vec<u8>> = (0..20).map(device::event).collect();
    device::tcp(collector.port, &events.iter().flat_map(|e| counted(e)).collect::<Vec<u8>>());
    let merged = agent.wait(1, LIMIT);
    ensure!(merged.len() == 1 && merged[0].len() > 20 * events[0].len(), "{} arrived", merged.len());
    // And the other way round the connection is closed.
    send_tcp(loopback(collector.counted), &events[..1], with_lf);
    ensure!(agent.wait(2, Duration::from_secs(1)).len() == 1);
    Ok(())
}
