//! Our reading of rsyslog's language against the daemon itself: random configurations, valid and damaged, are given to
//! both, and what the daemon understood (its debug dump of the rulesets, the place where it stopped, the bytes it could
//! not read) must be what we understood. Needs rsyslogd 8.2302 or near; says so and passes where there is none.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::unwrap_used, clippy::write_with_newline)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cefctl::host::Root;
use cefctl::syslog::rsyslog::ast::{Expr, Op};
use cefctl::syslog::rsyslog::effective::{Effective, Step, StepKind};
use cefctl::syslog::rsyslog::filter::PropOp;

const DAEMON: &str = "/usr/sbin/rsyslogd";

/// What a reader made of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Understood {
    /// Dump by ruleset.
    rulesets: BTreeMap<String, String>,
    /// `file:line` where reading stopped with a syntax error.
    stopped: Option<String>,
}

// ---- the daemon's view ----

/// None where the daemon crashed (8.2302 does on an unknown function).
fn daemon(dir: &Path, main: &Path) -> (Option<Understood>, String) {
    let out = Command::new(DAEMON).args(["-d", "-N1", "-f"]).arg(main).current_dir(dir).output().unwrap();
    let debug = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let mut seen = Understood::default();
    let prefix = regex::Regex::new(r"^\d+\.\d+:[^:]*: (?:[^:]*0x[0-9a-f]+: )?\w+\.[cly]: ?").unwrap();
    let syntax =
        regex::Regex::new(r"^rsyslogd: error during parsing file ([^,]*), on or before line (\d+): syntax error")
            .unwrap();
    let mut current: Option<String> = None;
    for line in debug.lines() {
        if let Some(m) = syntax.captures(line) {
            seen.stopped = Some(format!("{}:{}", &m[1], &m[2]));
        }
        let Some(m) = prefix.find(line) else {
            // The second line of a text with a line end in it.
            let dump = current.as_ref().and_then(|name| seen.rulesets.get_mut(name));
            if let Some(dump) = dump.filter(|_| !line.ends_with(']')) {
                let _ = writeln!(dump, "{line}");
            }
            continue;
        };
        let text = &line[m.end()..];
        if let Some(name) = text.strip_prefix("ruleset '").and_then(|t| t.strip_suffix("' before optimization:")) {
            current = Some(name.to_owned());
            seen.rulesets.entry(name.to_owned()).or_default();
        } else if text.contains("assigned parser list") {
            current = None;
        } else if let Some(name) = current.as_ref().filter(|_| !text.starts_with("rsyslog ruleset ")) {
            let text = text.trim_end();
            if text.trim() != "NOP" {
                let _ = writeln!(seen.rulesets.get_mut(name).unwrap(), "{}", normal(text));
            }
        }
    }
    let messages = debug.lines().filter(|l| l.starts_with("rsyslogd: ")).collect::<Vec<_>>().join("\n");
    (out.status.code().map(|_| seen), messages)
}

/// Action numbers and texts are the daemon's own matter.
fn normal(line: &str) -> String {
    if line.contains("Property.: '$") {
        return line.to_lowercase().replace("property", "Property");
    }
    match line.trim_start().strip_prefix("ACTION ") {
        Some(rest) if rest.contains("omdiscard") => line[..line.len() - rest.len()].replace("ACTION ", "STOP"),
        Some(rest) => {
            let module = rest.split('[').nth(1).and_then(|r| r.rsplit_once(":")).map_or("", |(m, _)| m);
            let module = module.split(":/").next().unwrap_or_default();
            let module = ["omfile", "omfwd", "omusrmsg", "ompipe", "shell"].iter().find(|m| module.contains(**m));
            let indent = line.len() - line.trim_start().len();
            format!("{}ACTION {}", " ".repeat(indent), module.unwrap_or(&"other"))
        }
        None => line.to_owned(),
    }
}

// ---- our view ----

fn ours(main: &Path) -> (Understood, Effective) {
    let e = Effective::load(main, &Root::default());
    let mut seen = Understood::default();
    for ruleset in &e.rulesets {
        let mut out = String::new();
        steps(&e, &ruleset.steps, 0, &mut out);
        seen.rulesets.insert(ruleset.name.to_string(), out);
    }
    seen.stopped = e.stopped.as_ref().filter(|s| s.why.contains("syntax error")).map(|s| s.at.to_string());
    (seen, e)
}

