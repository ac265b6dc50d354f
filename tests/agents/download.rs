//! Downloads on good and bad lines.

use std::path::Path;
use std::time::Duration;

use cefctl::agent::download::{DownloadError, Got, Pace, Step, Wanted, download};
use cefctl::host::http::{Http, HttpError, Way};
use cefctl::host::{Host, Interrupt, Root, Secret};
use sha2::{Digest, Sha256};

use crate::cloud::Cloud;

struct Lab {
    cloud: Cloud,
    folder: tempfile::TempDir,
    body: Vec<u8>,
}

const INTO: &str = "/bundle.sh";

impl Lab {
    fn new() -> Lab {
        let mut body = b"#!/bin/sh\n".to_vec();
        body.extend((0..600_000u32).flat_map(u32::to_le_bytes)); // 2.4 MB
        let cloud = Cloud::start();
        cloud.put("bundle.sh", &body);
        Lab { cloud, folder: tempfile::tempdir().unwrap(), body }
    }

    fn sum(&self) -> String {
        Sha256::digest(&self.body).iter().map(|b| format!("{b:02x}")).collect()
    }

    fn way(&self) -> Way {
        Way { roots: Some(self.cloud.roots.clone()), ..Way::default() }
    }

    fn wanted(&self, query: &str) -> Wanted {
        Wanted {
            url: self.cloud.url(&format!("bundle.sh{query}")),
            into: INTO.into(),
            max: 8 << 20,
            sha256: Some(self.sum()),
            looks_right: cefctl::agent::oms::bundle::looks_right,
        }
    }

    fn run(&self, way: &Way, wanted: &Wanted) -> (Result<Got, DownloadError>, Vec<Step>) {
        self.run_until(way, wanted, &Interrupt::default(), |_| ())
    }

    fn run_until(
        &self,
        way: &Way,
        wanted: &Wanted,
        interrupt: &Interrupt,
        mut each: impl FnMut(&Step),
    ) -> (Result<Got, DownloadError>, Vec<Step>) {
        let host = Host::system(Root::at(self.folder.path()));
        let pace = Pace { tries: 3, pause: Duration::from_millis(20), stall: Duration::from_millis(1500) };
        let mut steps = Vec::new();
        let got = Http::new(way).map_err(DownloadError::Http).and_then(|http| {
            download(&host, &http, interrupt, wanted, pace, &mut |step| {
                each(&step);
                steps.push(step);
            })
        });
        let file = self.folder.path().join("bundle.sh");
        match &got {
            Ok(got) => {
                assert_eq!(std::fs::read(&file).unwrap(), self.body);
                assert_eq!((got.size, &got.sha256), (self.body.len() as u64, &self.sum()));
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            }
            Err(_) => assert!(!file.exists(), "something was left behind"),
        }
        (got, steps)
    }

    fn ok(&self, query: &str) -> Vec<Step> {
        let (got, steps) = self.run(&self.way(), &self.wanted(query));
        got.unwrap_or_else(|e| panic!("{query}: {e}"));
        steps
    }

    fn err(&self, query: &str) -> DownloadError {
        match self.run(&self.way(), &self.wanted(query)).0 {
            Ok(_) => panic!("{query}: it worked"),
            Err(e) => {
                assert!(!e.hint().is_empty());
                e
            }
        }
    }

    fn gets(&self) -> usize {
        self.cloud.requests().iter().filter(|r| r.starts_with("GET")).count()
    }
}

fn again(steps: &[Step]) -> usize {
    steps.iter().filter(|s| matches!(s, Step::Again { .. })).count()
}

#[test]
fn straight_away_with_size_and_rate() {
    let lab = Lab::new();
    let steps = lab.ok("");
    let Some(Step::Bytes { have, total, per_second }) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((*have, *total), (lab.body.len() as u64, Some(lab.body.len() as u64)));
    assert!(*per_second > 0.0);
    assert_eq!(lab.gets(), 1);
}

#[test]
fn a_cut_line_goes_on_where_it_was_cut() {
    let lab = Lab::new();
    let steps = lab.ok("?cut=700000");
    assert_eq!(again(&steps), 3);
    let ranges: Vec<String> =
        lab.cloud.requests().iter().filter_map(|r| Some(r.split_once(" bytes=")?.1.to_owned())).collect();
    assert_eq!(ranges, ["700000-", "1400000-", "2100000-"]);
}

#[test]
fn without_ranges_or_with_another_file_it_starts_anew() {
    let lab = Lab::new();
    // never whole: three tries, each from the start
    assert!(matches!(lab.err("?cut=700000&norange"), DownloadError::Http(HttpError::Broken(_))));
    assert_eq!(lab.gets(), 3);
    assert!(matches!(lab.err("?cut=700000&changing"), DownloadError::Http(HttpError::Broken(_))));
}

