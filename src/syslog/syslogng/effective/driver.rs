//! What drivers do: which port they listen on, where they send to, which file they write. Read after everything else,
//! since the options of the whole configuration are the defaults.

use super::*;
use crate::syslog::syslogng::reader::normal;

/// Fills in the kinds of all drivers.
pub(super) fn resolve(out: &mut Effective) {
    let defaults = Defaults::of(out);
    for source in &mut out.sources {
        let drivers = std::mem::take(&mut source.drivers);
        source.drivers = drivers.into_iter().flat_map(|d| source_driver(d, &defaults)).collect();
    }
    for destination in &mut out.destinations {
        destination.drivers.iter_mut().for_each(|d| dest_driver(d, &defaults));
    }
}

/// Values that hold where a driver says nothing.
struct Defaults {
    keep_hostname: bool,
    use_dns: bool,
    message_size: i64,
    fifo_size: i64,
    time_reopen: i64,
}

impl Defaults {
    fn of(out: &Effective) -> Self {
        let number = |name: &str| out.option(name).and_then(|o| number(&o.args));
        let switch = |name: &str| out.option(name).and_then(|o| switch(&o.args));
        let old = out.program.is_some_and(|v| v < Version::new(3, 10, 0));
        Defaults {
            keep_hostname: switch("keep-hostname").unwrap_or(false),
            use_dns: switch("use-dns").unwrap_or(true),
            message_size: number("log-msg-size").unwrap_or(if old { 8192 } else { 65536 }),
            fifo_size: number("log-fifo-size").unwrap_or(10_000),
            time_reopen: number("time-reopen").unwrap_or(60),
        }
    }
}

// ---- arguments ----

/// The last option of this name.
pub(super) fn opt<'a>(args: &'a [Arg], name: &str) -> Option<&'a Opt> {
    args.iter().rev().find_map(|a| match a {
        Arg::Opt(o) if normal(&o.name) == name.as_bytes() => Some(o),
        _ => None,
    })
}

/// The first word or string.
pub(super) fn word(args: &[Arg]) -> Option<&Text> {
    args.iter().find_map(|a| match a {
        Arg::Word(t) | Arg::Str(t) => Some(t),
        _ => None,
    })
}

fn opt_word<'a>(args: &'a [Arg], name: &str) -> Option<&'a Text> {
    opt(args, name).and_then(|o| word(&o.args))
}

/// The first of several names of one option.
fn any_word<'a>(args: &'a [Arg], names: &[&str]) -> Option<&'a Text> {
    names.iter().find_map(|n| opt_word(args, n))
}

