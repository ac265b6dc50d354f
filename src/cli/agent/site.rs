//! Looks at the box for the preflight of the Log Analytics agent.

use std::path::Path;
use std::time::Duration;

use crate::agent::oms::WorkspaceId;
use crate::agent::oms::preflight::{Busy, NEEDS, Site, Space};
use crate::agent::{AgentFacts, Cloud};
use crate::host::http::{Http, Part};
use crate::host::{Cmd, Host, facts, held, proc_mount, proc_process};

/// Where programs are looked for, as in the path that the agent's programs get.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Locked while packages are changed (fcntl).
const LOCKS: [&str; 5] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/rpm/.dbenv.lock",
];
/// Hold the process id of a package manager at work.
const PID_FILES: [&str; 4] =
    ["/var/run/yum.pid", "/run/zypp.pid", "/var/cache/dnf/metadata_lock.pid", "/var/lib/dnf/rpmdb_lock.pid"];
/// How long the service may take to say what time it is.
const ANSWER: Duration = Duration::from_secs(5);
/// No library is larger. Bytes.
const LIBRARY: u64 = 32 << 20;

pub fn look(
    host: &Host,
    agents: &AgentFacts,
    id: &WorkspaceId,
    cloud: Cloud,
    http: Option<&Http>,
    own_bundle: bool,
) -> Site {
    let (skew, unreachable) = http.map(|http| ask_service(host, http, id, cloud)).unwrap_or_default();
    Site {
        arch: facts::identity().arch,
        own_bundle,
        openssl: openssl(host),
        fips: host.root.read(Path::new("/proc/sys/crypto/fips_enabled")).is_ok_and(|t| t.trim_ascii() == b"1"),
        space: space(host),
        skew,
        package_manager: has(host, "dpkg") || has(host, "rpm"),
        busy: busy(host),
        missing: missing(host),
        workspaces: agents.oms.as_ref().map(|o| o.workspaces.clone()).unwrap_or_default(),
        unreachable,
    }
}

fn has(host: &Host, program: &str) -> bool {
    PATH.iter().any(|dir| {
        let found = host.root.resolve(&Path::new(dir).join(program)).and_then(|p| host.root.stat(&p));
        matches!(found, Ok(Some(_)))
    })
}

/// Programs that the bundle calls (facts 1.3, codes 55 and 60 to 65).
fn missing(host: &Host) -> Vec<&'static str> {
    let mut missing: Vec<&str> = ["tar", "sed", "curl", "gpg"].into_iter().filter(|p| !has(host, p)).collect();
    if !["python3", "python2", "python"].iter().any(|p| has(host, p)) {
        missing.push("python3");
    }
    missing
}

/// The program's own word, else what its library says of itself.
fn openssl(host: &Host) -> Option<String> {
    if let Ok(output) = host.runner.run(&Cmd::new(["openssl", "version"]))
        && output.ok()
    {
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        return (!text.is_empty()).then_some(text);
    }
    let folders = ["/usr/lib64", "/usr/lib", "/usr/lib/*", "/lib64", "/lib", "/lib/*"];
    folders.iter().find_map(|dir| {
        let files = host.root.glob(&Path::new(dir).join("libcrypto.so.*")).ok()?;
        files.iter().find_map(|file| version_in(&host.root.read_capped(file, LIBRARY).ok()?))
    })
}

/// `OpenSSL 3.0.11 19 Sep 2023` inside a library.
fn version_in(library: &[u8]) -> Option<String> {
    let mut rest = library;
    while let Some(at) = rest.windows(8).position(|w| w == b"OpenSSL ") {
        rest = rest.get(at..)?;
        let end = rest.iter().take(80).position(|b| !(b.is_ascii_graphic() || *b == b' ')).unwrap_or(80);
        let text = String::from_utf8_lossy(rest.get(..end)?).trim().to_owned();
        if text.as_bytes().get(8).is_some_and(u8::is_ascii_digit) && text.contains('.') {
            return Some(text);
        }
        rest = rest.get(8..)?;
    }
    None
}

fn space(host: &Host) -> Vec<Space> {
    let mounts = proc_mount::parse(&host.root.read(Path::new("/proc/self/mountinfo")).unwrap_or_default());
    let look = |(path, wanted): (&'static str, u64)| {
        let there = Path::new(path).ancestors().find(|p| matches!(host.root.stat(p), Ok(Some(_))))?;
        let space = host.root.space(there).ok()?;
        let mount = proc_mount::holding(&mounts, there);
        Some(Space {
            path,
            wanted,
            free: space.available,
            read_only: space.read_only,
            no_exec: mount.is_some_and(|m| m.noexec),
        })
    };
    NEEDS.into_iter().filter_map(look).collect()
}

fn busy(host: &Host) -> Option<Busy> {
    let named = |path: &str, pid: u32| {
        let name = proc_process::comm(&host.root, pid).unwrap_or_default();
        Busy { path: path.to_owned(), pid, name }
    };
    let locked = LOCKS.iter().find_map(|path| Some(named(path, held::holder(&host.root, Path::new(path)).ok()??)));
    locked.or_else(|| {
        PID_FILES.iter().find_map(|path| {
            let text = host.root.read_opt(Path::new(path)).ok()??;
            let pid = String::from_utf8_lossy(&text).split_whitespace().next()?.parse().ok()?;
            let busy = named(path, pid);
            // a file of a process that is gone, or whose number is another's by now, means nothing
            ["yum", "dnf", "zypp", "packagekit", "rpm"].iter().any(|w| busy.name.contains(w)).then_some(busy)
        })
    })
}

/// Our clock against the service's, and the endpoints that give no answer.
fn ask_service(host: &Host, http: &Http, id: &WorkspaceId, cloud: Cloud) -> (Option<i64>, Vec<(String, String)>) {
    let names = [cloud.oms_host(id.as_str()), cloud.ods_host(id.as_str())];
    let asked = names.map(|name| (http.head(&format!("https://{name}/")), name));
    let end = host.clock.monotonic() + ANSWER;
    let (mut skew, mut unreachable) = (None, Vec::new());
    for (answer, name) in asked {
        match answer.next(end.saturating_sub(host.clock.monotonic())) {
            Some(Ok(Part::Head(head))) => {
                skew = skew.or(head.date.map(|date| host.clock.now().as_second() - date));
            }
            Some(Ok(_)) => {}
            Some(Err(e)) => unreachable.push((name, e.to_string())),
            None => unreachable.push((name, format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }
    (skew, unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_says_its_version() {
        let library = b"\x7fELF\0OpenSSL wants\0\0OpenSSL 3.0.11 19 Sep 2023\0rest";
        assert_eq!(version_in(library).as_deref(), Some("OpenSSL 3.0.11 19 Sep 2023"));
        assert_eq!(version_in(b"OpenSSL \0"), None);
        assert_eq!(version_in(b""), None);
    }
}