#[test]
fn a_busy_server_is_asked_again_and_a_closed_one_is_not() {
    let lab = Lab::new();
    assert_eq!(again(&lab.ok("?status=503&times=2")), 2);
    assert!(matches!(lab.err("?status=503"), DownloadError::Status(503)));
    assert_eq!(lab.gets(), 3 + 3);
    for status in [403, 404, 410] {
        let before = lab.gets();
        assert!(matches!(lab.err(&format!("?status={status}")), DownloadError::Status(s) if s == status));
        assert_eq!(lab.gets(), before + 1, "{status} was asked again");
    }
}

#[test]
fn a_silent_line_counts_as_cut() {
    let lab = Lab::new();
    assert_eq!(again(&lab.ok("?hang")), 1);
}

#[test]
fn what_is_not_wanted_is_not_kept() {
    let lab = Lab::new();
    lab.cloud.put("page.html", b"<html>please log in</html>");
    let page = Wanted { url: lab.cloud.url("page.html"), sha256: None, ..lab.wanted("") };
    assert!(matches!(lab.run(&lab.way(), &page).0, Err(DownloadError::SomethingElse)));
    assert!(matches!(lab.err(&format!("?claims={}", 9 << 20)), DownloadError::TooLarge(_)));
    assert!(matches!(lab.err("?endless"), DownloadError::TooLarge(_)));
    let other = Wanted { sha256: Some("0".repeat(64)), ..lab.wanted("") };
    match lab.run(&lab.way(), &other).0 {
        Err(DownloadError::WrongSum { got, .. }) => assert_eq!(got, lab.sum()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_trusted_servers_and_no_way_down_to_plain_http() {
    let lab = Lab::new();
    let stranger = Way {
        roots: Some(crate::certificates::make("Test Authorities", &["x"]).authority.into_bytes()),
        ..Way::default()
    };
    let (got, _) = lab.run(&stranger, &lab.wanted(""));
    assert!(matches!(got, Err(DownloadError::Http(HttpError::Certificate(_)))), "{got:?}");
    let wrong_name = Wanted { url: lab.wanted("").url.replace("localhost", "127.0.0.2"), ..lab.wanted("") };
    assert!(lab.run(&lab.way(), &wrong_name).0.is_err());
    assert_eq!(again(&lab.ok(&format!("?to={}", lab.cloud.url("bundle.sh")))), 0);
    assert!(matches!(lab.err("?to=http://localhost:1/x"), DownloadError::Http(HttpError::Downgrade)));
}

#[test]
fn through_a_proxy_that_wants_a_login() {
    let lab = Lab::new();
    let address = Some(format!("http://127.0.0.1:{}", lab.cloud.proxy));
    let login = |password: &str| Some(("user".to_owned(), Secret::new(password)));
    let good = Way { proxy: address.clone(), login: login("p@ss word/1"), ..lab.way() };
    lab.run(&good, &lab.wanted("")).0.unwrap();
    assert!(lab.cloud.requests().iter().any(|r| r == &format!("PROXY localhost:{}", lab.cloud.port)));
    for login in [None, login("wrong")] {
        let way = Way { proxy: address.clone(), login, ..lab.way() };
        let (got, _) = lab.run(&way, &lab.wanted(""));
        assert!(matches!(got, Err(DownloadError::Http(HttpError::ProxyLogin))), "{got:?}");
    }
    let nobody = Way { proxy: Some("http://127.0.0.1:1".into()), ..lab.way() };
    assert!(matches!(lab.run(&nobody, &lab.wanted("")).0, Err(DownloadError::Http(HttpError::Connect(_)))));
}

#[test]
fn unknown_names_and_interrupts_end_it() {
    let lab = Lab::new();
    let nowhere = Wanted { url: "https://no-such-host.invalid/x".into(), ..lab.wanted("") };
    let (got, steps) = lab.run(&lab.way(), &nowhere);
    assert!(matches!(got, Err(DownloadError::Http(HttpError::Name))), "{got:?}");
    assert_eq!(again(&steps), 2);
    let interrupt = Interrupt::default();
    let (got, _) = lab.run_until(&lab.way(), &lab.wanted("?slow=0.05"), &interrupt, |_| interrupt.set());
    assert!(matches!(got, Err(DownloadError::Interrupted)));
}

#[test]
fn no_space_is_said_before_it_is_missing() {
    let lab = Lab::new();
    let huge = Wanted { max: u64::MAX, ..lab.wanted(&format!("?claims={}", 1u64 << 60)) };
    let (got, _) = lab.run(&lab.way(), &huge);
    assert!(matches!(got, Err(DownloadError::NoSpace { .. })), "{got:?}");
    assert!(!Path::new(INTO).exists());
}
