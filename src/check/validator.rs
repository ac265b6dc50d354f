//! What `rsyslogd -N1` says, read for what it means: it ends with 1 for harmless things and with 0 for some harmful ones
//! (facts 5.4), so its exit code says nothing. Texts as of 8.24 to 8.2504.

/// What a message means for the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Everything works as meant.
    Harmless,
    /// Another check names it, with more to say.
    Elsewhere,
    /// Something the configuration asks for does not happen.
    Harmful,
    /// The daemon ends at its start.
    Fatal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Without the program's name in front and the version behind.
    pub text: String,
    pub weight: Weight,
    pub file: Option<String>,
    /// The error lies on this line or before it.
    pub line: Option<u32>,
}

impl Message {
    /// `file:line`, or the command.
    pub fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) => "rsyslogd -N1".into(),
        }
    }
}

/// All messages of a run but its first and last line.
pub fn read(stderr: &[u8]) -> Vec<Message> {
    let text = String::from_utf8_lossy(stderr);
    let mut messages: Vec<Message> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let line = line.strip_prefix("rsyslogd:").unwrap_or(line).trim_start();
        if line.contains("config validation run (level") || line.starts_with("End of config validation run") {
            continue;
        }
        let mut message = parse(line);
        // Of a parameter that is set twice the daemon says in the next breath that it does not know it.
        if let Some(last) = messages.last()
            && last.text.contains("specified more than once")
            && message.text.contains("not known -- typo")
            && (&last.file, last.line) == (&message.file, message.line)
        {
            message.weight = Weight::Harmless;
        }
        messages.push(message);
    }
    messages
}

fn parse(line: &str) -> Message {
    let (body, code) = split_version(line);
    let weight = weigh(body, code);
    let place = body.strip_prefix("error during parsing file ").and_then(|rest| {
        let (file, rest) = rest.split_once(", on or before line ")?;
        let (number, text) = rest.split_once(": ")?;
        Some((file.to_owned(), number.parse().ok()?, text.to_owned()))
    });
    match place {
        Some((file, number, text)) => Message { text, weight, file: Some(file), line: Some(number) },
        None => Message { text: body.to_owned(), weight, file: None, line: None },
    }
}

/// `TEXT [v8.2302.0 try https://www.rsyslog.com/e/2207 ]` → the text and the number.
fn split_version(line: &str) -> (&str, Option<u32>) {
    let Some((text, version)) = line.rsplit_once(" [v") else { return (line, None) };
    let code = version.split_once("/e/").map(|(_, c)| c.trim_matches([' ', ']'])).and_then(|c| c.parse().ok());
    (text.trim_end(), code)
}