/// A number with its unit: `64`, `0x40`, `64k`, `64KiB`, `10M`.
pub(super) fn number(args: &[Arg]) -> Option<i64> {
    let text = word(args)?.to_str_lossy().into_owned();
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits);
    let unit = unit.to_ascii_lowercase();
    let (power, base) = (unit.strip_suffix('b').unwrap_or(&unit), if unit.contains('i') { 1024 } else { 1000 });
    let factor = match power.strip_suffix('i').unwrap_or(power) {
        "" => 1,
        "k" => base,
        "m" => base * base,
        "g" => base * base * base,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

pub(super) fn switch(args: &[Arg]) -> Option<bool> {
    let text = word(args)?;
    text.switch()
        .or_else(|| text.is("persist-only").then_some(true))
        .or_else(|| text.is("persist_only").then_some(true))
}

fn flags_of(args: &[Arg]) -> Vec<String> {
    let flags = args.iter().filter_map(|a| match a {
        Arg::Opt(o) if normal(&o.name) == b"flags" => Some(&o.args),
        _ => None,
    });
    let words = flags.flatten().filter_map(|a| match a {
        Arg::Word(t) | Arg::Str(t) => Some(String::from_utf8_lossy(&normal(t)).to_ascii_lowercase()),
        _ => None,
    });
    words.filter(|w| !w.is_empty()).collect()
}

// ---- sources ----

fn source_driver(mut driver: SourceDriver, defaults: &Defaults) -> Vec<SourceDriver> {
    driver.flags = flags_of(&driver.args);
    driver.persist_name = opt_word(&driver.args, "persist-name").cloned();
    let first = word(&driver.args).cloned().unwrap_or_default();
    driver.kind = match normal(&driver.driver).as_slice() {
        b"internal" => SourceKind::Internal,
        b"system" => SourceKind::System,
        b"unix-dgram" => SourceKind::Unix { path: first, stream: false },
        b"unix-stream" => SourceKind::Unix { path: first, stream: true },
        b"file" => SourceKind::File(first),
        b"default-network-drivers" => return network_drivers(driver, defaults),
        name => match listener(name, &driver.args, &driver.flags, defaults) {
            Some(listener) => SourceKind::Listener(listener),
            None => SourceKind::Other,
        },
    };
    vec![driver]
}

/// The drivers that the library's `default-network-drivers()` stands for.
fn network_drivers(driver: SourceDriver, defaults: &Defaults) -> Vec<SourceDriver> {
    let listeners = [
        ("network", Transport::Tcp, "tcp-port", "514"),
        ("network", Transport::Udp, "udp-port", "514"),
        ("syslog", Transport::Tcp, "rfc5424-tcp-port", "601"),
        ("syslog", Transport::Tls, "rfc5424-tls-port", "6514"),
    ];
    let tls = opt(&driver.args, "tls").is_some();
    let wanted = listeners.into_iter().filter(|(_, t, ..)| tls || *t != Transport::Tls);
    let made = wanted.filter_map(|(name, transport, option, port)| {
        let mut listener = listener(name.as_bytes(), &driver.args, &driver.flags, defaults)?;
        listener.port = opt_word(&driver.args, option).cloned().unwrap_or_else(|| port.into());
        listener.transport = transport;
        // Its own parser takes the device's name from the text.
        listener.keep_hostname = true;
        listener.framing = framing(name == "syslog", transport, false);
        let block = Some(driver.driver.clone());
        Some(SourceDriver { driver: name.into(), kind: SourceKind::Listener(listener), block, ..driver.clone() })
    });
    made.collect()
}

fn listener(driver: &[u8], args: &[Arg], flags: &[String], defaults: &Defaults) -> Option<Listener> {
    let wire = Wire::of(driver, args)?;
    let flag = |name: &str| flags.iter().any(|f| f == name);
    let number_of = |name: &str| opt(args, name).and_then(|o| number(&o.args));
    let switch_of = |name: &str| opt(args, name).and_then(|o| switch(&o.args));
    let address = any_word(args, &["ip", "localip"]).cloned();
    let any = |a: &Text| matches!(a.as_bytes(), b"" | b"0.0.0.0" | b"::");
    Some(Listener {
        transport: wire.transport,
        framing: wire.framing,
        format: match () {
            _ if flag("no-parse") => Format::Raw,
            _ if wire.is_syslog || flag("syslog-protocol") => Format::Rfc5424,
            _ => Format::Rfc3164,
        },
        family: wire.family,
        port: any_word(args, &["port", "localport"]).cloned().unwrap_or_else(|| wire.default_port().into()),
        address: address.filter(|a| !any(a)),
        max_connections: number_of("max-connections").unwrap_or(10),
        window: number_of("log-iw-size").unwrap_or(1000),
        message_size: number_of("log-msg-size").unwrap_or(defaults.message_size),
        receive_buffer: number_of("so-rcvbuf"),
        keep_hostname: switch_of("keep-hostname").unwrap_or(defaults.keep_hostname),
        use_dns: switch_of("use-dns").unwrap_or(defaults.use_dns),
        raw_message: flag("store-raw-message"),
        program_name: any_word(args, &["program-override", "log-prefix"]).cloned(),
        host_name: opt_word(args, "host-override").cloned(),
        shares_port: switch_of("so-reuseport").unwrap_or(false),
    })
}

/// What goes over the network and how, for sources and destinations alike.
struct Wire {
    transport: Transport,
    framing: Framing,
    family: Family,
    /// The `syslog()` driver.
    is_syslog: bool,
}

impl Wire {
    fn of(driver: &[u8], args: &[Arg]) -> Option<Wire> {
        let (by_name, v6) = match driver {
            b"udp" => (Some(Transport::Udp), false),
            b"udp6" => (Some(Transport::Udp), true),
            b"tcp" => (Some(Transport::Tcp), false),
            b"tcp6" => (Some(Transport::Tcp), true),
            b"network" | b"syslog" => (None, false),
            _ => return None,
        };
        let named = opt(args, "transport").and_then(|o| word(&o.args)).map(|t| t.to_lower());
        let named = named.as_ref().map(|t| t.as_bytes());
        let tls = opt(args, "tls").is_some();
        let auto = named == Some(b"auto");
        let transport = match (by_name, named) {
            (Some(Transport::Tcp), _) if tls => Transport::Tls,
            (Some(t), _) => t,
            (None, Some(b"udp")) => Transport::Udp,
            (None, Some(b"tls")) => Transport::Tls,
            (None, Some(b"auto")) if tls => Transport::Tls,
            (None, None | Some(b"tcp" | b"auto" | b"text" | b"framed" | b"text-with-nuls")) => Transport::Tcp,
            (None, Some(_)) => Transport::Other,
        };
        let is_syslog = driver == b"syslog";
        let protocol = opt(args, "ip-protocol").and_then(|o| number(&o.args));
        let family = if v6 || protocol == Some(6) { Family::V6 } else { Family::V4 };
        let framing = match named {
            Some(b"framed") => Framing::OctetCounted,
            Some(b"text" | b"text-with-nuls") => Framing::Lines,
            _ => framing(is_syslog, transport, auto),
        };
        Some(Wire { transport, framing, family, is_syslog })
    }

    fn default_port(&self) -> &'static str {
        match (self.is_syslog, self.transport) {
            (true, Transport::Tls) => "6514",
            (true, t) if t.is_stream() => "601",
            _ => "514",
        }
    }
}

