use std::path::Path;

use super::items::{Gathered, is_forbidden};
use super::scrub::{Scrubber, Unsafe};
use super::*;
use crate::check::facts::{ConfigFile, Facts};
use crate::check::select::Selection;
use crate::check::target::Target;
use crate::check::{self, fixture};
use crate::host::SystemClock;
use crate::host::proc_process::Process;

fn scrub(text: &str) -> String {
    Scrubber::default().text(text)
}

#[test]
fn every_rule_is_a_pattern() {
    assert_eq!(super::scrub::rules(), 16);
}

/// Each secret holds the word.
const SECRETS: &[&str] = &[
    "pwd=\"CANARY\"",
    "uid=\"u\" pwd='CANARY with blank'",
    "password: CANARY",
    "Password CANARY",
    "--api-key CANARY",
    "SHARED_KEY=CANARY/+==",
    "export MDSD_PROXY_PASSWORD=\"CANARY and more\"",
    "Environment=AWS_SECRET_ACCESS_KEY=CANARY",
    "{\"sharedAccessKey\":\"CANARY\"}",
    "{\"token\" : \"CANARY\\\"quoted\"}",
    "<Password>CANARY</Password>",
    "http://user:CANARY@proxy:3128",
    "http://user:CANARY/with@odd@proxy:3128/x",
    "proxy = user:CANARY@proxy:3128",
    "Authorization: Bearer CANARY.tok-en",
    "x eyJhbGciCANARY.eyJzdWIiCANARY.sig y",
    "https://x/c?sv=1&sig=CANARY%2F&x=1",
    "*.* :ommysql:127.0.0.1,db,user,CANARY;tpl",
    "root:$6$CANARYsalt$CANARYhash:1:2",
    "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY cut",
    "AccountKey=CANARY;EndpointSuffix=x",
    "azure_key=\"CANARY\"",
];

#[test]
fn secrets_go_by_their_names_and_shapes() {
    for secret in SECRETS {
        let out = scrub(secret);
        assert!(!out.contains("CANARY") && out.contains("***"), "{secret} -> {out}");
    }
    let key = format!("key {}== end", "A1b2".repeat(22).get(..86).unwrap());
    assert_eq!(scrub(&key), "key *** end");
    let short = format!("({}=)", "Zz9+".repeat(11).get(..43).unwrap());
    assert_eq!(scrub(&short), "(***)");
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"25226\" queue.filename=\"cef_fwd\")",
        "module(load=\"imudp\") input(type=\"imudp\" port=\"514\" ruleset=\"cef\")",
        "user@example.org",
        "*.* @@10.0.0.1:514",
        "sha256 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "StreamDriverMode=\"1\" authentication required: no password set",
        "-rw-r----- 1 syslog adm 512 /var/log/syslog",
        "2026-08-01T10:00:00 fw1 CEF:0|V|P|1|id|name|5|src=10.0.0.1",
    ] {
        assert_eq!(scrub(text), text);
    }
}

#[test]
fn a_secret_known_from_one_place_goes_everywhere() {
    let mut scrubber = Scrubber::default();
    scrubber.learn(b"pwd=\"correct horse battery\"\nproxy http://joe:tr0ub4dor&3@p:1");
    assert_eq!(scrubber.text("login with correct horse battery, then tr0ub4dor&3."), "login with ***, then ***.");
    // a word that means something else as well is hidden only where its name says what it is
    scrubber.learn(b"password=required token=yes");
    assert_eq!(scrubber.text("yes, required"), "yes, required");
}

#[test]
fn what_cannot_be_scrubbed_is_left_out() {
    let s = Scrubber::default();
    assert_eq!(s.scrub(b"a\0b"), Err(Unsafe::Binary));
    assert_eq!(s.scrub(b"-----END PRIVATE KEY-----"), Err(Unsafe::Left));
    assert_eq!(s.scrub(b"latin \xfc password=x1").unwrap().content, b"latin \xfc password=***");
}

#[test]
fn files_of_accounts_and_keys_are_never_taken() {
    for path in [
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/sudoers",
        "/etc/sudoers.d/x",
        "/x/certs/oms.crt",
        "/a/b.KEY",
        "/root/.ssh/config",
        "/k.pem",
    ] {
        assert!(is_forbidden(Path::new(path)), "{path}");
    }
    for path in ["/etc/rsyslog.conf", "/etc/rsyslog.d/10-keys.conf", "/etc/opt/microsoft/omsagent/x/conf/omsadmin.conf"]
    {
        assert!(!is_forbidden(Path::new(path)), "{path}");
    }
}

