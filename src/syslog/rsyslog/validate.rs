//! What rsyslogd says about its configuration: `rsyslogd -N1` (facts 5.4), `rsyslogd -v`, and the lines it leaves in the
//! journal or in a log file. Exit codes tell little — harmless things give 1, harmful ones 0 — so messages are compared as
//! sets, before a change and after it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `8.2302.0`; compared by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Version {
        Version { major, minor, patch }
    }

    /// Major, minor, patch: what the drop-in's gates compare.
    pub const fn parts(self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }

    /// Knows `-o FILE`, which writes the configuration with all includes.
    pub fn writes_full_config(self) -> bool {
        self >= Version::new(8, 1905, 0)
    }

    /// Knows `include()`.
    pub fn has_include_object(self) -> bool {
        self >= Version::new(8, 33, 0)
    }
}

/// The version in `rsyslogd -v` (`rsyslogd 8.24.0-57.el7_9.3, compiled with:`) or in any text with one.
pub fn version(text: &[u8]) -> Option<Version> {
    let text = String::from_utf8_lossy(text);
    let numbers = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let parts: Vec<u32> = word.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
        (parts.len() >= 2).then_some(parts)
    })?;
    Some(Version { major: numbers[0], minor: numbers[1], patch: numbers.get(2).copied().unwrap_or(0) })
}

/// What a message means for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// All is done as the configuration says.
    Harmless,
    /// Something is left out or done otherwise.
    Harmful,
    /// Everything behind some place is left out.
    ConfigCutOff,
    /// The daemon does not start.
    NoStart,
    /// A summary of another message, news, or what the daemon would rather have.
    Aside,
}

/// One message of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// NNNN of `rsyslog.com/e/NNNN`.
    pub code: Option<u32>,
    pub text: String,
    pub file: Option<PathBuf>,
    pub line: Option<u32>,
    pub harm: Harm,
}

/// A whole run of `rsyslogd -N1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    pub version: Option<Version>,
    pub messages: Vec<Message>,
    /// The daemon's farewell was seen: exit code 0.
    pub finished: bool,
}

impl Validation {
    /// Does any message say that the daemon would not start, or stop reading?
    pub fn worst(&self) -> Option<Harm> {
        let worst = self.messages.iter().map(|m| m.harm).filter(|h| *h != Harm::Aside).max();
        worst.filter(|h| *h != Harm::Harmless)
    }
}

/// Reads the output (stderr) of `rsyslogd -N1`.
pub fn parse(output: &[u8]) -> Validation {
    let mut out = Validation::default();
    let text = String::from_utf8_lossy(output);
    for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
        match line.strip_prefix("rsyslogd: ") {
            Some(rest) if rest.starts_with("version ") && rest.contains("config validation run") => {
                out.version = version(rest.as_bytes());
            }
            Some(rest) if rest.starts_with("End of config validation run") => out.finished = true,
            Some(rest) => out.messages.push(message(rest)),
            // Messages without a prefix, and second lines of messages.
            None if line.starts_with("ID for ") || line.contains("': ID for ") || out.messages.is_empty() => {
                out.messages.push(message(line));
            }
            None => {
                if let Some(last) = out.messages.last_mut() {
                    *last = message(&format!("{} {}", last.text, line.trim()));
                }
            }
        }
    }
    out
}

/// Messages of `after` that `before` does not have (counted: a second one of a kind is new). Versions, folders and line
/// numbers do not count, so that a candidate tree elsewhere compares with the live one.
pub fn new_messages(before: &Validation, after: &Validation) -> Vec<Message> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for message in &before.messages {
        *known.entry(message.key()).or_default() += 1;
    }
    let is_new = |m: &&Message| match known.get_mut(&m.key()) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    };
    after.messages.iter().filter(is_new).cloned().collect()
}

