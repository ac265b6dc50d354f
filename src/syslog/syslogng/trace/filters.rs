//! Filters, held against an event: yes, no, or not known.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::host::subnet::Subnet;
use crate::syslog::syslogng::filter::{Compare, Expr, Field, Order};

impl Run<'_> {
    pub(super) fn filter(&mut self, expr: &Expr, event: &mut SampleEvent, depth: usize) -> Maybe {
        match expr {
            Expr::And(parts) => {
                let mut result = Some(true);
                for part in parts {
                    match self.filter(part, event, depth) {
                        Some(false) => return Some(false),
                        None => result = None,
                        Some(true) => {}
                    }
                }
                result
            }
            Expr::Or(parts) => {
                let mut result = Some(false);
                for part in parts {
                    match self.filter(part, event, depth) {
                        Some(true) => return Some(true),
                        None => result = None,
                        Some(false) => {}
                    }
                }
                result
            }
            Expr::Not(inner) => self.filter(inner, event, depth).map(|b| !b),
            Expr::Facility(bits) => {
                known_pri(event, |pri| bits.checked_shr(u32::from(pri >> 3)).is_some_and(|b| b & 1 == 1))
            }
            // whatever it is
            Expr::Severity(u8::MAX) => Some(true),
            Expr::Severity(bits) => known_pri(event, |pri| bits >> (pri & 7) & 1 == 1),
            Expr::Call { name, .. } if depth < MAX_CALLS => {
                let called = self.config.filter(&Ref::Named(name.clone()))?;
                self.filter(&called.expr, event, depth + 1)
            }
            Expr::Match { field, pattern } => self.matches(field, pattern, event),
            Expr::Compare { left, op, right } => compare(&expand(left, event)?, *op, &expand(right, event)?),
            Expr::Tags(tags) if !event.opaque => Some(tags.iter().any(|t| event.tags.contains(t))),
            Expr::Netmask(mask) => netmask(mask, &event.get(&"SOURCEIP".into())?),
            Expr::Call { .. } | Expr::Tags(_) | Expr::Other(_) | Expr::Broken => None,
        }
    }

    fn matches(&mut self, field: &Field, pattern: &Pattern, event: &mut SampleEvent) -> Maybe {
        let text = match field {
            Field::Program => event.get(&"PROGRAM".into())?,
            Field::Host => event.get(&"HOST".into())?,
            Field::Message => event.get(&"MESSAGE".into())?,
            Field::Source => event.get(&"SOURCE".into())?,
            Field::Value(name) => event.get(name)?,
            Field::Template(template) => {
                Text(expand(self.config.template(template).map_or(template, |t| &t.text), event)?)
            }
            Field::ProgramAndMessage => {
                let (program, pid) = (event.get(&"PROGRAM".into())?, event.get(&"PID".into())?);
                let pid = if pid.is_empty() { String::new() } else { format!("[{pid}]") };
                let message = event.get(&"MESSAGE".into())?;
                Text([program.as_bytes(), pid.as_bytes(), b": ", message.as_bytes()].concat())
            }
        };
        let found = Matcher::remembered(pattern)?.find(text.as_bytes(), 0).ok()?;
        if let Some(found) = &found
            && pattern.has("store-matches")
        {
            keep_groups(found, event);
        }
        Some(found.is_some())
    }
}

fn known_pri(event: &SampleEvent, test: impl Fn(u16) -> bool) -> Maybe {
    event.known_pri().map(test)
}

fn compare(left: &[u8], op: Compare, right: &[u8]) -> Maybe {
    let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|t| t.trim().parse::<f64>().ok());
    let order = match (op.numeric, number(left), number(right)) {
        (true, Some(l), Some(r)) => l.partial_cmp(&r)?,
        // Versions differ in what a text is worth as a number.
        (true, ..) => return None,
        _ => left.cmp(right),
    };
    Some(match op.order {
        Order::Less => order == Ordering::Less,
        Order::LessEqual => order != Ordering::Greater,
        Order::Equal => order == Ordering::Equal,
        Order::NotEqual => order != Ordering::Equal,
        Order::GreaterEqual => order != Ordering::Less,
        Order::Greater => order == Ordering::Greater,
    })
}

/// `netmask(10.0.0.0/8)`, `netmask(10.0.0.0/255.0.0.0)`, `netmask6("fe80::/10")`
fn netmask(mask: &Text, address: &Text) -> Maybe {
    let mask = mask.to_str_lossy();
    let address: IpAddr = address.to_str_lossy().parse().ok()?;
    let dotted = mask.split_once('/').and_then(|(net, length)| Some((net, length.parse::<Ipv4Addr>().ok()?)));
    let net = match dotted {
        Some((net, length)) => Subnet::new(net.parse().ok()?, u8::try_from(length.to_bits().leading_ones()).ok()?),
        None => Subnet::parse(&mask),
    };
    Some(net?.contains(address))
}
