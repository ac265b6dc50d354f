//! What the daemon does to the bytes of an event before it parses them.

use serde::{Deserialize, Serialize};

use crate::syslog::rsyslog::effective::{Effective, size};

/// How the daemon cleans what it receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reception {
    pub escape_control: bool,
    pub escape_tab: bool,
    pub escape_8bit: bool,
    pub drop_trailing_lf: bool,
    pub space_lf: bool,
    pub prefix: u8,
    /// Bytes; longer events are cut.
    pub max_size: usize,
    pub slash_in_programname: bool,
    pub hostname_and_tag: bool,
}

impl Default for Reception {
    fn default() -> Self {
        Reception {
            escape_control: true,
            escape_tab: true,
            escape_8bit: false,
            drop_trailing_lf: true,
            space_lf: false,
            prefix: b'#',
            max_size: 8096,
            slash_in_programname: false,
            hostname_and_tag: true,
        }
    }
}

impl Reception {
    /// The settings in force of a configuration.
    pub fn of(e: &Effective) -> Self {
        let default = Reception::default();
        let switch = |name: &str, value: bool| e.setting(name).and_then(|s| s.value.switch()).unwrap_or(value);
        let size = e.setting("maxmessagesize").and_then(|s| size(&s.value));
        let prefix = e.setting("parser.controlcharacterescapeprefix").and_then(|s| s.value.as_bytes().first().copied());
        Reception {
            escape_control: switch("parser.escapecontrolcharactersonreceive", true),
            escape_tab: switch("parser.escapecontrolcharactertab", true),
            escape_8bit: switch("parser.escape8bitcharactersonreceive", false),
            drop_trailing_lf: switch("parser.droptrailinglfonreception", true),
            space_lf: switch("parser.spacelfonreceive", false),
            prefix: prefix.unwrap_or(default.prefix),
            max_size: size.and_then(|s| usize::try_from(s).ok()).unwrap_or(default.max_size),
            slash_in_programname: switch("parser.permitslashinprogramname", false),
            hostname_and_tag: switch("parser.parsehostnameandtag", true),
        }
    }

    /// The bytes as the daemon keeps them (`rawmsg`).
    pub(super) fn clean(&self, raw: &[u8]) -> Vec<u8> {
        let mut raw = &raw[..raw.len().min(self.max_size)];
        raw = raw.strip_suffix(b"\0").unwrap_or(raw);
        if self.drop_trailing_lf {
            raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        for &b in raw {
            let control = b < 32 && (b == 0 || (self.escape_control && (b != b'\t' || self.escape_tab)));
            if b == b'\n' && self.space_lf {
                out.push(b' ');
            } else if control || (b > 127 && self.escape_8bit) {
                let digits = [b'0' + (b >> 6), b'0' + ((b >> 3) & 7), b'0' + (b & 7)];
                out.push(self.prefix);
                out.extend_from_slice(&digits);
            } else {
                out.push(b);
            }
        }
        out.truncate(self.max_size);
        out
    }
}
