//! What `--fix` cannot do it must not promise: a file of ours that nobody may write, a start that ends as the last one did.

use super::case::Case;
use super::facts::FileState;
use super::outcome::Outcome;
use crate::host::proc_mount;
use crate::report::{Fix, shell_quote};

/// Takes the promise back where it cannot be kept, and says what is to be done first.
pub fn kept(case: &Case<'_>, outcome: Outcome) -> Outcome {
    let Some(advice) = &outcome.advice else { return outcome };
    let writes = |f: &Fix| matches!(f, Fix::Install | Fix::DropLocalCopy);
    if !advice.fixes.iter().any(writes) {
        return outcome;
    }
    let Some((what, command)) = in_the_way(case) else { return outcome };
    let mut outcome = outcome.seen("in the way", &what);
    if let Some(advice) = &mut outcome.advice {
        advice.fixes.retain(|f| !writes(f));
        advice.fixable = !advice.fixes.is_empty();
        advice.summary = format!("{what}: end that first; then {}", advice.summary);
        advice.commands.insert(0, command);
    }
    outcome
}

/// Why a file of ours that is not as it was written cannot be written, and the command that ends it.
fn in_the_way(case: &Case<'_>) -> Option<(String, String)> {
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref)?;
    let mounts = case.facts.agent_states.mounts.as_deref().unwrap_or_default();
    receipt.files.iter().filter(|f| f.state != FileState::AsWritten).find_map(|f| {
        if let Some(path) = &f.immutable {
            return Some((format!("{path} is immutable"), format!("sudo chattr -i {}", shell_quote(path))));
        }
        let mount = proc_mount::holding(mounts, std::path::Path::new(&f.path)).filter(|m| m.read_only)?;
        let point = &mount.point;
        Some((format!("{point} is mounted read-only"), format!("sudo mount -o remount,rw {}", shell_quote(point))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::facts::{Facts, ReceiptFacts, ReceiptFile};
    use crate::check::fixture;
    use crate::check::target::Target;
    use crate::host::proc_mount::Mount;

    fn advice(change: impl FnOnce(&mut Facts, &mut ReceiptFile)) -> (bool, String, String) {
        let mut facts = fixture::healthy();
        let mut file = ReceiptFile {
            path: "/etc/rsyslog.d/10-cefctl.conf".into(),
            sha256: "00".into(),
            state: FileState::Missing,
            immutable: None,
        };
        change(&mut facts, &mut file);
        facts.receipt = Ok(Some(ReceiptFacts { files: vec![file], ..ReceiptFacts::default() }));
        let target = Target::default();
        let config = crate::check::case::read_config(&facts);
        let case = Case::new(&facts, &target, &config);
        let out = kept(&case, Outcome::fail("x").advise("write it anew").command("sudo cefctl install").fixable());
        let advice = out.advice.unwrap();
        (advice.fixable, advice.summary, advice.commands[0].clone())
    }

    #[test]
    fn what_nobody_may_write_is_not_promised() {
        assert!(advice(|_, _| {}).0);
        let folder = "/etc/rsyslog.d";
        let (fixable, summary, command) = advice(|_, f| f.immutable = Some(folder.into()));
        assert!(!fixable && summary.starts_with("/etc/rsyslog.d is immutable: end that first"), "{summary}");
        assert_eq!(command, "sudo chattr -i /etc/rsyslog.d");
        // Nothing has to be written.
        assert!(advice(|_, f| (f.immutable, f.state) = (Some(folder.into()), FileState::AsWritten)).0);
        let read_only = Mount { point: "/etc".into(), read_only: true, ..Mount::default() };
        let (fixable, _, command) = advice(|facts, _| facts.agent_states.mounts = Ok(vec![read_only]));
        assert_eq!((fixable, command.as_str()), (false, "sudo mount -o remount,rw /etc"));
    }
}
