use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::agent::accept::header::Zone;
use crate::message::base64;

fn corpus() -> Vec<(Vec<u8>, Value)> {
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        (base64::decode(value["raw_b64"].as_str().unwrap()).unwrap(), value)
    };
    include_str!("../../../fixtures/corpus/messages.jsonl").lines().map(read).collect()
}

#[test]
fn the_filter_finds_every_event_and_nothing_else() {
    for (raw, value) in corpus() {
        let seen = is_security_event(&raw).map(|kind| serde_json::to_value(kind).unwrap());
        let expected = (value["forward"] == true).then(|| value["kind"].clone());
        assert_eq!(seen, expected, "{}", value["id"]);
    }
}

/// The corpus' own reading of each header: host, and what its envelope label says.
#[test]
fn corpus_envelopes() {
    let mut wrong = Vec::new();
    for (raw, value) in corpus().iter().filter(|(_, value)| value["forward"] == true) {
        let line = read(raw);
        let label: Vec<&str> = value["envelope"].as_str().unwrap().split('+').collect();
        let has = |word: &str| label.contains(&word);
        let host = line.host().map(|h| String::from_utf8_lossy(h).into_owned());
        let time = &line.header.time;
        let checks = [
            ("host", host.as_deref() == value["host"].as_str()),
            ("pri", has("pri") == matches!(line.pri, Pri::Value(_))),
            ("bad-pri", has("bad-pri") == matches!(line.pri, Pri::TooLarge | Pri::NotNumeric)),
            ("no-pri", has("no-pri") == (line.pri == Pri::None)),
            ("v1", has("v1") == line.header.version_1),
            ("short", has("short-5424") == (line.form == Form::Short5424)),
            ("no-time", has("no-time") == (time.kind == TimeKind::None)),
            ("nil-time", has("nil-time") == (time.kind == TimeKind::Nil)),
            // One line has a time that no label names.
            ("bsd", !(has("bsd") || has("bsd-frac")) || time.kind == TimeKind::Bsd),
            ("bsd-year", has("bsd-year") == (time.kind == TimeKind::BsdYear)),
            ("ctime", has("ctime") == (time.kind == TimeKind::Ctime)),
            ("epoch", has("epoch") == (time.kind == TimeKind::Epoch)),
            ("date-blank", has("date-blank-time") == (time.kind == TimeKind::IsoBlank)),
            ("iso-z", has("iso-z") == (time.kind == TimeKind::Iso && time.zone == Zone::Z && time.fraction == 0)),
            ("zone", has("zone") == line.header.zone_word.is_some()),
            ("cr", has("cr") == line.traces.contains(&Trace::CarriageReturn)),
            ("not-utf8", has("not-utf8") == line.traces.contains(&Trace::NotUtf8)),
        ];
        wrong.extend(checks.iter().filter(|(_, ok)| !ok).map(|(what, _)| {
            let head = String::from_utf8_lossy(&raw[..raw.len().min(90)]).into_owned();
            format!("{} {what} {} host {host:?} {:?} {head}", value["id"], value["envelope"], line.header)
        }));
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn parts_of_a_line() {
    let line = read(b"<131>Aug 24 09:41:13 bigip-1 ASM:CEF:0|F5|ASM|11.3.0|x|y|5|app=HTTP");
    assert_eq!(line.facility_severity(), Some((16, 3)));
    assert_eq!(
        (line.host(), line.tag(), line.time()),
        (Some(&b"bigip-1"[..]), Some(&b"ASM"[..]), &b"Aug 24 09:41:13"[..])
    );
    assert_eq!(line.cef.as_ref().map(|cef| cef.vendor), Some(&b"F5"[..]));

    let line = read(b"<164>1 2026-08-01T10:00:00.123Z fw1 app 12 - [x@1 a=\"b\"] CEF:0|V|P|1|1|N|5|");
    assert_eq!((line.form, line.tag(), line.host()), (Form::Rfc5424, Some(&b"app"[..]), Some(&b"fw1"[..])));

    let line = read(b"61 <164>Aug  1 10:00:00 2001:db8::1 %FTD-session-6-302013: Built\r");
    assert_eq!((line.kind(), line.host()), (Some(Kind::Ftd), Some(&b"2001:db8::1"[..])));
    assert_eq!(line.traces, [Trace::OctetCount, Trace::CarriageReturn]);

    let line = read(b"<13>Aug  1 10:00:00 host1 sshd[12]: hello");
    assert_eq!((line.kind(), line.tag()), (None, Some(&b"sshd[12]"[..])));

    let line = read(b"<164>Aug  1 10:00:00 p CEF:0|V|P|1|1|N|5|a=b<164>Aug  1 10:00:00 p CEF:0|V|P|1|1|N|5|a=b#015");
    assert_eq!(line.traces, [Trace::EscapedCarriageReturn, Trace::SeveralEvents]);
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&[b"<164>1 2026-08-01T10:00:00Z h ".as_slice(), &bytes, b"CEF:0|V|P|1|1|N|5|"].concat());
        let _ = read(&[b"<164>Aug 1 10:00:00 ".as_slice(), &bytes, b"%ASA-6-302013"].concat());
    }
}
