//! The statements of one nftables rule as steps of the model.

use serde_json::Value as Json;

use super::atoms::{atom, is_name};
use super::model::{Family, Key, Step, Test, Values, Verdict, Why};
use super::nft::Sets;
use super::nft_text;
use super::packet::{TCP, UDP};
use super::span::{Span, number, ones};

/// Where the rule is.
pub struct Context<'a> {
    pub family: Family,
    pub table: &'a str,
    pub sets: &'a Sets<'a>,
}

pub fn steps(expr: &[Json], context: &Context<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for statement in expr {
        match statement.as_object().and_then(|o| o.iter().next()) {
            Some((name, body)) => statement_steps(name, body, context, &mut steps),
            None => steps.push(Test::unknown(nft_text::statement(statement))),
        }
    }
    steps
}

fn statement_steps(name: &str, body: &Json, context: &Context<'_>, steps: &mut Vec<Step>) {
    let shown = || nft_text::one(name, body);
    let target = || body.get("target").and_then(Json::as_str).unwrap_or_default().to_owned();
    let unknown = |why: String| Verdict::Unknown(Why::Expression(why));
    match name {
        "match" => {
            if let Some(left) = body.get("left") {
                steps.extend(dependency(left));
            }
            steps.push(comparison(body, context));
        }
        "accept" => steps.push(Step::Do(Verdict::Accept)),
        "drop" => steps.push(Step::Do(Verdict::Drop)),
        "reject" => steps.push(Step::Do(Verdict::Reject)),
        "return" => steps.push(Step::Do(Verdict::Return)),
        "continue" => {}
        "jump" => steps.push(Step::Do(Verdict::Jump(target()))),
        "goto" => steps.push(Step::Do(Verdict::Goto(target()))),
        // These count, write or note, and let the packet on.
        "counter" | "log" | "secmark" | "comment" | "dup" | "last" | "ct helper" | "ct timeout" | "ct expectation" => {}
        "notrack" => steps.push(Step::NoTrack),
        "vmap" => steps.push(map(body, context)),
        "mangle" => mangle(body, steps),
        "limit" | "quota" | "ct count" => steps.push(Test::rate(shown())),
        // A set that packets are added to; with a limit in it, only as long as the limit is kept.
        "set" | "map" if body.get("stmt").and_then(Json::as_array).is_none_or(Vec::is_empty) => {}
        "set" | "meter" => steps.push(Test::rate(shown())),
        "redirect" => steps.push(Step::Do(Verdict::Nat { to: None, port: nat_port(body) })),
        "dnat" => steps.push(Step::Do(dnat(body).unwrap_or_else(|| unknown(shown())))),
        // It changes who the sender seems to be, after all filters.
        "snat" | "masquerade" => steps.push(Step::Do(Verdict::Accept)),
        _ => steps.push(Step::Do(unknown(shown()))),
    }
}

fn nat_port(body: &Json) -> Option<Span> {
    match body.get("port")? {
        Json::Number(n) => n.as_u64().map(|n| Span::one(n.into())),
        range => {
            let ends = range.get("range")?.as_array()?;
            Some(Span::range(ends.first()?.as_u64()?.into(), ends.get(1)?.as_u64()?.into()))
        }
    }
}

fn dnat(body: &Json) -> Option<Verdict> {
    if body.get("port").is_some() && nat_port(body).is_none() {
        return None;
    }
    let to = match body.get("addr") {
        None => None,
        Some(Json::String(addr)) => Some(Span::one(number(addr.parse().ok()?))),
        Some(other) => {
            let ends = other.get("range")?.as_array()?;
            let end = |n: usize| Some(number(ends.get(n)?.as_str()?.parse().ok()?));
            Some(Span::range(end(0)?, end(1)?))
        }
    };
    Some(Verdict::Nat { to, port: nat_port(body) })
}

fn mangle(body: &Json, steps: &mut Vec<Step>) {
    let key = body.get("key");
    let named = |kind: &str| key.and_then(|k| k.get(kind)).and_then(|m| m.get("key")).and_then(Json::as_str);
    let payload = key.and_then(|k| k.get("payload")).and_then(|p| p.get("field")).and_then(Json::as_str);
    let value = body.get("value");
    let mark = value.and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
    match (named("meta").or(named("ct")), payload) {
        (Some("mark"), _) if named("ct").is_some() => steps.push(Step::CtMark(mark)),
        (Some("mark"), _) if value.and_then(|v| v.get("ct")).is_some() => steps.push(Step::MarkFromCt),
        (Some("mark"), _) => steps.push(Step::Mark(mark)),
        (_, Some("saddr" | "daddr" | "sport" | "dport" | "protocol" | "nexthdr")) => {
            let why = Why::Expression(nft_text::one("mangle", body));
            steps.push(Step::Do(Verdict::Unknown(why)));
        }
        _ => {}
    }
}

