//! Faults on demand, for the test suites: every operation that changes the machine passes a named point first, and the
//! environment says at which of them to fail, to be killed or to be interrupted. Without the feature `failpoints`
//! (and outside unit tests) all of it compiles to nothing.
//!
//! `CEFCTL_FAIL="POINT[:NTH]=ACTION[;…]"`: at the NTH hit of POINT (every hit without NTH) do ACTION. A POINT may end
//! in `*`; the POINT `any` counts the hits of all points. Actions: `error` (EIO), `enospc`, `shortwrite` (half of the bytes, then ENOSPC), `timeout`, `changed`
//! (somebody else writes to the file of this step; only points that name a file), `kill` (SIGKILL), `pause` (SIGSTOP),
//! `int`, `term`, `hup`.
//!
//! `CEFCTL_FAIL_LIST=FILE`: append every point hit to FILE as `POINT:NTH`, so that a suite can enumerate the steps of
//! one run and then repeat it with a fault at each. `CEFCTL_FAIL_DONE=FILE`: append every point at which a fault was
//! done, just before it is, so that a suite can tell a run that survived its fault from one that never met it.
//!
//! How often a state is polled depends on the machine's load. The first look of a wait is a point like any other, the
//! second one passes `POINT.again`, later ones pass nothing, so that the number of looks moves no other point.

#[cfg(not(any(test, feature = "failpoints")))]
mod off {
    use std::{io, path::Path};

    #[inline(always)]
    pub fn hit(_: &str) -> io::Result<()> {
        Ok(())
    }
    #[inline(always)]
    pub fn hit_file(_: &str, _: &Path) -> io::Result<()> {
        Ok(())
    }
    #[inline(always)]
    pub fn hit_data(_: &str, len: usize) -> io::Result<usize> {
        Ok(len)
    }
    #[inline(always)]
    pub fn look<T>(_: u32, f: impl FnOnce() -> T) -> T {
        f()
    }
}
#[cfg(not(any(test, feature = "failpoints")))]
pub use off::*;

#[cfg(any(test, feature = "failpoints"))]
pub use on::*;

