//! What there is to know of syslog-ng on this machine. Beside its files the running daemon is asked over its control
//! socket, which changes nothing: a reload leaves no trace in the unit, so only the daemon knows what it has loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::daemon::{self, Names};
use super::{Depth, config, join, own_lines};
use crate::check::case::read_setting;
use crate::check::facts::*;
use crate::host::proc_process::Process;
use crate::host::{Cmd, Host, Output, facts};
use crate::syslog::syslogng::Effective;
use crate::syslog::syslogng::version::{KEEP_ROOT, Program};

pub const NAMES: Names = Names {
    comm: "syslog-ng",
    unit: "syslog-ng.service",
    main_file: SYSLOG_NG_CONF,
    file_options: &["--cfgfile", "-f"],
    check_options: &["-s", "--syntax-only", "-V", "--version", "--preprocess-into", "--module-registry"],
};
/// Files from which the unit takes `$SYSLOGNG_OPTS`.
const ENVIRONMENT: [&str; 2] = ["/etc/default/syslog-ng", "/etc/sysconfig/syslog-ng"];
const CONTROL: [&str; 3] = ["/var/lib/syslog-ng/syslog-ng.ctl", "/run/syslog-ng/syslog-ng.ctl", "/run/syslog-ng.ctl"];
const MOST_LINES: usize = 3;
const STATS: [&str; 1] = ["stats"];

/// Everything but what hangs on its process, see [`with_processes`].
pub fn gather(host: &Host, hostname: &str, unit: Option<&UnitFacts>, depth: Depth) -> (DaemonFacts, SyslogNgSays) {
    let Some(program) = daemon::find_program(host, NAMES.comm) else {
        return (DaemonFacts::unknown(NAMES.main_file), SyslogNgSays::default());
    };
    let argv = command_line(host, unit);
    let main_file = daemon::path_option(&argv, NAMES.file_options).unwrap_or_else(|| NAMES.main_file.into());
    let state = state(&argv);
    let control = Control::of(host, &argv);
    let deep = depth != Depth::Change;
    let ask = |words: &[&str]| if deep { control.ask(host, words) } else { not_looked() };
    let (says, daemon) = thread::scope(|scope| {
        let check = scope.spawn(|| if deep { check(host, &program, &main_file) } else { not_looked() });
        let loaded = scope.spawn(|| ask(&["config", "--preprocessed"]));
        let stats = scope.spawn(|| ask(&STATS));
        let lines = scope.spawn(|| if deep { own_lines::syslog_ng(host, hostname, unit) } else { not_looked() });
        let about = about(host, &program);
        let (effective, files) = config::read(&host.root, |source| {
            Effective::load_with(Path::new(&main_file), source, read_setting(&main_file, &about))
        });
        let (validation, in_files) = match join(check) {
            Ok((validation, text)) => (Ok(validation), Ok(text)),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        let daemon = DaemonFacts {
            program: Some(program.clone()),
            version: about.as_ref().ok().map(|p| p.version.to_string()),
            config: files,
            drop_in_folder: daemon::drop_ins(host, &effective.drop_in_folder()),
            validation,
            own_lines: join(lines),
            spools: daemon::spools(host, folders(&effective, &state)),
            ..DaemonFacts::unknown(&main_file)
        };
        let loaded = join(loaded).and_then(|in_force| Ok(compare(&in_files?.0, &in_force.0)));
        (
            SyslogNgSays { about, state: state.clone(), control: control.path.clone(), stats: join(stats), loaded },
            daemon,
        )
    });
    (daemon, says)
}

pub fn with_processes(
    mut syslog_ng: DaemonFacts,
    host: &Host,
    unit: Option<&UnitFacts>,
    processes: &BTreeMap<u32, Process>,
) -> DaemonFacts {
    syslog_ng.pid = daemon::daemon_pid(&NAMES, unit, processes);
    syslog_ng.mounts = daemon::mounts(host, syslog_ng.pid);
    syslog_ng
}

pub fn stats(host: &Host, unit: Option<&UnitFacts>) -> Fact<Bytes> {
    Control::of(host, &command_line(host, unit)).ask(host, &STATS)
}

/// The command line of the running daemon, or the one it would get, with its one variable filled in.
fn command_line(host: &Host, unit: Option<&UnitFacts>) -> Vec<String> {
    let running = daemon::running(host, unit);
    if !running.is_empty() {
        return running;
    }
    let file = |path: &&str| host.root.read_opt(Path::new(path)).ok().flatten();
    let texts: Vec<Vec<u8>> = ENVIRONMENT.iter().filter_map(file).collect();
    let written = unit.map(|u| u.exec_start.as_str()).unwrap_or_default();
    filled_in(written, &texts)
}

fn filled_in(exec_start: &str, environment: &[Vec<u8>]) -> Vec<String> {
    let variable = |text: &Vec<u8>| {
        let text = String::from_utf8_lossy(text).into_owned();
        let value = text.lines().rev().find_map(|l| l.trim().strip_prefix("SYSLOGNG_OPTS=").map(str::to_owned))?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    };
    let options = environment.iter().rev().find_map(variable).unwrap_or_default();
    let text = exec_start.replace("${SYSLOGNG_OPTS}", &options).replace("$SYSLOGNG_OPTS", &options);
    text.split_whitespace().map(str::to_owned).collect()
}

fn about(host: &Host, program: &str) -> Fact<Program> {
    let out = run(host, &[program, "--version"])?;
    Program::parse(&out.stdout).ok_or_else(|| "it does not tell its version".to_owned())
}

/// Has the daemon check its whole configuration and write down what it read. Only root may read all of it.
fn check(host: &Host, program: &str, main_file: &str) -> Fact<(Validation, Bytes)> {
    if facts::euid() != 0 {
        return Err("only root can have syslog-ng check its configuration".into());
    }
    let mut argv = vec![program, "--syntax-only", "--preprocess-into=/dev/stdout", "--cfgfile", main_file];
    let mut out = run(host, &argv)?;
    let denied = b"Permission denied (13)";
    if out.stderr.windows(denied.len()).any(|w| w == denied) {
        argv.push(KEEP_ROOT);
        out = run(host, &argv)?;
    }
    Ok((Validation { exit: out.exit, stderr: Bytes(out.stderr) }, Bytes(out.stdout)))
}

fn run(host: &Host, argv: &[&str]) -> Fact<Output> {
    host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(5))).map_err(|e| e.to_string())
}

