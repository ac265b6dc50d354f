//! Actions in both forms: `action(type="omfwd" …)` and `@@host:port;TEMPLATE`.

use std::collections::BTreeMap;

use super::legacy::Waiting;
use super::{ActionKind, Forward, Queue, QueueType, Transport, size};
use crate::syslog::Text;
use crate::syslog::rsyslog::ast::{Object, Param};

/// Files of `$outchannel` by name.
pub(super) type Channels = BTreeMap<Text, Text>;

/// What an action in the old form says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Legacy {
    pub module: &'static str,
    pub kind: ActionKind,
    pub template: Option<Text>,
}

/// `None` for a discard (`~`); an error where no module takes the line.
pub(super) fn decode_legacy(line: &Text, waiting: &Waiting, channels: &Channels) -> Result<Option<Legacy>, String> {
    let text = line.as_bytes();
    let plain = |module, kind, rest: &[u8]| Ok(Some(Legacy { module, kind, template: template_name(rest)? }));
    if let Some(rest) = text.strip_prefix(b":omfile:") {
        return decode_file(rest, channels);
    }
    if let Some(rest) = text.strip_prefix(b":omusrmsg:") {
        return decode_users(rest);
    }
    if text.first() == Some(&b':') {
        let name = text[1..].split(|b| *b == b':').next().unwrap_or_default();
        let rest = text.get(name.len() + 2..).unwrap_or_default();
        let module = other_module(name).ok_or_else(|| format!("no module takes the action '{line}'"))?;
        let template = rest.iter().position(|b| *b == b';').map(|i| &rest[i..]).unwrap_or_default();
        return plain(module, ActionKind::Other, template);
    }
    match text.first() {
        Some(b'~') => Ok(None),
        Some(b'@') => decode_forward(text, waiting),
        Some(b'/' | b'.' | b'-' | b'?' | b'$') => decode_file(text, channels),
        Some(b'|') => {
            let (name, rest) = file_name(&text[1..]);
            plain("ompipe", ActionKind::Pipe(name), rest)
        }
        Some(b'^') => {
            let (name, rest) = file_name(&text[1..]);
            plain("omshell", ActionKind::Program(name), rest)
        }
        Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'*') => decode_users(text),
        _ => Err(format!("no module takes the action '{line}'")),
    }
}

fn other_module(name: &[u8]) -> Option<&'static str> {
    const KNOWN: [&str; 18] = [
        "ommysql",
        "ompgsql",
        "omlibdbi",
        "ommail",
        "omprog",
        "omrelp",
        "omudpspoof",
        "omsnmp",
        "omoracle",
        "omjournal",
        "omuxsock",
        "omgssapi",
        "omtesting",
        "omelasticsearch",
        "omkafka",
        "ommongodb",
        "omhiredis",
        "omstdout",
    ];
    KNOWN.into_iter().find(|k| k.as_bytes() == name)
}

/// A name up to `;` or a blank, and what follows.
fn file_name(text: &[u8]) -> (Text, &[u8]) {
    let end = text.iter().position(|b| matches!(b, b';' | b' ')).unwrap_or(text.len());
    (Text::from(&text[..end]), &text[end..])
}

/// `;TEMPLATE`, blanks around it, a comment behind it.
fn template_name(rest: &[u8]) -> Result<Option<Text>, String> {
    let rest = rest.trim_ascii_start();
    let name = match rest.first() {
        None | Some(b'#') => return Ok(None),
        Some(b';') => rest[1..].trim_ascii_start(),
        Some(_) => return Err("only ';template' may stand behind an action".to_owned()),
    };
    let end = name.iter().position(|b| *b == b'#' || b.is_ascii_whitespace()).unwrap_or(name.len());
    Ok((end > 0).then(|| Text::from(&name[..end])))
}