#[cfg(any(test, feature = "failpoints"))]
mod on {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};

    use nix::sys::signal::{Signal, kill, raise};

    use crate::host::{Cmd, Output, Run, RunError};

    /// Passes `point`; an error here is the injected one.
    pub fn hit(point: &str) -> io::Result<()> {
        pass(point, None, 0).map(drop)
    }

    /// As [`hit`], for a step that is about to touch the file at `real` (a path outside the root).
    pub fn hit_file(point: &str, real: &Path) -> io::Result<()> {
        pass(point, Some(real), 0).map(drop)
    }

    /// As [`hit`], before `len` bytes are written: how many of them the caller is to write before the disk is "full".
    pub fn hit_data(point: &str, len: usize) -> io::Result<usize> {
        pass(point, None, len)
    }

    thread_local! {
        static LOOK: Cell<u32> = const { Cell::new(0) };
    }

    /// Runs `f` as look number `n` (from 0) of a wait.
    pub fn look<T>(n: u32, f: impl FnOnce() -> T) -> T {
        let outer = LOOK.replace(n);
        let result = f();
        LOOK.set(outer);
        result
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Action {
        Error,
        NoSpace,
        ShortWrite,
        Timeout,
        Changed,
        Signal(Signal),
    }

    struct Rule {
        point: String,
        nth: Option<u32>,
        action: Action,
    }

    /// Rules, and how often every point was hit.
    #[derive(Default)]
    pub struct Faults {
        rules: Vec<Rule>,
        counts: HashMap<String, u32>,
        list: Option<PathBuf>,
        done: Option<PathBuf>,
        hits: Vec<String>,
        bad: Option<String>,
    }

    impl Faults {
        /// Rules as in `CEFCTL_FAIL`. A rule that cannot be read makes every point fail, so that no suite passes on a
        /// typing error.
        pub fn parse(spec: &str) -> Self {
            let mut faults = Faults::default();
            for rule in spec.split(';').map(str::trim).filter(|r| !r.is_empty()) {
                match parse_rule(rule) {
                    Some(rule) => faults.rules.push(rule),
                    None => faults.bad = Some(format!("CEFCTL_FAIL: cannot read {rule:?}")),
                }
            }
            faults
        }

        fn from_env() -> Self {
            let mut faults = Faults::parse(&std::env::var("CEFCTL_FAIL").unwrap_or_default());
            faults.list = std::env::var_os("CEFCTL_FAIL_LIST").map(PathBuf::from);
            faults.done = std::env::var_os("CEFCTL_FAIL_DONE").map(PathBuf::from);
            faults
        }

        fn count(&mut self, point: &str) -> io::Result<Option<Action>> {
            if let Some(bad) = &self.bad {
                return Err(io::Error::other(bad.clone()));
            }
            let nth = self.counts.entry(point.to_owned()).or_default();
            *nth += 1;
            let nth = *nth;
            let name = format!("{point}:{nth}");
            note(self.list.as_deref(), &name)?;
            let any = u32::try_from(self.hits.len() + 1).unwrap_or(u32::MAX);
            let rule = self.rules.iter().find(|r| r.matches(point, nth) || r.matches("any", any));
            if rule.is_some() {
                note(self.done.as_deref(), &name)?;
            }
            self.hits.push(name);
            Ok(rule.map(|r| r.action))
        }
    }

    fn note(file: Option<&Path>, name: &str) -> io::Result<()> {
        let Some(file) = file else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(format!("{name}\n").as_bytes())
    }

    impl Rule {
        fn matches(&self, point: &str, nth: u32) -> bool {
            let named = match self.point.strip_suffix('*') {
                Some(start) => point.starts_with(start),
                None => point == self.point,
            };
            named && self.nth.is_none_or(|n| n == nth)
        }
    }

    fn parse_rule(rule: &str) -> Option<Rule> {
        let (point, action) = rule.split_once('=')?;
        let action = match action.trim() {
            "error" => Action::Error,
            "enospc" => Action::NoSpace,
            "shortwrite" => Action::ShortWrite,
            "timeout" => Action::Timeout,
            "changed" => Action::Changed,
            "kill" => Action::Signal(Signal::SIGKILL),
            "pause" => Action::Signal(Signal::SIGSTOP),
            "int" => Action::Signal(Signal::SIGINT),
            "term" => Action::Signal(Signal::SIGTERM),
            "hup" => Action::Signal(Signal::SIGHUP),
            _ => return None,
        };
        let (point, nth) = match point.trim().rsplit_once(':') {
            Some((point, nth)) => (point, Some(nth.parse().ok()?)),
            None => (point.trim(), None),
        };
        Some(Rule { point: point.to_owned(), nth, action })
    }

    static FROM_ENV: OnceLock<Mutex<Faults>> = OnceLock::new();
    thread_local! {
        static OF_THREAD: RefCell<Option<Faults>> = const { RefCell::new(None) };
    }

    /// Runs `f` with rules for this thread alone (unit tests run side by side in one process); returns its result and
    /// the points that were hit, as `POINT:NTH`.
    pub fn with<T>(spec: &str, f: impl FnOnce() -> T) -> (T, Vec<String>) {
        OF_THREAD.with(|t| *t.borrow_mut() = Some(Faults::parse(spec)));
        let result = f();
        let hits = OF_THREAD.with(|t| t.borrow_mut().take()).map(|f| f.hits).unwrap_or_default();
        (result, hits)
    }

    fn pass(point: &str, file: Option<&Path>, len: usize) -> io::Result<usize> {
        let again = match LOOK.get() {
            0 => None,
            1 => Some(format!("{point}.again")),
            _ => return Ok(len),
        };
        let point = again.as_deref().unwrap_or(point);
        let own = OF_THREAD.with(|t| t.borrow_mut().as_mut().map(|faults| faults.count(point)));
        let action = match own {
            Some(action) => action?,
            None => {
                let faults = FROM_ENV.get_or_init(|| Mutex::new(Faults::from_env()));
                faults.lock().unwrap_or_else(PoisonError::into_inner).count(point)?
            }
        };
        match action {
            None => Ok(len),
            Some(Action::Error) => Err(os_error(nix::libc::EIO)),
            Some(Action::NoSpace) => Err(os_error(nix::libc::ENOSPC)),
            Some(Action::ShortWrite) if len > 0 => Ok(len / 2),
            Some(Action::ShortWrite) => Err(os_error(nix::libc::ENOSPC)),
            Some(Action::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Some(Action::Changed) => file.map_or(Ok(()), change_underneath).map(|()| len),
            Some(Action::Signal(Signal::SIGKILL)) => {
                let _ = kill(nix::unistd::Pid::this(), Signal::SIGKILL);
                std::process::abort()
            }
            Some(Action::Signal(signal)) => {
                raise(signal)?;
                Ok(len)
            }
        }
    }

    fn os_error(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    /// What somebody else does: adds a line in place, or makes the file (also in place of a link); in a folder makes
    /// a file.
    fn change_underneath(path: &Path) -> io::Result<()> {
        if path.is_symlink() {
            std::fs::remove_file(path)?;
        }
        let inside = path.join("changed");
        let file = if path.is_dir() { &inside } else { path };
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(b"# changed by somebody else\n")
    }

    /// A runner whose commands pass two points each: `run.PROGRAM.VERB` before and `ran.PROGRAM.VERB` after.
    pub struct FaultyRunner(pub Arc<dyn Run>);

    impl Run for FaultyRunner {
        fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
            let name = point_name(cmd);
            let failed = |e: io::Error| match e.kind() {
                io::ErrorKind::TimedOut => RunError::Timeout(cmd.display(), cmd.limit),
                _ => RunError::Failed(cmd.display(), e.to_string()),
            };
            hit(&format!("run.{name}")).map_err(failed)?;
            let output = self.0.run(cmd)?;
            hit(&format!("ran.{name}")).map_err(failed)?;
            Ok(output)
        }
    }

    /// Program and first word that is no option: `systemctl.restart`.
    fn point_name(cmd: &Cmd) -> String {
        let mut words = cmd.argv.iter().map(|a| a.to_string_lossy());
        let program = words.next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default().to_owned();
        match words.find(|w| !w.starts_with('-')) {
            Some(verb) => format!("{program}.{verb}"),
            None => program,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn acts_at_the_named_hit_only() {
            let (results, hits) = with("a:2=enospc", || [hit("a"), hit("b"), hit("a"), hit("a")]);
            let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
            assert_eq!(failed, [false, false, true, false]);
            assert_eq!(hits, ["a:1", "b:1", "a:2", "a:3"]);
            assert_eq!(results[2].as_ref().map_err(io::Error::kind), Err(io::ErrorKind::StorageFull));
        }

        #[test]
        fn every_hit_prefixes_and_short_writes() {
            let (n, _) = with("root.*=shortwrite", || (hit_data("root.write.data", 10), hit_data("other", 10)));
            assert_eq!((n.0.unwrap(), n.1.unwrap()), (5, 10));
        }

        #[test]
        fn any_counts_all_points() {
            let (results, _) = with("any:2=error", || [hit("a"), hit("b"), hit("a")].map(|r| r.is_ok()));
            assert_eq!(results, [true, false, true]);
        }

        #[test]
        fn the_number_of_looks_moves_no_point() {
            let (results, hits) = with("show:2=error", || {
                let looks: Vec<bool> = (0..5).map(|n| look(n, || hit("show").is_ok())).collect();
                (looks, hit("show").is_ok())
            });
            assert_eq!(hits, ["show:1", "show.again:1", "show:2"]);
            assert_eq!(results, (vec![true; 5], false));
        }

        #[test]
        fn a_rule_with_a_typing_error_fails_loudly() {
            let (result, _) = with("a=explode", || hit("z"));
            assert!(result.unwrap_err().to_string().contains("a=explode"));
        }

        #[test]
        fn names_commands_by_program_and_verb() {
            assert_eq!(
                point_name(&Cmd::new(["/usr/bin/systemctl", "--no-block", "restart", "x"])),
                "systemctl.restart"
            );
            assert_eq!(point_name(&Cmd::new(["rsyslogd", "-N1"])), "rsyslogd");
        }
    }
}
