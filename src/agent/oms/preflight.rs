//! What must be true before the agent is downloaded. Pure: what was seen on the box goes in, everything that stands in
//! the way comes out, all at once. Causes: facts 1.2 to 1.6, field-failures 1.15, 1.17, 1.25, 1.34, 1.49.

use super::bundle;
use super::workspace::WorkspaceId;

/// Something that was found before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The agent would not work; else a warning.
    pub refuse: bool,
    pub what: String,
    pub hint: String,
}

/// What was seen on the box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// `uname -m`.
    pub arch: String,
    /// The bundle comes from a file or address of the user's, so which architecture it is for is not known.
    pub own_bundle: bool,
    /// OpenSSL's version as it says itself; `None` where none was found.
    pub openssl: Option<String>,
    pub fips: bool,
    pub space: Vec<Space>,
    /// Local time minus the time of the service, in seconds; `None` where the service did not say.
    pub skew: Option<i64>,
    pub package_manager: bool,
    pub busy: Option<Busy>,
    /// Programs that the bundle calls and that are not there.
    pub missing: Vec<&'static str>,
    /// Workspaces that the agent serves already.
    pub workspaces: Vec<String>,
    /// Endpoints that did not answer, and why.
    pub unreachable: Vec<(String, String)>,
}

/// Space of a folder's file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Space {
    pub path: &'static str,
    /// Bytes wanted.
    pub wanted: u64,
    /// Bytes free.
    pub free: u64,
    pub read_only: bool,
    /// Nothing may be run from it.
    pub no_exec: bool,
}

/// A package manager at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The lock.
    pub path: String,
    pub pid: u32,
    /// Name of the process; may be empty.
    pub name: String,
}

/// Folders the agent goes to and the bytes each of them needs. The bundle itself refuses too little space in /opt with
/// code 52 without saying how much it wants; these are the sizes of an installed agent, and of its buffers (facts 1.14).
pub const NEEDS: [(&str, u64); 3] = [("/opt", 500 << 20), ("/var/opt", 300 << 20), ("/etc", 16 << 20)];

/// The service refuses clocks that are off by more (facts 1.4). Seconds.
pub const MAX_SKEW: i64 = 15 * 60;

fn refuse(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { refuse: true, what: what.into(), hint: hint.into() }
}

fn warn(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { refuse: false, what: what.into(), hint: hint.into() }
}

/// Everything that stands in the way, the box first, then the way out.
pub fn judge(site: &Site, wanted: &WorkspaceId) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(architecture(site));
    found.extend(other_workspace(site, wanted));
    found.extend(openssl(site));
    if site.fips {
        found.push(refuse(
            "this box runs in FIPS mode, in which the Log Analytics agent's packages cannot be verified and installed",
            "use the Azure Monitor Agent: cefctl install --agent ama",
        ));
    }
    if !site.package_manager {
        found.push(refuse(
            "this box has neither dpkg nor rpm, which the agent's packages need",
            "use a distribution with Debian or RPM packages",
        ));
    }
    if let Some(busy) = &site.busy {
        let name =
            if busy.name.is_empty() { String::new() } else { format!(" ({})", crate::ui::text::visible(&busy.name)) };
        found.push(refuse(
            format!("process {}{name} holds the package manager's lock {}", busy.pid, busy.path),
            format!("wait until it has finished and run the command again: ps -fp {}", busy.pid),
        ));
    }
    found.extend(site.space.iter().filter_map(space));
    found.extend(site.skew.and_then(clock));
    if !site.missing.is_empty() {
        found.push(warn(
            format!(
                "the agent's installation may stop because these programs are missing: {}",
                site.missing.join(", ")
            ),
            format!("install {}", site.missing.join(", ")),
        ));
    }
    found.extend(site.unreachable.iter().map(|(host, why)| {
        warn(
            format!("{host} does not answer: {why}"),
            "port 443 outbound must be open to it; with a proxy on the way out: --proxy [http://][user:password@]host[:port]",
        )
    }));
    found
}

fn architecture(site: &Site) -> Option<Finding> {
    if site.own_bundle || bundle::published(&site.arch).is_some() {
        return None;
    }
    Some(refuse(
        format!("the Log Analytics agent does not exist for this processor ({})", crate::ui::text::visible(&site.arch)),
        "use the Azure Monitor Agent: cefctl install --agent ama",
    ))
}

/// The agent can serve several workspaces, but on Linux only one of them gets the security events.
fn other_workspace(site: &Site, wanted: &WorkspaceId) -> Option<Finding> {
    let other = site.workspaces.iter().find(|w| !wanted.is(w))?;
    Some(refuse(
        format!("the Log Analytics agent on this box already serves the workspace {other}"),
        format!(
            "leave it there and run `cefctl install` without a workspace; or take it out first: sudo {} -x {other}",
            super::paths::OMSADMIN
        ),
    ))
}

/// Accepted: 1.0.1 and later, 1.1, 3.0 (facts 1.3, code 55).
fn openssl(site: &Site) -> Option<Finding> {
    let Some(text) = &site.openssl else {
        return Some(warn("no OpenSSL was found on this box; the agent needs 1.0.1, 1.1 or 3.0", "install openssl"));
    };
    let text = crate::ui::text::visible(text);
    match openssl_version(&text) {
        None => {
            Some(warn(format!("it is not clear whether the agent supports this OpenSSL: {text}"), "openssl version"))
        }
        Some(version) if is_supported(version) => None,
        Some(_) => Some(refuse(
            format!("the Log Analytics agent does not support this OpenSSL: {text} (1.0.1, 1.1 and 3.0 it does)"),
            "the distribution is too new or too old for this agent; use the Azure Monitor Agent: cefctl install --agent ama",
        )),
    }
}