fn steps(e: &Effective, list: &[Step], depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for step in list {
        match &step.kind {
            StepKind::Action(id) => {
                let action = &e.actions[*id];
                let module = action.module.to_string();
                if action.enabled {
                    let _ = writeln!(out, "{pad}ACTION {}", module.trim_start_matches("om_"));
                }
            }
            StepKind::Stop => drop(writeln!(out, "{pad}STOP")),
            StepKind::Call(name) => {
                let _ = writeln!(out, "{pad}CALL [{name}, queue:0]");
            }
            StepKind::CallIndirect(name) => {
                let _ = writeln!(out, "{pad}CALL_INDIRECT");
                expr(name, depth + 1, out);
            }
            StepKind::If { branches, otherwise } => if_steps(e, branches, otherwise, depth, out),
            StepKind::Foreach { var, list, body } => {
                let _ = writeln!(out, "{pad}FOREACH {var} IN");
                expr(list, depth + 1, out);
                let _ = writeln!(out, "{pad}DO");
                steps(e, body, depth + 1, out);
                let _ = writeln!(out, "{pad}END FOREACH");
            }
            StepKind::Set { var, value } => {
                let _ = writeln!(out, "{pad}SET {var} =");
                expr(value, depth + 1, out);
                let _ = writeln!(out, "{pad}END SET");
            }
            StepKind::Unset(var) => drop(writeln!(out, "{pad}UNSET {var}")),
            StepKind::Pri { filter, body } => {
                let _ = writeln!(out, "{pad}PRIFILT '{}'", filter.text);
                let mask = (0..26).map(|f| (0..8).map(|s| u8::from(filter.passes(f, s)) << s).sum::<u8>());
                let mask: String = mask.map(|m| if m == 0 { " X ".to_owned() } else { format!("{m:2X} ") }).collect();
                let _ = writeln!(out, "{}", format!("{pad}pmask: {mask}").trim_end());
                steps(e, body, depth + 1, out);
                let _ = writeln!(out, "{pad}END PRIFILT");
            }
            StepKind::Prop { filter, body } => {
                let _ = writeln!(out, "{pad}PROPFILT");
                let _ = writeln!(out, "{pad}\tProperty.: '{}'", filter.property);
                let op = match filter.op {
                    PropOp::Contains => "contains",
                    PropOp::IsEqual => "isequal",
                    PropOp::IsEmpty => "isempty",
                    PropOp::StartsWith => "startswith",
                    PropOp::Regex => "regex",
                    PropOp::EreRegex => "ereregex",
                };
                let _ = writeln!(out, "{pad}\tOperation: {}'{op}'", if filter.negated { "NOT " } else { "" });
                if filter.op != PropOp::IsEmpty {
                    let _ = writeln!(out, "{pad}\tValue....: '{}'", filter.value);
                }
                let _ = writeln!(out, "{pad}THEN");
                steps(e, body, depth + 1, out);
                let _ = writeln!(out, "{pad}END PROPFILT");
            }
        }
    }
}

/// `else if` is an `if` inside an `else` to the daemon.
fn if_steps(e: &Effective, branches: &[(Expr, Vec<Step>)], otherwise: &[Step], depth: usize, out: &mut String) {
    let Some(((cond, body), rest)) = branches.split_first() else { return steps(e, otherwise, depth, out) };
    let pad = "  ".repeat(depth);
    let _ = writeln!(out, "{pad}IF");
    expr(cond, depth + 1, out);
    let _ = writeln!(out, "{pad}THEN");
    steps(e, body, depth + 1, out);
    if !rest.is_empty() || !otherwise.is_empty() {
        let _ = writeln!(out, "{pad}ELSE");
        if_steps(e, rest, otherwise, depth + 1, out);
    }
    let _ = writeln!(out, "{pad}END IF");
}