/// What a field implies although the listing leaves it out: that the packet has such a header.
fn dependency(left: &Json) -> Option<Step> {
    let left = left.get("&").and_then(|parts| parts.get(0)).unwrap_or(left);
    let protocol = left.get("payload").and_then(|p| p.get("protocol")).and_then(Json::as_str)?;
    match protocol {
        "ip" => Some(Test::is(Key::NfProto, Values::one(2u8))),
        "ip6" => Some(Test::is(Key::NfProto, Values::one(10u8))),
        "tcp" => Some(Test::is(Key::Proto(None), Values::one(TCP))),
        "udp" => Some(Test::is(Key::Proto(None), Values::one(UDP))),
        // No packet that is asked about is one of these.
        "icmp" | "icmpv6" | "igmp" | "esp" | "ah" | "gre" | "comp" | "sctp" | "dccp" | "udplite" | "arp" => {
            Some(Step::Test(Test::Never))
        }
        _ => None,
    }
}

/// The left side of a comparison; `Err`: why it is not known.
fn key(left: &Json) -> Result<Key, Why> {
    let unknown = || Why::Expression(nft_text::expression(left));
    let text = |json: &Json, name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    if let Some(payload) = left.get("payload") {
        let (protocol, field) = (text(payload, "protocol"), text(payload, "field"));
        return payload_key(protocol.as_deref().unwrap_or_default(), field.as_deref().unwrap_or_default())
            .ok_or_else(unknown);
    }
    if let Some(meta) = left.get("meta") {
        return match text(meta, "key").unwrap_or_default().as_str() {
            "l4proto" => Ok(Key::Proto(None)),
            "nfproto" => Ok(Key::NfProto),
            "protocol" => Ok(Key::EtherType),
            "iif" | "iifname" => Ok(Key::Iif),
            "oif" | "oifname" => Ok(Key::Oif),
            "mark" => Ok(Key::Mark),
            "pkttype" => Ok(Key::PacketType),
            "skuid" => Ok(Key::Uid),
            "skgid" => Ok(Key::Gid),
            _ => Err(unknown()),
        };
    }
    if let Some(ct) = left.get("ct") {
        return match text(ct, "key").unwrap_or_default().as_str() {
            "state" => Ok(Key::CtState),
            "mark" => Ok(Key::CtMark),
            "direction" => Ok(Key::CtDirection),
            "status" => Ok(Key::CtStatus),
            _ => Err(unknown()),
        };
    }
    if let Some(fib) = left.get("fib") {
        let flags = fib.get("flags");
        let has = |word: &str| {
            flags.is_some_and(|f| {
                f.as_str() == Some(word) || f.as_array().is_some_and(|a| a.iter().any(|w| w.as_str() == Some(word)))
            })
        };
        return match text(fib, "result").unwrap_or_default().as_str() {
            "type" if has("saddr") != has("daddr") => Ok(Key::AddrType { source: has("saddr") }),
            // A reverse path filter: senders are where the routes say.
            "oif" | "oifname" if has("saddr") => Ok(Key::WayBack),
            _ => Err(unknown()),
        };
    }
    if let Some([value, mask]) = left.get("&").and_then(Json::as_array).map(Vec::as_slice) {
        let key = key(value)?;
        return match bits(&key, mask) {
            Some(mask) => Ok(Key::Masked(Box::new(key), mask)),
            None => Err(unknown()),
        };
    }
    Err(unknown())
}

fn payload_key(protocol: &str, field: &str) -> Option<Key> {
    let number = match protocol {
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        "th" => None,
        "ip" => {
            return match field {
                "saddr" => Some(Key::Saddr { v6: false }),
                "daddr" => Some(Key::Daddr { v6: false }),
                "protocol" => Some(Key::Proto(Some(false))),
                "frag-off" => Some(Key::Fragment),
                "version" => None,
                _ => None,
            };
        }
        "ip6" => {
            return match field {
                "saddr" => Some(Key::Saddr { v6: true }),
                "daddr" => Some(Key::Daddr { v6: true }),
                "nexthdr" => Some(Key::Proto(Some(true))),
                _ => None,
            };
        }
        _ => return None,
    };
    match (number, field) {
        (_, "sport") => Some(Key::Sport(number)),
        (_, "dport") => Some(Key::Dport(number)),
        (Some(TCP), "flags") => Some(Key::TcpFlags),
        _ => None,
    }
}