fn is_supported((major, minor, patch): (u32, u32, u32)) -> bool {
    match (major, minor) {
        (1, 0) => patch >= 1,
        (1, 1) | (3, 0) => true,
        _ => false,
    }
}

/// From `OpenSSL 3.0.11 19 Sep 2023` or a bare `3.0`.
pub fn openssl_version(text: &str) -> Option<(u32, u32, u32)> {
    let word = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

fn space(space: &Space) -> Option<Finding> {
    let path = space.path;
    if space.read_only {
        return Some(refuse(
            format!("{path} is on a file system mounted read-only"),
            format!("mount it read-write: findmnt -T {path}"),
        ));
    }
    if space.free < space.wanted {
        return Some(refuse(
            format!(
                "{path} has {} MB free, and the agent needs about {} MB there",
                space.free >> 20,
                space.wanted >> 20
            ),
            format!("make room: df -h {path}"),
        ));
    }
    (space.no_exec && path == "/opt").then(|| {
        refuse(
            format!("nothing may be run from {path} (mounted noexec), where the agent's programs go"),
            format!("mount it without noexec: findmnt -T {path}"),
        )
    })
}

fn clock(skew: i64) -> Option<Finding> {
    let (off, way) = (skew.unsigned_abs(), if skew > 0 { "ahead" } else { "behind" });
    if skew.abs() <= 60 {
        return None;
    }
    let what = format!("this box's clock is {} {way} of the service's", in_words(off));
    let hint = "set it: timedatectl set-ntp true; timedatectl";
    Some(if skew.abs() > MAX_SKEW {
        refuse(format!("{what}; the service refuses more than 15 minutes (HTTP 403)"), hint)
    } else {
        warn(what, hint)
    })
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    fn good() -> Site {
        Site {
            arch: "x86_64".into(),
            openssl: Some("OpenSSL 3.0.11 19 Sep 2023 (Library: OpenSSL 3.0.11)".into()),
            package_manager: true,
            space: NEEDS.map(|(path, wanted)| Space { path, wanted, free: wanted, ..Space::default() }).to_vec(),
            skew: Some(-3),
            ..Site::default()
        }
    }

    fn findings(change: impl FnOnce(&mut Site)) -> Vec<Finding> {
        let mut site = good();
        change(&mut site);
        judge(&site, &WorkspaceId::parse(WS).unwrap())
    }

    #[test]
    fn a_good_box_has_no_findings() {
        assert_eq!(findings(|_| ()), []);
        assert_eq!(findings(|s| s.workspaces.push(WS.to_uppercase())), []);
    }

    #[test]
    fn each_reason_to_refuse_alone() {
        let refused = |word: &str, change: &dyn Fn(&mut Site)| {
            let found = findings(change);
            assert!(found.len() == 1 && found[0].refuse && found[0].what.contains(word), "{word}: {found:?}");
        };
        refused("aarch64", &|s| s.arch = "aarch64".into());
        refused("already serves", &|s| s.workspaces.push("99999999-1111-2222-3333-444455556666".into()));
        refused("OpenSSL 3.5.1", &|s| s.openssl = Some("OpenSSL 3.5.1 1 Jul 2025".into()));
        refused("OpenSSL 0.9.8", &|s| s.openssl = Some("OpenSSL 0.9.8j 07 Jan 2009".into()));
        refused("OpenSSL 1.0.0", &|s| s.openssl = Some("OpenSSL 1.0.0-fips 29 Mar 2010".into()));
        refused("FIPS", &|s| s.fips = true);
        refused("neither dpkg nor rpm", &|s| s.package_manager = false);
        refused("lock", &|s| s.busy = Some(Busy { path: "/var/lib/dpkg/lock".into(), pid: 7, name: "apt-get".into() }));
        refused("/opt has 499 MB", &|s| s.space[0].free -= 1);
        refused("read-only", &|s| s.space[1].read_only = true);
        refused("noexec", &|s| s.space[0].no_exec = true);
        refused("16 minutes behind", &|s| s.skew = Some(-16 * 60));
        refused("24 hours ahead", &|s| s.skew = Some(24 * 3600 + 5));
    }

    #[test]
    fn warnings_do_not_refuse() {
        let warned = |change: &dyn Fn(&mut Site)| {
            let found = findings(change);
            assert!(found.len() == 1 && !found[0].refuse, "{found:?}");
        };
        warned(&|s| s.openssl = None);
        warned(&|s| s.openssl = Some("LibreSSL".into()));
        warned(&|s| s.skew = Some(300));
        warned(&|s| s.missing.push("gpg"));
        warned(&|s| s.unreachable.push(("ws.oms".into(), "connection refused".into())));
        assert_eq!(findings(|s| (s.arch, s.own_bundle) = ("aarch64".into(), true)), []);
    }

    #[test]
    fn versions_of_openssl() {
        assert_eq!(openssl_version("OpenSSL 1.1.1k  FIPS 25 Mar 2021"), Some((1, 1, 1)));
        assert_eq!(openssl_version("OpenSSL 1.0.2k-fips  26 Jan 2017"), Some((1, 0, 2)));
        assert_eq!(openssl_version("3.0"), Some((3, 0, 0)));
        assert_eq!(openssl_version("OpenSSL"), None);
    }
}
