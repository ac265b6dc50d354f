//! What the daemon may take of the machine. How many files it may have open: each TCP sender, log file and queue file takes
//! one. At the limit rsyslog goes on and accepts nobody, and syslog-ng does not start. How much memory it may ask for: where
//! there is none for one more thread, rsyslog goes on and forwards nothing.

use super::case::Case;
use super::outcome::Outcome;
use super::words;
use crate::report::Status;

/// Fewer are soon used up: a daemon has 10 to 20 open before the first sender comes.
const FEW: u64 = 256;

/// What a thread takes of the address space for its stack.
const STACK: u64 = 8 << 20;

/// The limit that is reached (fail) or near (warn).
pub fn judge(case: &Case<'_>) -> Option<Outcome> {
    let (memory, files) = (memory(case), files(case));
    match (&memory, &files) {
        (Some(m), _) if m.status == Status::Fail => memory,
        (_, Some(_)) => files,
        _ => memory,
    }
}

fn memory(case: &Case<'_>) -> Option<Outcome> {
    let process = case.process()?;
    let (used, most) = process.address_space?;
    let name = case.unit_name();
    let (used_words, most_words) = (words::bytes(used), words::bytes(most));
    let left = most.saturating_sub(used);
    let out = match () {
        () if left < STACK => Outcome::fail(format!(
            "{name} may ask for {most_words} of memory and has {used_words}: there is none for one more thread, so it takes \
             or forwards nothing"
        )),
        () if left < 4 * STACK => Outcome::warn(format!(
            "{name} may ask for {most_words} of memory and has {used_words}: its queues and threads need more"
        )),
        () => return None,
    };
    let unit = format!("{name}.service");
    Some(
        out.seen(process.display(), format!("{used_words} of {most_words} (soft limit of address space)"))
            .seen_all(case.unit_changes())
            .advise(format!(
                "take LimitAS= (or `ulimit -v`) away from {unit}, or set it to infinity, then restart the daemon"
            ))
            .command(format!("sudo systemctl edit {unit}"))
            .command(format!("sudo systemctl restart {unit}")),
    )
}

/// What is wrong with the limit of files: nothing more can be opened (fail), or that is near (warn).
fn files(case: &Case<'_>) -> Option<Outcome> {
    let process = case.process()?;
    let (used, most) = process.open_files.zip(process.most_open_files)?;
    let name = case.unit_name();
    // What imtcp needs for one more sender is a socket; the daemon itself wants some to work with.
    let out = match () {
        () if used + 2 > most => Outcome::fail(format!(
            "{name} has all files open that it may ({used} of {most}): no sender gets in any more"
        )),
        () if used * 10 >= most * 8 => {
            Outcome::warn(format!("{name} has {used} of {most} files open that it may: few more TCP senders get in"))
        }
        () if most < FEW => Outcome::warn(format!(
            "{name} may open {most} files at a time, of which it has {used}: each TCP sender and log file takes one"
        )),
        () => return None,
    };
    let unit = format!("{name}.service");
    Some(
        out.seen(process.display(), format!("{used} open, at most {most} (soft limit of open files)"))
            .seen_all(case.unit_changes())
            .advise(format!("set LimitNOFILE=16384 under [Service] in {unit}, then restart the daemon"))
            .command(format!("sudo systemctl edit {unit}"))
            .command(format!("sudo systemctl restart {unit}")),
    )
}

#[cfg(test)]
mod tests {
    use crate::check::fixture::{DAEMON, healthy, judge};
    use crate::check::limits::limits;
    use crate::report::Status;

    #[test]
    fn a_daemon_at_the_limit_fails_and_one_that_comes_near_warns() {
        let of = |used, most| {
            let mut facts = healthy();
            let process = facts.processes.get_mut(&DAEMON).unwrap();
            (process.open_files, process.most_open_files) = (Some(used), Some(most));
            judge(limits, &facts).status
        };
        assert_eq!(of(15, 16), Status::Fail);
        assert_eq!(of(15, 64), Status::Warn);
        assert_eq!(of(850, 1024), Status::Warn);
        assert_eq!(of(15, 1024), Status::Pass);
    }

    #[test]
    fn a_daemon_without_memory_for_a_thread_fails() {
        let of = |used: u64, most: u64| {
            let mut facts = healthy();
            facts.processes.get_mut(&DAEMON).unwrap().address_space = Some((used << 20, most << 20));
            judge(limits, &facts).status
        };
        assert_eq!(of(36, 40), Status::Fail);
        assert_eq!(of(220, 240), Status::Warn);
        assert_eq!(of(220, 1024), Status::Pass);
    }
}
