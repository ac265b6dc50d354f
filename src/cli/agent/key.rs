//! Where the workspace key comes from: command line or environment (handed over by then), a file, standard input, or a
//! question on the terminal.

use super::args::AgentArgs;
use crate::agent::oms::WorkspaceKey;
use crate::cli::exit::usage;
use crate::host::{Host, Secret};
use crate::ui::{AskError, Ui};

const HOW: &str = "--key-file FILE (- for standard input), the variable CEFCTL_KEY, or the second argument";

pub fn is_given(args: &AgentArgs) -> bool {
    args.key.is_some() || args.key_file.is_some()
}

/// The key, asked for if it was not given.
///
/// # Errors
/// There is none, or it has not the shape of one.
pub fn get(host: &Host, ui: &Ui, args: &AgentArgs) -> anyhow::Result<Option<WorkspaceKey>> {
    let secret = match (&args.key, &args.key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(file)) => Secret::new(super::read_named(host, file)?),
        (None, None) => match ui.secret("Primary key of the workspace (not shown)") {
            Ok(key) => key,
            Err(AskError::NotATerminal { .. }) => {
                return Err(usage("the workspace's key is needed to register the agent, and was not given", HOW));
            }
            Err(AskError::Failed(why)) => return Err(usage(format!("no key: {why}"), HOW)),
        },
    };
    shaped(&secret).map(Some)
}

/// For a dry run a key is not needed, but a wrong one is said.
pub fn for_dry_run(args: &AgentArgs) -> anyhow::Result<Option<WorkspaceKey>> {
    args.key.as_ref().map(shaped).transpose()
}

fn shaped(secret: &Secret) -> anyhow::Result<WorkspaceKey> {
    WorkspaceKey::parse(secret).map_err(|why| {
        usage(why, "copy the primary key from the workspace again (Agents, Log Analytics agent instructions)")
    })
}