impl Message {
    /// The message without what differs from run to run.
    fn key(&self) -> String {
        let mut text = self.text.clone();
        if let Some(line) = self.line {
            text = text.replace(&format!("line {line}"), "line N");
        }
        // Actions without a name are numbered, and ours come first: `queue "action-1-builtin:omfile queue"`.
        let numbered = text.split("action-").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        let text = numbered.collect::<Vec<_>>().join("action-");
        let words = text.split(' ').map(|word| {
            let start = word.find('/').filter(|_| word.matches('/').count() > 1);
            let cut =
                start.and_then(|start| word.rfind('/').map(|end| format!("{}{}", &word[..start], &word[end + 1..])));
            cut.unwrap_or_else(|| word.to_owned())
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// One message without its `rsyslogd: `.
fn message(text: &str) -> Message {
    let (text, code) = split_code(text.trim());
    let (file, line) = place(text);
    let code = code.filter(|c| *c != 0);
    Message { code, text: text.trim().to_owned(), file, line, harm: harm(text, code) }
}

/// Cuts `[v8.2302.0 try https://www.rsyslog.com/e/2207 ]` off.
fn split_code(text: &str) -> (&str, Option<u32>) {
    let Some(start) = text.rfind("[v").filter(|_| text.ends_with(']')) else { return (text, None) };
    let tail = &text[start..];
    if !tail[2..].starts_with(|c: char| c.is_ascii_digit()) {
        return (text, None);
    }
    let code = tail.split("/e/").nth(1).and_then(|t| t.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    (text[..start].trim_end(), code)
}

/// `error during parsing file F, on or before line N: …`, `… in file 'F' around line N`
fn place(text: &str) -> (Option<PathBuf>, Option<u32>) {
    let number = |t: &str| t.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    if let Some((file, rest)) = text.split_once("parsing file ").and_then(|(_, t)| t.split_once(", on or before line "))
    {
        return (Some(PathBuf::from(file)), number(rest));
    }
    if let Some((file, rest)) = text.split_once("in file '").and_then(|(_, t)| t.split_once("' around line ")) {
        return (Some(PathBuf::from(file)), number(rest));
    }
    (None, None)
}

/// Words by which a message is known, strongest first.
const HARM: [(&str, Harm); 36] = [
    ("could not open config file", Harm::NoStart),
    ("ID for user '", Harm::NoStart),
    ("ID for group '", Harm::NoStart),
    ("there are no active actions configured", Harm::NoStart),
    ("run failed with error", Harm::NoStart),
    ("mode is set to abort-if-missing", Harm::NoStart),
    ("could not interpret master config file", Harm::ConfigCutOff),
    ("syntax error on token", Harm::ConfigCutOff),
    ("memory exhausted", Harm::ConfigCutOff),
    ("error accessing config file or directory", Harm::ConfigCutOff),
    ("already in this config, cannot be added", Harm::Harmless),
    ("module loaded, but no listeners defined", Harm::Harmless),
    ("STOP is followed by unreachable", Harm::Harmless),
    ("deprecated", Harm::Harmless),
    ("treated as ':omusrmsg:", Harm::Harmless),
    ("warnings occurred in file", Harm::Harmless),
    ("in direct mode, but parameters have been set", Harm::Harmless),
    ("specified more than once - one instance is ignored", Harm::Harmful),
    ("duplicate parameter", Harm::Harmful),
    ("is currently not permitted", Harm::Harmful),
    ("errors occurred in file", Harm::Harmful),
    ("not known -- typo in config file", Harm::Harmful),
    ("could not load module", Harm::Harmful),
    ("is unknown", Harm::Harmful),
    ("invalid character", Harm::Harmful),
    ("BSD-style blocks are no longer supported", Harm::Harmful),
    ("not found - using default ruleset", Harm::Harmful),
    ("Could not find template", Harm::Harmful),
    ("action resumed", Harm::Aside),
    ("rsyslogd was HUPed", Harm::Aside),
    ("] start", Harm::Aside),
    ("exiting on signal", Harm::Aside),
    ("] exiting on signal", Harm::Aside),
    ("imuxsock: Acquired UNIX socket", Harm::Aside),
    // 8.2608 has many on what it would do otherwise; what is left out or wrong is called an error.
    ("warning during parsing file", Harm::Aside),
    ("water mark is set quite low", Harm::Aside),
];

fn harm(text: &str, code: Option<u32>) -> Harm {
    let known = HARM.iter().find(|(words, _)| text.contains(words));
    match (known, code) {
        (Some((_, harm)), _) => *harm,
        // "action resumed", HUP and the like carry these numbers.
        (None, Some(2359 | 2444)) => Harm::Aside,
        (None, _) => Harm::Harmful,
    }
}

/// One line of the daemon's own in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeMessage {
    /// What stands before the daemon's name: time and host, as the log has them.
    pub header: String,
    pub pid: Option<u32>,
    pub message: Message,
    pub event: RuntimeEvent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeEvent {
    Started,
    Stopped,
    Reloaded,
    /// A listener could not open its port.
    PortTaken,
    /// An action cannot do its work for now.
    Suspended,
    Resumed,
    /// A file or folder is not accessible.
    FileDenied,
    /// Events were thrown away.
    Lost,
    Other,
}

/// The daemon's own lines in journal or log text (`… rsyslogd: …`, `… rsyslogd[1]: …`, `… rsyslogd-2077: …`).
pub fn runtime_messages(log: &[u8]) -> Vec<RuntimeMessage> {
    String::from_utf8_lossy(log).lines().filter_map(runtime_line).collect()
}

fn runtime_line(line: &str) -> Option<RuntimeMessage> {
    let start = line.match_indices("rsyslogd").find(|(i, _)| *i == 0 || line.as_bytes()[i - 1] == b' ')?.0;
    let rest = &line[start + "rsyslogd".len()..];
    let (tag, text) = rest.split_once(':')?;
    let pid = tag.strip_prefix('[').and_then(|t| t.strip_suffix(']')).map(|t| t.parse::<u32>().ok());
    let old_code = tag.strip_prefix('-').map(|t| t.parse::<u32>().ok());
    if !tag.is_empty() && pid.flatten().is_none() && old_code.flatten().is_none() {
        return None;
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    let mut message = message(text);
    if message.code.is_none() {
        message.code = old_code.flatten();
    }
    let event = runtime_event(&message);
    Some(RuntimeMessage { header: line[..start].trim_end().to_owned(), pid: pid.flatten(), message, event })
}

fn runtime_event(message: &Message) -> RuntimeEvent {
    let has = |words: &str| message.text.contains(words);
    match message.code {
        _ if has("[origin software=\"rsyslogd\"") && message.text.ends_with("] start") => RuntimeEvent::Started,
        _ if has("exiting on signal") => RuntimeEvent::Stopped,
        _ if has("rsyslogd was HUPed") => RuntimeEvent::Reloaded,
        Some(2359) => RuntimeEvent::Resumed,
        _ if has("resumed (module") => RuntimeEvent::Resumed,
        Some(2077) => RuntimeEvent::PortTaken,
        _ if has("Address already in use") || has("Could not create tcp listener") => RuntimeEvent::PortTaken,
        Some(2007) => RuntimeEvent::Suspended,
        _ if has("suspended (module") => RuntimeEvent::Suspended,
        Some(2433) => RuntimeEvent::FileDenied,
        _ if has("open error") || has("Permission denied") => RuntimeEvent::FileDenied,
        _ if has("messages lost") || has("discarding") || has("lost due to rate-limiting") => RuntimeEvent::Lost,
        _ => RuntimeEvent::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/rsyslog.conf
rsyslogd: module 'imudp' already in this config, cannot be added  [v8.2302.0 try https://www.rsyslog.com/e/2221 ]
rsyslogd: error during parsing file /etc/rsyslog.d/50.conf, on or before line 4: syntax error on token 'the' [v8.2302.0 try https://www.rsyslog.com/e/2207 ]
rsyslogd: could not interpret master config file '/etc/rsyslog.conf'. [v8.2302.0 try https://www.rsyslog.com/e/2207 ]
rsyslogd: imudp: ruleset 'nope' for *:1 not found - using default ruleset instead [v8.2302.0]
";

    /// As 8.2608 (Debian's next release) speaks of the drop-in, and of the main file.
    #[test]
    fn what_the_daemon_would_rather_have_is_news() {
        let v = parse(
            b"rsyslogd: warning during parsing file /etc/rsyslog.d/10-cefctl.conf, on or before line 30: \
              backward-compatible insecure default in use: omfwd action uses protocol=\"tcp\" with streamdriver.mode=\"0\" [v8.2608.0]\n\
              rsyslogd: queue \"cefctl_fwd\": high water mark is set quite low at 2000. You should only set it below 60% (30000) if you have a good reason for this. [v8.2608.0 try https://www.rsyslog.com/e/2357 ]\n\
              rsyslogd: error during parsing file /etc/x, on or before line 3: parameter 'q' not known -- typo in config file? [v8.2608.0]\n",
        );
        let harms: Vec<_> = v.messages.iter().map(|m| m.harm).collect();
        assert_eq!(harms, [Harm::Aside, Harm::Aside, Harm::Harmful]);
    }

    #[test]
    fn reads_a_run() {
        let v = parse(OUTPUT.as_bytes());
        assert_eq!(v.version, Some(Version::new(8, 2302, 0)));
        assert!(!v.finished);
        let harms: Vec<_> = v.messages.iter().map(|m| (m.code, m.harm)).collect();
        assert_eq!(
            harms,
            [
                (Some(2221), Harm::Harmless),
                (Some(2207), Harm::ConfigCutOff),
                (Some(2207), Harm::ConfigCutOff),
                (None, Harm::Harmful)
            ]
        );
        assert_eq!(v.messages[1].file, Some("/etc/rsyslog.d/50.conf".into()));
        assert_eq!(v.messages[1].line, Some(4));
        assert_eq!(v.messages[3].text, "imudp: ruleset 'nope' for *:1 not found - using default ruleset instead");
        assert_eq!(v.worst(), Some(Harm::ConfigCutOff));
    }

    #[test]
    fn compares_runs_of_different_places() {
        let before = parse(OUTPUT.as_bytes());
        let moved = OUTPUT
            .replace("/etc/rsyslog.conf", "/tmp/candidate/rsyslog.conf")
            .replace("/etc/rsyslog.d/", "/tmp/candidate/rsyslog.d/")
            .replace("line 4", "line 40");
        assert_eq!(new_messages(&before, &parse(moved.as_bytes())), []);
        let queue = |n: u32| {
            let text = "queue.discardMark 980 is set larger than queue.size";
            parse(format!("rsyslogd: error: queue \"action-{n}-builtin:omfile queue\": {text}\n").as_bytes())
        };
        assert_eq!(new_messages(&queue(1), &queue(4)), []);
        let more = format!(
            "{moved}rsyslogd: module 'imudp' already in this config, cannot be added [v8.2302.0 try https://www.rsyslog.com/e/2221 ]\n"
        );
        assert_eq!(new_messages(&before, &parse(more.as_bytes())).len(), 1);
        assert_eq!(new_messages(&parse(more.as_bytes()), &before), []);
    }

    #[test]
    fn messages_without_a_prefix() {
        let v = parse(b"rsyslogd: version 8.2302.0, config validation run (level 1), master config t.conf\nID for user 'x' could not be found or error\n");
        assert_eq!(v.worst(), Some(Harm::NoStart));
        let good = parse(b"rsyslogd: version 8.2302.0, config validation run (level 1), master config t.conf\nrsyslogd: End of config validation run. Bye.\n");
        assert!(good.finished && good.messages.is_empty() && good.worst().is_none());
    }

    #[test]
    fn versions() {
        assert_eq!(version(b"rsyslogd  8.2302.0 (aka 2023.02) compiled with:"), Some(Version::new(8, 2302, 0)));
        assert_eq!(version(b"rsyslogd 8.24.0-57.el7_9.3, compiled with:"), Some(Version::new(8, 24, 0)));
        assert!(!Version::new(8, 1901, 0).writes_full_config() && Version::new(8, 2102, 0).writes_full_config());
        assert!(!Version::new(8, 24, 0).has_include_object() && Version::new(8, 1901, 0).has_include_object());
        assert_eq!(version(b"not found"), None);
    }

    #[test]
    fn runtime_lines() {
        let log = "\
Aug  1 10:00:00 h rsyslogd: [origin software=\"rsyslogd\" swVersion=\"8.2302.0\" x-pid=\"7\" x-info=\"https://www.rsyslog.com\"] start
Aug 01 10:00:01 h rsyslogd[7]: Could not create tcp listener, ignoring port 514 bind-address (null). [v8.2302.0 try https://www.rsyslog.com/e/2077 ]
Aug  1 10:00:02 h rsyslogd-2007: action 'action 5' suspended, next retry is Sat Aug  1 10:00:32 2026 [v8.24.0 try http://www.rsyslog.com/e/2007 ]
Aug  1 10:00:03 h rsyslogd: action 'action-5-builtin:omfwd' resumed (module 'builtin:omfwd') [v8.2302.0 try https://www.rsyslog.com/e/2359 ]
Aug  1 10:00:04 h sshd[9]: rsyslogd is a word here
Aug  1 10:00:05 h rsyslogd: file '/var/spool/rsyslog/q': open error: Permission denied [v8.2302.0 try https://www.rsyslog.com/e/2433 ]
";
        let events: Vec<_> = runtime_messages(log.as_bytes()).into_iter().map(|m| (m.event, m.message.code)).collect();
        assert_eq!(
            events,
            [
                (RuntimeEvent::Started, None),
                (RuntimeEvent::PortTaken, Some(2077)),
                (RuntimeEvent::Suspended, Some(2007)),
                (RuntimeEvent::Resumed, Some(2359)),
                (RuntimeEvent::FileDenied, Some(2433)),
            ]
        );
    }
}