/// The way to ask the running daemon.
struct Control {
    path: Option<String>,
    /// The daemon was told another place than the one it was built with.
    moved: bool,
}

impl Control {
    fn of(host: &Host, argv: &[String]) -> Control {
        let there = |p: &str| matches!(host.root.stat(Path::new(p)), Ok(Some(_)));
        match daemon::path_option(argv, &["--control", "-c"]) {
            Some(path) => Control { path: Some(path).filter(|p| there(p)), moved: true },
            None => Control { path: CONTROL.iter().find(|p| there(p)).map(|p| (*p).to_owned()), moved: false },
        }
    }

    fn ask(&self, host: &Host, words: &[&str]) -> Fact<Bytes> {
        let path = self.path.as_deref().ok_or("its control socket is not there")?;
        let mut argv = vec!["syslog-ng-ctl"];
        argv.extend(words);
        if self.moved {
            argv.extend(["--control", path]);
        }
        let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(2))).map_err(|e| e.to_string())?;
        match out.ok() {
            true => Ok(Bytes(out.stdout)),
            false => Err(format!("syslog-ng-ctl {}: {}", words.join(" "), out.last_words(1))),
        }
    }
}

/// Both texts are the daemon's, so equal configurations are equal byte for byte.
fn compare(files: &[u8], in_force: &[u8]) -> Loaded {
    if files.is_empty() {
        return Loaded { unread: true, ..Loaded::default() };
    }
    if files == in_force {
        return Loaded { same: true, ..Loaded::default() };
    }
    let lines = |text: &[u8]| -> Vec<String> {
        let lines = text.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l).trim().to_owned());
        lines.filter(|l| !l.is_empty()).collect()
    };
    let (files, in_force) = (lines(files), lines(in_force));
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().collect();
        these.iter().filter(|l| !others.contains(l)).take(MOST_LINES).cloned().collect()
    };
    Loaded { only_in_files: only(&files, &in_force), only_in_force: only(&in_force, &files), ..Loaded::default() }
}

/// The folder of the persist file.
fn state(argv: &[String]) -> String {
    let persist = daemon::path_option(argv, &["--persist-file", "-R"]).map(PathBuf::from);
    let folder = persist.as_deref().and_then(Path::parent);
    folder.map_or_else(|| SYSLOG_NG_STATE.into(), |p| p.to_string_lossy().into())
}

/// The folder of the daemon's state, and those of single disk buffers.
fn folders(effective: &Effective, state: &str) -> Vec<String> {
    let drivers = effective.destinations.iter().flat_map(|d| &d.drivers);
    let own = drivers.filter_map(|d| Some(d.disk_buffer.as_ref()?.dir.as_ref()?.to_string()));
    std::iter::once(state.to_owned()).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_variable_is_filled_in() {
        let unit = "/usr/sbin/syslog-ng -F $SYSLOGNG_OPTS";
        let of = |texts: &[&str]| {
            let texts: Vec<Vec<u8>> = texts.iter().map(|t| t.as_bytes().to_vec()).collect();
            filled_in(unit, &texts)
        };
        assert_eq!(of(&[]), ["/usr/sbin/syslog-ng", "-F"]);
        let debian = "# x\n#SYSLOGNG_OPTS=\"-f /no\"\nSYSLOGNG_OPTS=\"--no-caps -f /etc/x.conf\"\n";
        assert_eq!(of(&[debian]), ["/usr/sbin/syslog-ng", "-F", "--no-caps", "-f", "/etc/x.conf"]);
        assert_eq!(of(&[debian, "SYSLOGNG_OPTS=''\n"]), ["/usr/sbin/syslog-ng", "-F"]);
    }

    #[test]
    fn what_is_loaded_is_held_against_the_files() {
        assert!(compare(b"a\nb\n", b"a\nb\n").same);
        assert!(compare(b"", b"a\nb\n").unread);
        let loaded = compare(b"a\n  new;\nc\n", b"a\nold\nc\n\n");
        assert_eq!(
            (loaded.same, loaded.only_in_files, loaded.only_in_force),
            (false, vec!["new;".to_owned()], vec!["old".to_owned()])
        );
    }
}
