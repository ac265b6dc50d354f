//! `cefctl send`: test messages or somebody's own lines to a syslog listener.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::Context;

use super::args::{Format, FramingChoice, MessageKind, Protocol, SendArgs};
use super::exit::{Exit, fail, hint, usage};
use crate::host::http::HttpError;
use crate::host::{Host, Interrupt};
use crate::message::build::{self, Shape, Stamp};
use crate::message::send::{self, Framing, Plan, Summary, Transport};
use crate::message::tls::{Tls, Trust};
use crate::ui::Ui;

/// What is sent: made messages with a marker, or lines as they are.
enum Source {
    Made { shape: Shape, marker: String },
    Lines(Vec<Vec<u8>>),
}

pub fn run(host: &Host, ui: &Ui, args: &SendArgs) -> anyhow::Result<Exit> {
    let source = source(host, args)?;
    let usual = if args.protocol == Protocol::Tls { 6514 } else { 514 };
    let to = resolve(&args.host, args.port.unwrap_or(usual))?;
    let mut plan = Plan {
        framing: match args.framing {
            FramingChoice::Lf => Framing::LineFeed,
            FramingChoice::Octet => Framing::OctetCount,
        },
        rate: args.rate,
        ..Plan::new(transport(args.protocol), to)
    };
    if args.protocol == Protocol::Tls {
        plan = plan.with_tls(tls(host, args)?);
    } else if args.ca.is_some() || args.insecure {
        return Err(usage("--ca and --insecure are for TLS", "add --protocol tls, or leave them out"));
    }
    let stop = Interrupt::install().context("watching for Ctrl-C")?;
    let progress = ui.progress(&format!("sending to {to}"));
    let summary = send::send(&*host.net, &*host.clock, &stop, &plan, messages(host, args, &source));
    drop(progress);
    show(ui, args.output, &plan, &source, &summary)?;
    Ok(match () {
        _ if stop.is_set() => Exit::Interrupted,
        _ if summary.failed > 0 || summary.error.is_some() => Exit::Problems,
        _ => Exit::Good,
    })
}

pub fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Udp => Transport::Udp,
        Protocol::Tcp | Protocol::Tls => Transport::Tcp,
    }
}

fn tls(host: &Host, args: &SendArgs) -> anyhow::Result<Tls> {
    let trust = match &args.ca {
        Some(file) => Trust::Roots(host.read_input(file).with_context(|| format!("cannot read {}", file.display()))?),
        None if args.insecure => Trust::Anybody,
        None => Trust::System,
    };
    Tls::new(&trust, args.host.trim_start_matches('[').trim_end_matches(']')).map_err(|e| match e {
        HttpError::NoRoots if args.ca.is_some() => {
            fail(Exit::Problems, "the file of --ca holds no certificate", "give certificates in PEM form")
        }
        HttpError::NoRoots => fail(Exit::Problems, e.to_string(), "name certificates to trust with --ca FILE"),
        e => anyhow::Error::new(e).context("TLS cannot be had"),
    })
}

fn source(host: &Host, args: &SendArgs) -> anyhow::Result<Source> {
    if let Some(text) = &args.message {
        return Ok(Source::Lines(vec![text.clone().into_bytes()]));
    }
    if let Some(file) = &args.file {
        let content = host.read_input(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines: Vec<Vec<u8>> = send::lines(&content).map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return Err(usage(format!("{} has no lines to send", file.display()), "one message a line"));
        }
        return Ok(Source::Lines(lines));
    }
    let shape = match args.kind {
        MessageKind::Cef => Shape::Cef,
        MessageKind::Asa => Shape::Asa,
        MessageKind::Ftd => Shape::Ftd,
        MessageKind::Syslog => Shape::Syslog,
    };
    Ok(Source::Made { shape, marker: build::marker() })
}

fn resolve(name: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let mut found = (bare, port)
        .to_socket_addrs()
        .context(hint("give an address, or a name that this machine can resolve"))
        .with_context(|| format!("cannot resolve {name}"))?;
    found.next().ok_or_else(|| fail(Exit::Problems, format!("{name} has no address"), "give an address"))
}

/// The messages one by one, made when they are due so that each has its own time.
fn messages<'a>(host: &'a Host, args: &SendArgs, source: &'a Source) -> Box<dyn Iterator<Item = Vec<u8>> + 'a> {
    match source {
        Source::Lines(lines) => {
            let times = usize::try_from(args.count).unwrap_or(usize::MAX);
            Box::new(std::iter::repeat_n(lines, times).flatten().cloned())
        }
        Source::Made { shape, marker } => {
            let name = crate::host::facts::identity().hostname;
            let make = move |n| build::message(*shape, &Stamp::now(name.as_str(), &*host.clock), marker, n);
            Box::new((1..=args.count).map(make))
        }
    }
}

fn show(ui: &Ui, format: Format, plan: &Plan, source: &Source, summary: &Summary) -> anyhow::Result<()> {
    let marker = match source {
        Source::Made { marker, .. } => Some(marker.as_str()),
        Source::Lines(_) => None,
    };
    if format == Format::Json {
        let object = serde_json::json!({
            "to": plan.to.to_string(),
            "protocol": plan.word(),
            "marker": marker,
            "sent": summary.sent,
            "failed": summary.failed,
            "bytes": summary.bytes,
            "reconnects": summary.reconnects,
            "duration_ms": summary.millis,
            "error": summary.error,
        });
        ui.result(&format!("{object}\n"))?;
        return Ok(());
    }
    let plural = if summary.sent == 1 { "" } else { "s" };
    let mut text = format!(
        "sent {} message{plural} ({} bytes) over {} to {} in {:.1} s\n",
        summary.sent,
        summary.bytes,
        plan.word(),
        plan.to,
        summary.millis as f64 / 1000.0
    );
    if summary.reconnects > 0 {
        text.push_str(&format!("connected anew {} times\n", summary.reconnects));
    }
    if let Some(marker) = marker {
        text.push_str(&format!("marker: {marker}\n"));
    }
    if let Some(error) = &summary.error {
        text.push_str(&format!("{} not sent: {}\n", summary.failed, crate::ui::text::visible(error)));
    }
    ui.result(&text)?;
    Ok(())
}