fn decode_file(text: &[u8], channels: &Channels) -> Result<Option<Legacy>, String> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (kind, rest) = match text.first() {
        Some(b'?') => {
            let (name, rest) = file_name(&text[1..]);
            (ActionKind::DynaFile(name), rest)
        }
        Some(b'$') => {
            let end =
                text[1..].iter().position(|b| *b == b';' || b.is_ascii_whitespace()).map_or(text.len(), |i| i + 1);
            let name = Text::from(&text[1..end]);
            let file = channels.get(&name).ok_or_else(|| format!("there is no $outchannel '{name}'"))?;
            (ActionKind::File(file.clone()), &text[end..])
        }
        Some(b'/' | b'.') => {
            let (name, rest) = file_name(text);
            (ActionKind::File(name), rest)
        }
        _ => return Err(format!("no module takes the action '{}'", String::from_utf8_lossy(text))),
    };
    Ok(Some(Legacy { module: "omfile", kind, template: template_name(rest)? }))
}

fn decode_users(text: &[u8]) -> Result<Option<Legacy>, String> {
    let all = text.first() == Some(&b'*');
    let end = if all { 1 } else { text.iter().position(|b| *b == b';').unwrap_or(text.len()) };
    let users = text[..end].split(|b| *b == b',' || b.is_ascii_whitespace()).filter(|u| !u.is_empty());
    let users = users.map(Text::from).collect();
    Ok(Some(Legacy { module: "omusrmsg", kind: ActionKind::Users(users), template: template_name(&text[end..])? }))
}

/// `@host`, `@@(o,z5)[v6]:port;TEMPLATE`
fn decode_forward(text: &[u8], waiting: &Waiting) -> Result<Option<Legacy>, String> {
    let (transport, text) = match text.strip_prefix(b"@@") {
        Some(rest) => (Transport::Tcp, rest),
        None => (Transport::Udp, &text[1..]),
    };
    let (options, text) = match text.strip_prefix(b"(") {
        Some(rest) => {
            let end = rest.iter().position(|b| *b == b')').unwrap_or(rest.len());
            (&rest[..end], rest.get(end + 1..).unwrap_or_default())
        }
        None => (&b""[..], text),
    };
    let (target, text) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|b| *b == b']').unwrap_or(rest.len());
            (&rest[..end], rest.get(end + 1..).unwrap_or_default())
        }
        None => {
            let end = text.iter().position(|b| b";:#".contains(b)).unwrap_or(text.len());
            (&text[..end], &text[end..])
        }
    };
    let (port, text) = match text.strip_prefix(b":") {
        Some(rest) => {
            let end = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
            (&rest[..end], &rest[end..])
        }
        None => (&b"514"[..], text),
    };
    let skip = text.iter().position(|b| b";#".contains(b) || b.is_ascii_whitespace()).unwrap_or(text.len());
    let has = |option: u8| options.split(|b| *b == b',').any(|o| o.first() == Some(&option));
    let tls = transport == Transport::Tcp && waiting.get("actionsendstreamdrivermode").is_some_and(|m| *m != "0");
    let forward = Forward {
        target: Text::from(target.trim_ascii_end()),
        port: Text::from(port),
        transport,
        octet_counted: transport == Transport::Tcp && has(b'o'),
        compressed: has(b'z'),
        tls,
    };
    let template = template_name(&text[skip..])?.or_else(|| waiting.get("actionforwarddefaulttemplate").cloned());
    Ok(Some(Legacy { module: "omfwd", kind: ActionKind::Forward(forward), template }))
}

/// Parameters that must be one word; with a blank in one of them the daemon refuses the action.
const WORDS: [&str; 12] = [
    "name",
    "target",
    "address",
    "device",
    "port",
    "protocol",
    "template",
    "tcp_framing",
    "compression.mode",
    "streamdriver",
    "queue.filename",
    "queue.spooldirectory",
];

