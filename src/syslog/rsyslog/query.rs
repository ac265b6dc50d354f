//! Questions that installing and diagnosing ask of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::effective::{Action, ActionId, Effective, Forward, Listener, Queue, QueueType, Step, StepKind, Transport};
use super::event::{Origin, Reception, SampleEvent};
use super::trace::{Stop, Trace};
use crate::syslog::source::Overlay;
use crate::syslog::{ConfigSource, Location, Text};

/// Does an event from a listener reach an action, and if not, why not?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reach")]
pub enum Reach {
    Yes,
    /// It hangs on something that cannot be evaluated here.
    Maybe,
    /// A `stop` comes first.
    Stopped {
        stop: Stop,
    },
    /// The listener's events run through other rulesets only.
    OtherRuleset {
        listener: Text,
        action: Text,
    },
    /// The conditions around the action do not hold for this event; the innermost one is named.
    Filtered {
        at: Option<Location>,
    },
    /// The daemon leaves the action out.
    Disabled,
}

/// Where a drop-in file stands among the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The include that reads it.
    pub included_at: Location,
    /// Statements of the default ruleset before it, in order.
    pub before: Vec<Location>,
    /// Statements of the default ruleset behind it.
    pub behind: Vec<Location>,
    /// A ruleset that is open where the file is read, other than the default one (`$RuleSet x` before the include).
    pub in_ruleset: Option<Text>,
}

/// Names that are taken, with the place of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub templates: BTreeMap<Text, Location>,
    pub rulesets: BTreeMap<Text, Location>,
    pub inputs: BTreeMap<Text, Location>,
    pub actions: BTreeMap<Text, Location>,
    pub queue_files: BTreeMap<Text, Location>,
}

impl Effective {
    /// Listeners on a port, in the order in which they are opened.
    pub fn listeners_on(&self, port: u16, transport: Transport) -> Vec<&Listener> {
        self.listeners.iter().filter(|l| l.transport == transport && l.port_number() == Some(port)).collect()
    }

    /// The listener that gets what arrives for `address` (none: for any address of this machine): of several on UDP the
    /// most specific, then the last one; on TCP the first one.
    pub fn taker(&self, port: u16, transport: Transport, address: Option<&str>) -> Option<&Listener> {
        let (any_v4, any_v6) = address.map_or((true, true), |a| (!a.contains(':'), a.contains(':')));
        let fits = |l: &&Listener| match (&l.address, address) {
            (None, _) => true,
            (Some(own), Some(wanted)) if own.is(wanted) => true,
            (Some(own), _) => (any_v4 && *own == "0.0.0.0") || (any_v6 && *own == "::"),
        };
        let all: Vec<_> = self.listeners_on(port, transport).into_iter().filter(fits).collect();
        let specific = |l: &&Listener| l.address.as_ref().is_some_and(|a| !matches!(a.as_bytes(), b"0.0.0.0" | b"::"));
        match transport {
            Transport::Udp => all.iter().rev().find(|l| specific(l)).or(all.last()).copied(),
            _ => all.first().copied(),
        }
    }

    /// Does a listener open sockets for IPv4, for IPv6? A name as address may mean either.
    pub fn families(&self, listener: &Listener) -> (bool, bool) {
        let allowed = self.allowed_families();
        let address = listener.address.as_ref().map(|a| a.to_str_lossy().parse::<std::net::IpAddr>());
        match address {
            Some(Ok(ip)) => (ip.is_ipv4(), ip.is_ipv6()),
            _ => allowed,
        }
    }

    /// May the daemon use IPv4, IPv6?
    pub fn allowed_families(&self) -> (bool, bool) {
        let only = self.setting("net.ipprotocol").map(|s| s.value.to_lower().0);
        (only.as_deref() != Some(b"ipv6-only"), only.as_deref() != Some(b"ipv4-only"))
    }

    /// Enabled forwards to a port of this machine.
    pub fn forwards_to(&self, port: u16) -> Vec<(&Action, &Forward)> {
        let here = |f: &Forward| f.is_loopback() && f.port_number() == Some(port);
        self.forwards().filter(|(a, f)| a.enabled && here(f)).collect()
    }

    /// Folder of spool and state files; none: queues cannot go to disk.
    pub fn work_directory(&self) -> Option<&Text> {
        self.setting("workdirectory").map(|s| &s.value)
    }

