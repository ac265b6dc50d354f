//! `--protocol tls`: the certificate and key of the listener. Given ones are judged before anything is touched; where
//! none are given a pair is made once, kept by later installs and taken away by uninstall.
//!
//! Ours lie beside the daemon's own drop-ins: AppArmor and SELinux let it read there (facts 7.5, 7.6), and a folder below
//! is read by no include.

use std::path::{Path, PathBuf};

use super::daemon::Daemon;
use crate::check::facts::{DaemonFacts, Facts};
use crate::check::gather::security;
use crate::cli::args::{InstallArgs, Protocol};
use crate::host::{Host, Secret, interfaces};
use crate::plan::{Change, WriteFile};
use crate::platform::access::{self, Who};
use crate::platform::apparmor::{self, Access};
use crate::platform::certificate::{self, About, make};
use crate::platform::packages::{Packages, TLS_DRIVER};
use crate::platform::selinux_policy::Policy;
use crate::platform::{accounts, certificate::day};
use crate::syslog::collector::{Refusal, TlsWish, show};
use crate::syslog::rsyslog::Effective;

/// IANA's port of syslog over TLS (RFC 5425).
pub const PORT: u16 = 6514;
/// A pair of ours that is good for fewer days than this is made anew.
const RENEW: i64 = 30 * 24 * 60 * 60;

/// The listener that is asked for.
pub fn wish(args: &InstallArgs, daemon: Daemon) -> Option<TlsWish> {
    if !args.target.protocol.iter().flatten().any(|p| *p == Protocol::Tls) {
        return None;
    }
    let port = args.target.tls_port.unwrap_or(PORT);
    Some(match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            let whole = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_owned());
            TlsWish { port, certificate: whole(certificate), key: whole(key), authority: whole(certificate) }
        }
        _ => {
            let own = |name: &str| folder(daemon).join(name);
            TlsWish { port, certificate: own("cert.pem"), key: own("key.pem"), authority: own("ca.pem") }
        }
    })
}

/// Where a pair of ours lies.
pub fn folder(daemon: Daemon) -> PathBuf {
    PathBuf::from(match daemon {
        Daemon::Rsyslog => "/etc/rsyslog.d/cefctl-tls",
        Daemon::SyslogNg => "/etc/syslog-ng/cefctl-tls",
    })
}

/// What comes of it.
#[derive(Default)]
pub struct Decided {
    pub changes: Vec<Change>,
    pub notes: Vec<String>,
    /// The certificate (DER) that our listener will show.
    pub shown: Option<Vec<u8>>,
}

/// Judges the given pair, or sees to one of ours.
///
/// # Errors
/// The pair cannot be used, or none can be made.
pub fn decide(host: &Host, facts: &Facts, daemon: Daemon, wish: &TlsWish, given: bool) -> Result<Decided, Refusal> {
    let who = runs_as(host, facts, daemon);
    if given { given_pair(host, daemon, daemon.facts(facts), wish, &who) } else { own_pair(host, daemon, wish, &who) }
}

/// As whom the daemon reads the files.
fn runs_as(host: &Host, facts: &Facts, daemon: Daemon) -> Who {
    let of = daemon.facts(facts);
    if let Some(p) = of.pid.and_then(|pid| facts.process(pid)) {
        return Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective };
    }
    let config = (daemon == Daemon::Rsyslog).then(|| Effective::load(Path::new(&of.main_file), &host.root));
    let user = config.and_then(|c| c.privilege_drop().0.map(ToString::to_string));
    user.and_then(|user| accounts::who(&host.root, &user)).unwrap_or_default()
}

fn given_pair(host: &Host, daemon: Daemon, of: &DaemonFacts, wish: &TlsWish, who: &Who) -> Result<Decided, Refusal> {
    let read = |path: &Path, option: &str| {
        host.root.read(path).map_err(|e| {
            Refusal::new(format!("{option} {}: {e}", show(path)), "give a file that is there and can be read")
        })
    };
    let certificate = read(&wish.certificate, "--tls-cert")?;
    let key = Secret::new(read(&wish.key, "--tls-key")?);
    let now = host.clock.now().as_second();
    let about = certificate::check(&certificate, key.expose(), now).map_err(|e| {
        let path = if e.is_of_key() { &wish.key } else { &wish.certificate };
        Refusal::new(format!("{} {e}", show(path)), e.hint())
    })?;
    for path in [&wish.certificate, &wish.key] {
        let walk = access::walk(&host.root, path);
        access::may(who, &walk, access::READ).map_err(|denied| {
            Refusal::new(
                format!(
                    "{} (user {}) may not read {}: {} has {}",
                    daemon.name(),
                    who.uid,
                    show(path),
                    denied.path,
                    denied.why
                ),
                format!("let that user read it: chown {} {} && chmod 0400 {}", who.uid, show(path), show(path)),
            )
        })?;
    }
    let policy = Policy::of(host, of.pid);
    for path in [&wish.certificate, &wish.key] {
        if let Some((part, label)) = policy.unreadable(path) {
            let place = folder(daemon);
            return Err(Refusal::new(
                format!(
                    "SELinux does not let {} read {}: {} has the label {label}",
                    daemon.name(),
                    show(path),
                    show(&part)
                ),
                format!(
                    "copy the pair to where the policy lets the daemon read, such as {}, restore the labels there \
                     (restorecon -Rv {}), and give those files",
                    show(&place),
                    show(&place)
                ),
            ));
        }
    }
    if let Ok(Some(found)) = security::apparmor(host, of, None)
        && let (true, Ok(profile)) = (found.confinement.enforced, &found.profile)
    {
        for path in [&wish.certificate, &wish.key] {
            let real = host.root.resolve(path).unwrap_or_else(|_| path.clone());
            if !apparmor::allows(profile, &real.to_string_lossy(), Access::Read) {
                let name = &found.confinement.profile;
                return Err(Refusal::new(
                    format!("AppArmor's profile {name} does not let {} read {}", daemon.name(), show(path)),
                    format!(
                        "copy the pair to where the profile lets the daemon read, such as {}, and give those files; or add \
                         `{} r,` to the profile's file in /etc/apparmor.d/local and load it with apparmor_parser -r",
                        show(&folder(daemon)),
                        show(&real)
                    ),
                ));
            }
        }
    }
    if let Some(last) = access::walk(&host.root, &wish.key).last().filter(|s| s.mode & 0o007 != 0) {
        return Err(Refusal::new(
            format!("everybody on this box can read the key {} (mode {:04o})", show(&wish.key), last.mode),
            format!("chmod o= {}; if it has been like that for long, have the pair made anew", show(&wish.key)),
        ));
    }
    let mut notes = vec![format!("TLS: {}", in_words(&wish.certificate, &about))];
    if about.not_after - now < RENEW {
        notes.push(format!("TLS: the certificate expires soon, on {}: have it renewed", day(about.not_after)));
    }
    Ok(Decided { changes: Vec::new(), notes, shown: first(&certificate) })
}

