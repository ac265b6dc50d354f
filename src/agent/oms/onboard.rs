//! `/etc/omsagent-onboard.conf`, by which omsadmin gets the key on no command line (facts 1.6). The agent reads it as
//! shell, so every value is quoted for a shell.

use super::workspace::{WorkspaceId, WorkspaceKey};
use crate::agent::cloud::Cloud;
use crate::agent::proxy::Proxy;
use crate::host::Secret;

/// What the agent is to be told.
#[derive(Debug, Clone)]
pub struct Onboarding {
    pub workspace: WorkspaceId,
    pub key: WorkspaceKey,
    pub cloud: Cloud,
    pub proxy: Option<Proxy>,
}

impl Onboarding {
    /// The content of the file.
    pub fn file(&self) -> Secret {
        let mut text = Vec::new();
        let mut line = |name: &str, value: &[u8]| {
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend(quote(value));
            text.push(b'\n');
        };
        line("WORKSPACE_ID", self.workspace.as_str().as_bytes());
        line("SHARED_KEY", self.key.secret().expose());
        line("URL_TLD", self.cloud.suffix().as_bytes());
        if let Some(proxy) = &self.proxy {
            line("PROXY", proxy.with_credentials().expose());
        }
        Secret::new(text)
    }
}

/// One word for a shell, whatever is in it.
fn quote(value: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for &byte in value {
        if byte == b'\'' { word.extend_from_slice(b"'\\''") } else { word.push(byte) }
    }
    word.push(b'\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::base64;

    #[test]
    fn every_value_is_one_word_of_a_shell() {
        let onboarding = Onboarding {
            workspace: WorkspaceId::parse("0a1b2c3d-1111-2222-3333-444455556666").unwrap(),
            key: WorkspaceKey::parse(&Secret::new(base64::encode(&[9; 64]))).unwrap(),
            cloud: Cloud::Usgov,
            proxy: Some(Proxy::parse("http://us'er:p$(id)@proxy.example:3128").unwrap()),
        };
        let text = onboarding.file();
        let text = String::from_utf8_lossy(text.expose());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "WORKSPACE_ID='0a1b2c3d-1111-2222-3333-444455556666'");
        assert_eq!(lines[2], "URL_TLD='opinsights.azure.us'");
        assert_eq!(lines[3], "PROXY='http://us%27er:p%24%28id%29@proxy.example:3128'");
        assert!(!format!("{onboarding:?}").contains(&base64::encode(&[9; 64])));
    }

    #[test]
    fn a_single_quote_ends_no_word() {
        assert_eq!(quote(b"a'b\n$c"), b"'a'\\''b\n$c'");
    }
}