/// Words or numbers as bits.
fn bits(key: &Key, json: &Json) -> Option<u128> {
    match json {
        Json::Number(n) => n.as_u64().map(Into::into),
        Json::String(word) => atom(key, word),
        Json::Array(all) => all.iter().map(|j| bits(key, j)).try_fold(0, |a, b| b.map(|b| a | b)),
        Json::Object(o) => match o.iter().next() {
            Some((op, all)) if op == "|" => bits(key, all),
            _ => None,
        },
        _ => None,
    }
}

fn comparison(body: &Json, context: &Context<'_>) -> Step {
    let null = Json::Null;
    let (left, right) = (body.get("left").unwrap_or(&null), body.get("right").unwrap_or(&null));
    let op = body.get("op").and_then(Json::as_str).unwrap_or("==");
    let shown = || nft_text::one("match", body);
    if let Some(parts) = left.get("concat").and_then(Json::as_array) {
        let keys: Result<Vec<Key>, Why> = parts.iter().map(key).collect();
        return match keys {
            Ok(keys) => match rows(&keys, right, context) {
                Some(rows) if op == "==" || op == "!=" || op == "in" => {
                    Step::Test(Test::Rows { keys, rows, not: op == "!=" })
                }
                _ => Test::unknown(shown()),
            },
            Err(_) => Test::unknown(shown()),
        };
    }
    let key = match key(left) {
        Ok(key) => key,
        Err(_) => return Test::unknown(shown()),
    };
    let is_bits = matches!(key, Key::CtState | Key::CtStatus | Key::TcpFlags);
    match op {
        // `fib … missing` is an outgoing interface of 0.
        "==" | "!=" | "in" if key == Key::WayBack => {
            let missing = right.as_bool() == Some(false) || right.as_u64() == Some(0);
            let exists = right.as_bool() == Some(true);
            match missing || exists {
                true => {
                    let values = Values::one(if missing { 0u8 } else { 1 });
                    Step::Test(Test::Is { key, values, not: op == "!=" })
                }
                false => Test::unknown(shown()),
            }
        }
        "in" | "!=" if is_bits && !right.is_object() && (op == "in" || right.is_array()) => match bits(&key, right) {
            Some(bits) => Step::Test(Test::Bits { key, bits, not: op == "!=" }),
            None => Test::unknown(shown()),
        },
        "==" | "!=" | "in" => match values(&key, right, context) {
            Some(values) => Step::Test(Test::Is { key, values, not: op == "!=" }),
            None => Test::unknown(shown()),
        },
        "<" | ">" | "<=" | ">=" => {
            let Some(n) = scalar(&key, right) else { return Test::unknown(shown()) };
            let top = ones(128);
            let span = match op {
                "<" => n.checked_sub(1).map(|high| Span::range(0, high)).unwrap_or_default(),
                "<=" => Span::range(0, n),
                ">" => n.checked_add(1).map(|low| Span::range(low, top)).unwrap_or_default(),
                _ => Span::range(n, top),
            };
            Test::is(key, Values::numbers(span))
        }
        _ => Test::unknown(shown()),
    }
}

fn scalar(key: &Key, json: &Json) -> Option<u128> {
    match json {
        Json::Number(n) => n.as_u64().map(Into::into),
        Json::String(word) => atom(key, word),
        Json::Bool(b) => Some(u128::from(*b)),
        // Flags that are compared as a whole.
        Json::Array(_) => bits(key, json),
        Json::Object(o) if o.contains_key("|") => bits(key, json),
        _ => None,
    }
}

/// The right side of a comparison. `None`: not understood.
fn values(key: &Key, right: &Json, context: &Context<'_>) -> Option<Values> {
    if let Some(name) = right.as_str().and_then(|s| s.strip_prefix('@')) {
        let elements = context.sets.elements(context.family, context.table, name)?;
        return Some(all_values(key, elements));
    }
    match right.get("set") {
        Some(Json::Array(elements)) => Some(all_values(key, elements)),
        Some(_) => None,
        None => value(key, right),
    }
}

