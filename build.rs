//! Links the program itself statically, so that one file runs on every distribution.
//!
//! A program linked on Debian 12 the usual way asks for glibc 2.34 and starts neither on Debian 11 nor on RHEL 8. The
//! proper switch, `-C target-feature=+crt-static`, forbids building procedural macros unless `--target` is given, which
//! moves target/release/cefctl elsewhere. So the same is done for the binary alone, and a plain `cargo build` stays one:
//!
//! * `-static-pie` for the linker, for the binary only: tests and build scripts are linked as always;
//! * the standard library was made for a dynamic glibc and asks for `-lgcc_s -lc …` after a `-Bdynamic`. A folder that
//!   comes before the system's answers with linker scripts that name the static archives; there `gcc_s`, which exists
//!   as a shared library only, is `gcc_eh`, as in a `crt-static` build.
//!
//! Static glibc would load the NSS modules of the host, made for another glibc, and crash in them: see
//! `host::names`, which the program calls first.
//!
//! Where the static archives are not installed (`glibc-static` on RHEL) the program is linked dynamically, with a
//! warning: for the machine it was built on that is good enough.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // a build script prints and writes by nature

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the standard library links dynamically on this target, and the archives that stand in.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("gcc_s", &["libgcc_eh.a", "libgcc.a", "libc.a"]),
    ("c", &["libc.a"]),
    ("m", &["libm.a"]),
    ("dl", &["libdl.a"]),
    ("rt", &["librt.a"]),
    ("pthread", &["libpthread.a"]),
    ("util", &["libutil.a"]),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|v| v == value);
    let native = env::var("HOST").ok() == env::var("TARGET").ok();
    if !(native && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu")) {
        return;
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    match stand_ins(&out) {
        Ok(()) => {
            println!("cargo::rustc-link-arg-bins=-static-pie");
            println!("cargo::rustc-link-arg-bins=-L{}", out.display());
        }
        Err(missing) => println!(
            "cargo::warning=no static {missing}: cefctl will only run with this machine's glibc or a newer one"
        ),
    }
}

/// Writes the linker scripts; the name of the file that is not there where one is missing.
fn stand_ins(out: &Path) -> Result<(), String> {
    find("rcrt1.o")?; // the start code of a static PIE
    for (name, archives) in LIBRARIES {
        let paths = archives.iter().map(|a| find(a)).collect::<Result<Vec<_>, _>>()?;
        let script = out.join(format!("lib{name}.a"));
        fs::write(&script, format!("GROUP ( {} )\n", paths.join(" ")))
            .map_err(|e| format!("{}: {e}", script.display()))?;
    }
    Ok(())
}

/// Where the linker's driver would find a file; it answers with the bare name when it would not.
fn find(file: &str) -> Result<String, String> {
    let driver = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let found = Command::new(driver).arg(format!("-print-file-name={file}")).output().ok();
    found
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map(|path| path.trim().to_owned())
        .filter(|path| Path::new(path).is_absolute() && Path::new(path).exists())
        .ok_or_else(|| file.to_owned())
}