fn expr(x: &Expr, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    match x {
        Expr::Text(t) | Expr::Unknown(t) => drop(writeln!(out, "{pad}string '{t}'")),
        Expr::Number(n) => drop(writeln!(out, "{pad}{n}")),
        Expr::Var(v) => drop(writeln!(out, "{pad}var '{v}'")),
        Expr::List(items) => {
            let _ = writeln!(out, "{pad}ARRAY:");
            for item in items {
                let _ = writeln!(out, "{pad}  string '{item}'");
            }
        }
        Expr::Call { name, args } => {
            let _ = writeln!(out, "{pad}function '{name}' (name:{name}, params:{})", args.len());
            args.iter().for_each(|a| expr(a, depth + 1, out));
        }
        Expr::Exists(v) => drop(writeln!(out, "{pad}exists({v})")),
        Expr::Not(inner) => {
            let _ = writeln!(out, "{pad}NOT");
            expr(inner, depth + 1, out);
        }
        Expr::Negate(inner) => {
            let _ = writeln!(out, "{pad}M");
            expr(inner, depth + 1, out);
        }
        Expr::Chain { first, rest } => chain(first, rest, depth, out),
    }
}

/// The daemon's tree leans to the left.
fn chain(first: &Expr, rest: &[(Op, Expr)], depth: usize, out: &mut String) {
    let Some(((op, right), before)) = rest.split_last() else { return expr(first, depth, out) };
    chain(first, before, depth + 1, out);
    let _ = writeln!(out, "{}{}", "  ".repeat(depth), op_word(*op));
    expr(right, depth + 1, out);
}

fn op_word(op: Op) -> &'static str {
    match op {
        Op::And => "AND",
        Op::Or => "OR",
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Le => "<=",
        Op::Ge => ">=",
        Op::Lt => "<",
        Op::Gt => ">",
        Op::Contains => "CONTAINS",
        Op::ContainsI => "CONTAINS_I",
        Op::StartsWith => "STARTSWITH",
        Op::StartsWithI => "STARTSWITH_I",
        Op::EndsWith => "ENDSWITH",
        Op::Concat => "&",
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::Mod => "%",
    }
}

// ---- random configurations ----

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn random_config(r: &mut Rng) -> String {
    let mut out = String::new();
    for _ in 0..1 + r.below(6) {
        top(r, &mut out);
    }
    if r.one_in(3) {
        damage(r, &mut out);
    }
    out
}

fn blank(r: &mut Rng) -> &'static str {
    r.pick(&[" ", " ", " ", "\t", "  ", "\n", "\n  ", " /* note */ ", " \\\n ", "\r\n"])
}

fn top(r: &mut Rng, out: &mut String) {
    match r.below(12) {
        0 => out.push_str(r.pick(&[
            "# a comment * ; \" {\n",
            "/* a\n * comment */\n",
            "$ActionQueueType LinkedList # x\n",
            "$WorkDirectory /tmp\n",
            "# joined \\\nto this line\n",
            "\n\n",
        ])),
        1 => {
            let name = format!("r{}", r.below(1000));
            let _ = write!(
                out,
                "ruleset{}({}name=\"{name}\"{}){}{{",
                r.pick(&["", " ", "\n"]),
                blank(r),
                blank(r),
                blank(r)
            );
            let _ = write!(out, "{}", blank(r));
            if !r.one_in(6) {
                block(r, out, 2);
            }
            out.push_str("}\n");
        }
        2 => {
            let name = format!("t{}", r.below(1000));
            let _ = writeln!(
                out,
                "template(name=\"{name}\"{}type=\"string\" string=\"%msg%{}\")",
                blank(r),
                r.pick(&["\\n", "a\\tb", ""])
            );
        }
        3 => {
            let _ = writeln!(out, "$template u{},\"%rawmsg%\\n\"", r.below(1000));
        }
        4 => {
            let _ = writeln!(out, "$RuleSet l{}", r.below(3));
        }
        _ => {
            out.push('\n');
            statement(r, out, 3);
        }
    }
}

fn block(r: &mut Rng, out: &mut String, depth: usize) {
    for _ in 0..1 + r.below(3) {
        if r.one_in(2) {
            out.push('\n');
        }
        statement(r, out, depth);
    }
}

