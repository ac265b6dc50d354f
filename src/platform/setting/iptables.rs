//! One rule in a built-in chain of iptables. It carries a comment, so that it is told from a rule that somebody else
//! made in the same words.

use anyhow::{Result, bail};

use super::{Opening, ask, must};
use crate::host::{Exit, Host};

/// In the order in which `iptables-save` prints it, so that the line in a file is the one that saving would write.
pub fn rule(opening: &Opening) -> Vec<String> {
    let Opening { protocol, port, source } = opening;
    let mut words: Vec<String> = Vec::new();
    if let Some(source) = source {
        // A single address is printed with its length.
        let full = if source.contains('/') {
            source.clone()
        } else {
            format!("{source}/{}", if source.contains(':') { 128 } else { 32 })
        };
        words.extend(["-s".to_owned(), full]);
    }
    words.extend(["-p", protocol, "-m", protocol, "--dport"].map(str::to_owned));
    words.push(port.to_string());
    words.extend(["-m", "comment", "--comment"].map(str::to_owned));
    words.push(opening.comment());
    words.extend(["-j", "ACCEPT"].map(str::to_owned));
    words
}

/// The same as a line of a file for `iptables-restore`.
pub fn line(chain: &str, opening: &Opening) -> String {
    let words: Vec<String> =
        rule(opening).into_iter().map(|w| if w.contains(' ') { format!("\"{w}\"") } else { w }).collect();
    format!("-A {chain} {}\n", words.join(" "))
}

/// Waits for another iptables to let go of the lock.
const WAIT: [&str; 2] = ["-w", "5"];

fn call<'a>(program: &'a str, verb: &[&'a str], words: &'a [String]) -> Vec<&'a str> {
    [program].into_iter().chain(WAIT).chain(verb.iter().copied()).chain(words.iter().map(String::as_str)).collect()
}

pub fn is_set(host: &Host, program: &str, chain: &str, opening: &Opening) -> Result<bool> {
    let words = rule(opening);
    let Some(output) = ask(host, &call(program, &["-C", chain], &words))? else { return Ok(false) };
    match output.exit {
        Exit::Code(0) => Ok(true),
        // There is none, or no such chain.
        Exit::Code(1 | 2) => Ok(false),
        _ => bail!("{program} does not answer: {}", output.last_words(2)),
    }
}

pub fn set(host: &Host, program: &str, chain: &str, opening: &Opening, before: Option<usize>) -> Result<()> {
    let (words, number) = (rule(opening), before.map(|n| n.to_string()));
    let verb: Vec<&str> = match &number {
        Some(number) => vec!["-I", chain, number],
        None => vec!["-A", chain],
    };
    must(host, &call(program, &verb, &words))?;
    Ok(())
}

pub fn unset(host: &Host, program: &str, chain: &str, opening: &Opening) -> Result<()> {
    must(host, &call(program, &["-D", chain], &rule(opening)))?;
    Ok(())
}
