//! Judgement on the agent's end of the loopback connection.

use std::net::{IpAddr, Ipv4Addr};

use super::agents::{self, is_agent};
use super::case::Case;
use super::listen::owners;
use super::outcome::{Judged, NotJudged, Outcome};
use super::ports;
use crate::agent::AgentKind;
use crate::agent::ama::paths::{SOCKET, UNIT};
use crate::agent::oms::paths::Workspace;
use crate::host::proc_net::{Socket, Transport};
use crate::host::proc_process::Process;
use crate::report::Fix;

/// The Log Analytics agent, or whoever takes the place of an agent.
pub fn listening(case: &Case<'_>) -> Judged {
    if case.target.agent == AgentKind::Ama {
        agents::meant(case, AgentKind::Oms)?;
    }
    port(case)
}

/// The Azure Monitor Agent.
pub fn ama_listening(case: &Case<'_>) -> Judged {
    agents::meant(case, AgentKind::Ama)?;
    if !agents::forward_config::over_socket(case) {
        return port(case);
    }
    ports::net(case)?;
    let Some(ama) = &case.facts.agent_states.ama else { return Err(NotJudged::Skip("there is no agent".into())) };
    let seen = |out: Outcome| out.seen(SOCKET, if ama.own.socket.exists { "there" } else { "not there" });
    match (ama.own.socket.exists, ama.own.socket.bound) {
        (true, Some(true)) => Ok(seen(Outcome::pass("the agent's unix socket is open"))),
        (true, None) => Err("whether somebody holds the agent's unix socket could not be seen".to_owned().into()),
        _ => Ok(seen(restarted(
            case,
            Outcome::fail("nobody listens on the agent's unix socket").advise("start the agent"),
        ))),
    }
}

fn port(case: &Case<'_>) -> Judged {
    let net = ports::net(case)?;
    let port = case.target.agent_port;
    let open: Vec<&Socket> = net.open(Transport::Tcp, port).collect();
    let local = IpAddr::from(Ipv4Addr::LOCALHOST);
    let Some(socket) = open.iter().find(|s| s.takes(local)) else { return Ok(nobody(case, &open)) };
    let holders: Vec<&Process> = socket.owners.iter().filter_map(|pid| case.facts.process(*pid)).collect();
    let who = owners(case, socket);
    if case.daemon_pid().is_some_and(|pid| socket.owners.contains(&pid)) {
        return Ok(Outcome::fail(format!(
            "the daemon itself listens on the agent's port {port}: events go round in a circle"
        ))
        .seen(socket.display(), who)
        .advise("take that listener out of the daemon's configuration"));
    }
    if let Some(halted) = holders.iter().find(|p| p.is_stopped()) {
        return Ok(Outcome::fail(format!("{} holds port {port}, but is halted by a signal", halted.comm))
            .seen(socket.display(), &who)
            .seen(format!("process {}", halted.pid), format!("state {}", halted.state))
            .advise("let it go on")
            .command(format!("sudo kill -CONT {}", halted.pid))
            .fix_all(unit(case).map(Fix::Restart)));
    }
    if case.target.agent != AgentKind::None {
        if holders.is_empty() && !net.owners_complete {
            return Err(format!("port {port} is open, but whose it is can only be seen as root").into());
        }
        if !holders.iter().any(|p| is_agent(case.target.agent, p)) {
            return Ok(Outcome::fail(format!("port {port} belongs to {who}, not to the agent"))
                .seen(socket.display(), who)
                .advise("stop that program, then restart the agent")
                .command(restart(case)));
        }
    }
    if let Some(out) = shared(case, &open, socket) {
        return Ok(out);
    }
    Ok(Outcome::pass(format!("port {port} is open")).seen(socket.display(), who))
}

/// Two programs may have one port where both ask for it (SO_REUSEPORT): the kernel then gives each of them some of the
/// connections, by chance.
fn shared(case: &Case<'_>, open: &[&Socket], socket: &Socket) -> Option<Outcome> {
    let program = |s: &Socket| {
        let first = s.owners.iter().filter_map(|pid| case.facts.process(*pid)).min_by_key(|p| p.pid)?;
        Some((first.exe.clone(), first.cmdline.clone()))
    };
    // One program with several sockets does that on purpose.
    let mine = program(socket)?;
    let same_place = |s: &&&Socket| s.local == socket.local;
    let other = open.iter().filter(same_place).find(|s| program(s).is_some_and(|p| p != mine))?;
    let port = case.target.agent_port;
    let make = if case.target.agent == AgentKind::None { Outcome::warn } else { Outcome::fail };
    let out = make(format!(
        "two programs listen on port {port}, {} and {}: each gets some of the events, by chance",
        owners(case, socket),
        owners(case, other)
    ));
    let out = out.seen(socket.display(), owners(case, socket)).seen(other.display(), owners(case, other));
    Some(out.advise("stop the one that is not the agent").command(format!("sudo ss -lntp 'sport = :{port}'")))
}

fn nobody(case: &Case<'_>, elsewhere: &[&Socket]) -> Outcome {
    let t = case.target;
    let out = Outcome::fail(format!("nobody listens on 127.0.0.1:{} for the events", t.agent_port))
        .seen("agent's port", format!("{}, by {}", t.agent_port, t.agent_port_from))
        .seen_all(elsewhere.iter().map(|s| (s.display(), owners(case, s))));
    match t.agent {
        AgentKind::None => out
            .advise("install and start the agent; for a test, `cefctl listen` takes its place")
            .command(format!("cefctl listen --port {}", t.agent_port)),
        AgentKind::Oms | AgentKind::Ama => restarted(case, out.advise("restart the agent")),
    }
}