fn body(r: &mut Rng, out: &mut String, depth: usize) {
    if r.one_in(2) || depth == 0 {
        out.push_str(blank(r));
        actions(r, out);
    } else {
        let _ = write!(out, "{}{{{}", blank(r), blank(r));
        block(r, out, depth - 1);
        out.push('}');
        out.push_str(blank(r));
    }
}

fn actions(r: &mut Rng, out: &mut String) {
    loop {
        match r.below(9) {
            0 => out.push_str("stop "),
            1 => drop(write!(out, "call r{} ", r.below(1000))),
            2 => drop(write!(out, "action(type=\"omfile\"{}file=\"/tmp/x\") ", blank(r))),
            3 => drop(write!(
                out,
                "action(type=\"omfwd\"{}target=\"127.0.0.1\" port=\"1\" protocol=\"tcp\")\n",
                blank(r)
            )),
            4 => out.push_str("-/var/log/x # no comment\n"),
            5 => out.push_str("/var/log/y\n"),
            6 => out.push_str(r.pick(&["@host:514\n", "@@(o)10.0.0.1:12;RSYSLOG_ForwardFormat\n", "@[::1]:5\n"])),
            7 => out.push_str(r.pick(&[":omusrmsg:*\n", "|/dev/xconsole\n", "~\n", "?dyn\n"])),
            _ => out.push_str("continue "),
        }
        if !r.one_in(4) {
            return;
        }
        out.push_str("& ");
    }
}

fn statement(r: &mut Rng, out: &mut String, depth: usize) {
    match r.below(if depth == 0 { 7 } else { 11 }) {
        0 => {
            out.push_str("set $");
            out.push_str(r.pick(&[".a", "!b!c", "/g", ".a"]));
            let _ = write!(out, "{}={}", blank(r), blank(r));
            expression(r, out, 3);
            out.push_str(";\n");
        }
        1 => out.push_str(r.pick(&["unset $.a;\n", "reset $!b = 1;\n", "call_indirect \"r\" & $.a;\n", "unset $!b;"])),
        2 | 3 => {
            if !out.ends_with('\n') {
                out.push('\n');
            }
            let f = r.pick(&[
                "*.*",
                "mail.info",
                "*.info;mail.none;authpriv.none;cron.none",
                "auth,authpriv.*",
                "*.=debug",
                "*.*;auth,authpriv.none",
                "local4.warning",
                "mail.!err",
                "kern.!=info",
                "local0,local1.crit",
                "*.emerg",
                "news.crit;uucp,mail.err",
                "16.*",
                "local7.*;*.none",
            ]);
            let _ = write!(out, "{}{f}{}", r.pick(&["", "  ", "\t"]), r.pick(&[" ", "\t\t", "\n"]));
            body(r, out, depth.saturating_sub(1));
        }
        4 => {
            if !out.ends_with('\n') {
                out.push('\n');
            }
            let prop = r.pick(&["msg", "rawmsg", "programname", "fromhost-ip", "hostname", "syslogtag", "$now"]);
            let op =
                r.pick(&["contains", "isequal", "startswith", "regex", "ereregex", "isempty", "!contains", "!isempty"]);
            let value = r.pick(&["CEF:", "a\\\"b", "CEF\\|ASA", "x\\\\|y", "", "%ASA-", "a # b", "a, b"]);
            let _ = write!(out, ":{prop}{},{}{op}, \"{value}\" ", r.pick(&["", " "]), r.pick(&["", " "]));
            body(r, out, depth.saturating_sub(1));
        }
        5 | 6 => {
            actions(r, out);
        }
        7 => {
            out.push_str("foreach ($.i in $!list)");
            let _ = write!(out, "{}do", blank(r));
            body(r, out, depth - 1);
        }
        _ => {
            let _ = write!(out, "if{}", r.pick(&[" ", "\n", "\t", "("]));
            let open = out.ends_with('(');
            expression(r, out, 3);
            if open {
                out.push(')');
            }
            let _ = write!(out, "{}then", blank(r));
            body(r, out, depth - 1);
            while r.one_in(3) {
                let _ = write!(out, "{}else ", blank(r));
                if r.one_in(2) {
                    out.push_str("if ");
                    expression(r, out, 2);
                    out.push_str(" then ");
                    body(r, out, depth - 1);
                } else {
                    body(r, out, depth - 1);
                    break;
                }
            }
        }
    }
}