fn framing(is_syslog: bool, transport: Transport, auto: bool) -> Framing {
    match () {
        _ if transport == Transport::Udp => Framing::Datagram,
        _ if auto => Framing::Auto,
        _ if is_syslog => Framing::OctetCounted,
        _ => Framing::Lines,
    }
}

// ---- destinations ----

fn dest_driver(driver: &mut DestDriver, defaults: &Defaults) {
    let args = &driver.args;
    let number_of = |name: &str| opt(args, name).and_then(|o| number(&o.args));
    let first = word(args).cloned().unwrap_or_default();
    driver.template = opt_word(args, "template").cloned();
    driver.persist_name = opt_word(args, "persist-name").cloned();
    driver.fifo_size = number_of("log-fifo-size").unwrap_or(defaults.fifo_size);
    driver.time_reopen = number_of("time-reopen").unwrap_or(defaults.time_reopen);
    driver.disk_buffer = opt(args, "disk-buffer").map(disk_buffer);
    driver.kind = match normal(&driver.driver).as_slice() {
        b"file" => DestKind::File(first),
        b"pipe" => DestKind::Pipe(first),
        b"program" => DestKind::Program(first),
        b"usertty" => DestKind::Users(first),
        b"unix-dgram" => DestKind::Unix { path: first, stream: false },
        b"unix-stream" => DestKind::Unix { path: first, stream: true },
        name => match Wire::of(name, args) {
            Some(wire) => DestKind::Forward(Forward {
                target: first,
                port: any_word(args, &["port", "destport"]).cloned().unwrap_or_else(|| wire.default_port().into()),
                transport: wire.transport,
                framing: wire.framing,
            }),
            None => DestKind::Other,
        },
    };
}

fn disk_buffer(o: &Opt) -> DiskBuffer {
    let number_of = |names: &[&str]| names.iter().find_map(|n| opt(&o.args, n)).and_then(|o| number(&o.args));
    DiskBuffer {
        reliable: opt(&o.args, "reliable").and_then(|o| switch(&o.args)).unwrap_or(false),
        capacity: number_of(&["capacity-bytes", "disk-buf-size"]).unwrap_or(0),
        dir: opt_word(&o.args, "dir").cloned(),
        at: o.at.clone(),
    }
}
