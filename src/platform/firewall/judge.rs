//! Does a packet meet a test? For a whole set of senders at once: the answer is the senders that do for sure and those
//! that may.

use super::model::{Key, Test, Values, Why};
use super::packet::{Packet, State, Value, unmasked};
use super::span::Span;

/// Who meets a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    pub surely: Span,
    /// Includes those that do surely.
    pub maybe: Span,
    /// Why the two differ.
    pub why: Option<Why>,
}

impl Met {
    fn yes_if(yes: bool, all: &Span) -> Met {
        let who = if yes { all.clone() } else { Span::empty() };
        Met { surely: who.clone(), maybe: who, why: None }
    }
    pub fn unknown(all: &Span, why: Why) -> Met {
        Met { surely: Span::empty(), maybe: all.clone(), why: Some(why) }
    }
    fn not(self, all: &Span) -> Met {
        Met { surely: all.minus(&self.maybe), maybe: all.minus(&self.surely), why: self.why }
    }
    pub fn and(self, other: Met) -> Met {
        Met {
            surely: self.surely.intersect(&other.surely),
            maybe: self.maybe.intersect(&other.maybe),
            why: self.why.or(other.why),
        }
    }
    fn or(self, other: Met) -> Met {
        Met {
            surely: self.surely.union(&other.surely),
            maybe: self.maybe.union(&other.maybe),
            why: self.why.or(other.why),
        }
    }
}

/// The senders among `all` whose packet meets the test.
pub fn meets(test: &Test, packet: &Packet, state: &State, all: &Span) -> Met {
    match test {
        Test::Never => Met::yes_if(false, all),
        Test::Unknown(why) => Met::unknown(all, why.clone()),
        Test::Is { key, values, not } => match packet.value(key, state) {
            Value::Absent => Met::yes_if(false, all),
            value => {
                let met = is_one_of(key, &value, values, packet, all);
                if *not { met.not(all) } else { met }
            }
        },
        Test::Bits { key, bits, not } => match packet.value(key, state) {
            Value::Absent => Met::yes_if(false, all),
            Value::Number(n) => Met::yes_if((n & bits != 0) != *not, all),
            Value::Unknown(what) => Met::unknown(all, Why::Expression(what)),
            _ => Met::unknown(all, Why::Expression("bits of an address".into())),
        },
        Test::Rows { keys, rows, not } => {
            if keys.iter().any(|k| packet.value(k, state) == Value::Absent) {
                return Met::yes_if(false, all);
            }
            let none = Met::yes_if(false, all);
            let met = rows.iter().fold(none, |met, row| met.or(fits_row(keys, row, packet, state, all)));
            if *not { met.not(all) } else { met }
        }
    }
}

/// Do all values of the row fit?
pub fn fits_row(keys: &[Key], row: &[Values], packet: &Packet, state: &State, all: &Span) -> Met {
    let yes = Met::yes_if(true, all);
    keys.iter().zip(row).fold(yes, |met, (key, values)| {
        met.and(match packet.value(key, state) {
            Value::Absent => Met::yes_if(false, all),
            value => is_one_of(key, &value, values, packet, all),
        })
    })
}

/// A rule about so few of the ports that senders use (another service's, say) concerns next to none of them.
const FEW_PORTS: u128 = 64;

fn is_one_of(key: &Key, value: &Value, values: &Values, packet: &Packet, all: &Span) -> Met {
    if values.any {
        return Met::yes_if(true, all);
    }
    let known = match value {
        Value::Number(n) => Met::yes_if(values.numbers.contains(*n), all),
        Value::Name(name) => Met::yes_if(values.names.iter().any(|pattern| is_named(pattern, name)), all),
        Value::Among(some) => {
            let hit = some.intersect(&values.numbers);
            match hit.size() <= FEW_PORTS || values.numbers.covers(some) {
                true => Met::yes_if(hit.size() > FEW_PORTS, all),
                false => Met::unknown(all, Why::Expression("the port that the sender sends from".into())),
            }
        }
        Value::Peer => match key {
            Key::Masked(_, mask) => match unmasked(values, *mask, packet.v6()) {
                Some(values) => exactly(all.intersect(&values.numbers)),
                None => Met::unknown(all, Why::Expression("an address under an odd mask".into())),
            },
            _ => exactly(all.intersect(&values.numbers)),
        },
        Value::Unknown(what) => Met::unknown(all, Why::Expression(what.clone())),
        Value::Absent => Met::yes_if(false, all),
    };
    match &values.unknown {
        Some(why) => known.or(Met::unknown(all, Why::Expression(why.clone()))),
        None => known,
    }
}

fn exactly(who: Span) -> Met {
    Met { surely: who.clone(), maybe: who, why: None }
}

/// Interface names: `eth0`, or `eth*`.
fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}