fn expression(r: &mut Rng, out: &mut String, depth: usize) {
    let n = 1 + r.below(3);
    for i in 0..n {
        if i > 0 {
            let op = r.pick(&[
                "==",
                "!=",
                "<>",
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
                "AND",
                "&",
                "+",
                "-",
                "*",
                "/",
                "%",
                "or",
                "and",
            ]);
            let _ = write!(out, "{}{op}{}", blank(r), blank(r));
        }
        operand(r, out, depth);
    }
}

fn operand(r: &mut Rng, out: &mut String, depth: usize) {
    match r.below(if depth == 0 { 6 } else { 10 }) {
        0 => out.push_str(r.pick(&["$msg", "$rawmsg", "$hostname", "$syslogfacility-text", "$fromhost-ip", "$pri"])),
        1 => out.push_str(r.pick(&["$.a", "$!b!c", "$/g", "$$now", "$!x[1]"])),
        2 => out.push_str(r.pick(&["1", "0", "017", "0x1F", "-3", "42"])),
        3 | 4 => out.push_str(r.pick(&[
            "\"CEF:\"",
            "'a\"b'",
            "\"a\\\"b\"",
            "\"x\\ty\"",
            "\"\\x41\\102\"",
            "'$msg'",
            "\"\\$x\"",
            "\"# no comment\"",
            "\"/* no */\"",
            "''",
            "\"a\n b\"",
        ])),
        5 => out.push_str("[\"b\", \"a\",\"ccc\"]"),
        6 => {
            out.push_str("not ");
            operand(r, out, depth - 1);
        }
        7 => {
            out.push('(');
            expression(r, out, depth - 1);
            out.push(')');
        }
        8 => {
            let _ = write!(out, "{}(", r.pick(&["strlen", "tolower", "cnum", "toupper"]));
            expression(r, out, depth - 1);
            out.push(')');
        }
        _ => out.push_str(r.pick(&[
            "re_match($msg, \"CEF:|%(ASA|FTD)-\")",
            "field($msg, 32, 2)",
            "replace($msg, \"a\", \"b\")",
            "exists($!a)",
            "exists($.a)",
        ])),
    }
}

/// Takes out, doubles or puts in something small.
fn damage(r: &mut Rng, out: &mut String) {
    let bytes: Vec<char> = out.chars().collect();
    if bytes.is_empty() {
        return;
    }
    let at = r.below(bytes.len());
    let junk = r.pick(&[
        "\"", "{", "}", "(", ")", "#", "'", "then", "\\", "\n", " stop ", "0", "$", "€", "/*", "*/", ";", "&", "\t",
    ]);
    let (head, tail): (String, String) =
        (bytes[..at].iter().collect(), bytes[at + usize::from(r.one_in(2))..].iter().collect());
    *out = head + if r.one_in(3) { "" } else { junk } + &tail;
}

