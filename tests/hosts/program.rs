//! The program as a file: it runs on distributions it was not built on, and install.sh puts it in place whole or not
//! at all.

use anyhow::{Result, ensure};

use crate::host::Host;
use crate::{Case, Kind};

const INSTALL_SH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("needs_no_library_of_the_host", static_program),
        Case::new("looks_names_up_without_the_hosts_modules", foreign_modules),
        Case::new("install_sh_takes_the_binary_beside_it", beside),
        Case::new("install_sh_refuses_a_plain_user", beside_as_user),
        Case::new("install_sh_leaves_nothing_half_done", nothing_beside),
    ]
}

/// No program interpreter, so nothing but the kernel is needed.
fn static_program(kind: &Kind) -> Result<()> {
    const PT_INTERP: u32 = 3;
    let host = kind.boot()?;
    let elf = host.get("/usr/local/bin/cefctl");
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap_or_default());
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian program");
    let (table, size, count) = (word(32) as usize, elf[54] as usize, elf[56] as usize);
    let kinds = (0..count).map(|n| word(table + n * size) as u32);
    ensure!(
        !kinds.into_iter().any(|k| k == PT_INTERP),
        "the program is linked dynamically: are static archives missing?"
    );
    host.cefctl(&["--version"]).ok();
    Ok(())
}

/// Modules for name look-ups that exist, but not for the C library in the program.
fn foreign_modules(kind: &Kind) -> Result<()> {
    let host = Host::boot(&kind.suite, &format!("{}+libnss-myhostname+libnss-systemd", kind.daemon))?;
    host.sh("sed -i 's/^hosts:.*/hosts: myhostname mymachines files dns/; s/^\\(passwd\\|group\\):.*/\\1: systemd files/' /etc/nsswitch.conf");
    host.cefctl(&["install", "--agent", "none", "--yes"]).ok();
    host.cefctl(&["troubleshoot"]);
    host.cefctl(&["send", "--count", "1", "--host", "no-such-host.invalid"]);
    Ok(())
}

/// A folder as somebody unpacks it.
fn unpack(host: &Host, with_binary: bool) {
    std::fs::rename(host.path("/usr/local/bin/cefctl"), host.path("/opt/cefctl")).expect("the binary under test");
    host.put("/opt/install.sh", std::fs::read(INSTALL_SH).expect("install.sh"));
    host.sh(if with_binary {
        "chmod 755 /opt/install.sh /opt/cefctl"
    } else {
        "chmod 755 /opt/install.sh; rm /opt/cefctl"
    });
}

fn beside(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    unpack(&host, true);
    host.exec(&["/opt/install.sh", "--agent", "none", "--yes"]).no_panic().ok();
    ensure!(host.all_bound(514), "514 is not open");
    ensure!(host.get("/usr/local/bin/cefctl") == host.get("/opt/cefctl"), "the program was not put in place");
    ensure!(
        host.sh("ls /usr/local/bin") == "cefctl",
        "something else was left behind: {}",
        host.sh("ls -l /usr/local/bin")
    );
    Ok(())
}

fn beside_as_user(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    unpack(&host, true);
    let out = host.exec(&["runuser", "-u", "nobody", "--", "/opt/install.sh", "--agent", "none"]);
    ensure!(out.code == 2 && out.all().contains("hint: run: sudo"), "{out}");
    Ok(())
}

fn nothing_beside(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    unpack(&host, false);
    let out = host.exec(&["/opt/install.sh", "--agent", "none", "--yes"]);
    ensure!(out.code == 1 && out.all().contains("hint:"), "{out}");
    // A program that cannot run here must not take the place of one that does.
    host.put("/opt/cefctl", b"\x7fELF but not really");
    host.sh("chmod 755 /opt/cefctl; echo '#!/bin/true' >/usr/local/bin/cefctl; chmod 755 /usr/local/bin/cefctl");
    let out = host.exec(&["/opt/install.sh", "--agent", "none", "--yes"]);
    ensure!(out.code == 1 && out.all().contains("does not run on this machine"), "{out}");
    ensure!(host.sh("ls /usr/local/bin") == "cefctl", "something was left behind: {}", host.sh("ls -l /usr/local/bin"));
    ensure!(host.get("/usr/local/bin/cefctl") == b"#!/bin/true\n", "a working program was replaced by a broken one");
    before.assert_same(&host.tree("/etc"), "after a failed install.sh");
    Ok(())
}
