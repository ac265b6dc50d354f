//! Log paths that lead nowhere and end an event there: how somebody says that he does not want it. By what is written
//! or how urgent it is, that is his affair. By who sent it, a device may be missing for years without anybody knowing
//! why, so that such a path is named.

use super::*;
use crate::syslog::syslogng::filter::{Expr, Field};

/// What says who sent an event.
const SENDER: [&str; 5] = ["SOURCEIP", "HOST", "HOST_FROM", "FULLHOST", "FULLHOST_FROM"];

impl Effective {
    /// Log paths that drop the event, were it sent by some device, before it came to one of the destinations.
    pub fn drops(&self, event: &SampleEvent, source: &Ref, wanted: &dyn Fn(&Ref) -> bool) -> Vec<Location> {
        let drops = |path: &LogPath| !path.leads_anywhere() && self.asks_for_sender(path);
        let stops = self.stops_before(event, source, wanted).into_iter();
        stops.filter(|at| self.logs.iter().any(|path| path.at == *at && drops(path))).collect()
    }

    fn asks_for_sender(&self, path: &LogPath) -> bool {
        let mut steps = Vec::new();
        path.collect(&mut steps);
        steps.iter().any(|step| match &step.kind {
            StepKind::Filter(r) => self.filter(r).is_some_and(|f| self.names_sender(&f.expr, 0)),
            StepKind::If { branches, .. } => {
                branches.iter().any(|b| b.condition.as_ref().is_some_and(|e| self.names_sender(e, 0)))
            }
            _ => false,
        })
    }

    fn names_sender(&self, expr: &Expr, depth: usize) -> bool {
        let is = |name: &Text| SENDER.iter().any(|s| name.is(s));
        let within = |text: &Text| {
            let text = text.to_str_lossy();
            let mut macros = text.split('$').skip(1).map(|m| m.trim_start_matches('{'));
            macros.any(|m| SENDER.iter().any(|s| m.starts_with(s)))
        };
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|e| self.names_sender(e, depth)),
            Expr::Not(inner) => self.names_sender(inner, depth),
            Expr::Call { name, .. } if depth < MAX_CALLS => {
                self.filter(&Ref::Named(name.clone())).is_some_and(|f| self.names_sender(&f.expr, depth + 1))
            }
            Expr::Match { field, .. } => match field {
                Field::Host => true,
                Field::Value(name) => is(name),
                Field::Template(text) => within(text),
                _ => false,
            },
            Expr::Compare { left, right, .. } => within(left) || within(right),
            Expr::Netmask(_) => true,
            _ => false,
        }
    }
}