/// A box with a fault, and with secrets and names in its facts.
fn facts() -> Facts {
    let mut facts = fixture::with_files(&[(
        "/etc/rsyslog.d/10-s.conf",
        "# pwd=\"CANARY-conf-1\"\nlocal4.* stop\n*.* @@logs.example.org:514\n# workspace 11111111-2222-3333-4444-555555555555 at 10.20.30.40\n",
    )]);
    facts.host.hostname = "fw-collector.corp.example".into();
    facts.taken = 1_785_578_400;
    let argv = ["x", "--password", "CANARY-argv-2", "10.20.30.40"].map(str::to_owned).to_vec();
    facts.processes.insert(4242, Process { pid: 4242, comm: "mdsd".into(), cmdline: argv, ..Process::default() });
    facts.rsyslog.config.files.insert(
        "/etc/x\\xff.conf".into(),
        ConfigFile {
            content: Ok(Bytes(b"\xff\xfe password=CANARY-raw-3\n".to_vec())),
            kind: None,
            mtime: None,
            walk: Vec::new(),
        },
    );
    facts
}

fn statuses(facts: &Facts) -> Vec<(String, crate::report::Status, Option<String>)> {
    let target = Target::resolve(&TargetOptions::default(), facts);
    let checks = check::diagnose(facts, &target, &Selection::default(), &SystemClock::default());
    checks.into_iter().map(|c| (c.id, c.status, c.blocked_by)).collect()
}

fn bundle(masked: bool) -> (Vec<u8>, Bundle) {
    let facts = facts();
    let target = Target::resolve(&TargetOptions::default(), &facts);
    let checks = check::diagnose(&facts, &target, &Selection::default(), &SystemClock::default());
    let report = check::report(&facts, &target, "2026-08-01T10:00:00Z".into(), std::time::Duration::ZERO, checks);
    let item = |name: &str, content: &[u8]| Item {
        name: name.into(),
        source: name.into(),
        content: content.into(),
        whole: None,
    };
    let gathered = Gathered {
        items: vec![
            item("files/../../etc/a\nb\u{1b}[31m", b"alone: CANARY-conf-1, from 10.20.30.40 fe80::1:2:3 fw-collector"),
            item("files/bin", b"\0CANARY"),
        ],
        left_out: Vec::new(),
    };
    let recorded = Recorded { schema: SCHEMA, options: TargetOptions::default(), facts };
    let bundle = assemble(recorded, &report, gathered, &[], masked).unwrap();
    (archive::pack("x", 0, &bundle.files).unwrap(), bundle)
}

#[test]
fn a_bundle_has_no_secret_and_gives_the_same_statuses() {
    for masked in [false, true] {
        let (packed, bundle) = bundle(masked);
        for (name, content) in &bundle.files {
            let text = String::from_utf8_lossy(content);
            assert!(!text.contains("CANARY"), "{name}: {text}");
            if masked {
                for name in
                    ["corp.example", "fw-collector", "10.20.30.40", "11111111-2222", "fe80::1:2:3", "logs.example"]
                {
                    assert!(!text.contains(name), "{name} in {text}");
                }
            }
        }
        assert!(bundle.manifest.left_out.iter().any(|l| l.why.contains("no text")));
        let back = archive::unpack_one(&packed, "facts.json").unwrap().unwrap();
        let back: Recorded = serde_json::from_slice(&back).unwrap();
        assert_eq!(statuses(&back.facts), statuses(&facts()), "masked: {masked}");
    }
}

#[test]
fn names_in_the_archive_stay_below_its_folder() {
    let (packed, _) = bundle(false);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        assert!(
            path.starts_with("x") && path.components().all(|c| matches!(c, std::path::Component::Normal(_))),
            "{path:?}"
        );
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        assert!(path.to_str().unwrap().bytes().all(|b| b.is_ascii_graphic()), "{path:?}");
    }
}

#[test]
fn what_is_no_bundle_is_said_to_be_none() {
    assert!(archive::unpack_one(b"text", "facts.json").is_err());
    let (packed, _) = bundle(false);
    assert!(archive::unpack_one(&packed[..packed.len() / 3], "facts.json").is_err());
    assert_eq!(archive::unpack_one(&packed, "other").unwrap(), None);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&bytes);
        let (once, _) = scrubber.hide(&bytes);
        let _ = Mask::new(&Facts::default(), &[]).apply(&once);
    }
}
