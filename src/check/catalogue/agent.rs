//! The agent's end of the loopback connection.

use super::Check;
use crate::check::agent as judge;

pub const CHECKS: &[Check] = &[Check {
    id: "agent.listening",
    title: "Does the agent listen on its port?",
    why: "Nobody takes the events from the daemon: they queue up, and are lost where there is no queue.",
    looks_at: "the socket on the agent's port on loopback and the process that holds it: the omsagent's ruby for the Log \
               Analytics agent, mdsd for the Azure Monitor Agent, anybody where no agent is chosen.",
    mend: "start the agent. Where there is none yet, `cefctl listen` takes its place for a test.",
    needs: &[],
    judge: judge::listening,
}];
