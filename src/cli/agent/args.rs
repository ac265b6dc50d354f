//! Options about the agent itself. Key and proxy may hold secrets: their type shows nowhere.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::agent::Cloud;
use crate::agent::oms::plugins::EventTime;
use crate::host::Secret;
use crate::host::handover::Secrets;

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

#[derive(Debug, Clone, Default, Args)]
pub struct AgentArgs {
    /// Workspace that the Log Analytics agent is to serve. With a key nothing is asked
    #[arg(value_name = "WORKSPACE_ID")]
    pub workspace: Option<String>,
    /// Its key. Better given by --key-file or the variable CEFCTL_KEY: a command line is seen by other users and kept
    /// by shells and sudo
    #[arg(value_name = "KEY", value_parser = secret, conflicts_with = "key_file")]
    pub key: Option<Secret>,
    /// Read the key from FILE (- for standard input)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Agent")]
    pub key_file: Option<PathBuf>,
    /// The cloud that the workspace is in [default: public]
    #[arg(long, value_name = "CLOUD", help_heading = "Agent")]
    pub cloud: Option<Cloud>,
    /// Proxy for the download and the agent: [http://][user:password@]host[:port]; also by the variables CEFCTL_PROXY
    /// and https_proxy
    #[arg(long, value_name = "URL", value_parser = secret, help_heading = "Agent")]
    pub proxy: Option<Secret>,
    /// Install the agent from FILE instead of downloading it
    #[arg(long, value_name = "FILE", conflicts_with = "agent_url", value_hint = ValueHint::FilePath, help_heading = "Agent")]
    pub agent_bundle: Option<PathBuf>,
    /// Download the agent's installation bundle from URL
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Agent")]
    pub agent_url: Option<String>,
    /// SHA-256 that the bundle must have
    #[arg(long, value_name = "HEX", help_heading = "Agent")]
    pub agent_sha256: Option<String>,
    /// Which time becomes TimeGenerated (Log Analytics agent)
    #[arg(long, value_name = "TIME", help_heading = "Agent")]
    pub event_time: Option<EventTime>,
    /// Keep the portal from changing this box's syslog settings (Log Analytics agent)
    #[arg(long, help_heading = "Agent")]
    pub no_portal_sync: bool,
}

/// Variables that may hold a secret, and what for. The first that is set counts.
const KEY_VARIABLE: &str = "CEFCTL_KEY";
const PROXY_VARIABLES: [&str; 4] = ["CEFCTL_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"];

impl AgentArgs {
    /// Puts in what the first start of the program has handed over.
    pub fn fill(&mut self, handed: &Secrets) {
        for (name, secret) in handed {
            match name.as_str() {
                "key" => self.key = Some(secret.clone()),
                "proxy" => self.proxy = Some(secret.clone()),
                _ => {}
            }
        }
    }

    /// Secrets that `ps` and `/proc` show of this process now, with the arguments and variables that are to go.
    pub fn exposed(&self, args: &[OsString]) -> Option<Exposed> {
        let mut exposed = Exposed { args: args.to_vec(), unset: Vec::new(), secrets: Secrets::new() };
        if let Some(key) = &self.key {
            exposed.take("key", key, "");
        } else if let Some(key) = variable(KEY_VARIABLE) {
            exposed.secrets.push(("key".into(), key));
        }
        if variable(KEY_VARIABLE).is_some() {
            exposed.unset.push(KEY_VARIABLE.into());
        }
        match &self.proxy {
            Some(proxy) if has_login(proxy) => exposed.take("proxy", proxy, "--proxy"),
            Some(_) => {}
            None => {
                let login = PROXY_VARIABLES.iter().find_map(|v| variable(v)).filter(has_login);
                exposed.secrets.extend(login.map(|p| ("proxy".to_owned(), p)));
            }
        }
        let with_login = PROXY_VARIABLES.iter().filter(|v| variable(v).is_some_and(|p| has_login(&p)));
        exposed.unset.extend(with_login.map(OsString::from));
        (!exposed.secrets.is_empty() || !exposed.unset.is_empty()).then_some(exposed)
    }

    /// The proxy of the command line, else of the environment.
    pub fn proxy_text(&self) -> Option<Secret> {
        self.proxy.clone().or_else(|| PROXY_VARIABLES.iter().find_map(|v| variable(v)))
    }
}

fn variable(name: &str) -> Option<Secret> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(|v| Secret::new(v.as_bytes()))
}

fn has_login(proxy: &Secret) -> bool {
    proxy.expose().contains(&b'@')
}

/// What to start the program again with.
pub struct Exposed {
    pub args: Vec<OsString>,
    pub unset: Vec<OsString>,
    pub secrets: Secrets,
}

impl Exposed {
    /// Moves a secret from the arguments, with its option, to the secrets.
    fn take(&mut self, name: &str, secret: &Secret, option: &str) {
        let is = |a: &OsStr| a.as_bytes() == secret.expose();
        let joined = [option.as_bytes(), b"=", secret.expose()].concat();
        if let Some(at) = self.args.iter().position(|a| !option.is_empty() && a.as_bytes() == joined) {
            self.args.remove(at);
        } else if let Some(at) = self.args.iter().rposition(|a| is(a)) {
            self.args.remove(at);
            if !option.is_empty() && at > 0 && self.args.get(at - 1).is_some_and(|a| a == option) {
                self.args.remove(at - 1);
            }
        }
        self.secrets.push((name.to_owned(), secret.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn secrets_leave_the_command_line_with_their_options() {
        for words in [
            &["cefctl", "install", "ws", "KEY", "--proxy", "u:p@h:1", "--yes"][..],
            &["cefctl", "install", "--proxy=u:p@h:1", "ws", "--yes", "KEY"][..],
        ] {
            let given = AgentArgs {
                key: Some(Secret::new("KEY")),
                proxy: Some(Secret::new("u:p@h:1")),
                ..AgentArgs::default()
            };
            let exposed = given.exposed(&args(words)).unwrap();
            assert_eq!(exposed.args, args(&["cefctl", "install", "ws", "--yes"]));
            let mut again = AgentArgs::default();
            again.fill(&exposed.secrets);
            assert_eq!((again.key, again.proxy), (given.key, given.proxy));
        }
    }

    #[test]
    fn a_proxy_without_login_is_no_secret() {
        let given = AgentArgs { proxy: Some(Secret::new("http://h:1")), ..AgentArgs::default() };
        let exposed = given.exposed(&args(&["cefctl", "install", "--proxy", "http://h:1"]));
        assert!(exposed.is_none_or(|e| e.secrets.iter().all(|(n, _)| n != "proxy")));
    }
}