/// The kind of an `action(…)`.
pub(super) fn kind_of(module: &str, object: &Object) -> Result<ActionKind, String> {
    let blank = |name: &&&str| object.get(name).is_some_and(|v| v.as_bytes().iter().any(u8::is_ascii_whitespace));
    if let Some(name) = WORDS.iter().find(blank) {
        return Err(format!("parameter '{name}' must not contain blanks"));
    }
    let text = |name: &str| object.get(name).cloned();
    Ok(match module {
        "omfwd" => ActionKind::Forward(forward_of(object)?),
        "omfile" => match (text("file"), text("dynafile")) {
            (Some(file), _) => ActionKind::File(file),
            (None, Some(template)) => ActionKind::DynaFile(template),
            (None, None) => return Err("omfile needs 'file' or 'dynafile'".to_owned()),
        },
        "omusrmsg" => {
            let users = text("users").ok_or("omusrmsg needs 'users'")?;
            ActionKind::Users(users.as_bytes().split(|b| *b == b',').map(|u| Text::from(u.trim_ascii())).collect())
        }
        "ompipe" => ActionKind::Pipe(text("pipe").ok_or("ompipe needs 'pipe'")?),
        "omprog" => ActionKind::Program(text("binary").ok_or("omprog needs 'binary'")?),
        _ => ActionKind::Other,
    })
}

fn forward_of(object: &Object) -> Result<Forward, String> {
    let transport = match object.get("protocol") {
        None => Transport::Udp,
        Some(p) if p.is("udp") => Transport::Udp,
        Some(p) if p.is("tcp") => Transport::Tcp,
        Some(p) => return Err(format!("invalid protocol \"{p}\"")),
    };
    Ok(Forward {
        target: object.get("target").cloned().unwrap_or_default(),
        port: object.get("port").cloned().unwrap_or_else(|| Text::from("514")),
        transport,
        octet_counted: object.get("tcp_framing").is_some_and(|f| f.is("octet-counted")),
        compressed: object.get("ziplevel").is_some_and(|z| *z != "0")
            || object.get("compression.mode").is_some_and(|m| !m.is("none")),
        tls: object.get("streamdrivermode").is_some_and(|m| *m != "0"),
    })
}

impl Queue {
    pub(super) fn main() -> Queue {
        Queue { kind: QueueType::FixedArray, size: 50_000, ..Queue::direct() }
    }

    pub(super) fn direct() -> Queue {
        Queue {
            kind: QueueType::Direct,
            file_name: None,
            spool: None,
            size: 1_000,
            max_disk: 0,
            save_on_shutdown: true,
            enqueue_timeout: 2_000,
            params: Vec::new(),
        }
    }

    /// Applies `queue.…` parameters.
    pub(super) fn with(mut self, params: &[Param]) -> Queue {
        for param in params {
            let name = param.name.to_lower();
            let Some(value) = param.value.text() else { continue };
            if self.set(name.as_bytes().strip_prefix(b"queue.").unwrap_or_default(), value) {
                self.params.push(param.clone());
            }
        }
        self
    }

    /// Applies legacy directives that start with `prefix`.
    pub(super) fn with_legacy(mut self, prefix: &str, params: &[Param]) -> Queue {
        for param in params {
            let name = param.name.to_lower();
            let Some(value) = param.value.text() else { continue };
            if let Some(name) = name.as_bytes().strip_prefix(prefix.as_bytes()) {
                self.set(name, value);
                self.params.push(param.clone());
            }
        }
        self
    }

    fn set(&mut self, name: &[u8], value: &Text) -> bool {
        match name {
            b"" => return false,
            b"type" => self.kind = queue_type(value).unwrap_or(self.kind),
            b"filename" => self.file_name = Some(value.clone()),
            b"spooldirectory" => self.spool = Some(value.clone()),
            b"size" => self.size = size(value).unwrap_or(self.size),
            b"maxdiskspace" => self.max_disk = size(value).unwrap_or(self.max_disk),
            b"saveonshutdown" => self.save_on_shutdown = value.switch().unwrap_or(self.save_on_shutdown),
            b"timeoutenqueue" => self.enqueue_timeout = value.number().unwrap_or(self.enqueue_timeout),
            _ => {}
        }
        true
    }
}

fn queue_type(value: &Text) -> Option<QueueType> {
    [
        ("direct", QueueType::Direct),
        ("linkedlist", QueueType::LinkedList),
        ("fixedarray", QueueType::FixedArray),
        ("disk", QueueType::Disk),
    ]
    .into_iter()
    .find(|(name, _)| value.is(name))
    .map(|(_, kind)| kind)
}