    /// Bytes behind which an event is cut (8096 by default).
    pub fn max_message_size(&self) -> i64 {
        self.setting("maxmessagesize").and_then(|s| super::effective::size(&s.value)).unwrap_or(8096)
    }

    /// User and group (names or numbers) the daemon changes to after its start.
    pub fn privilege_drop(&self) -> (Option<&Text>, Option<&Text>) {
        let either = |name: &str, id: &str| self.setting(name).or_else(|| self.setting(id)).map(|s| &s.value);
        (either("privdrop.user.name", "privdrop.user.id"), either("privdrop.group.name", "privdrop.group.id"))
    }

    /// What the daemon makes of raw bytes that arrive at this listener from a device in the network.
    pub fn event_at(&self, listener: &Listener, raw: &[u8]) -> SampleEvent {
        let inputname = listener.name.clone().unwrap_or_else(|| listener.module.clone());
        let origin = Origin::device(inputname);
        SampleEvent::parse_with(raw, &origin, &Reception::of(self))
    }

    /// Does this event, arriving at this listener, reach the action?
    pub fn reach(&self, listener: &Listener, event: &SampleEvent, action: ActionId) -> Reach {
        let trace = self.trace_from(event, listener);
        match trace.reaches(action) {
            Some(true) => Reach::Yes,
            None => Reach::Maybe,
            Some(false) => self.why_not(listener, event, action, trace),
        }
    }

    /// What takes the event of some devices, or of all, away in a ruleset before it came to one of the actions.
    pub fn diversions(&self, event: &SampleEvent, ruleset: &Text, wanted: &dyn Fn(ActionId) -> bool) -> Vec<Stop> {
        let trace = self.trace(&event.clone().of_anybody(), ruleset);
        let came = |stop: &Stop| trace.visits.iter().take(stop.after).any(|v| wanted(v.action));
        // A copy that ends is no loss to an action elsewhere.
        let matters =
            |stop: &Stop| !stop.of_copy || self.actions.iter().any(|a| a.ruleset == stop.ruleset && wanted(a.id));
        trace.stops.iter().filter(|stop| matters(stop) && !came(stop)).cloned().collect()
    }

    fn why_not(&self, listener: &Listener, event: &SampleEvent, id: ActionId, trace: Trace) -> Reach {
        let Some(action) = self.actions.get(id).filter(|a| a.enabled) else { return Reach::Disabled };
        let start = self.ruleset_of(listener);
        let without_stops = self.trace_without_stops(event, start);
        if without_stops.reaches(id) != Some(false) {
            let stop = trace.stops.iter().find(|s| !s.maybe).or(trace.stops.last());
            if let Some(stop) = stop {
                return Reach::Stopped { stop: stop.clone() };
            }
        }
        let within = |name: &Text, is: &dyn Fn(&StepKind) -> bool| {
            let steps = self.ruleset(name).map(|r| r.steps.as_slice()).unwrap_or_default();
            around(steps, is).map(|path| path.last().cloned())
        };
        if without_stops.rulesets.contains(&action.ruleset) {
            let at = within(&action.ruleset, &|k| matches!(k, StepKind::Action(found) if *found == id));
            return Reach::Filtered { at: at.flatten() };
        }
        // A ruleset on the way would call the action's, but for a condition.
        let callers = self.callers(&action.ruleset);
        let calls: Vec<Option<Location>> = without_stops
            .rulesets
            .iter()
            .filter_map(|name| {
                within(name, &|k| matches!(k, StepKind::Call(to) if *to == action.ruleset || callers.contains(to)))
            })
            .collect();
        match calls.is_empty() {
            false => Reach::Filtered { at: calls.into_iter().flatten().last() },
            true => Reach::OtherRuleset { listener: start.clone(), action: action.ruleset.clone() },
        }
    }

    /// Rulesets that call this one, directly or through others.
    fn callers(&self, ruleset: &Text) -> BTreeSet<&Text> {
        let mut found: BTreeSet<&Text> = BTreeSet::new();
        loop {
            let calls = |k: &StepKind| matches!(k, StepKind::Call(to) if to == ruleset || found.contains(to));
            let new: Vec<&Text> = self
                .rulesets
                .iter()
                .filter(|r| !found.contains(&r.name) && around(&r.steps, &calls).is_some())
                .map(|r| &r.name)
                .collect();
            if new.is_empty() {
                return found;
            }
            found.extend(new);
        }
    }

