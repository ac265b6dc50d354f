//! Settings of the machine that live in a tool's hands instead of in a file: a port opened in a firewall, a label on a
//! port. Each can be looked at, made and taken back with the tool's own commands.

mod firewalld;
pub mod iptables;
mod label;
mod loopback;
pub mod nft;
mod packages;
mod semanage;
mod ufw;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::packages::Packages;
use crate::host::{Cmd, Host, Output, RunError};

/// firewalld's and SELinux's tools are Python and slow on a small machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Whom a firewall shall let in to a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opening {
    /// `udp` or `tcp`.
    pub protocol: String,
    pub port: u16,
    /// A network in `10.0.0.0/8` form; `None`: everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Opening {
    pub fn is_v6(&self) -> Option<bool> {
        self.source.as_ref().map(|s| s.contains(':'))
    }
    /// The mark on rules that can carry one: they are found again by it.
    pub fn comment(&self) -> String {
        match &self.source {
            Some(source) => format!("cefctl: {} {} from {source}", self.protocol, self.port),
            None => format!("cefctl: {} {}", self.protocol, self.port),
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.protocol.to_uppercase(), self.port)?;
        match &self.source {
            Some(source) => write!(f, " for {source}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "kebab-case")]
pub enum Setting {
    /// `permanent`: in the configuration that is loaded at the next start, else in the rules as they run.
    Firewalld { zone: String, permanent: bool, opening: Opening },
    /// `first`: before all other rules, since one of them forbids the port.
    Ufw {
        opening: Opening,
        #[serde(default)]
        first: bool,
    },
    /// `before`: handle of the rule that it goes before; `None`: at the end.
    Nft {
        family: String,
        table: String,
        chain: String,
        opening: Opening,
        #[serde(default)]
        before: Option<u64>,
    },
    /// `before`: number of the rule that it goes before, from 1; `None`: at the end.
    Iptables {
        program: String,
        chain: String,
        opening: Opening,
        #[serde(default)]
        before: Option<usize>,
    },
    /// What the machine sends to itself passes the chain: a rule at its top. `family` and `table` for nftables only.
    Loopback { program: String, family: String, table: String, chain: String, outward: bool },
    /// A port that a confined program may use.
    SelinuxPort { label: String, protocol: String, port: u16 },
    /// A file with the label that the policy has for its place; `had`: the type it had.
    FileLabel { path: String, had: String },
    /// Packages that are installed: the one that was wanted, then what comes with it. `leftovers`: those of them whose
    /// configuration files were there before.
    Packages {
        names: Vec<String>,
        #[serde(default)]
        leftovers: Vec<String>,
    },
}

impl Setting {
    /// Is it so now? A tool that is gone has no settings.
    ///
    /// # Errors
    /// The tool does not answer.
    pub fn is_set(&self, host: &Host) -> Result<bool> {
        match self {
            Setting::Firewalld { zone, permanent, opening } => firewalld::is_set(host, zone, *permanent, opening),
            Setting::Ufw { opening, .. } => ufw::is_set(host, opening),
            Setting::Nft { family, table, chain, opening, .. } => {
                Ok(!nft::handles(host, &[family, table, chain], opening)?.is_empty())
            }
            Setting::Iptables { program, chain, opening, .. } => iptables::is_set(host, program, chain, opening),
            Setting::Loopback { .. } => self.chain().map_or(Ok(true), |c| c.is_set(host)),
            Setting::SelinuxPort { label, protocol, port } => semanage::is_set(host, label, protocol, *port),
            Setting::FileLabel { path, .. } => label::is_set(host, path),
            Setting::Packages { names, .. } => packages::is_set(host, names),
        }
    }

    /// Makes it. The caller has seen that it is not so.
    ///
    /// # Errors
    /// The tool refuses, with its own words.
    pub fn set(&self, host: &Host) -> Result<()> {
        match self {
            Setting::Firewalld { zone, permanent, opening } => {
                firewalld::change(host, zone, *permanent, opening, "add")
            }
            Setting::Ufw { opening, first } => ufw::set(host, opening, *first),
            Setting::Nft { family, table, chain, opening, before } => {
                nft::set(host, &[family, table, chain], opening, *before)
            }
            Setting::Iptables { program, chain, opening, before } => {
                iptables::set(host, program, chain, opening, *before)
            }
            Setting::Loopback { .. } => self.chain().map_or(Ok(()), |c| c.set(host)),
            Setting::SelinuxPort { label, protocol, port } => semanage::set(host, label, protocol, *port),
            Setting::FileLabel { path, .. } => label::set(host, path),
            Setting::Packages { names, .. } => Ok(Packages::detect(host)?.install(names)?),
        }
    }

    /// Takes it back. The caller has seen that it is so.
    ///
    /// # Errors
    /// The tool refuses, with its own words.
    pub fn unset(&self, host: &Host) -> Result<()> {
        match self {
            Setting::Firewalld { zone, permanent, opening } => {
                firewalld::change(host, zone, *permanent, opening, "remove")
            }
            Setting::Ufw { opening, .. } => ufw::unset(host, opening),
            Setting::Nft { family, table, chain, opening, .. } => nft::unset(host, &[family, table, chain], opening),
            Setting::Iptables { program, chain, opening, .. } => iptables::unset(host, program, chain, opening),
            Setting::Loopback { .. } => self.chain().map_or(Ok(()), |c| c.unset(host)),
            Setting::SelinuxPort { protocol, port, .. } => semanage::unset(host, protocol, *port),
            Setting::FileLabel { path, had } => label::unset(host, path, had),
            Setting::Packages { names, leftovers } => Ok(Packages::detect(host)?.take_back(names, leftovers)?),
        }
    }

    /// Is it the same setting, wherever among the rules it stands?
    pub fn is_same(&self, other: &Setting) -> bool {
        self.bare() == other.bare()
    }

    fn bare(&self) -> Setting {
        let mut bare = self.clone();
        match &mut bare {
            Setting::Ufw { first, .. } => *first = false,
            Setting::Nft { before, .. } => *before = None,
            Setting::Iptables { before, .. } => *before = None,
            Setting::Firewalld { .. }
            | Setting::Loopback { .. }
            | Setting::SelinuxPort { .. }
            | Setting::FileLabel { .. }
            | Setting::Packages { .. } => {}
        }
        bare
    }

    /// What it lets in; `None` for a label.
    pub fn opening(&self) -> Option<&Opening> {
        match self {
            Setting::Firewalld { opening, .. }
            | Setting::Ufw { opening, .. }
            | Setting::Nft { opening, .. }
            | Setting::Iptables { opening, .. } => Some(opening),
            Setting::Loopback { .. }
            | Setting::SelinuxPort { .. }
            | Setting::FileLabel { .. }
            | Setting::Packages { .. } => None,
        }
    }

    fn chain(&self) -> Option<loopback::Chain<'_>> {
        match self {
            Setting::Loopback { program, family, table, chain, outward } => {
                Some(loopback::Chain { family, table, program, name: chain, outward: *outward })
            }
            _ => None,
        }
    }

    /// The packages it brings; empty for everything else.
    pub fn packages(&self) -> &[String] {
        match self {
            Setting::Packages { names, .. } => names,
            _ => &[],
        }
    }

    /// In words, without a verb: `UDP port 514 in ufw`.
    pub fn noun(&self) -> String {
        match self {
            Setting::Firewalld { zone, permanent: false, opening } => {
                format!("{opening} in firewalld's zone {zone}, now")
            }
            Setting::Firewalld { zone, opening, .. } => format!("{opening} in firewalld's zone {zone}, for good"),
            Setting::Ufw { opening, .. } => format!("{opening} in ufw"),
            Setting::Nft { family, table, chain, opening, .. } => {
                format!("{opening} in chain {chain} of the nftables table {family} {table}, now")
            }
            Setting::Iptables { program, chain, opening, .. } => {
                format!("{opening} in chain {chain} of {program}, now")
            }
            Setting::Loopback { program, family, table, chain, .. } => {
                let place =
                    if family.is_empty() { program.clone() } else { format!("the nftables table {family} {table}") };
                format!("loopback in chain {chain} of {place}, until the rules are loaded again")
            }
            Setting::SelinuxPort { label, protocol, port } => {
                format!("{} port {port} as {label} for SELinux", protocol.to_uppercase())
            }
            Setting::FileLabel { path, .. } => format!("SELinux's label of {path}"),
            Setting::Packages { names, .. } => packages::noun(names),
        }
    }

    pub fn sentence(&self) -> String {
        match self {
            Setting::SelinuxPort { .. } => format!("label {}", self.noun()),
            Setting::FileLabel { .. } => format!("restore {}", self.noun()),
            Setting::Packages { .. } => format!("install {}", self.noun()),
            _ => format!("open {}", self.noun()),
        }
    }

    pub fn undo_sentence(&self) -> String {
        match self {
            Setting::SelinuxPort { .. } => format!("take back the label of {}", self.noun()),
            Setting::FileLabel { had, .. } => format!("give back {had} as {}", self.noun()),
            Setting::Packages { .. } => format!("remove {}", self.noun()),
            _ => format!("close {}", self.noun()),
        }
    }
}

/// Runs a tool; `None`: there is no such program.
fn ask(host: &Host, argv: &[&str]) -> Result<Option<Output>> {
    match host.runner.run(&Cmd::new(argv).limit(LIMIT)) {
        Ok(output) => Ok(Some(output)),
        Err(RunError::NotFound(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Runs a tool that has to succeed.
fn must(host: &Host, argv: &[&str]) -> Result<Output> {
    let cmd = Cmd::new(argv).limit(LIMIT);
    let output = host.runner.run(&cmd)?;
    if output.ok() {
        return Ok(output);
    }
    bail!("`{}` failed: {}", cmd.display(), output.last_words(3))
}

#[cfg(test)]
mod tests;
