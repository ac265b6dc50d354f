//! Rules that Microsoft's installer and documentation left on boxes over the years. They are recognised by their text,
//! so that the report can say where a rule comes from; what it loses is found out by evaluating it.

/// A rule of old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    pub name: &'static str,
    /// What is wrong with it besides what its filter misses.
    pub fault: &'static str,
}

const DISCARD: Generation = Generation {
    name: "the first rule of Microsoft's installer (2019: property filter with `~`)",
    fault: "its filter matches nothing in rsyslog's dialect, so the discard does nothing and everything is forwarded; \
            rsyslog 8.24 crashes on it",
};
const QUOTED: Generation = Generation {
    name: "the second rule of Microsoft's documentation (2020: two quoted words)",
    fault: "its filter is no valid filter, so rsyslog leaves the rule out or it matches nothing",
};
const REGEX: Generation = Generation {
    name: "an early rule of Microsoft's documentation (property filter with a regular expression)",
    fault: "its regular expression needs an alternation that rsyslog's dialect does not have there, so it matches nothing",
};
const CONTAINS: Generation = Generation {
    name: "the last rule of cef_installer.py (2020 to 2024)",
    fault: "it misses FTD, takes words such as NASA-1 for ASA, rewrites events with the default template, and loses \
            everything while the agent is away, for it has no queue",
};
const FACILITY: Generation = Generation {
    name: "the facility rule of Microsoft's first CEF documentation",
    fault: "it forwards one facility only, whatever is in it",
};

const NG: Generation = Generation {
    name: "the syslog-ng rule of cef_installer.py",
    fault: "it misses FTD, takes words such as NASA-1 for ASA, replaces the device's name by its address, and loses what \
            its memory does not hold while the agent is away",
};
const NG_FACILITY: Generation = Generation {
    name: "the syslog-ng rule of Microsoft's first CEF documentation",
    fault: "it forwards one facility only, whatever is in it",
};

/// Whose rule a line of configuration is, comments and case aside.
pub fn of_line(line: &[u8]) -> Option<Generation> {
    let text = String::from_utf8_lossy(line);
    let text = text.split('#').next().unwrap_or_default().trim();
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let names_both = squeezed.contains("CEF") && squeezed.contains("ASA");
    let property = squeezed.starts_with(":rawmsg,regex,") || squeezed.starts_with(":msg,regex,");
    match () {
        _ if property && names_both && squeezed.contains("\"CEF\"|\"ASA\"") => Some(QUOTED),
        _ if property && names_both && squeezed.ends_with('~') => Some(DISCARD),
        _ if property && names_both => Some(REGEX),
        _ if squeezed.contains("contains\"CEF:\"or$rawmsgcontains\"ASA-\"") => Some(CONTAINS),
        _ if squeezed.starts_with("filterf_oms_filter{match(\"CEF\\|ASA\"") => Some(NG),
        _ if squeezed.starts_with("filterf_local4_oms{facility(local4)") => Some(NG_FACILITY),
        _ if squeezed.starts_with("local4.") && is_agent_address(&squeezed) => Some(FACILITY),
        _ => None,
    }
}

/// `@127.0.0.1:25226` and the ports of the previews, over UDP or TCP.
fn is_agent_address(text: &str) -> bool {
    ["25224", "25225", "25226"].iter().any(|port| text.ends_with(&format!("@127.0.0.1:{port}")))
}

/// The first rule of old in a file, with its line number.
pub fn of_file(content: &[u8]) -> Option<(usize, Generation)> {
    content.split(|b| *b == b'\n').enumerate().find_map(|(n, line)| Some((n + 1, of_line(line)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_recognised() {
        let of = |text: &str| of_file(text.as_bytes()).map(|(line, g)| (line, g.name));
        assert_eq!(of(":rawmsg, regex, \"CEF\\|ASA\" ~\n*.* @@127.0.0.1:25226\n"), Some((1, DISCARD.name)));
        assert_eq!(of("\n:rawmsg, regex, \"CEF\"|\"ASA\" ~\n"), Some((2, QUOTED.name)));
        assert_eq!(of(":rawmsg, regex, \"CEF\\|ASA\" @@127.0.0.1:25226"), Some((1, REGEX.name)));
        let last = "\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";
        assert_eq!(of(last), Some((2, CONTAINS.name)));
        let ng = "filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};\ndestination oms_destination {tcp(\"127.0.0.1\" port(25226));};\n";
        assert_eq!(of(ng), Some((1, NG.name)));
        assert_eq!(of("filter f_local4_oms { facility(local4); };"), Some((1, NG_FACILITY.name)));
        assert_eq!(of("local4.debug  @127.0.0.1:25226"), Some((1, FACILITY.name)));
    }

    #[test]
    fn comments_and_other_rules_are_none() {
        for text in [
            "# if $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226",
            "*.* @@siem.example.org:514",
            "local4.* /var/log/fw.log",
            "if $rawmsg contains \"CEF:\" then @@127.0.0.1:25226",
            "\u{fffd}",
        ] {
            assert_eq!(of_file(text.as_bytes()), None, "{text}");
        }
    }
}
