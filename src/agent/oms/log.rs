//! Lines of `omsagent.log` that say why the agent does not work, and what they mean (facts 1.4, 1.11, 1.14;
//! field-failures 1.17, 1.30).

use crate::agent::logs::{self, Weight};

/// A known kind of line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub meaning: &'static str,
    pub hint: &'static str,
    /// How many lines.
    pub count: usize,
    /// The last of them.
    pub line: String,
}

/// What is known about the lines of `text` that keep the agent from working.
pub fn explain(text: &[u8]) -> Vec<Known> {
    let known = |found: logs::Found| {
        let kind = logs::kind(logs::OMS, &found.kind).filter(|k| k.weight == Weight::Stops)?;
        Some(Known { meaning: kind.meaning, hint: kind.hint, count: found.count, line: found.line })
    };
    logs::scan(text, logs::OMS, None).into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines_are_counted_and_explained() {
        let log = b"2026 [error]: unexpected error error=\"Address already in use - bind(2) for 127.0.0.1:25226\"\n\
                    2026 [warn]: HTTP 403 forbidden\n2026 [warn]: HTTP 403 again\n2026 [info]: 14030 sent\n";
        let found = explain(log);
        assert_eq!(found.iter().map(|k| k.count).collect::<Vec<_>>(), [1, 2]);
        assert!(found[1].line.ends_with("again"));
        assert_eq!(explain(b"2026 [info]: all is well, 1403 records\n"), []);
    }
}
