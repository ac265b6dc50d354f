//! The matcher against the rows of facts 1.11, the labels of the corpus, verdicts of Ruby running the agent's own
//! pattern, and an equivalent expression for a linear engine.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use regex::bytes::Regex;
use serde_json::Value;

use super::*;
use crate::message::base64;

const CORPUS: &str = include_str!("../../../fixtures/corpus/messages.jsonl");
const VERDICTS: &str = include_str!("../../../fixtures/corpus/agent-verdicts.jsonl");

fn json_lines(text: &str) -> Vec<(Vec<u8>, Value)> {
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        (base64::decode(value["raw_b64"].as_str().unwrap()).unwrap(), value)
    };
    text.lines().map(read).collect()
}

/// `record`, `damaged`, or the reason.
fn word(verdict: &Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "record",
        Verdict::Damaged(..) => "damaged",
        Verdict::Dropped(refusal) => refusal.reason.id(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rows_that_match() {
    let rows = [
        ("<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1", Some("fw1"), "CEF:"),
        ("<164>Aug  1 10:00:00 fw1 CEF: 0|V|P|1|100|N|5|src=1.1.1.1", Some("fw1"), "CEF: "),
        ("<164>Aug 01 10:00:00 fw1 fwd[1234]: CEF:0|V|P|1|100|N|5|x", Some("fw1"), "fwd[1234]: CEF:"),
        ("<164>2026-08-01T10:00:00.123456+00:00 fw1 CEF:0|V|P|1|1|N|5|", Some("fw1"), "CEF:"),
        ("<164>2026-08-01T10:00:00+00:00 fw1 CEF:0|V|P|1|1|N|5|", Some("fw1"), "CEF:"),
        ("<164>2026-08-01T10:00:00.123Z fw1 CEF:0|V|P|1|1|N|5|", Some("fw1"), "CEF:"),
        ("<164>1 2026-08-01T10:00:00.123Z fw1 app 1 - - CEF:0|V|P|1|1|N|5|", Some("fw1"), "app 1 - - CEF:"),
        ("<164>Aug  1 10:00:00 fw1 %ASA-6-302013: Built", Some("fw1"), "%ASA-6-302013"),
        ("<164>Aug  1 2026 10:00:00 fw1 : %ASA-6-302013: Built", Some("fw1"), "%ASA-6-302013"),
        ("<164>Aug  1 2026 10:00:00: %ASA-6-302013: Built", None, "%ASA-6-302013"),
        (
            "<164>Aug 1 10:00:00 10.1.1.1 Aug 1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|",
            Some("10.1.1.1"),
            "Aug 1 10:00:00 fw1 CEF:",
        ),
    ];
    for (line, host, ident) in rows {
        let verdict = judge(line.as_bytes());
        let Verdict::Accepted(record) = &verdict else { panic!("{line}: {verdict:?}") };
        assert_eq!(record.host.map(text).as_deref(), host, "{line}");
        assert_eq!(text(record.ident), ident, "{line}");
        assert_eq!((record.facility, record.severity), (Some("local4"), "warn"));
        let message = if record.stream == Stream::Cef { "0|V|P|1|1" } else { " Built" };
        assert!(record.message.starts_with(message.as_bytes()), "{line}: {}", text(record.message));
    }
}

#[test]
fn rows_that_do_not() {
    let rows = [
        ("Aug  1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "no-pri"),
        ("<164>CEF:0|V|P|1|1|N|5|", "no-timestamp"),
        ("<164>2026-08-01T10:00:00Z fw1 CEF:0|V|P|1|1|N|5|", "iso-z-no-fraction"),
        ("<164>2026-08-01 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "iso-blank"),
        ("<164>1785578400 fw1 CEF:0|V|P|1|1|N|5|", "epoch-time"),
        ("<164>Aug  1 10:00:00 fw1 %FTD-6-302013: Built", "ftd"),
        ("<164>Aug  1 10:00:00 fw1 %ASA-session-6-302013: Built", "asa-class-name"),
        ("<164>%ASA-6-302013: Built", "no-timestamp"),
        ("<164>Aug  1 10:00:00 fw1 ASA-6-302013: Built", "asa-no-percent"),
        ("<164>Aug  1 10:00:00 fw1 %ASA-6-3020: Built", "asa-id-short"),
        ("<164>Aug  1 10:00:00 fw1 LEEF:1.0|V|P", "leef"),
        ("<164>Aug  1 10:00:00 fw1 cef:0|V|P|1|1|N|5|", "cef-lower-case"),
        ("<164>Aug  1 10:00:00 fw1 CEF:1|V|P|A|B|N|5|", "cef-version"),
        ("<164>Aug  1 25:61:61 fw1 CEF:0|V|P|1|1|N|5|", "bad-time-value"),
        // Shapes of acceptance.md and relatives.
        ("", "empty-line"),
        ("<invld>Aug  1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "pri-not-numeric"),
        ("57 <164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "octet-count"),
        ("%FTD-6-302013: Built", "ftd"),
        ("<164>1 - fw1 app - - - CEF:0|V|P|1|1|N|5|", "nil-time"),
        ("<164>2026-08-01T10:00:00+02 fw1 CEF:0|V|P|1|1|N|5|", "iso-short-zone"),
        ("<164>2026-08-01T10:00:00 fw CEF:0|V|P|1|1|N|5|", "iso-no-zone"),
        ("<164>10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "odd-time"),
        ("<164>1 2026-08-01T10:00:00.123Z fw1 app - - - %ASA-6-302013: Built", "asa-text-before"),
        ("<164>Aug  1 10:00:00 UTC fw1 : %ASA-6-302013: Built", "zone-word"),
        ("<164>Aug  1 10:00:00.123 fw1 %ASA-6-302013: Built", "time-fraction"),
        ("<164>:Aug  1 10:00:00.123 UTC: %ASA-6-302013: Built", "zone-word"),
        ("<164>Aug  1 10:00:00 2001:db8::1 %ASA-6-302013: Built", "ipv6-host"),
        ("<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1", "record"),
        ("<164>Aug  1 10:00:00 fw1 CEF:|V|P|1", "cef-incomplete"),
        ("<164>Aug  1 10:00:00 fw1 sshd[1]: hello", "not-security"),
        ("<164>Feb 30 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "record"),
        ("<164>Aug 32 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", "bad-time-value"),
    ];
    for (line, reason) in rows {
        let verdict = judge(line.as_bytes());
        match word(&verdict) {
            "damaged" => assert_eq!(reason, "record", "{line}: {verdict:?}"),
            seen => assert_eq!(seen, reason, "{line}: {verdict:?}"),
        }
    }
}

#[test]
fn two_reasons_at_once() {
    let Verdict::Dropped(refusal) = judge(b"Aug  1 10:00:00 fw1 %FTD-6-302013: Built") else { panic!() };
    assert_eq!((refusal.reason, refusal.also), (Reason::Ftd, Some(Reason::NoPri)));
    assert_eq!(refusal.reason.repair(), Repair::Rewrite);
    let Verdict::Dropped(refusal) = judge(b"<13>1785578400 fw1 CEF:1|V|P|A|B|N|5|") else { panic!() };
    assert_eq!((refusal.reason, refusal.also), (Reason::CefVersion, Some(Reason::EpochTime)));
}

#[test]
fn rows_that_are_damaged() {
    use Damage::*;
    let rows: &[(&str, &[Damage])] = &[
        ("<164>Aug  1 10:00:00 fw1 CEF:1|V|P|1.0|100|N|5|x", &[CefVersion]),
        ("<164>Aug  1 10:00:00 2001:db8::1 CEF:0|V|P|1|1|N|5|", &[HostCut]),
        ("<164>Aug  1 10:00:00.123 fw1 CEF:0|V|P|1|1|N|5|", &[TimeCut, HostCut]),
        ("<164>Aug  1 10:00:00 fw1 app: user said CEF is 10|20", &[FalseRecord]),
        ("<164>Foo Bar 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", &[NotADate]),
        ("<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1", &[HeaderIncomplete]),
        // Shapes of acceptance.md and relatives.
        ("<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|cs1Label=ViaCEF cs1=relay10|20", &[CefInEvent]),
        ("<164>2026-08-14T09:21:07 fw1 CEF:0|V|P|1|1|N|5|", &[HostInTime]),
        ("<164>2026-08-14T09:21:07.123456789+02:00 fw1 CEF:0|V|P|1|1|N|5|", &[TimeCut, HostCut]),
        ("<164>Aug  1 10:00:00 :%ASA-6-302013: Built", &[TimeCut, HostCut]),
        ("<164>Aug  1 10:00:00 fw1 %ASA-6-302013-4: Built", &[IdWrong]),
        ("<164>Aug  1 10:00:00 fw1 %ASA-6-302013: user CEF has 10|20", &[CefInEvent]),
        ("<164>1 Aug 14 10:00:00 fw1 CEF:0|V|P|1|1|N|5|", &[WrongDate]),
    ];
    for (line, damage) in rows {
        match judge(line.as_bytes()) {
            Verdict::Damaged(_, seen) => assert_eq!(&seen, damage, "{line}"),
            verdict => panic!("{line}: {verdict:?}"),
        }
    }
}

#[test]
fn verdicts_as_data() {
    let view = |line: &[u8]| serde_json::to_value(View::of(&judge(line))).unwrap();
    let record = view(b"<164>Aug  1 10:00:00 h\xFFst CEF:0|V|P|1|1|N|5|x\r");
    assert_eq!(record["verdict"], "accepted");
    assert_eq!(
        (&record["stream"], &record["facility"], &record["severity"]),
        (&"cef".into(), &"local4".into(), &"warn".into())
    );
    assert_eq!((&record["host"], &record["notes"]), (&"h\u{FFFD}st".into(), &serde_json::json!(["carriage-return"])));
    let damaged = view(b"<164>Foo Bar 10:00:00 fw1 CEF:0|V|P|1|1|N|5|");
    assert_eq!((&damaged["verdict"], &damaged["damage"]), (&"damaged".into(), &serde_json::json!(["not-a-date"])));
    let dropped = view(b"%FTD-6-302013: x");
    assert_eq!(
        (&dropped["reason"], &dropped["also"], &dropped["repair"]),
        (&"ftd".into(), &"no-pri".into(), &"rewrite".into())
    );
    assert_eq!(dropped.get("host"), None);
}

/// Names are an interface: no two alike, kebab case, each with a sentence.
#[test]
fn names_are_distinct() {
    let reasons = Reason::ALL.iter().map(|r| (r.id(), r.text()));
    let damages = Damage::ALL.iter().map(|d| (d.id(), d.text()));
    for names in [reasons.collect::<Vec<_>>(), damages.collect()] {
        for (at, (id, text)) in names.iter().enumerate() {
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
            assert!(text.len() > 10 && !text.ends_with('.'), "{id}");
            assert!(names[at + 1..].iter().all(|(other, _)| other != id), "{id}");
        }
    }
}

#[test]
fn notes_of_complete_records() {
    let rows: &[(&str, &[Note])] = &[
        ("<164>Aug  1 10:00:00 UTC fw1 CEF:0|V|P|1|1|N|5|", &[Note::HostIsZone]),
        ("<164>Fri Aug 14 09:21:07 2026 fw1 CEF:0|V|P|1|1|N|5|", &[Note::HostIsNumber]),
        ("<164>Aug  1 10:00:00 cef[12]: CEF:0|V|P|1|1|N|5|", &[Note::HostIsTag]),
        ("<164>Aug  1 10:00:00: %ASA-6-302013: Built", &[Note::NoHost]),
        ("<164>Aug  1 10:00:00 10.9.8.7 Aug  1 2026 10:00:00 fw1 : %ASA-6-302013: x", &[Note::SecondHeader]),
        ("<999>Aug  1 10:00:00 fw1 CEF:0|V|P|1|1|N|5|x\r", &[Note::PriTooLarge, Note::CarriageReturn]),
    ];
    for (line, notes) in rows {
        match judge(line.as_bytes()) {
            Verdict::Accepted(record) => assert_eq!(&record.notes, notes, "{line}"),
            verdict => panic!("{line}: {verdict:?}"),
        }
    }
}

#[test]
fn corpus_labels() {
    let lines = json_lines(CORPUS);
    assert_eq!(lines.len(), 276);
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|(raw, value)| {
            let verdict = judge(raw);
            let seen = match &verdict {
                Verdict::Accepted(_) => "accept",
                Verdict::Damaged(..) => "mangle",
                Verdict::Dropped(_) => "drop",
            };
            (seen != value["oms_raw"]).then(|| format!("{} {}: {verdict:?}", value["id"], value["oms_raw"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every refusal of the corpus that no rebuilt header can mend, by the four shapes of acceptance.md.
#[test]
fn corpus_names_what_no_header_repairs() {
    let mut counts = std::collections::BTreeMap::new();
    for (raw, value) in json_lines(CORPUS).iter().filter(|(_, value)| value["forward"] == true) {
        let name = match judge(raw) {
            Verdict::Dropped(refusal) => {
                assert_ne!(refusal.reason.repair(), Repair::None, "{}", value["id"]);
                (refusal.reason.repair() == Repair::Rewrite).then_some(refusal.reason.id())
            }
            Verdict::Damaged(_, damage) => damage.iter().find(|d| d.is_in_event()).map(|d| d.id()),
            Verdict::Accepted(_) => None,
        };
        *counts.entry(name.unwrap_or("fine or header")).or_insert(0) += 1;
    }
    assert_eq!(counts.remove("fine or header"), Some(184), "{counts:?}");
    assert_eq!(counts, [("asa-class-name", 7), ("cef-in-event", 1), ("cef-version", 8), ("ftd", 12)].into());
}

#[test]
fn verdicts_of_ruby() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let now = Timestamp::from_second(1_795_486_000).unwrap();
    let lines = json_lines(VERDICTS);
    assert!(lines.len() > 450);
    for (raw, value) in &lines {
        let verdict = judge(raw);
        let what = format!("{}\n{verdict:?}\n{value}", text(raw));
        let Some(record) = verdict.record() else {
            let Verdict::Dropped(refusal) = &verdict else { unreachable!() };
            let stage = match refusal.reason {
                Reason::BadTimeValue => "bad-time",
                _ if split_pri(raw).is_none() => "no-pri",
                _ => "no-match",
            };
            assert_eq!(value["verdict"], stage, "{what}");
            continue;
        };
        assert_eq!(value["verdict"], "record", "{what}");
        let cut = &value["cut"];
        let place = |range: &Value| {
            let at = |end: usize| range[end].as_u64().unwrap() as usize;
            range.is_array().then(|| &raw[at(0)..at(1)])
        };
        assert_eq!(Some(record.time), place(&cut[0]), "{what}");
        assert_eq!(record.host, place(&cut[1]), "{what}");
        assert_eq!(Some(record.ident), place(&cut[2]), "{what}");
        assert_eq!(record.message, &raw[cut[3].as_u64().unwrap() as usize..], "{what}");
        if let Some(at) = record.event_time.resolve(now, &zone) {
            assert_eq!(at.as_second(), value["at"].as_i64().unwrap(), "{what}");
        }
    }
}

/// The agent's pattern without look-ahead: behind the ident of the CEF branch nothing but its `0|` can follow.
static EQUIVALENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u)(?<time>(?:\w+ +){2,3}(?:\d+:){2}\d+|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}.[\w\-:+]{3,12})",
        r":?\s*(?:(?<host>[^: ]+) ?:?)?\s*",
        r"(?:(?<cef>.*CEF.+?)(?<event>0\|.*)|(?<asa>%ASA[0-9\-]{8,10})\s*:?(?<text>.*))",
    ))
    .unwrap()
});

fn same_as_equivalent(line: &[u8]) -> Result<(), TestCaseError> {
    let seen = pattern::find(line);
    let expected = EQUIVALENT.captures(line).map(|found| {
        let place = |name: &str| found.name(name).map(|m| m.range());
        let cef = place("cef");
        pattern::Match {
            time: place("time").unwrap(),
            host: place("host"),
            cef: cef.is_some(),
            ident: cef.or(place("asa")).unwrap(),
            message: place("event").or(place("text")).unwrap(),
        }
    });
    prop_assert_eq!(seen, expected);
    Ok(())
}

/// Pieces that matter to the pattern, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        " ",
        "  ",
        ":",
        "CEF",
        "0|",
        "%ASA",
        "-6-302013",
        "\t",
        "\r",
        "\u{b}",
        "1",
        "10:00:00",
        "Aug",
        "1 ",
        "Z",
        ".",
        "+00:00",
        "x",
        "_",
        "%ASA-6-302013",
        "1:1:1",
        "a b ",
        "2026-08-01T10:00:00",
        "-",
        "\u{fc}",
        "10:00:001",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn matches_like_the_equivalent(line in pieces()) {
        same_as_equivalent(&line)?;
        let _ = judge(&[b"<1>".as_slice(), &line].concat());
    }

    #[test]
    fn likely_headers_match_like_the_equivalent(
        line in "(Aug|1|x|2026)? ?(Aug +1|1 Aug|Foo Bar|14) (2026 )?1?0:00:[0-9]{1,3}[:.Z ]{0,2}[ \t]{0,3}(fw1|UTC|CEF|)[ :\t]{0,3}(%ASA-6-302013|CEF:0\\||x CEF)[: \t]{0,2}(0\\||x CEF 0\\|)?"
    ) {
        same_as_equivalent(line.as_bytes())?;
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&bytes);
        let _ = judge(&[b"<1>Aug 1 10:00:00 ".as_slice(), &bytes].concat());
        let _ = judge(&[b"<1>".as_slice(), &bytes, b" 1 1:1:1 CEF:0|"].concat());
        let _ = EventTime::parse(&bytes);
        let _ = header::read(&bytes, None);
    }
}

/// Lines made to hurt: anything quadratic needs minutes for one of them.
#[test]
fn long_lines_take_linear_time() {
    use crate::host::Clock;
    let clock = crate::host::SystemClock::default();
    let pieces: &[&str] = &[
        "1 ",
        "1",
        "a",
        " ",
        ":",
        "1:",
        "CEF",
        "CEF:",
        "0|",
        "0|CEF",
        "%ASA-6-302013",
        "\t",
        "1 1 1:1:1",
        "1 1 1:1:1 ",
        "a b 1:1:1\t",
        "2026-08-01T10:00:00",
        "2026-08-01T10:00:00.",
        "2026-08-01T10:00:00.1111 ",
        "CEF:0|",
        "%ASA-",
        "%ASA",
        "-",
        "1 1:1:1:",
        "CEF:1|",
        "Aug 1 10:00:00 fw1 ",
    ];
    for piece in pieces {
        for (head, tail) in
            [("", ""), ("Aug 1 10:00:00 ", ""), ("Aug 1 10:00:00 ", " CEF:0|"), ("", " %ASA-6-302013: x")]
        {
            let line = format!("<164>{head}{}{tail}", piece.repeat(60_000 / piece.len()));
            let _ = judge(line.as_bytes());
        }
    }
    // 100 lines of 60 kB: a second or two in an unoptimised build; a quadratic step costs ten seconds a line.
    assert!(clock.monotonic().as_secs() < 60, "{:?}", clock.monotonic());
}
