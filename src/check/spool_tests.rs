use super::*;
use crate::check::facts::{Facts, SizedFile};
use crate::check::fixture::*;
use crate::host::proc_mount::Mount;
use crate::report::Status;

fn with(from: &str, to: &str) -> Facts {
    assert!(DROP_IN.contains(from), "{from}");
    with_drop_in(&DROP_IN.replace(from, to))
}

fn spool(facts: &mut Facts) -> &mut Spool {
    &mut facts.rsyslog.spools[0]
}

fn failing(facts: &Facts) -> Outcome {
    let o = judge(reliable, facts);
    assert_eq!(o.status, Status::Fail, "{o:?}");
    o
}

#[test]
fn a_disk_assisted_queue_with_all_it_needs_passes() {
    let o = judge(reliable, &healthy());
    assert_eq!(
        (o.status, o.summary.as_str()),
        (Status::Pass, "up to 1.0 GiB of events wait on disk while the agent is away")
    );
}

#[test]
fn a_queue_that_loses_something_warns() {
    let warns = |from: &str, to: &str, word: &str| {
        let o = judge(reliable, &with(from, to));
        assert_eq!(o.status, Status::Warn, "{o:?}");
        assert!(o.summary.contains(word), "{}", o.summary);
    };
    warns("queue.type=\"LinkedList\"", "", "no queue");
    warns("queue.fileName=\"cef_fwd\"", "", "memory only");
    warns("action.resumeRetryCount=\"-1\"", "", "some tries");
    warns("queue.saveOnShutdown=\"on\"", "queue.saveOnShutdown=\"off\"", "stops");
    warns("queue.maxDiskSpace=\"1g\"", "", "no limit");
}

#[test]
fn without_a_work_directory_nothing_goes_to_disk() {
    let mut facts = healthy();
    let main = MAIN.replace("$WorkDirectory", "#");
    let text = DROP_IN.replace("workDirectory=\"/var/spool/rsyslog\"", "");
    set_config(&mut facts, &[("/etc/rsyslog.conf", &main), (DROP_IN_PATH, &text)]);
    assert!(failing(&facts).summary.contains("no work directory"));
}

#[test]
fn a_spool_that_is_missing_or_no_folder_fails() {
    let mut facts = healthy();
    spool(&mut facts).walk.pop();
    let o = failing(&facts);
    assert!(o.summary.contains("does not exist"), "{}", o.summary);
    assert_eq!(o.advice.unwrap().commands[0], "sudo install -d -m 0700 -o 0 /var/spool/rsyslog");
    let mut facts = healthy();
    spool(&mut facts).walk.last_mut().unwrap().kind = FileKind::File;
    assert!(failing(&facts).summary.contains("no folder"));
}

#[test]
fn a_link_that_leads_nowhere_is_for_a_person_to_mend() {
    let mut facts = healthy();
    spool(&mut facts).walk.pop();
    assert!(failing(&facts).advice.unwrap().fixable);
    spool(&mut facts).link = true;
    let o = failing(&facts);
    assert!(o.summary.contains("a link that leads to no folder"), "{}", o.summary);
    assert!(!o.advice.unwrap().fixable);
}

#[test]
fn a_spool_the_daemon_sees_read_only_fails() {
    let mut facts = healthy();
    facts.rsyslog.mounts.as_mut().unwrap().push(Mount {
        point: "/var/spool".into(),
        fs_type: "tmpfs".into(),
        read_only: true,
        ..Mount::default()
    });
    let o = failing(&facts);
    assert!(o.evidence.iter().any(|e| e.text == "/var/spool (tmpfs) read-only"), "{o:?}");
}

#[test]
fn without_the_daemons_view_of_its_mounts_nothing_is_called_good() {
    let mut facts = healthy();
    facts.rsyslog.mounts = Err("permission denied".into());
    assert_eq!(judge(reliable, &facts).status, Status::Unknown);
}

#[test]
fn a_spool_closed_to_the_daemons_user_fails() {
    let mut facts = healthy();
    spool(&mut facts).walk.last_mut().unwrap().mode = 0o700;
    assert_eq!(judge(reliable, &facts).status, Status::Pass);
    let process = facts.processes.get_mut(&DAEMON).unwrap();
    (process.uid, process.gid, process.cap_effective) = (104, 110, 0);
    let o = failing(&facts);
    assert!(o.summary.contains("the daemon runs as user 104"), "{}", o.summary);
    assert_eq!(o.advice.unwrap().commands[0], "sudo chown 104:110 /var/spool/rsyslog");
    spool(&mut facts).walk.last_mut().unwrap().uid = 104;
    assert_eq!(judge(reliable, &facts).status, Status::Pass);
    spool(&mut facts).walk[2].mode = 0o700;
    assert_eq!(failing(&facts).advice.unwrap().commands[0], "sudo chmod o+x /var/spool");
}

#[test]
fn an_immutable_spool_fails_even_for_root() {
    let mut facts = healthy();
    spool(&mut facts).walk.last_mut().unwrap().immutable = true;
    assert_eq!(failing(&facts).advice.unwrap().commands[0], "sudo chattr -i /var/spool/rsyslog");
}

#[test]
fn a_daemon_that_gave_its_queue_up_fails_until_it_is_restarted() {
    let line = |source: &str| OwnLine {
        source: source.into(),
        text: "error starting up disk queue, using pure in-memory mode [v8.2302.0 try https://www.rsyslog.com/e/2036 ]"
            .into(),
    };
    let mut facts = healthy();
    facts.rsyslog.own_lines = Ok(vec![line("journal")]);
    assert_eq!(failing(&facts).advice.unwrap().commands, ["sudo systemctl restart rsyslog"]);
    // What a restart would not mend.
    let mut damaged = facts.clone();
    let notes = SizedFile { path: "/var/spool/rsyslog/cefctl_fwd.qi".into(), size: 9 };
    spool(&mut damaged).files = Ok(vec![notes]);
    let advice = failing(&damaged).advice.unwrap();
    assert!(advice.summary.contains("damaged"), "{}", advice.summary);
    assert!(
        advice.commands[0].contains("mv /var/spool/rsyslog/cefctl_fwd.* /var/spool/rsyslog.damaged/"),
        "{advice:?}"
    );
    facts.rsyslog.own_lines = Ok(vec![line("/var/log/syslog")]);
    assert_eq!(judge(reliable, &facts).status, Status::Warn);
    facts.rsyslog.own_lines = Ok(vec![line("journal")]);
    facts.rsyslog.pid = None;
    assert_eq!(judge(reliable, &facts).status, Status::Pass, "the complaint of a daemon that is gone");
}

#[test]
fn a_queue_with_a_folder_of_its_own_is_judged_by_that() {
    let mut facts = with("queue.fileName", "queue.spoolDirectory=\"/data/q\" queue.fileName");
    assert_eq!(judge(reliable, &facts).status, Status::Unknown);
    let own = Spool {
        link: false,
        path: "/data/q".into(),
        real: "/data/q".into(),
        walk: folders(&["/", "/data"]),
        files: Ok(Vec::new()),
        read: Default::default(),
        space: None,
    };
    facts.rsyslog.spools.push(own);
    assert!(failing(&facts).summary.contains("/data/q"));
}
