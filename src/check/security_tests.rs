use super::*;
use crate::check::facts::{AppArmorFacts, Facts, FileLabel, SelinuxFacts};
use crate::check::fixture::*;
use crate::platform::apparmor::Confinement;
use crate::report::Status;

const PORTS: &[u8] = b"rsh_port_t tcp 514\nsyslogd_port_t udp 514, 601\nunreserved_port_t tcp 1024-32767\n";

fn enforcing(change: impl Fn(&mut SelinuxFacts)) -> Facts {
    let mut facts = healthy();
    if let Ok(net) = &mut facts.net {
        net.sockets.retain(|s| s.is_open()); // what works now is not refused
    }
    let mut found = SelinuxFacts {
        mode: Mode::Enforcing,
        domain: Some("system_u:system_r:syslogd_t:s0".into()),
        ports: Ok(selinux::ports(&[PORTS, b"syslogd_port_t tcp 25226\n"].concat())),
        rights: None,
        files: Ok(vec![FileLabel {
            path: "/etc/rsyslog.conf".into(),
            has: "etc_t".into(),
            wants: Some("etc_t".into()),
        }]),
        denials: Ok(Vec::new()),
    };
    change(&mut found);
    facts.security.selinux = Ok(Some(found));
    facts
}

const CONNECT: &str = "type=AVC msg=audit(1.1:1): avc:  denied  { name_connect } for  pid=9 comm=\"rs:main\" dest=25226 scontext=system_u:system_r:syslogd_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=tcp_socket permissive=0";
const READ: &str = "avc:  denied  { read } for  pid=9 comm=\"rsyslogd\" path=\"/etc/rsyslog.conf\" scontext=system_u:system_r:syslogd_t:s0 tcontext=system_u:object_r:admin_home_t:s0 tclass=file permissive=0";

#[test]
fn ports_need_a_label_that_syslog_may_use() {
    assert_eq!(judge(selinux, &healthy()).status, Status::Pass);
    assert_eq!(judge(selinux, &enforcing(|_| {})).status, Status::Pass);
    let unlabelled = enforcing(|s| s.ports = Ok(selinux::ports(PORTS)));
    let o = judge(selinux, &unlabelled);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("connect to tcp port 25226, which has unreserved_port_t"), "{}", o.summary);
    assert_eq!(o.advice.unwrap().commands, ["sudo semanage port -a -t syslogd_port_t -p tcp 25226"]);
    let free = enforcing(|s| {
        s.ports = Ok(selinux::ports(PORTS));
        s.domain = Some("system_u:system_r:unconfined_service_t:s0".into());
    });
    assert_eq!(judge(selinux, &free).status, Status::Pass);
    let permissive = enforcing(|s| {
        s.ports = Ok(Vec::new());
        s.mode = Mode::Permissive;
    });
    assert_eq!(judge(selinux, &permissive).status, Status::Pass);
}

#[test]
fn refusals_are_translated_and_what_is_not_known_is_unknown() {
    let denied = |line: &'static str| {
        move |s: &mut SelinuxFacts| {
            s.ports = Err("semanage is not installed".into());
            s.denials = Ok(selinux::denial(line).into_iter().collect());
        }
    };
    let o = judge(selinux, &enforcing(denied(CONNECT)));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("25226") && o.advice.unwrap().commands.len() == 2);
    let o = judge(selinux, &enforcing(denied(READ)));
    assert_eq!(o.status, Status::Fail);
    assert!(o.advice.unwrap().commands[0].contains("restorecon -Rv /etc/rsyslog.conf"));
    assert_eq!(judge(selinux, &enforcing(denied("nothing"))).status, Status::Unknown);
    let other = READ.replace("tclass=file", "tclass=capability");
    let o = judge(selinux, &enforcing(|s| s.denials = Ok(selinux::denial(&other).into_iter().collect())));
    assert_eq!(o.status, Status::Warn);
    let mut unknown = healthy();
    unknown.security.selinux = Err("no".into());
    assert_eq!(judge(selinux, &unknown).status, Status::Unknown);
}

