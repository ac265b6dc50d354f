//! What is asked of either syslog daemon in the same way: its program, its process, its main file, its drop-in folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check::facts::{DropIn, Fact, Spool, UnitFacts, encode_path};
use crate::host::proc_process::{self, Process};
use crate::host::{Host, proc_mount};

/// How one daemon's things are called.
pub struct Names {
    /// Of its process.
    pub comm: &'static str,
    pub unit: &'static str,
    pub main_file: &'static str,
    /// Options of the command line that name another main file.
    pub file_options: &'static [&'static str],
    /// Options with which the program only checks or tells something and ends.
    pub check_options: &'static [&'static str],
}

const MOST_SPOOLS: usize = 20;

/// Program file in the places the system's packages use.
pub fn find_program(host: &Host, name: &str) -> Option<String> {
    let places = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/opt/syslog-ng/sbin"];
    let paths = places.into_iter().map(|p| format!("{p}/{name}"));
    paths.into_iter().find(|p| {
        let real = host.root.resolve(Path::new(p));
        real.is_ok_and(|real| matches!(host.root.stat(&real), Ok(Some(_))))
    })
}

/// Command line of the unit's process.
pub fn running(host: &Host, unit: Option<&UnitFacts>) -> Vec<String> {
    let process = unit.and_then(|u| u.state.main_pid).and_then(|pid| proc_process::process(&host.root, pid));
    process.map(|p| p.cmdline).unwrap_or_default()
}

/// Value of the first of these options: `-f FILE`, `-fFILE`, `--cfgfile FILE`, `--cfgfile=FILE`. Only a path from the
/// root on says something without knowing where the daemon was started.
pub fn path_option(argv: &[String], options: &[&str]) -> Option<String> {
    let mut argv = argv.iter();
    while let Some(arg) = argv.next() {
        let rest = options.iter().find_map(|o| arg.strip_prefix(o).filter(|r| !o.starts_with("--") || is_value(r)));
        let value = match rest {
            None => continue,
            Some("") => argv.next().map(String::as_str),
            Some(joined) => Some(joined.trim_start_matches('=')),
        };
        return value.filter(|v| v.starts_with('/')).map(str::to_owned);
    }
    None
}

fn is_value(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('=')
}

/// `rsyslogd -N1`, ours or somebody else's: a process of that name, but no daemon. So is one of which nothing can be read
/// any more, for it ended meanwhile.
pub fn is_check(process: &Process, names: &Names) -> bool {
    let checks = |a: &String| names.check_options.iter().any(|o| a.starts_with(o));
    // One that is just ending has no command line any more, and may be a check; a daemon has one.
    let ending = process.cmdline.is_empty() && !process.is_zombie();
    process.comm == names.comm && (ending || process.cmdline.iter().any(checks))
}

/// The unit's main process, else the oldest one of this network namespace that is in no container. Where that one only
/// watches over another of its name, the other.
pub fn daemon_pid(names: &Names, unit: Option<&UnitFacts>, processes: &BTreeMap<u32, Process>) -> Option<u32> {
    let ours =
        |p: &&Process| p.runs(names.comm) && p.same_net != Some(false) && p.container.is_none() && !p.is_zombie();
    let oldest = |of: &dyn Fn(&Process) -> bool| {
        processes.values().filter(ours).filter(|p| of(p)).min_by_key(|p| (p.start_ticks, p.pid)).map(|p| p.pid)
    };
    let first = unit.and_then(|u| u.state.main_pid).or_else(|| oldest(&|_| true))?;
    oldest(&|p| p.ppid == first).or(Some(first))
}

