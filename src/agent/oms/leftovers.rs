//! What the agent's own tool leaves behind on the syslog side (facts 1.10, 1.15): rules that go on sending to ports where
//! nobody listens any more.

/// Files that are the Log Analytics agent's alone.
pub const FILES: [&str; 3] = [
    "/etc/rsyslog.d/95-omsagent.conf",
    "/etc/rsyslog.d/security-config-omsagent.conf",
    "/etc/syslog-ng/conf.d/security-config-omsagent.conf",
];

/// The agent's block in a file of somebody else's: `#OMS Workspace <ws>…` and the statements of that workspace behind it.
/// Gives the text without them; `None` where there is none.
pub fn without_block(text: &[u8]) -> Option<Vec<u8>> {
    let lossless: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    let mut kept: Vec<u8> = Vec::with_capacity(text.len());
    let (mut found, mut depth) = (false, 0i32);
    for line in lossless {
        let shown = String::from_utf8_lossy(line);
        let trimmed = shown.trim();
        if depth > 0 {
            depth += braces(trimmed);
            continue;
        }
        let words = trimmed.split_whitespace().next().unwrap_or_default();
        let ours = trimmed.starts_with("#OMS Workspace ")
            || ["destination", "filter"].contains(&words) && statement_name(trimmed).is_some_and(is_agents_name)
            || words.starts_with("log") && mentions_agents_destination(trimmed);
        if ours {
            found = true;
            depth = braces(trimmed).max(0);
            continue;
        }
        kept.extend_from_slice(line);
    }
    found.then_some(kept)
}

fn braces(line: &str) -> i32 {
    line.chars()
        .map(|c| match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        })
        .sum()
}

fn statement_name(line: &str) -> Option<&str> {
    let rest = line.split_whitespace().nth(1)?;
    Some(rest.split(['{', ';']).next().unwrap_or(rest))
}

/// `d_<workspace>_oms`, `f_<facility>_<workspace>_oms`.
fn is_agents_name(name: &str) -> bool {
    let middle = name.strip_suffix("_oms").and_then(|n| n.split_once('_')).map(|(_, m)| m);
    middle.is_some_and(|m| m.rsplit('_').next().is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()))
}

fn mentions_agents_destination(line: &str) -> bool {
    let inside = line.split("destination(").nth(1).and_then(|r| r.split(')').next());
    inside.is_some_and(|name| is_agents_name(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    #[test]
    fn the_block_goes_and_the_rest_stays() {
        let mine = "source s_src { system(); internal(); };\nlog { source(s_src); destination(d_mine); };\n";
        let block = format!(
            "#OMS Workspace {WS}\ndestination d_{WS}_oms {{ udp(\"127.0.0.1\" port(25224)); }};\n\n\
             filter f_auth_{WS}_oms {{ level(alert,crit) and facility(auth); }};\nlog {{ source(s_src); filter(f_auth_{WS}_oms); destination(d_{WS}_oms); }};\n"
        );
        let text = format!("{mine}{block}# end\n");
        let left = String::from_utf8(without_block(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(left, format!("{mine}\n# end\n"));
        assert_eq!(without_block(mine.as_bytes()), None);
    }

    #[test]
    fn a_block_over_several_lines() {
        let text = format!("a\ndestination d_{WS}_oms {{\n  udp(\"127.0.0.1\" port(25224));\n}};\nb\n");
        assert_eq!(without_block(text.as_bytes()).unwrap(), b"a\nb\n");
    }
}