    /// Is the ruleset called by another one?
    pub fn is_called(&self, ruleset: &Text) -> bool {
        let calls = |k: &StepKind| matches!(k, StepKind::Call(to) if to == ruleset);
        self.rulesets.iter().any(|r| r.name != *ruleset && around(&r.steps, &calls).is_some())
    }

    /// The queue that events wait in when the action cannot take them: its own, else that of the ruleset it stands in.
    /// A direct queue: none, the queue before it is held up.
    pub fn queue_of<'a>(&'a self, action: &'a Action) -> &'a Queue {
        let of_ruleset = || self.ruleset(&action.ruleset).and_then(|r| r.queue.as_ref());
        match action.queue.kind {
            QueueType::Direct => of_ruleset().unwrap_or(&action.queue),
            _ => &action.queue,
        }
    }

    /// Is a file among those the daemon reads, or would it be if it were there?
    pub fn includes_path(&self, path: &Path) -> Option<&Location> {
        if let Some(file) = self.files.iter().find(|f| f.path == path) {
            return file.included_at.as_ref();
        }
        let include = self.includes.iter().find(|i| include_matches(&i.pattern, path));
        include.map(|i| &i.at)
    }

    /// Names in use.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        let add = |map: &mut BTreeMap<Text, Location>, name: Option<&Text>, at: &Location| {
            if let Some(name) = name {
                map.entry(name.clone()).or_insert_with(|| at.clone());
            }
        };
        self.templates.iter().for_each(|t| add(&mut names.templates, Some(&t.name), &t.at));
        for ruleset in self.rulesets.iter() {
            if let Some(at) = &ruleset.at {
                add(&mut names.rulesets, Some(&ruleset.name), at);
                add(&mut names.queue_files, ruleset.queue.as_ref().and_then(|q| q.file_name.as_ref()), at);
            }
        }
        self.listeners.iter().for_each(|l| add(&mut names.inputs, l.name.as_ref(), &l.at));
        for action in &self.actions {
            add(&mut names.actions, action.name.as_ref(), &action.at);
            add(&mut names.queue_files, action.queue.file_name.as_ref(), &action.at);
        }
        let main = self.main_queue.params.iter().find(|p| p.name.to_lower().as_bytes().ends_with(b"filename"));
        if let Some(param) = main {
            add(&mut names.queue_files, param.value.text(), &param.at);
        }
        names
    }

    /// Folders that the configuration includes by pattern, in order.
    pub fn drop_in_folders(&self) -> Vec<PathBuf> {
        let mut seen = BTreeSet::new();
        let folders = self.includes.iter().filter_map(|i| {
            let pattern = i.pattern.to_str_lossy().into_owned();
            crate::syslog::glob::is_pattern(pattern.as_bytes())
                .then(|| Path::new(&pattern).parent().map(Path::to_owned))?
        });
        folders.filter(|f| seen.insert(f.clone())).collect()
    }
}

/// Would `$IncludeConfig pattern` read `path`?
fn include_matches(pattern: &Text, path: &Path) -> bool {
    let pattern = pattern.to_str_lossy();
    let as_folder = format!("{}*", pattern);
    crate::syslog::glob::matches(Path::new(&*pattern), path)
        || (pattern.ends_with('/') && crate::syslog::glob::matches(Path::new(&as_folder), path))
        || path.parent() == Some(Path::new(&*pattern))
}

/// Places of the statements around the wanted one, outermost first.
pub fn around(steps: &[Step], wanted: &dyn Fn(&StepKind) -> bool) -> Option<Vec<Location>> {
    for step in steps {
        let blocks: Vec<&[Step]> = match &step.kind {
            kind if wanted(kind) => return Some(Vec::new()),
            StepKind::If { branches, otherwise } => {
                branches.iter().map(|(_, b)| b.as_slice()).chain([otherwise.as_slice()]).collect()
            }
            StepKind::Pri { body, .. } | StepKind::Prop { body, .. } | StepKind::Foreach { body, .. } => vec![body],
            _ => Vec::new(),
        };
        if let Some(mut path) = blocks.into_iter().find_map(|b| around(b, wanted)) {
            path.insert(0, step.at.clone());
            return Some(path);
        }
    }
    None
}