/// Restarts the agent, as a command and as a repair where it has a unit.
fn restarted(case: &Case<'_>, out: Outcome) -> Outcome {
    let out = out.command(restart(case));
    match unit(case) {
        Some(unit) => out.fix(Fix::Restart(unit)),
        None => out,
    }
}

/// The agent's unit, as far as systemd knows it.
pub fn unit(case: &Case<'_>) -> Option<String> {
    let workspaces = case.facts.agents.oms.as_ref().map(|o| o.workspaces.as_slice()).unwrap_or_default();
    let name = match case.target.agent {
        AgentKind::None => return None,
        AgentKind::Oms => Workspace::new(workspaces.first()?.as_str()).unit(),
        AgentKind::Ama => UNIT.to_owned(),
    };
    case.facts.unit(&name).is_some_and(|u| u.state.exists()).then_some(name)
}

fn restart(case: &Case<'_>) -> String {
    let workspaces = case.facts.agents.oms.as_ref().map(|o| o.workspaces.as_slice()).unwrap_or_default();
    match case.target.agent {
        AgentKind::None => format!("cefctl listen --port {}", case.target.agent_port),
        agent => agents::restart(agent, workspaces.first().map(String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::detect::OmsFacts;
    use crate::check::facts::Facts;
    use crate::check::fixture::*;
    use crate::check::target::Target;
    use crate::report::Status;

    fn with_agent(agent: AgentKind) -> Target {
        Target { agent, ..Target::default() }
    }

    #[test]
    fn two_programs_on_one_port_get_some_of_the_events_each() {
        let mut facts = healthy();
        let owner = |facts: &Facts| {
            let found = facts.net.as_ref().unwrap().sockets.iter().find(|s| s.local.port() == 25226 && s.is_open());
            found.map(|s| (s.local.to_string(), s.owners[0])).unwrap()
        };
        let (place, pid) = owner(&facts);
        add_socket(&mut facts, Transport::Tcp, &place, pid);
        assert_eq!(judge(listening, &facts).status, Status::Pass, "sockets of one program");
        let other = Process { pid: 4711, exe: "/usr/bin/socat".into(), comm: "socat".into(), ..Process::default() };
        facts.processes.insert(4711, other);
        add_socket(&mut facts, Transport::Tcp, &place, 4711);
        let o = judge(listening, &facts);
        assert_eq!((o.status, o.summary.contains("two programs")), (Status::Warn, true), "{}", o.summary);
    }

    #[test]
    fn nobody_on_the_port() {
        let mut facts = healthy();
        assert_eq!(judge(listening, &facts).status, Status::Pass);
        close(&mut facts, Transport::Tcp, |a| a.port() == 25226);
        let o = judge(listening, &facts);
        assert_eq!((o.status, o.advice.unwrap().commands), (Status::Fail, vec!["cefctl listen --port 25226".into()]));
        facts.agents.oms = Some(OmsFacts { workspaces: vec!["ws".into()], ..OmsFacts::default() });
        let o = judge_for(listening, &facts, &with_agent(AgentKind::Oms));
        assert_eq!(o.advice.unwrap().commands, ["sudo /opt/microsoft/omsagent/bin/service_control restart ws"]);
        // On the other family only: the forward goes to 127.0.0.1.
        add_socket(&mut facts, Transport::Tcp, "[::1]:25226", AGENT);
        let o = judge(listening, &facts);
        assert_eq!(o.status, Status::Fail);
        assert!(o.evidence.iter().any(|e| e.source == "tcp [::1]:25226"));
    }

    #[test]
    fn the_port_must_be_the_agents_own() {
        let mut facts = healthy();
        assert_eq!(judge_for(listening, &facts, &with_agent(AgentKind::Oms)).status, Status::Fail);
        assert_eq!(judge_for(ama_listening, &facts, &with_agent(AgentKind::Ama)).status, Status::Fail);
        facts.processes.get_mut(&AGENT).unwrap().exe = "/opt/microsoft/omsagent/ruby/bin/ruby".into();
        assert_eq!(judge_for(listening, &facts, &with_agent(AgentKind::Oms)).status, Status::Pass);
        facts.processes.get_mut(&AGENT).unwrap().comm = "mdsd".into();
        assert_eq!(judge_for(ama_listening, &facts, &with_agent(AgentKind::Ama)).status, Status::Pass);
        let hide = |facts: &mut Facts| {
            sockets(facts).iter_mut().for_each(|s| s.owners.clear());
            facts.net.as_mut().unwrap().owners_complete = false;
        };
        hide(&mut facts);
        assert_eq!(judge_for(ama_listening, &facts, &with_agent(AgentKind::Ama)).status, Status::Unknown);
        assert_eq!(judge_for(listening, &facts, &with_agent(AgentKind::None)).status, Status::Pass);
    }

    #[test]
    fn a_halted_agent_or_the_daemon_itself_is_no_agent() {
        let mut facts = healthy();
        facts.processes.get_mut(&AGENT).unwrap().state = "T".into();
        let o = judge(listening, &facts);
        assert_eq!((o.status, o.advice.unwrap().commands), (Status::Fail, vec!["sudo kill -CONT 60".into()]));
        let mut facts = healthy();
        close(&mut facts, Transport::Tcp, |a| a.port() == 25226);
        add_socket(&mut facts, Transport::Tcp, "0.0.0.0:25226", DAEMON);
        assert!(judge(listening, &facts).summary.contains("circle"));
    }
}