#[test]
fn files_must_have_the_label_of_the_policy() {
    assert_eq!(judge(labels, &healthy()).status, Status::Pass);
    assert_eq!(judge(labels, &enforcing(|_| {})).status, Status::Pass);
    let moved = |s: &mut SelinuxFacts| {
        s.files = Ok(vec![FileLabel {
            path: "/etc/rsyslog.conf".into(),
            has: "admin_home_t".into(),
            wants: Some("etc_t".into()),
        }]);
    };
    let o = judge(labels, &enforcing(moved));
    assert_eq!(o.status, Status::Fail);
    let advice = o.advice.unwrap();
    assert!(o.summary.contains("admin_home_t") && advice.commands[0] == "sudo restorecon -v /etc/rsyslog.conf");
    let label = Setting::FileLabel { path: "/etc/rsyslog.conf".into(), had: "admin_home_t".into() };
    assert_eq!(advice.fixes, [Fix::Set(label), Fix::Restart("rsyslog.service".into())]);
    let o = judge(
        labels,
        &enforcing(|s| {
            moved(s);
            s.mode = Mode::Permissive;
        }),
    );
    assert_eq!(o.status, Status::Warn);
    let o = judge(labels, &enforcing(|s| s.files = Err("matchpathcon is not installed".into())));
    assert_eq!(o.status, Status::Unknown);
}

/// As an enforcing Debian said them.
const SEEN: &[&str] = &[
    "type=AVC msg=audit(1795571103.452:111): avc:  denied  { name_connect } for  pid=742 comm=\"rs:cefctl_fwd[D\" dest=25226 scontext=system_u:system_r:syslogd_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=tcp_socket permissive=0",
    "type=AVC msg=audit(1795571226.528:251): avc:  denied  { getattr } for  pid=924 comm=\"rsyslogd\" path=\"/etc/rsyslog.d/10-cefctl.conf\" dev=\"vda\" ino=594 scontext=system_u:system_r:syslogd_t:s0 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file permissive=0",
    "type=AVC msg=audit(1795571611.720:349): avc:  denied  { name_connect } for  pid=1561 comm=\"rs:cefctl_fwd:R\" dest=8080 scontext=system_u:system_r:syslogd_t:s0 tcontext=system_u:object_r:http_cache_port_t:s0 tclass=tcp_socket permissive=0",
];

fn seen(index: usize, labels: Option<(&str, &str)>) -> Denial {
    let denial = selinux::denial(SEEN[index]).unwrap();
    match labels {
        Some((now, wants)) => Denial { now: Some(now.into()), wants: Some(wants.into()), ..denial },
        None => denial,
    }
}

#[test]
fn a_refusal_is_over_once_the_label_is_another() {
    // The port has its label now, the daemon was not restarted, and the old lines are still in the log.
    let mended = enforcing(|s| s.denials = Ok(vec![seen(0, None)]));
    assert_eq!(judge(selinux, &mended).status, Status::Pass);
    let unknown = enforcing(|s| {
        s.ports = Err("semanage is not installed".into());
        s.denials = Ok(vec![seen(0, None)]);
    });
    let o = judge(selinux, &unknown);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("tcp port 25226, which has unreserved_port_t"), "{}", o.summary);
    assert!(!o.advice.unwrap().fixable, "without semanage nothing can be labelled");
    let mut connected = unknown.clone();
    connected.net = healthy().net;
    assert_eq!(judge(selinux, &connected).status, Status::Unknown, "what works is not refused");
    let file = |labels| enforcing(move |s: &mut SelinuxFacts| s.denials = Ok(vec![seen(1, labels)]));
    assert_eq!(judge(selinux, &file(Some(("syslog_conf_t", "syslog_conf_t")))).status, Status::Pass);
    let o = judge(selinux, &file(Some(("user_home_t", "syslog_conf_t"))));
    assert_eq!(o.status, Status::Fail);
    let label = Setting::FileLabel { path: "/etc/rsyslog.d/10-cefctl.conf".into(), had: "user_home_t".into() };
    assert_eq!(o.advice.unwrap().fixes[0], Fix::Set(label));
    // Where the policy itself wants the label `restorecon` is no help.
    let advice = judge(selinux, &file(Some(("user_home_t", "user_home_t")))).advice.unwrap();
    assert!(advice.commands[0].starts_with("sudo semanage fcontext -a -t syslog_conf_t"), "{:?}", advice.commands);
    assert!(!advice.fixable);
    let elsewhere = enforcing(|s| {
        s.ports = Ok(selinux::ports(&[PORTS, b"syslogd_port_t tcp 25226\nhttp_cache_port_t tcp 8080\n"].concat()));
        s.denials = Ok(vec![seen(2, None)]);
    });
    let o = judge(selinux, &elsewhere);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains("tcp port 8080"), "{}", o.summary);
}