/// Where rules of a drop-in at `path` would stand, whether the file is there or not; `None` where it is not included, or
/// where the daemon stops reading before it.
pub fn placement(main: &Path, source: &dyn ConfigSource, path: &Path) -> Option<Placement> {
    const PROBE: &str = "call cefctl_placement_probe\n";
    let changes = BTreeMap::from([(path.to_owned(), Some(PROBE.as_bytes().to_vec()))]);
    let e = Effective::load(main, &Overlay { base: source, changes });
    let is_probe = |s: &Step| matches!(&s.kind, StepKind::Call(name) if *name == "cefctl_placement_probe");
    let ruleset = e.rulesets.iter().find(|r| r.steps.iter().any(is_probe))?;
    let at = ruleset.steps.iter().position(is_probe)?;
    let included_at = e.files.iter().find(|f| f.path == path)?.included_at.clone()?;
    let places = |steps: &[Step]| steps.iter().map(|s| s.at.clone()).collect();
    Some(Placement {
        included_at,
        before: places(&ruleset.steps[..at]),
        behind: places(&ruleset.steps[at + 1..]),
        in_ruleset: (ruleset.name != e.default_ruleset).then(|| ruleset.name.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::MapSource;

    fn load(text: &str) -> Effective {
        Effective::load(Path::new("/etc/rsyslog.conf"), &MapSource::new().with("/etc/rsyslog.conf", text))
    }

    #[test]
    fn who_gets_the_traffic() {
        let e = load(
            "module(load=\"imudp\") module(load=\"imtcp\")\n\
             input(type=\"imudp\" port=\"514\" address=\"10.0.0.1\" name=\"a\")\ninput(type=\"imudp\" port=\"514\" name=\"b\")\n\
             input(type=\"imudp\" port=\"514\" name=\"c\")\n\
             input(type=\"imtcp\" port=\"514\" name=\"d\")\ninput(type=\"imtcp\" port=\"514\" name=\"e\")\n",
        );
        let name = |t, a| e.taker(514, t, a).and_then(|l| l.name.as_ref()).map(Text::to_string);
        assert_eq!(name(Transport::Udp, None).as_deref(), Some("c"));
        assert_eq!(name(Transport::Udp, Some("10.0.0.1")).as_deref(), Some("a"));
        assert_eq!(name(Transport::Udp, Some("10.0.0.2")).as_deref(), Some("c"));
        assert_eq!(name(Transport::Tcp, None).as_deref(), Some("d"));
        assert_eq!(e.families(&e.listeners[0]), (true, false));
        assert_eq!(e.families(&e.listeners[1]), (true, true));
    }

    #[test]
    fn places_of_drop_ins() {
        let source = MapSource::new()
            .with("/etc/rsyslog.conf", "*.* /a\n$RuleSet remote\n$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /b\n")
            .with("/etc/rsyslog.d/50.conf", "*.* /c\n");
        let at = |name: &str| placement(Path::new("/etc/rsyslog.conf"), &source, Path::new(name));
        let before = at("/etc/rsyslog.d/10.conf").unwrap();
        assert_eq!((before.before.len(), before.behind.len()), (0, 2));
        assert_eq!(before.in_ruleset, Some("remote".into()));
        assert_eq!(at("/etc/rsyslog.d/90.conf").unwrap().before.len(), 1);
        assert_eq!(at("/etc/rsyslog.d/90.txt"), None);
        assert_eq!(at("/etc/other.d/90.conf"), None);
    }

    #[test]
    fn names_in_use() {
        let e = load(
            "template(name=\"tt\" type=\"string\" string=\"x\")\nruleset(name=\"rr\" queue.fileName=\"q1\") { stop }\n\
             action(type=\"omfwd\" name=\"aa\" target=\"h\" queue.type=\"linkedlist\" queue.fileName=\"q2\")\n",
        );
        let names = e.names();
        assert!(names.templates.contains_key(&"tt".into()) && names.rulesets.contains_key(&"rr".into()));
        assert_eq!(names.queue_files.keys().map(Text::to_string).collect::<Vec<_>>(), ["q1", "q2"]);
        assert_eq!(names.actions[&"aa".into()].line, 3);
    }
}