fn all_values(key: &Key, elements: &[Json]) -> Values {
    let mut out = Values::default();
    let mut ranges = Vec::new();
    for element in elements {
        match value(key, element) {
            Some(v) => {
                ranges.extend_from_slice(v.numbers.ranges());
                out.any |= v.any;
                out.names.extend(v.names);
            }
            None => out.unknown = Some(format!("the set element {}", nft_text::expression(element))),
        }
    }
    out.numbers = Span::of(ranges);
    out
}

/// One element: a word, number, network, range, or one of these with a timeout or counter.
fn value(key: &Key, json: &Json) -> Option<Values> {
    if let Some(inner) = json.get("elem") {
        return value(key, inner.get("val").unwrap_or(inner));
    }
    if is_name(key) {
        let name = json.as_str()?;
        return Some(if name == "*" { Values::any() } else { Values::name(name) });
    }
    if json.as_str() == Some("*") {
        return Some(Values::any());
    }
    if let Some(prefix) = json.get("prefix") {
        let addr = prefix.get("addr")?.as_str()?;
        let len = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
        return Some(Values::numbers(Span::prefix(addr.parse().ok()?, len)));
    }
    if let Some([low, high]) = json.get("range").and_then(Json::as_array).map(Vec::as_slice) {
        return Some(Values::numbers(Span::range(scalar(key, low)?, scalar(key, high)?)));
    }
    scalar(key, json).map(Values::one)
}

/// Elements of several values each.
fn rows(keys: &[Key], right: &Json, context: &Context<'_>) -> Option<Vec<Vec<Values>>> {
    if let Some(name) = right.as_str().and_then(|s| s.strip_prefix('@')) {
        let elements = context.sets.elements(context.family, context.table, name)?;
        return elements.iter().map(|e| row(keys, e)).collect();
    }
    match right.get("set").and_then(Json::as_array) {
        Some(elements) => elements.iter().map(|e| row(keys, e)).collect(),
        None => Some(vec![row(keys, right)?]),
    }
}

fn row(keys: &[Key], json: &Json) -> Option<Vec<Values>> {
    if let Some(inner) = json.get("elem") {
        return row(keys, inner.get("val").unwrap_or(inner));
    }
    match (json.get("concat").and_then(Json::as_array), keys) {
        (Some(parts), _) if parts.len() == keys.len() => keys.iter().zip(parts).map(|(k, p)| value(k, p)).collect(),
        (None, [key]) => Some(vec![value(key, json)?]),
        (None, _) if json.as_str() == Some("*") => Some(keys.iter().map(|_| Values::any()).collect()),
        _ => None,
    }
}

/// A verdict map.
fn map(body: &Json, context: &Context<'_>) -> Step {
    let unknown = || Step::Do(Verdict::Unknown(Why::Expression(nft_text::one("vmap", body))));
    let (Some(left), Some(data)) = (body.get("key"), body.get("data")) else { return unknown() };
    let parts = left.get("concat").and_then(Json::as_array).map(Vec::as_slice);
    let parts: Vec<&Json> = parts.map(|p| p.iter().collect()).unwrap_or_else(|| vec![left]);
    let keys: Result<Vec<Key>, Why> = parts.into_iter().map(key).collect();
    let Ok(keys) = keys else { return unknown() };
    let elements = match data.as_str().and_then(|s| s.strip_prefix('@')) {
        Some(name) => context.sets.elements(context.family, context.table, name),
        None => data.get("set").and_then(Json::as_array).map(Vec::as_slice),
    };
    let rows: Option<Vec<(Vec<Values>, Verdict)>> = elements.and_then(|all| {
        all.iter()
            .map(|e| {
                let [k, v] = e.as_array()?.as_slice() else { return None };
                Some((row(&keys, k)?, element_verdict(v)?))
            })
            .collect()
    });
    match rows {
        // What fits everything stands for the rest.
        Some(mut rows) => {
            rows.sort_by_key(|(row, _)| row.iter().any(|v| v.any));
            Step::Map { keys, rows }
        }
        None => unknown(),
    }
}

fn element_verdict(json: &Json) -> Option<Verdict> {
    let (name, body) = json.as_object()?.iter().next()?;
    let target = || body.get("target").and_then(Json::as_str).map(str::to_owned);
    Some(match name.as_str() {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}
