//! What the exit codes of the bundle and of omsadmin mean, and what to do (facts 1.3, 1.4; field-failures 6). The two
//! programs use the same small numbers for different things, so a code is only ever read with its program.

/// The cause of a failure and what helps against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Half a sentence: "the bundle says that …".
    pub cause: &'static str,
    pub remedy: &'static str,
}

const fn means(cause: &'static str, remedy: &'static str) -> Meaning {
    Meaning { cause, remedy }
}

const PACKAGE_LOG: &str = "see the end of /var/opt/microsoft/omsagent/tmp or the package manager's log (/var/log/dpkg.log, \
                           /var/log/dnf.log); a package manager that runs elsewhere must finish first";
const BUG: &str = "this is an error in how cefctl called it: please report it";

/// Exit codes of the shell bundle. Code 0 says nothing about onboarding (facts 0.2).
pub fn bundle(code: i32) -> Meaning {
    match code {
        2 | 3 => means("it does not accept the options it was given", BUG),
        4 => means(
            "it does not know this distribution's kind of package",
            "use a distribution that the agent supports, or the Azure Monitor Agent",
        ),
        5 => means("it needs root", "run the command with sudo"),
        6 => means(
            "it is made for another processor architecture",
            "the Log Analytics agent exists for x86-64 and 32-bit x86 only; use the Azure Monitor Agent",
        ),
        17 => means("the package omsagent could not be installed", PACKAGE_LOG),
        18 => means(
            "the package omsconfig could not be installed",
            "it needs a Python with ctypes and a supported OpenSSL: python3 -c 'import ctypes'; openssl version",
        ),
        19 => means("the package omi could not be installed", PACKAGE_LOG),
        20 => means("the package scx could not be installed", PACKAGE_LOG),
        21 => means("the provider packages could not be installed", PACKAGE_LOG),
        22 => means("a component that comes with it (auoms) could not be installed", PACKAGE_LOG),
        23 => means(
            "it says that the agent is already installed",
            "remove what is left of an earlier installation: sudo cefctl uninstall --agent",
        ),
        30 => means(
            "an internal error",
            "run it again; if it stays, remove the agent with `sudo cefctl uninstall --agent` first",
        ),
        51 => means("this operating system is not supported", "use the Azure Monitor Agent"),
        52 => means(
            "something that it depends on is missing: a package, space in /opt, or a running OMI service (FIPS mode has the same effect)",
            "df -h /opt; systemctl status omid; cat /proc/sys/crypto/fips_enabled",
        ),
        55 => means(
            "this OpenSSL is not supported (1.0.1 and later, 1.1 and 3.0 are; 3.1 and later are not), or curl is missing, or the package manager is busy",
            "openssl version; curl --version; on a distribution that is too new use the Azure Monitor Agent",
        ),
        60 => means("there is no Python", "install python3"),
        61 => {
            means("Python has no ctypes", "install the package that holds it (python3-ctypes, python3-libs or python3)")
        }
        62 => means("tar is missing", "install tar"),
        63 => means("sed is missing", "install sed"),
        64 => means("curl is missing", "install curl"),
        65 => means("gpg is missing", "install gnupg"),
        66 => means("there is neither dpkg nor rpm", "use a distribution with Debian or RPM packages"),
        1 => means(
            "it could not unpack itself",
            "the disk is full (df -h /tmp /opt /var) or the file is not whole: give its SHA-256 with --agent-sha256",
        ),
        _ => means(
            "it could not unpack itself, or ended in a way that is not documented",
            "df -h /tmp /opt /var; give the bundle's SHA-256 with --agent-sha256 to be sure that it is whole",
        ),
    }
}

/// Exit codes of `omsadmin.sh`.
pub fn omsadmin(code: i32) -> Meaning {
    match code {
        1 => means("it needs root", "run the command with sudo"),
        2 => means("it does not accept the options it was given", BUG),
        3 => means(
            "workspace id or key is missing or malformed",
            "copy both again from the workspace (Agents, Log Analytics agent instructions)",
        ),
        4 => means("the proxy does not work", "check --proxy: [http://][user:password@]host[:port]"),
        5 => means(
            "the service refused this machine (HTTP 403): the workspace id or the key is wrong, the workspace is in another cloud, or the clock is off by more than 15 minutes",
            "take the primary key from the workspace again; --cloud usgov or china if that is where it is; timedatectl",
        ),
        6 => means(
            "the service did not accept the registration (HTTP status other than 200)",
            "try again later; a proxy or a filter on the way may answer in its place",
        ),
        7 => means(
            "the name of the service was not resolved",
            "check DNS for WORKSPACE.oms.opinsights.azure.com, or give the proxy with --proxy",
        ),
        8 => means(
            "the service could not be reached",
            "port 443 outbound must be open to WORKSPACE.oms.opinsights.azure.com; give the proxy with --proxy if there is one",
        ),
        30 => means("an internal error", "run it again"),
        31 => means("it could not make the agent's id", "run it again"),
        32 => means("it could not make the agent's certificate", "openssl version; df -h /etc"),
        33 => means(
            "the configuration part (DSC) failed",
            "see /var/opt/microsoft/omsconfig/omsconfig.log; is the OMI service running?",
        ),
        34 => means(
            "the configuration part (DSC) is not installed",
            "remove the agent with `sudo cefctl uninstall --agent`, then install it again",
        ),
        60 => means("there is no Python", "install python3"),
        _ => means("it ended in a way that is not documented", "see the agent's log"),
    }
}

/// The code in the bundle's own last words: `… shell bundle exiting with status code N` since March 2022,
/// `Shell bundle exiting with code N` before (facts 0.3).
pub fn said_by_bundle(output: &str) -> Option<i32> {
    output.lines().rev().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let rest = line.split_once("shell bundle exiting with")?.1;
        rest.split_whitespace().find_map(|w| w.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_own_cause() {
        let documented = [2, 4, 5, 6, 17, 18, 19, 20, 21, 22, 23, 30, 51, 52, 55, 60, 61, 62, 63, 64, 65, 66];
        let causes: std::collections::BTreeSet<&str> = documented.iter().map(|c| bundle(*c).cause).collect();
        assert_eq!(causes.len(), documented.len());
        let documented = [1, 2, 3, 4, 5, 6, 7, 8, 30, 31, 32, 33, 34, 60];
        let causes: std::collections::BTreeSet<&str> = documented.iter().map(|c| omsadmin(*c).cause).collect();
        assert_eq!(causes.len(), documented.len());
    }

    #[test]
    fn the_same_number_is_not_the_same_in_both() {
        assert!(bundle(5).cause.contains("root") && omsadmin(5).cause.contains("403"));
        assert!(bundle(4).cause.contains("package") && omsadmin(4).cause.contains("proxy"));
    }

    #[test]
    fn both_generations_of_last_words() {
        assert_eq!(said_by_bundle("x\nOMS agent shell bundle exiting with status code 55\nretired\n"), Some(55));
        assert_eq!(said_by_bundle("Shell bundle exiting with code 0"), Some(0));
        assert_eq!(said_by_bundle("all is well"), None);
    }
}
