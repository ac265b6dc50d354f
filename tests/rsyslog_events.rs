//! Our view of events and rules against a running rsyslogd: the properties it makes of raw lines, and the actions its
//! rules send them to. Loopback and private folders only. Needs rsyslogd 8.2302 or near; says so and passes without.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cefctl::host::Root;
use cefctl::syslog::Text;
use cefctl::syslog::rsyslog::effective::{ActionKind, Effective};
use cefctl::syslog::rsyslog::event::{EventTime, Origin, Reception, SampleEvent};

const DAEMON: &str = "/usr/sbin/rsyslogd";

/// A daemon of our own, ended when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(dir: &Path, config: &str, port: u16) -> Daemon {
        std::fs::write(dir.join("main.conf"), config).unwrap();
        let child = Command::new(DAEMON)
            .args(["-n", "-f"])
            .arg(dir.join("main.conf"))
            .args(["-i", "NONE"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let daemon = Daemon(child);
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let messages = std::fs::read_to_string(dir.join("stderr")).unwrap_or_default();
            assert!(Instant::now() < end, "rsyslogd does not listen: {messages}");
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn head(dir: &Path, port: u16) -> String {
    format!(
        "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\nmodule(load=\"imtcp\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" name=\"in\" supportOctetCountedFraming=\"off\" ruleset=\"test\")\n",
        dir.display()
    )
}

fn send(port: u16, lines: &[Vec<u8>]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for line in lines {
        stream.write_all(&[line.as_slice(), b"\n"].concat()).unwrap();
    }
}

/// Waits until a file has that many lines.
fn wait_lines(path: &Path, count: usize) -> Vec<Vec<u8>> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let content = std::fs::read(path).unwrap_or_default();
        let lines: Vec<Vec<u8>> = content.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        if lines.len() > count || Instant::now() > end {
            return lines[..lines.len() - 1].to_vec();
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

const LINES: &str = include_str!("../fixtures/rsyslog/events.txt");

/// The sample lines, damaged copies of them, and lines put together at random.
fn lines(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = LINES.lines().filter(|l| !l.is_empty()).map(|l| l.as_bytes().to_vec()).collect();
    if let Ok(extra) = std::env::var("EVENT_LINES") {
        out.extend(std::fs::read(extra).unwrap().split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
    }
    for i in 0..out.len() {
        let mut line = out[i].clone();
        let at = rng.below(line.len());
        match rng.below(3) {
            0 => drop(line.remove(at)),
            1 => line.insert(at, *rng.pick(&[&b' ', &b':', &b'[', &b'<', &b'\t', &0xe9, &1, &b'0', &b'"'])),
            _ => line.truncate(at.max(1)),
        }
        out.push(line);
    }
    for _ in 0..300 {
        let pri = rng.pick(&["<164>", "<13>", "", "<191>", "<192>", "<999>", "<0>", "<1x>", "< 13>", "<13", "<164>1 "]);
        let time = rng.pick(&[
            "Aug  1 10:00:00 ",
            "Aug 01 10:00:00 ",
            "aug 1 10:00:00: ",
            "Aug  1 2026 10:00:00 ",
            "2026 Aug  1 10:00:00 ",
            "2026-08-01T10:00:00Z ",
            "2026-08-01T10:00:00.123456+02:00 ",
            "2026-08-01T10:00:00 ",
            " Aug  1 10:00:00 ",
            "Aug  1 10:00:00.123 ",
            "Aug  1 25:00:00 ",
            "- ",
            "",
            "1785578400 ",
            "Sat Aug  1 10:00:00 ",
            "2026-08-01 10:00:00 ",
            "2026-13-01T10:00:00Z ",
            "Aug  1 10:00:00",
        ]);
        let host = rng.pick(&[
            "fw1 ",
            "fw-1.example.com ",
            "10.0.0.1 ",
            "2001:db8::1 ",
            "[fw1] ",
            "fw_1- ",
            "fw1: ",
            "",
            "- ",
            " ",
        ]);
        let tag = rng.pick(&[
            "CEF:0|V|P|1|100|N|5|",
            "app[12]: ",
            "app: ",
            "app 1 - - ",
            "%ASA-6-302013: ",
            "a/b[1]: ",
            "app[: ",
            "{\"a\":1}",
            "app 1 ID [x y=\"z\"] ",
            "app - - [x y=\"\\]\"] ",
            "app 1 ID [x ",
            "app 1 ID x",
            "very-long-tag-without-end",
            "tag:msg",
        ]);
        let text = rng.pick(&["src=1.1.1.1", "", "text with blanks ", " two", "\u{fffd}x"]);
        out.push([pri, time, host, tag, text].concat().into_bytes());
    }
    out.retain(|l| !l.is_empty() && !l.contains(&b'\n') && !l.contains(&0));
    out
}

const PROPERTIES: [&str; 17] = [
    "pri",
    "syslogfacility-text",
    "syslogseverity-text",
    "hostname",
    "syslogtag",
    "programname",
    "app-name",
    "procid",
    "msgid",
    "structured-data",
    "protocol-version",
    "msg",
    "fromhost-ip",
    "inputname",
    "rawmsg-after-pri",
    "pri-text",
    "rawmsg",
];

#[test]
fn properties_are_the_daemons() {
    if !Path::new(DAEMON).exists() {
        eprintln!("no {DAEMON} here: not checked");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (port, out) = (free_port(), dir.path().join("out"));
    let list: String = PROPERTIES.iter().map(|p| format!("%{p}%\\001")).collect();
    let config = head(dir.path(), port)
        + &format!("template(name=\"all\" type=\"string\" string=\"%timereported:::date-rfc3339%\\001{list}\\n\")\n")
        + &format!(
            "ruleset(name=\"test\") {{ action(type=\"omfile\" file=\"{}\" template=\"all\") }}\n",
            out.display()
        );
    let seed = std::env::var("EVENT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1u64);
    let lines = lines(&mut Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
    let daemon = Daemon::start(dir.path(), &config, port);
    send(port, &lines);
    let got = wait_lines(&out, lines.len());
    drop(daemon);
    assert_eq!(got.len(), lines.len(), "some lines did not come through");
    let mut wrong = 0;
    for (line, got) in lines.iter().zip(&got) {
        let fields: Vec<&[u8]> = got.split(|b| *b == 1).collect();
        // What the daemon fills in from its own clock.
        let now = EventTime {
            year: year_of(fields[0]),
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            fraction: 0,
            precision: 0,
            offset: Some(0),
            zulu: false,
        };
        let origin = Origin { inputname: Text::from("in"), received: Some(now), ..Origin::default() };
        let event = SampleEvent::parse_with(line, &origin, &Reception { max_size: 65536, ..Reception::default() });
        let mut ours: Vec<Vec<u8>> = vec![
            event
                .time
                .filter(|t| *t != now && t.precision <= 6)
                .map_or(fields[0].to_vec(), |t| time_text(&t, fields[0])),
        ];
        ours.extend(PROPERTIES.iter().map(|p| event.property(p).unwrap_or_else(|| b"UNKNOWN".to_vec())));
        for ((name, ours), theirs) in ["time"].iter().chain(&PROPERTIES).zip(&ours).zip(&fields) {
            if ours != theirs && wrong < 20 {
                wrong += 1;
                let show = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
                eprintln!("{:?}\n  {name}: daemon {:?} ours {:?}", show(line), show(theirs), show(ours));
            }
        }
    }
    assert_eq!(wrong, 0);
}

fn year_of(time: &[u8]) -> i32 {
    std::str::from_utf8(&time[..4]).unwrap().parse().unwrap()
}

/// A zone that was not in the event is the machine's.
fn time_text(time: &EventTime, theirs: &[u8]) -> Vec<u8> {
    let ours = time.rfc3339().unwrap().into_bytes();
    match ours.strip_suffix(b"+00:00") {
        Some(head) if theirs.starts_with(head) => theirs.to_vec(),
        _ => ours,
    }
}

// ---- rules ----

fn random_rules(rng: &mut Rng, dir: &Path) -> (String, usize) {
    let mut out = String::from("template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n");
    out += "template(name=\"t1\" type=\"string\" string=\"<%pri%>%hostname% %syslogtag:1:5:uppercase%|%msg:3:8%|%msg:R,ERE,1,BLANK:([a-z]+)=--end%|%msg:F,124:2%\")\n";
    out += "template(name=\"t2\" type=\"list\") { property(name=\"hostname\") constant(value=\" \") property(name=\"programname\" caseConversion=\"upper\") property(name=\"$.a\") }\n";
    let mut n = 0;
    let mut bodies = Vec::new();
    for name in ["sub1", "sub2", "test"] {
        let mut body = String::new();
        for _ in 0..if name == "test" { 14 } else { 4 } {
            rule(rng, &mut body, &mut n, dir, 2, name);
        }
        bodies.push(format!(
            "ruleset(name=\"{name}\"{}) {{\n{body}}}\n",
            if name == "sub2" { " queue.type=\"linkedList\"" } else { "" }
        ));
    }
    out += &bodies.concat();
    (out, n)
}

fn act(out: &mut String, n: &mut usize, dir: &Path) {
    *out += &format!("action(type=\"omfile\" file=\"{}/out{n}\" template=\"raw\")\n", dir.display());
    *n += 1;
}

fn rule(rng: &mut Rng, out: &mut String, n: &mut usize, dir: &Path, depth: usize, ruleset: &str) {
    match rng.below(10) {
        0 | 1 => {
            *out += rng.pick(&[
                "local4.warning ",
                "*.info;local4.none ",
                "user.* ",
                "*.=warning ",
                "*.!err ",
                "mail,user.notice ",
                "*.crit ",
                "*.* ",
            ]);
            body(rng, out, n, dir, depth, ruleset);
        }
        2 | 3 => {
            let prop = rng.pick(&["msg", "rawmsg", "syslogtag", "programname", "hostname", "fromhost-ip", "app-name"]);
            let op = rng.pick(&[
                "contains",
                "isequal",
                "startswith",
                "regex",
                "ereregex",
                "isempty",
                "!contains",
                "!startswith",
                "!regex",
            ]);
            let value = rng.pick(&[
                "CEF:",
                "CEF\\|ASA",
                "CEF\\\\|ASA",
                "CEF|ASA",
                "fw1",
                "^.*[0-9]\\\\{3\\\\}",
                "^ ",
                "",
                "%ASA-",
                "[[:digit:]]+",
                "app",
                "(a|b)$",
                "a\\\\+",
            ]);
            *out += &format!(":{prop}, {op}, \"{value}\" ");
            body(rng, out, n, dir, depth, ruleset);
        }
        4 => {
            let value = expression(rng, 2);
            *out += &format!("set $.{} = {value};\n", rng.pick(&["a", "b"]));
        }
        5 => *out += rng.pick(&["unset $.a;\n", "unset $!x;\n", "set $!x!y = \"q\";\n"]),
        6 if ruleset == "test" => *out += rng.pick(&["call sub1\n", "call sub2\n", "call nowhere\n"]),
        _ => {
            *out += &format!("if {} then ", expression(rng, 3));
            body(rng, out, n, dir, depth, ruleset);
            if rng.below(3) == 0 {
                *out += "else ";
                body(rng, out, n, dir, depth, ruleset);
            }
        }
    }
}

fn body(rng: &mut Rng, out: &mut String, n: &mut usize, dir: &Path, depth: usize, ruleset: &str) {
    *out += "{\n";
    act(out, n, dir);
    if depth > 0 && rng.below(2) == 0 {
        rule(rng, out, n, dir, depth - 1, ruleset);
    }
    if rng.below(if ruleset == "test" { 9 } else { 5 }) == 0 {
        *out += "stop\n";
    }
    *out += "}\n";
}

fn expression(rng: &mut Rng, depth: usize) -> String {
    let mut out = operand(rng, depth);
    for _ in 0..rng.below(3) {
        let op = rng.pick(&[
            "==",
            "!=",
            "<=",
            ">=",
            "<",
            ">",
            "contains",
            "contains_i",
            "startswith",
            "startswith_i",
            "and",
            "or",
            "&",
            "+",
            "-",
            "*",
            "and",
            "or",
        ]);
        out += &format!(" {op} {}", operand(rng, depth));
    }
    out
}

fn operand(rng: &mut Rng, depth: usize) -> String {
    match rng.below(if depth == 0 { 5 } else { 11 }) {
        0 | 1 => rng
            .pick(&[
                "$msg",
                "$rawmsg",
                "$hostname",
                "$syslogtag",
                "$programname",
                "$syslogseverity",
                "$syslogfacility-text",
                "$pri",
                "$.a",
                "$.b",
                "$!x!y",
                "$fromhost-ip",
            ])
            .to_string(),
        2 => rng.pick(&["1", "0", "164", "-3", "4"]).to_string(),
        3 | 4 => rng
            .pick(&[
                "\"CEF:\"",
                "\"fw1\"",
                "\"\"",
                "'ASA-'",
                "\"4\"",
                "\"local4\"",
                "\"12ab\"",
                "\"%ASA-\"",
                "\"127.0.0.1\"",
            ])
            .to_string(),
        5 => format!("not {}", operand(rng, depth - 1)),
        6 => format!("({})", expression(rng, depth - 1)),
        7 => format!(
            "{}({})",
            rng.pick(&["strlen", "tolower", "cnum", "cstr", "ltrim", "rtrim", "int2hex"]),
            expression(rng, depth - 1)
        ),
        8 => rng
            .pick(&[
                "re_match($rawmsg, \"CEF:|%(ASA|FTD)-\")",
                "re_match_i($msg, \"cef: ?[0-9][|]\")",
                "re_match($rawmsg, \"^<[0-9]{1,3}>[A-Z][a-z]{2} +[0-9]{1,2} .*[|].*\\$\")",
                "re_match($syslogtag, \"(a+|b)?[[:alpha:]]*[:]\\$\")",
                "exists($.a)",
                "exists($!x)",
                "exists($!x!y)",
                "prifilt(\"local4.*\")",
            ])
            .to_string(),
        9 => rng
            .pick(&[
                "re_extract($rawmsg, \"(CEF:|%ASA-)([0-9]).*(src|dst)=\", 0, 2, \"none\")",
                "re_extract($msg, \"[a-z]+\", 1, 0, \"none\")",
                "re_extract($rawmsg, \"(a|ab|[a-z]+)(:|=|\\\\[)\", 0, 1, $hostname)",
                "field($rawmsg, 124, 2)",
                "field($msg, \"=\", 2)",
                "field($msg, 32, 3)",
                "replace($msg, \"a\", \"bb\")",
                "replace($rawmsg, \"|\", \"\")",
                "wrap($programname, \"##\")",
                "wrap($msg, \"=\", \"_\")",
                "substring($msg, 2, 5)",
                "substring($msg, 1, -3)",
                "exec_template(\"t1\")",
                "exec_template(\"t2\")",
                "[\"fw1\", \"CEF:\", \"4\"]",
            ])
            .to_string(),
        _ => format!(
            "({} {} {})",
            operand(rng, depth - 1),
            rng.pick(&["==", "!=", "contains", "startswith"]),
            rng.pick(&["[\"fw1\",\"CEF:\",\"local4\"]", "[\"4\", \"a\", \"\"]"])
        ),
    }
}

#[test]
fn rules_send_events_where_the_daemon_sends_them() {
    if !Path::new(DAEMON).exists() {
        eprintln!("no {DAEMON} here: not checked");
        return;
    }
    let rounds: u64 = std::env::var("RULE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let first: u64 = std::env::var("RULE_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + rounds {
        round(seed);
    }
}

fn round(seed: u64) {
    let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let (rules, _) = random_rules(&mut rng, dir.path());
    // Every line ends in its number, so that its way can be told; the last rule of all writes the number of lines.
    let lines: Vec<Vec<u8>> =
        lines(&mut rng).into_iter().enumerate().map(|(i, l)| [l, format!(" #{i}").into_bytes()].concat()).collect();
    let config = head(dir.path(), port) + &rules + "ruleset(name=\"end\") { }\n";
    let config = config.replace("ruleset=\"test\")", "ruleset=\"all\")")
        + &format!(
            "ruleset(name=\"all\") {{ action(type=\"omfile\" file=\"{}/all\" template=\"raw\") call test }}\n",
            dir.path().display()
        );
    let daemon = Daemon::start(dir.path(), &config, port);
    send(port, &lines);
    wait_lines(&dir.path().join("all"), lines.len());
    drop(daemon);

    let e = Effective::load(&dir.path().join("main.conf"), &Root::default());
    assert!(e.stopped.is_none(), "{:?}\n{config}", e.problems);
    let mut theirs: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for action in &e.actions {
        let ActionKind::File(path) = &action.kind else { continue };
        let content = std::fs::read(&*path.to_str_lossy()).unwrap_or_default();
        for line in content.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let number =
                line.rsplit(|b| *b == b'#').next().map(|n| String::from_utf8_lossy(n).parse::<usize>().unwrap());
            *theirs.entry((number.unwrap(), path.to_string())).or_default() += 1;
        }
    }
    let listener = &e.listeners[0];
    let (mut wrong, mut open, mut sure) = (0, 0, 0);
    for (number, line) in lines.iter().enumerate() {
        let event = SampleEvent::parse_with(
            line,
            &Origin { inputname: Text::from("in"), ..Origin::default() },
            &Reception::of(&e),
        );
        let trace = e.trace_from(&event, listener);
        for action in &e.actions {
            let ActionKind::File(path) = &action.kind else { continue };
            let visits: Vec<_> = trace.visits.iter().filter(|v| v.action == action.id).collect();
            let count = theirs.get(&(number, path.to_string())).copied().unwrap_or(0);
            if visits.iter().any(|v| v.maybe) {
                open += 1;
                continue;
            }
            sure += 1;
            if visits.len() != count && wrong < 5 {
                wrong += 1;
                eprintln!(
                    "=== seed {seed}: {}\n{} (at {}): daemon {count}, ours {}",
                    String::from_utf8_lossy(line),
                    path,
                    action.at,
                    visits.len()
                );
            }
        }
    }
    eprintln!("seed {seed}: {sure} sure, {open} open");
    assert!(open * 5 < sure, "too much is left open: {config}");
    assert_eq!(
        wrong,
        0,
        "{}",
        config.lines().enumerate().map(|(i, l)| format!("{}: {l}\n", i + 1)).collect::<String>()
    );
}