fn weigh(text: &str, code: Option<u32>) -> Weight {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    match code {
        // Module loaded twice; module without a listener.
        Some(2221 | 2212) => Weight::Harmless,
        // Work directory, input of a module that is not loaded, template.
        Some(2181 | 2209) => Weight::Elsewhere,
        _ if text.starts_with("Could not find template") => Weight::Elsewhere,
        _ if has(&["specified more than once", "deprecated", "warning:"]) => Weight::Harmless,
        _ if has(&["using default ruleset instead", "cannot be found", "already used. This is not possible"])
            && has(&["ruleset", "queue directory"]) =>
        {
            Weight::Elsewhere
        }
        _ if has(&["errors occurred in file"]) => Weight::Elsewhere,
        Some(2103) => Weight::Fatal,
        _ if text.starts_with("ID for user") || text.starts_with("ID for group") => Weight::Fatal,
        _ if has(&["run failed with error", "could not interpret master config file"]) => Weight::Fatal,
        _ => Weight::Harmful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(lines: &[&str]) -> Vec<Weight> {
        read(lines.join("\n").as_bytes()).into_iter().map(|m| m.weight).collect()
    }

    #[test]
    fn a_clean_run_says_nothing() {
        let clean = "rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/rsyslog.conf\n\
                     rsyslogd: End of config validation run. Bye.\n";
        assert_eq!(read(clean.as_bytes()), []);
        assert_eq!(read(b"\xff\n"), [parse("\u{fffd}")]);
    }

    #[test]
    fn place_and_text() {
        let m = parse(
            "error during parsing file /etc/rsyslog.d/a: b.conf, on or before line 3: parameter 'x' not known -- typo in config file? [v8.2302.0 try https://www.rsyslog.com/e/2207 ]",
        );
        assert_eq!((m.place().as_str(), m.weight), ("/etc/rsyslog.d/a: b.conf:3", Weight::Harmful));
        assert_eq!(m.text, "parameter 'x' not known -- typo in config file?");
        assert_eq!(parse("odd").place(), "rsyslogd -N1");
    }

    #[test]
    fn weights_as_seen_with_the_daemon() {
        use Weight::*;
        let seen = [
            (
                "rsyslogd: module 'imudp' already in this config, cannot be added  [v8.2302.0 try https://www.rsyslog.com/e/2221 ]",
                Harmless,
            ),
            (
                "rsyslogd: imudp: module loaded, but no listeners defined - no input will be gathered [v8.2302.0 try https://www.rsyslog.com/e/2212 ]",
                Harmless,
            ),
            (
                "rsyslogd: $WorkDirectory: /nix can not be accessed, probably does not exist - directive ignored [v8.2302.0 try https://www.rsyslog.com/e/2181 ]",
                Elsewhere,
            ),
            (
                "rsyslogd: imtcp: ruleset 'nix' for port 514 not found - using default ruleset instead [v8.2302.0]",
                Elsewhere,
            ),
            (
                "rsyslogd: error during parsing file /c, on or before line 3: ruleset 'nix' cannot be found  [v8.2302.0 try https://www.rsyslog.com/e/2207 ]",
                Elsewhere,
            ),
            (
                "rsyslogd:  Could not find template 0 'nix' - action disabled [v8.2302.0 try https://www.rsyslog.com/e/3003 ]",
                Elsewhere,
            ),
            (
                "rsyslogd: input module name 'imudp' is unknown [v8.2302.0 try https://www.rsyslog.com/e/2209 ]",
                Elsewhere,
            ),
            ("ID for user 'nobodyx' could not be found or error", Fatal),
            (
                "rsyslogd: there are no active actions configured. Inputs would run, but no output whatsoever were created. [v8.2302.0 try https://www.rsyslog.com/e/2103 ]",
                Fatal,
            ),
            (
                "rsyslogd: could not interpret master config file '/c'. [v8.2302.0 try https://www.rsyslog.com/e/2207 ]",
                Fatal,
            ),
            ("rsyslogd: unknown facility name \"nix\" [v8.2302.0]", Harmful),
            (
                "rsyslogd: could not load module 'imfoo', errors: trying to load module /usr/lib/x/imfoo.so [v8.2302.0 try https://www.rsyslog.com/e/2066 ]",
                Harmful,
            ),
            (
                "rsyslogd: invalid or yet-unknown config file command 'FooBar' - have you forgotten to load a module? [v8.2302.0 try https://www.rsyslog.com/e/3003 ]",
                Harmful,
            ),
        ];
        for (line, weight) in seen {
            assert_eq!(weights(&[line]), [weight], "{line}");
        }
    }

    #[test]
    fn a_setting_given_twice_is_harmless_with_its_echo() {
        let twice = "rsyslogd: error during parsing file /c, on or before line 2: parameter 'maxmessagesize' specified more than once - one instance is ignored. Fix config [v8.2302.0 try https://www.rsyslog.com/e/2207 ]";
        let echo = "rsyslogd: error during parsing file /c, on or before line 2: parameter 'maxMessageSize' not known -- typo in config file? [v8.2302.0 try https://www.rsyslog.com/e/2207 ]";
        assert_eq!(weights(&[twice, echo]), [Weight::Harmless, Weight::Harmless]);
        assert_eq!(weights(&[echo]), [Weight::Harmful]);
    }
}
