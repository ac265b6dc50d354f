//! Which bundle this machine needs and where it comes from. The vendor publishes no checksum for it (facts 1.2), so none
//! can be built in: docs/agents.md says how a site gets its own.

/// A bundle to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub url: String,
    /// What it is, for people; empty for an address that the user gave.
    pub version: &'static str,
}

/// No bundle is larger; what is must be something else. Bytes.
pub const MAX_SIZE: u64 = 512 << 20;
/// What the published x64 bundle takes, about; for free space before its size is known. Bytes.
pub const USUAL_SIZE: u64 = 160 << 20;

/// The published bundle for a processor (`uname -m`); `None` where the agent does not exist for it. The original takes
/// the 32-bit bundle for everything it does not know, also for ARM.
pub fn published(arch: &str) -> Option<Bundle> {
    const RELEASES: &str = "https://github.com/microsoft/OMS-Agent-for-Linux/releases/download";
    let (version, word) = match arch {
        "x86_64" | "amd64" => ("1.19.0-0", "x64"),
        "i386" | "i486" | "i586" | "i686" => ("1.12.15-0", "x86"),
        _ => return None,
    };
    Some(Bundle { url: format!("{RELEASES}/OMSAgent_v{version}/omsagent-{version}.universal.{word}.sh"), version })
}

/// Is this a shell bundle, and not, say, the page of a proxy that wants a login?
pub fn looks_right(start: &[u8]) -> bool {
    start.starts_with(b"#!")
}

/// A SHA-256 as people paste it: 64 hexadecimal digits, also with the file name that `sha256sum` prints behind it.
///
/// # Errors
/// What is wrong with it.
pub fn parse_sha256(text: &str) -> Result<String, String> {
    let digits = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let digits = digits.strip_prefix("sha256:").unwrap_or(&digits);
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(digits.to_owned())
    } else {
        Err("a SHA-256 has 64 hexadecimal digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bundle_for_each_processor_and_none_for_arm() {
        assert!(published("x86_64").unwrap().url.ends_with("omsagent-1.19.0-0.universal.x64.sh"));
        assert!(published("i686").unwrap().url.ends_with("omsagent-1.12.15-0.universal.x86.sh"));
        assert_eq!(published("aarch64"), None);
    }

    #[test]
    fn a_sum_as_people_paste_it() {
        let sum = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        assert_eq!(parse_sha256(&format!("{sum}  bundle.sh\n")).unwrap(), sum.to_ascii_lowercase());
        assert_eq!(parse_sha256(&format!("sha256:{sum}")).unwrap(), sum.to_ascii_lowercase());
        assert!(parse_sha256("abc").is_err() && parse_sha256("").is_err());
    }
}
