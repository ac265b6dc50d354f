//! Do security events also stay in the other rules of the box? By default not: they fill the disk and, with the agent's
//! plain syslog rule, are stored and billed twice. But where they went to somebody's own rule before (another SIEM, a
//! file of their own), that rule must go on seeing them.

use super::{LocalCopy, Wish, reach, word};
use crate::syslog::rsyslog::effective::{Action, ActionKind, DEFAULT_RULESET, Effective, Listener};

/// Local log files that distributions write without being asked (facts 5.11), and where people look for local events.
const STOCK_FILES: [&str; 32] = [
    "syslog",
    "messages",
    "auth.log",
    "authpriv.log",
    "kern.log",
    "user.log",
    "debug",
    "daemon.log",
    "mail",
    "mail.log",
    "mail.info",
    "mail.warn",
    "mail.err",
    "maillog",
    "cron",
    "cron.log",
    "secure",
    "spooler",
    "boot.log",
    "lpr.log",
    "warn",
    "firewall",
    "acpid",
    "NetworkManager",
    "localmessages",
    "news.crit",
    "news.err",
    "news.notice",
    "uucp.log",
    "local",
    "error",
    "iptables.log",
];

/// The decision, for our own listeners and for the default ruleset of re-used ones.
pub struct Copies {
    /// Our own ruleset hands security events on to the default rules.
    pub own: bool,
    /// After our rule in the default ruleset, security events go on.
    pub reused: bool,
}

/// Decides, and says why where it is not the usual.
pub fn decide(config: &Effective, reused: &[&Listener], wish: &Wish, notes: &mut Vec<String>) -> Copies {
    match wish.local_copy {
        LocalCopy::Keep => Copies { own: true, reused: true },
        LocalCopy::Drop => Copies { own: false, reused: false },
        LocalCopy::Auto => {
            let in_default = reused.iter().filter(|l| config.ruleset_of(l).is(DEFAULT_RULESET));
            for listener in in_default {
                let Some(action) = reach::actions(config, listener).into_iter().find(|a| !is_stock(a)) else {
                    continue;
                };
                notes.push(format!(
                    "the rule at {} already gets the {} events of this port and goes on getting them, so they also go \
                     through the local rules (--local-copy drop ends that)",
                    action.at,
                    word(listener.transport)
                ));
                return Copies { own: false, reused: true };
            }
            Copies { own: false, reused: false }
        }
    }
}

/// Is it one of the rules that a distribution ships, or the plain syslog rule of the Log Analytics agent?
fn is_stock(action: &Action) -> bool {
    match &action.kind {
        ActionKind::File(path) => {
            let path = path.to_str_lossy();
            let name = path.strip_prefix("/var/log/").unwrap_or_default();
            // SUSE shows errors on its tenth console.
            let console = &*path == "/dev/console" || path.starts_with("/dev/tty");
            console || STOCK_FILES.contains(&name.rsplit('/').next().unwrap_or_default())
        }
        ActionKind::Users(_) => true,
        ActionKind::Pipe(path) => path.is("/dev/xconsole"),
        ActionKind::Forward(f) => f.is_loopback() && f.port_number() == Some(25224),
        _ => false,
    }
}
