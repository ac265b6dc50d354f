//! Sample events followed through a configuration, to see what becomes of real ones.

use super::Wish;
use crate::syslog::Location;
use crate::syslog::collector::EVENTS;
use crate::syslog::rsyslog::effective::{Action, ActionId, Effective, Listener};
use crate::syslog::rsyslog::query::Reach;

/// Do security events of this listener reach a forward to the agent's port?
///
/// # Errors
/// What is in the way, in words.
pub fn forwarded(config: &Effective, listener: &Listener, wish: &Wish) -> Result<(), String> {
    let forwards = config.forwards_to(wish.agent.port);
    let Some((action, _)) = forwards.first() else { return Err("there is no forward to the agent".to_owned()) };
    for raw in EVENTS {
        let event = config.event_at(listener, raw);
        match config.reach(listener, &event, action.id) {
            Reach::Yes | Reach::Maybe => {}
            Reach::Stopped { stop } => return Err(format!("they are stopped at {}", stop.at)),
            Reach::OtherRuleset { listener, action } => {
                return Err(format!("they run through ruleset {listener}, our rule stands in {action}"));
            }
            Reach::Filtered { at } => {
                return Err(match at {
                    Some(at) => format!("the condition at {at} does not hold for them"),
                    None => "a condition does not hold for them".to_owned(),
                });
            }
            Reach::Disabled => return Err("the daemon leaves the rule out".to_owned()),
        }
    }
    Ok(())
}

/// What takes security events of some devices, not those of our samples, away on their way to the agent.
pub fn diverted(config: &Effective, listener: &Listener, wish: &Wish) -> Option<Location> {
    let forwards: Vec<ActionId> = config.forwards_to(wish.agent.port).iter().map(|(a, _)| a.id).collect();
    let ways = EVENTS.iter().filter(|_| !forwards.is_empty()).flat_map(|raw| {
        config.diversions(&config.event_at(listener, raw), config.ruleset_of(listener), &|id| forwards.contains(&id))
    });
    ways.map(|stop| stop.place().clone()).next()
}

/// Every action that security events of this listener reach, or may reach, whichever device sends them.
pub fn actions<'a>(config: &'a Effective, listener: &Listener) -> Vec<&'a Action> {
    let mut ids: Vec<usize> = EVENTS
        .iter()
        .flat_map(|raw| config.trace_from(&config.event_at(listener, raw).of_anybody(), listener).visits)
        .map(|visit| visit.action)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().filter_map(|id| config.actions.get(id)).filter(|a| a.enabled).collect()
}
