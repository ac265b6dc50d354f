//! What there is to know of rsyslog on this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::daemon::{self, Names};
use super::{Depth, config, join, own_lines};
use crate::check::facts::*;
use crate::host::proc_process::Process;
use crate::host::{Cmd, Host, RunError, facts, proc_files};
use crate::syslog::rsyslog::Effective;

pub const NAMES: Names = Names {
    comm: "rsyslogd",
    unit: "rsyslog.service",
    main_file: RSYSLOG_CONF,
    file_options: &["-f"],
    check_options: &["-N", "-v"],
};
const DROP_INS: &str = "/etc/rsyslog.d";

/// Everything but what hangs on its process, see [`with_processes`].
pub fn gather(host: &Host, hostname: &str, unit: Option<&UnitFacts>, depth: Depth) -> DaemonFacts {
    let program = daemon::find_program(host, NAMES.comm);
    let main_file = main_file(host, unit);
    thread::scope(|scope| {
        let validation = scope.spawn({
            let (program, main_file) = (program.clone(), main_file.clone());
            move || validate(host, program.as_deref(), &main_file)
        });
        let lines = scope.spawn(|| match depth {
            Depth::Diagnosis | Depth::Local => own_lines::rsyslog(host, hostname, unit),
            Depth::Change => not_looked(),
        });
        let (effective, files) = config::read(&host.root, |source| Effective::load(Path::new(&main_file), source));
        let validation = join(validation);
        DaemonFacts {
            version: version(&validation),
            program,
            config: files,
            drop_in_folder: daemon::drop_ins(host, Path::new(DROP_INS)),
            validation,
            own_lines: join(lines),
            spools: daemon::spools(host, folders(&effective)),
            ..DaemonFacts::unknown(&main_file)
        }
    })
}

pub fn with_processes(
    mut rsyslog: DaemonFacts,
    host: &Host,
    unit: Option<&UnitFacts>,
    processes: &BTreeMap<u32, Process>,
) -> DaemonFacts {
    rsyslog.pid = daemon::daemon_pid(&NAMES, unit, processes);
    rsyslog.mounts = daemon::mounts(host, rsyslog.pid);
    if let Some(pid) = rsyslog.pid.filter(|_| rsyslog.spools.iter().any(has_files)) {
        let read = proc_files::read_positions(&host.root, pid);
        for spool in &mut rsyslog.spools {
            let paths = spool.files.iter().flatten().map(|f| f.path.clone());
            spool.read = paths.filter_map(|p| Some((p.clone(), *read.get(&decode_path(&p))?))).collect();
        }
    }
    rsyslog
}

fn has_files(spool: &Spool) -> bool {
    spool.files.as_ref().is_ok_and(|f| !f.is_empty())
}

/// The configuration that the unit's command line names, or the usual one. What stands in a variable of the command
/// line is not known here.
fn main_file(host: &Host, unit: Option<&UnitFacts>) -> String {
    let written: Vec<String> =
        unit.map(|u| u.exec_start.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
    let named = |argv: &[String]| daemon::path_option(argv, NAMES.file_options);
    named(&daemon::running(host, unit)).or_else(|| named(&written)).unwrap_or_else(|| NAMES.main_file.into())
}

/// Has the daemon check its whole configuration. Only root may read all of it.
fn validate(host: &Host, program: Option<&str>, main_file: &str) -> Fact<Validation> {
    let program = program.ok_or("rsyslog is not installed")?;
    if facts::euid() != 0 {
        return Err("only root can have rsyslogd check its configuration".into());
    }
    let cmd = Cmd::new([program, "-N1", "-f", main_file]).limit(Duration::from_secs(5));
    let out = host.runner.run(&cmd).map_err(|e: RunError| e.to_string())?;
    Ok(Validation { exit: out.exit, stderr: Bytes(out.stderr) })
}

/// `rsyslogd: version 8.2302.0, config validation run …`
fn version(validation: &Fact<Validation>) -> Option<String> {
    let text = String::from_utf8_lossy(&validation.as_ref().ok()?.stderr.0).into_owned();
    let (_, rest) = text.split_once("rsyslogd: version ")?;
    rest.split([',', ' ', '\n']).next().filter(|v| !v.is_empty()).map(str::to_owned)
}

/// The work directory, and the folders of single queues.
fn folders(effective: &Effective) -> Vec<String> {
    let own = effective.actions.iter().filter_map(|a| a.queue.spool.as_ref());
    let of_rulesets = effective.rulesets.iter().filter_map(|r| r.queue.as_ref()?.spool.as_ref());
    let work_dir = effective.work_directory();
    work_dir.into_iter().chain(own).chain(of_rulesets).map(|p| p.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_the_validator_says() {
        let out = |text: &str| Ok(Validation { exit: crate::host::Exit::Code(0), stderr: Bytes(text.into()) });
        let v = version(&out("rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/x\n"));
        assert_eq!(v.as_deref(), Some("8.2302.0"));
        assert_eq!(version(&Err("no".into())), None);
        assert_eq!(version(&out("rsyslogd: cannot start")), None);
    }
}