fn in_words(path: &Path, about: &About) -> String {
    let names = if about.names.is_empty() { "no name".to_owned() } else { about.names.join(", ") };
    let (names, issuer) = (crate::report::clean(&names), crate::report::clean(&about.issuer));
    format!("the certificate {} is for {names}, by {issuer}, until {}", show(path), day(about.not_after))
}

fn first(pem: &[u8]) -> Option<Vec<u8>> {
    certificate::chain(pem).ok()?.into_iter().next()
}

/// The pair of an earlier install as long as it is good; else a new one.
fn own_pair(host: &Host, daemon: Daemon, wish: &TlsWish, who: &Who) -> Result<Decided, Refusal> {
    let now = host.clock.now().as_second();
    let old = |path: &Path| host.root.read_opt(path).ok().flatten();
    let (certificate, authority, key) = (old(&wish.certificate), old(&wish.authority), old(&wish.key).map(Secret::new));
    if host.root.read_opt(&wish.key).is_err() && certificate.is_some() {
        // A dry run by somebody who may not look at it.
        let note = format!("TLS: whether the pair of {} stays can only be seen as root", show(&folder(daemon)));
        return Ok(Decided { notes: vec![note], ..Decided::default() });
    }
    let mut notes = Vec::new();
    let kept = match (certificate, authority, key) {
        (Some(certificate), Some(authority), Some(key)) => {
            match certificate::check(&certificate, key.expose(), now + RENEW) {
                Ok(_) => Some((certificate, authority, key)),
                Err(e) => {
                    notes.push(format!(
                        "TLS: a new certificate takes the place of {}, which {e}: give devices the new {}",
                        show(&wish.certificate),
                        show(&wish.authority)
                    ));
                    None
                }
            }
        }
        _ => None,
    };
    let (certificate, authority, key) = match kept {
        Some(pair) => pair,
        None => {
            let pair = make::make(&names(), now).map_err(|why| {
                Refusal::new(format!("no certificate for TLS: {why}"), "bring one: --tls-cert FILE --tls-key FILE")
            })?;
            (pair.certificate.into_bytes(), pair.authority.into_bytes(), pair.key)
        }
    };
    let shown = first(&certificate);
    if let Some(about) = shown.as_ref().and_then(|der| certificate::about(der).ok()) {
        notes.push(format!(
            "TLS: {}. Have devices trust {}; for a certificate of your own: --tls-cert FILE --tls-key FILE",
            in_words(&wish.certificate, &about),
            show(&wish.authority)
        ));
    }
    let open = |path: &Path, content: Vec<u8>, purpose: &str| {
        // Nobody reads a certificate in a diff.
        Change::from(WriteFile::new(path, content).mode(0o644).owner(0, 0).purpose(purpose).secret())
    };
    let changes = vec![
        Change::CreateDir { path: folder(daemon), mode: 0o755, owner: Some((0, 0)) },
        open(&wish.authority, authority, "what devices are to trust"),
        open(&wish.certificate, certificate, "the listener's certificate"),
        WriteFile::new(&wish.key, key.expose())
            .mode(0o600)
            .owner(who.uid, who.gid)
            .purpose("its key, for the daemon only")
            .secret()
            .into(),
    ];
    Ok(Decided { changes, notes, shown })
}

/// What devices may call this box: its name, and its addresses.
fn names() -> Vec<String> {
    let mut names = vec![crate::host::facts::identity().hostname];
    let all = interfaces::interfaces().unwrap_or_default();
    let own = all.iter().filter(|i| i.up && !i.loopback).flat_map(|i| &i.addresses);
    let lasting = |ip: &&std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => !ip.is_link_local(),
        std::net::IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    names.extend(own.filter(lasting).map(ToString::to_string));
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names.retain(|n| !n.is_empty());
    names.dedup();
    names
}

/// The package that has rsyslog's driver for TLS, and how to get it.
pub fn driver_hint(host: &Host, facts: &Facts) -> String {
    let package = Packages::detect(host).map_or(TLS_DRIVER, |packages| packages.package_of(TLS_DRIVER));
    let by_hand = facts.host.os.as_ref().ok().and_then(|os| os.install_command(package));
    let by_hand = by_hand.map(|command| format!("; by hand: {command}")).unwrap_or_default();
    format!("--install-packages installs {package} first{by_hand}")
}