fn confined(profile: &str, change: impl Fn(&mut AppArmorFacts)) -> Facts {
    let mut facts = healthy();
    let mut found = AppArmorFacts {
        confinement: Confinement { profile: "rsyslogd".into(), enforced: true },
        file: Some("/etc/apparmor.d/usr.sbin.rsyslogd".into()),
        profile: Ok(profile.into()),
        denials: Ok(Vec::new()),
    };
    change(&mut found);
    facts.security.apparmor = Ok(Some(found));
    facts
}

const PROFILE: &str = "/etc/rsyslog.conf r,\n/etc/rsyslog.d/** r,\n";

#[test]
fn a_profile_must_cover_the_spool() {
    assert_eq!(judge(apparmor, &healthy()).status, Status::Pass);
    let whole = format!("{PROFILE}/var/spool/rsyslog/** rwk,\n");
    assert_eq!(judge(apparmor, &confined(&whole, |_| {})).status, Status::Pass);
    let o = judge(apparmor, &confined(PROFILE, |_| {}));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("write /var/spool/rsyslog"), "{}", o.summary);
    assert!(o.evidence[1].text == "/var/spool/rsyslog/** rwk,", "{:?}", o.evidence);
    let advice = o.advice.unwrap();
    assert!(advice.summary.contains("/etc/apparmor.d/local/usr.sbin.rsyslogd"));
    assert!(advice.commands.contains(&"sudo apparmor_parser -r /etc/apparmor.d/usr.sbin.rsyslogd".to_owned()));
    let o = judge(apparmor, &confined(PROFILE, |a| a.confinement.enforced = false));
    assert_eq!(o.status, Status::Pass);
    let denial = apparmor::denial("a: apparmor=\"DENIED\" profile=\"rsyslogd\" name=\"/data/q\" denied_mask=\"w\"");
    let o = judge(apparmor, &confined(&whole, |a| a.denials = Ok(denial.clone().into_iter().collect())));
    assert_eq!(o.status, Status::Warn);
    assert_eq!(judge(apparmor, &confined("", |a| a.profile = Err("no text".into()))).status, Status::Unknown);
    // Allowed by now: the line is of before.
    let mended = format!("{whole}/data/q rw,\n");
    assert_eq!(
        judge(apparmor, &confined(&mended, |a| a.denials = Ok(denial.clone().into_iter().collect()))).status,
        Status::Pass
    );
    let refused = |text: &str| {
        let line = format!("audit(1.2:3): apparmor=\"DENIED\" profile=\"rsyslogd\" {text}");
        confined(&whole, |a| a.denials = Ok(apparmor::denial(&line).into_iter().collect()))
    };
    let o =
        judge(apparmor, &refused("operation=\"create\" family=\"inet\" sock_type=\"stream\" denied_mask=\"create\""));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("network inet stream"), "{}", o.summary);
    let o = judge(apparmor, &refused("operation=\"capable\" capability=12  capname=\"net_admin\""));
    assert_eq!(o.status, Status::Pass);
    let local =
        format!("profile syslog-ng /usr/sbin/syslog-ng {{\ninclude if exists <local/sbin.syslog-ng>\n{PROFILE}");
    let o = judge(apparmor, &confined(&local, |_| {}));
    assert!(o.advice.unwrap().summary.contains("/etc/apparmor.d/local/sbin.syslog-ng"));
}