pub fn drop_ins(host: &Host, folder: &Path) -> Fact<Vec<DropIn>> {
    let entry = |name| {
        let path = folder.join(name);
        let real = host.root.resolve(&path).unwrap_or_else(|_| path.clone());
        let kind = host.root.stat(&real).ok().flatten().map(|m| m.kind);
        DropIn { path: encode_path(&path), real: encode_path(&real), kind }
    };
    match host.root.list(folder) {
        Ok(names) => Ok(names.into_iter().map(entry).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(format!("{}: {e}", folder.display())),
    }
}

/// Folders that queues spill into, each once. What begins with no slash lies below a folder that is not known here.
pub fn spools(host: &Host, folders: impl IntoIterator<Item = String>) -> Vec<Spool> {
    let paths: std::collections::BTreeSet<String> = folders.into_iter().collect();
    let absolute = paths.iter().filter(|p| p.starts_with('/')).take(MOST_SPOOLS);
    absolute.map(|p| super::config::spool(&host.root, Path::new(p))).collect()
}

pub fn mounts(host: &Host, pid: Option<u32>) -> Fact<Vec<proc_mount::Mount>> {
    let pid = pid.ok_or("the daemon does not run")?;
    let path = format!("/proc/{pid}/mountinfo");
    let text = host.root.read(Path::new(&path)).map_err(|e| format!("{path}: {e}"))?;
    Ok(proc_mount::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::super::{rsyslog, syslogng};
    use super::*;

    fn argv(s: &str) -> Vec<String> {
        s.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_configuration_file_is_the_one_on_the_command_line() {
        let of = |s: &str| path_option(&argv(s), rsyslog::NAMES.file_options);
        assert_eq!(of("/usr/sbin/rsyslogd -n -f /etc/x.conf").as_deref(), Some("/etc/x.conf"));
        assert_eq!(of("/usr/sbin/rsyslogd -f/etc/y.conf -n").as_deref(), Some("/etc/y.conf"));
        assert_eq!(of("/usr/sbin/rsyslogd -n -f"), None);
        assert_eq!(of("/usr/sbin/rsyslogd -n -f $CONF"), None);
        let of = |s: &str| path_option(&argv(s), syslogng::NAMES.file_options);
        assert_eq!(of("syslog-ng -F --cfgfile=/etc/z.conf").as_deref(), Some("/etc/z.conf"));
        assert_eq!(of("syslog-ng --cfgfile /etc/z.conf -F").as_deref(), Some("/etc/z.conf"));
        assert_eq!(of("syslog-ng -F --cfgfilex=/etc/z.conf"), None);
        assert_eq!(of("syslog-ng -F"), None);
    }

    #[test]
    fn the_daemon_is_the_units_process_or_the_oldest_outside_of_containers() {
        let p = |pid: u32, ticks: u64, container: Option<&str>| {
            let container = container.map(str::to_owned);
            (pid, Process { pid, comm: "rsyslogd".into(), start_ticks: ticks, container, ..Process::default() })
        };
        let mut processes = BTreeMap::from([p(5, 10, Some("abc")), p(7, 30, None), p(9, 20, None)]);
        assert_eq!(daemon_pid(&rsyslog::NAMES, None, &processes), Some(9));
        assert_eq!(daemon_pid(&rsyslog::NAMES, None, &BTreeMap::new()), None);
        assert_eq!(daemon_pid(&syslogng::NAMES, None, &processes), None);
        // A supervisor holds no sockets.
        processes.get_mut(&7).unwrap().ppid = 9;
        assert_eq!(daemon_pid(&rsyslog::NAMES, None, &processes), Some(7));
    }

    #[test]
    fn a_check_of_the_configuration_is_no_daemon() {
        let p = |comm: &str, args: &str| Process { comm: comm.into(), cmdline: argv(args), ..Process::default() };
        assert!(is_check(&p("rsyslogd", "/usr/sbin/rsyslogd -N1 -f /etc/rsyslog.conf"), &rsyslog::NAMES));
        assert!(!is_check(&p("rsyslogd", "/usr/sbin/rsyslogd -n -iNONE"), &rsyslog::NAMES));
        assert!(is_check(&p("syslog-ng", "syslog-ng --syntax-only"), &syslogng::NAMES));
        assert!(!is_check(&p("syslog-ng", "/usr/sbin/syslog-ng -F --no-caps"), &syslogng::NAMES));
        let ended = Process { comm: "syslog-ng".into(), state: "R".into(), ..Process::default() };
        assert!(is_check(&ended, &syslogng::NAMES));
        assert!(!is_check(&Process { state: "Z".into(), ..ended }, &syslogng::NAMES));
    }
}