#[test]
fn reads_as_the_daemon_reads() {
    if !Path::new(DAEMON).exists() {
        eprintln!("no {DAEMON} here: not checked");
        return;
    }
    let cases: u64 = std::env::var("LANGUAGE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let first: u64 = std::env::var("LANGUAGE_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let main: PathBuf = dir.path().join("main.conf");
    // A branch of which the daemon keeps nothing.
    let empty_else = regex::Regex::new(r"(?m)^ *ELSE\n( *END IF\n)").unwrap();
    let mut wrong = 0;
    for seed in first..first + cases {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        rng.below(2);
        let config = random_config(&mut rng);
        std::fs::write(&main, &config).unwrap();
        let (theirs, messages) = daemon(dir.path(), &main);
        let (mine, effective) = ours(&main);
        let Some(theirs) = theirs else { continue };
        let name = |u: &Understood| Understood {
            stopped: u.stopped.as_ref().map(|s| s.replace(&*main.to_string_lossy(), "main")),
            ..u.clone()
        };
        let (theirs, mine) = (name(&theirs), name(&mine));
        let dump = |u: &Understood| {
            let one = |d: &String| empty_else.replace_all(d, "$1").into_owned();
            u.rulesets.iter().map(|(n, d)| (n.clone(), one(d))).collect::<Vec<_>>()
        };
        if dump(&theirs) != dump(&mine) || theirs.stopped.is_some() != mine.stopped.is_some() {
            wrong += 1;
            eprintln!(
                "=== seed {seed}\n{config}\n--- daemon {theirs:#?}\n--- ours {mine:#?}\n--- messages\n{messages}\n--- problems"
            );
            effective.problems.iter().for_each(|p| eprintln!("{p}"));
            if wrong >= 3 {
                break;
            }
        }
    }
    assert_eq!(wrong, 0);
}

/// Files that include each other by name, pattern and folder, with holes in between.
fn random_tree(r: &mut Rng, dir: &Path) {
    for sub in ["a.d", "b.d", "b.d/sub"] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
    }
    let names = [
        "a.d/10.conf",
        "a.d/20.conf",
        "a.d/30.conf",
        "a.d/note",
        "b.d/1.conf",
        "b.d/2.conf",
        "b.d/sub/z.conf",
        "b.d/.hid",
    ];
    for (n, name) in names.iter().enumerate() {
        match r.below(6) {
            0 => {}
            1 => std::os::unix::fs::symlink("/nowhere/at/all", dir.join(name)).unwrap(),
            2 if n > 0 => {
                let _ = std::os::unix::fs::symlink(dir.join(names[r.below(n)]), dir.join(name));
            }
            _ => std::fs::write(dir.join(name), tree_file(r, dir, n + 1)).unwrap(),
        }
    }
    std::fs::write(dir.join("main.conf"), tree_file(r, dir, 0) + &tree_file(r, dir, 100)).unwrap();
}

fn tree_file(r: &mut Rng, dir: &Path, n: usize) -> String {
    let mut out = format!("set $.f{n}a = 1;\n");
    for i in 0..1 + r.below(2) {
        let what = r.pick(&[
            "a.d/*.conf",
            "b.d/*.conf",
            "a.d/",
            "b.d",
            "b.d/",
            "a.d/10.conf",
            "a.d/20.conf",
            "b.d/1.conf",
            "none.conf",
            "none/*.conf",
            "a.d/[12]*",
            "?.d/*.conf",
            "b.d/sub",
            "*.d",
        ]);
        let path = dir.join(what).display().to_string() + if what.ends_with('/') { "/" } else { "" };
        let path = path.replace("//", "/");
        out += &match r.below(5) {
            0 | 1 => format!("$IncludeConfig {path}{}\n", r.pick(&["", " # note"])),
            2 => format!("include(file=\"{path}\")\n"),
            3 => format!("include(file=\"{path}\" mode=\"optional\")\n"),
            _ => format!("*.* {{\ninclude(file=\"{path}\")\nset $.f{n}i{i} = 1;\n}}\n"),
        };
    }
    out + &format!("set $.f{n}z = 1;\n")
}

#[test]
fn follows_includes_as_the_daemon_does() {
    if !Path::new(DAEMON).exists() {
        eprintln!("no {DAEMON} here: not checked");
        return;
    }
    let cases: u64 = std::env::var("LANGUAGE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let first: u64 = std::env::var("LANGUAGE_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + cases {
        let dir = tempfile::tempdir().unwrap();
        random_tree(&mut Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), dir.path());
        let main = dir.path().join("main.conf");
        let (theirs, messages) = daemon(dir.path(), &main);
        let (mine, effective) = ours(&main);
        let Some(theirs) = theirs else { continue };
        assert_eq!(
            theirs.rulesets,
            mine.rulesets,
            "seed {seed}\n{}\n{messages}\n{:#?}\n{}",
            Command::new("sh")
                .args(["-c", "ls -lR; head -50 main.conf */*"])
                .current_dir(dir.path())
                .output()
                .map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned()),
            effective.problems,
            effective.summary()
        );
    }
}
