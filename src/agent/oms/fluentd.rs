//! The configuration language of fluentd 0.12, which the Log Analytics agent is (facts 1.11): sections in angle brackets,
//! `key value` lines, comments. Read, not searched, so that a commented line or a nested section does not count. Pure.

/// A section with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// `source`, `filter`, `match`, `parse` …; empty for the file itself.
    pub name: String,
    /// What follows the name: a tag pattern.
    pub arg: String,
    /// In their order; of a key that is there twice the last one counts.
    pub params: Vec<(String, String)>,
    pub children: Vec<Section>,
    /// Files taken in at this place, as written.
    pub includes: Vec<String>,
    /// Line it begins on.
    pub line: usize,
}

/// What makes fluentd refuse the file, and with it to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub line: usize,
    pub what: String,
}

impl Section {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.params.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Kind of plugin; `@type` in later configurations.
    pub fn kind(&self) -> Option<&str> {
        self.get("@type").or_else(|| self.get("type"))
    }
}

/// Reads a whole file.
///
/// # Errors
/// The first thing that fluentd would not understand.
pub fn parse(text: &[u8]) -> Result<Section, Malformed> {
    let text = String::from_utf8_lossy(text);
    let mut open: Vec<Section> = vec![Section::default()];
    for (number, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())) {
        let bad = |what: String| Malformed { line: number, what };
        let Some(top) = open.last_mut() else { break };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("</") {
            let name = name.split('>').next().unwrap_or_default().trim();
            if open.len() < 2 {
                return Err(bad(format!("</{name}> closes nothing")));
            }
            let Some(done) = open.pop() else { break };
            if done.name != name {
                return Err(bad(format!("</{name}> stands where </{}> is due", done.name)));
            }
            if let Some(parent) = open.last_mut() {
                parent.children.push(done);
            }
        } else if let Some(rest) = line.strip_prefix('<') {
            let Some((head, after)) = rest.rsplit_once('>') else {
                return Err(bad(format!("<{rest} lacks its >")));
            };
            if !(after.trim().is_empty() || after.trim_start().starts_with('#')) {
                return Err(bad(format!("text behind <{head}>")));
            }
            let (name, arg) = head.trim().split_once(char::is_whitespace).unwrap_or((head.trim(), ""));
            open.push(Section { name: name.into(), arg: arg.trim().into(), line: number, ..Section::default() });
        } else {
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match key {
                "@include" | "include" => top.includes.push(plain(value).into()),
                _ if top.name.is_empty() && !key.starts_with('@') => {
                    let start: String = line.chars().take(60).collect();
                    return Err(bad(format!("`{start}` stands outside of every section")));
                }
                _ => top.params.push((key.into(), unquoted(value))),
            }
        }
    }
    let root = match (open.pop(), open.is_empty()) {
        (Some(root), true) => root,
        (Some(unclosed), false) => {
            return Err(Malformed { line: unclosed.line, what: format!("<{}> is never closed", unclosed.name) });
        }
        (None, _) => Section::default(),
    };
    Ok(root)
}

/// A value without its trailing comment, which begins with a blank and `#`.
fn plain(value: &str) -> &str {
    let value = value.trim();
    value.find(" #").map_or(value, |at| value.get(..at).unwrap_or_default()).trim()
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.find(quote)
        {
            return inner.get(..end).unwrap_or_default().to_owned();
        }
    }
    plain(value).to_owned()
}

/// Does a fluentd tag pattern (`oms.security.**`, `{a,b}.*`) take in a tag?
pub fn tag_matches(pattern: &str, tag: &str) -> bool {
    pattern.split_whitespace().any(|one| {
        let parts: Vec<&str> = one.split('.').collect();
        let tag: Vec<&str> = tag.split('.').collect();
        parts_match(&parts, &tag)
    })
}

fn parts_match(pattern: &[&str], tag: &[&str]) -> bool {
    match pattern.split_first() {
        None => tag.is_empty(),
        Some((&"**", rest)) => (0..=tag.len()).any(|n| parts_match(rest, tag.get(n..).unwrap_or_default())),
        Some((first, rest)) => tag.split_first().is_some_and(|(t, tail)| {
            let hit = match first.strip_prefix('{').and_then(|f| f.strip_suffix('}')) {
                Some(words) => words.split(',').any(|w| w.trim() == *t),
                None => *first == "*" || first == t || wildcard(first, t),
            };
            hit && parts_match(rest, tail)
        }),
    }
}

/// `oms*` within one part.
fn wildcard(pattern: &str, part: &str) -> bool {
    pattern.split_once('*').is_some_and(|(head, tail)| {
        part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_nest_and_comments_do_not_count() {
        let text = b"# <source>\n@include omsagent.d/*.conf # all\n<source>\n  type syslog\n  port 1\n  port 25226 # the port\n  #bind 1.2.3.4\n  <parse>\n    port 7\n  </parse>\n  tag \"oms.security\" # q\n  format /a # b/\n</source>\n<filter oms.security.**>\n  type filter_syslog_security\n</filter>\n";
        let root = parse(text).unwrap();
        assert_eq!(root.includes, ["omsagent.d/*.conf"]);
        let source = &root.children[0];
        assert_eq!((source.get("port"), source.get("bind"), source.kind()), (Some("25226"), None, Some("syslog")));
        assert_eq!((source.get("tag"), source.children[0].get("port")), (Some("oms.security"), Some("7")));
        assert_eq!((source.line, root.children[1].arg.as_str()), (3, "oms.security.**"));
    }

    #[test]
    fn what_fluentd_refuses_is_named_with_its_line() {
        let of = |text: &str| parse(text.as_bytes()).map_err(|e| (e.line, e.what)).unwrap_err();
        assert_eq!(of("<source>\n  type x\n"), (1, "<source> is never closed".into()));
        assert_eq!(of("<source>\n</filter>\n").0, 2);
        assert_eq!(of("</source>\n"), (1, "</source> closes nothing".into()));
        assert_eq!(of("404: Not Found\n"), (1, "`404: Not Found` stands outside of every section".into()));
        assert_eq!(of("<source\n").0, 1);
        assert!(parse(b"\xff\xfe\n").is_err());
        assert_eq!(parse(b"").unwrap(), Section::default());
    }

    #[test]
    fn tags_match_as_in_fluentd() {
        for (pattern, tag, is) in [
            ("oms.security.**", "oms.security.local4.warn", true),
            ("oms.security.**", "oms.security", true),
            ("**", "a", true),
            ("oms.*", "oms.security.x", false),
            ("{oms,x}.**", "oms.a.b", true),
            ("a.b oms.**", "oms.a", true),
            ("oms.sec*.**", "oms.security.a", true),
            ("oms.blob.**", "oms.security", false),
        ] {
            assert_eq!(tag_matches(pattern, tag), is, "{pattern} {tag}");
        }
    }
}
