//! Secrets that came on the command line or in the environment, where `ps` and `/proc` show them: the program starts
//! itself again without them and hands them over in a file that is only in memory. It stays the same process, so
//! whoever waits for it notices nothing. What the shell, sudo or an audit log has seen by then is beyond our reach.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Secret;
use super::memfile::{MemFile, inherited};

/// How the second start learns where the secrets are. Not for users.
const OPTION: &str = "--handed-over=";
/// More cannot have been on a command line.
const MAX: u64 = 1 << 20;

/// Secrets by name.
pub type Secrets = Vec<(String, Secret)>;

/// Takes the handed over secrets, and the option for them out of `args`; empty at the first start.
pub fn take(args: &mut Vec<OsString>) -> Secrets {
    let Some(at) = args.iter().position(|a| a.as_bytes().starts_with(OPTION.as_bytes())) else { return Secrets::new() };
    let option = args.remove(at);
    let number = option.as_bytes().get(OPTION.len()..).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
    let Some(file) = number.and_then(inherited) else { return Secrets::new() };
    let mut bytes = Vec::new();
    match file.take(MAX).read_to_end(&mut bytes) {
        Ok(_) => unpack(&bytes),
        Err(_) => Secrets::new(),
    }
}

/// Starts this program again with `args` (the first is its name) and without the variables in `unset`. Only returns if
/// that fails.
pub fn start_again(args: &[OsString], unset: &[OsString], secrets: &Secrets) -> io::Error {
    let file = match MemFile::new(&Secret::new(pack(secrets)), true) {
        Ok(file) => file,
        Err(e) => return e,
    };
    // by its path, so that it keeps its name in lists of processes; where the file was replaced or removed since, as it is
    let path = std::env::current_exe().ok().filter(|p| p.exists()).unwrap_or_else(|| "/proc/self/exe".into());
    let mut command = Command::new(path);
    let (name, rest) = args.split_first().map_or((OsStr::new("cefctl"), args), |(n, r)| (n.as_os_str(), r));
    command.arg0(name).args(rest).arg(format!("{OPTION}{}", file.fd()));
    for variable in unset {
        command.env_remove(variable);
    }
    command.exec()
}

/// No core of this process and its children shall hold what it knows.
pub fn no_cores() {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
}

/// Programs of others that make files shall make them as on any box, whatever the umask of whoever called us: the
/// agent's user must read what root installs.
pub fn usual_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
}

fn pack(secrets: &Secrets) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, secret) in secrets {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(secret.expose());
        bytes.push(0);
    }
    bytes
}

/// Neither arguments nor variables can hold a NUL.
fn unpack(bytes: &[u8]) -> Secrets {
    let mut parts = bytes.split(|b| *b == 0);
    let mut secrets = Secrets::new();
    while let (Some(name), Some(secret)) = (parts.next(), parts.next()) {
        let name = OsString::from_vec(name.to_vec()).to_string_lossy().into_owned();
        secrets.push((name, Secret::new(secret)));
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let secrets: Secrets = vec![("key".into(), Secret::new("a\nb==")), ("proxy".into(), Secret::new(""))];
        assert_eq!(unpack(&pack(&secrets)), secrets);
        assert_eq!(unpack(b"cut"), Secrets::new());
    }

    #[test]
    fn a_made_up_number_hands_nothing_over() {
        let mut args: Vec<OsString> = ["cefctl", "--handed-over=0", "install"].map(OsString::from).to_vec();
        assert_eq!(take(&mut args), Secrets::new());
        assert_eq!(args, ["cefctl", "install"]);
    }
}
