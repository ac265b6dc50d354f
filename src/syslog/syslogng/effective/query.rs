//! Questions a caller has about a configuration.

use super::*;
use crate::syslog::glob;
use crate::syslog::syslogng::event::{Origin, SampleEvent};
use crate::syslog::syslogng::reader::normal;

/// A port as number; the service names around syslog are known. TCP has another one for 514, which the daemon looks up by
/// transport.
fn port_number(port: &Text, stream: bool) -> Option<u16> {
    let named =
        [("syslog", 514, None), ("shell", 514, Some(true)), ("syslog-conn", 601, None), ("syslog-tls", 6514, None)];
    let fits = |of: Option<bool>| of.is_none_or(|s| s == stream);
    if let Some((_, number, _)) = named.into_iter().find(|(name, _, of)| port.is(name) && fits(*of)) {
        return Some(number);
    }
    port.number().and_then(|n| u16::try_from(n).ok())
}

impl Listener {
    pub fn port_number(&self) -> Option<u16> {
        port_number(&self.port, self.transport.is_stream())
    }

    /// The one address that it is bound to, where it is written as such.
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        self.address.as_ref()?.to_str_lossy().trim_matches(['[', ']']).parse().ok()
    }

    /// Is it bound to loopback, where nothing comes from the network?
    pub fn is_inside_only(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_loopback())
    }
}

impl Forward {
    pub fn port_number(&self) -> Option<u16> {
        port_number(&self.port, self.transport.is_stream())
    }
    /// TCP without anything around the lines.
    pub fn is_plain_tcp(&self) -> bool {
        self.transport == Transport::Tcp && self.framing != Framing::OctetCounted
    }
    /// Does it stay on this machine, as far as the name says?
    pub fn is_loopback(&self) -> bool {
        let target = self.target.to_str_lossy();
        match target.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
            Err(_) => target.eq_ignore_ascii_case("localhost") || target.to_ascii_lowercase().ends_with(".localhost"),
        }
    }
}

/// A listener with the source it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct ListenerAt<'a> {
    pub source: &'a Source,
    pub driver: &'a SourceDriver,
    pub listener: &'a Listener,
    /// Is the source part of a log path? If not, the daemon never opens the port.
    pub used: bool,
}

impl Effective {
    /// An option of `options { … }`; the last one counts.
    pub fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().rev().find(|o| normal(&o.name) == name.as_bytes())
    }

    /// The language version in force: the first `@version`, or the program's own.
    pub fn language(&self) -> Option<Version> {
        self.versions.first().and_then(|v| v.version).or(self.program)
    }

    pub fn source(&self, r: &Ref) -> Option<&Source> {
        find(&self.sources, r, |s| s.name.as_ref())
    }
    pub fn destination(&self, r: &Ref) -> Option<&Destination> {
        find(&self.destinations, r, |d| d.name.as_ref())
    }
    pub fn filter(&self, r: &Ref) -> Option<&Filter> {
        find(&self.filters, r, |f| f.name.as_ref())
    }
    pub fn rewrite(&self, r: &Ref) -> Option<&Rewrite> {
        find(&self.rewrites, r, |f| f.name.as_ref())
    }
    pub fn parser(&self, r: &Ref) -> Option<&Parser> {
        find(&self.parsers, r, |f| f.name.as_ref())
    }
    pub fn template(&self, name: &Text) -> Option<&Template> {
        self.templates.iter().rev().find(|t| t.name == *name)
    }

    /// What a destination driver sends: the text of the template it names, or the template written in place. `None`
    /// where it leaves it to the daemon.
    pub fn template_of<'a>(&'a self, driver: &'a DestDriver) -> Option<&'a Text> {
        let text = driver.template.as_ref()?;
        Some(self.template(text).map_or(text, |t| &t.text))
    }

    /// Every network listener.
    pub fn listeners(&self) -> Vec<ListenerAt<'_>> {
        let used = self.used_sources();
        let mut out = Vec::new();
        for (source, used) in self.sources.iter().zip(used) {
            for driver in &source.drivers {
                if let SourceKind::Listener(listener) = &driver.kind {
                    out.push(ListenerAt { source, driver, listener, used });
                }
            }
        }
        out
    }

    /// Listeners that the daemon opens on this port; TLS counts as TCP.
    pub fn listeners_on(&self, port: u16, transport: Transport) -> Vec<ListenerAt<'_>> {
        let mut found = self.listeners();
        let fits = |l: &Listener| l.port_number() == Some(port) && l.transport.is_stream() == transport.is_stream();
        found.retain(|l| l.used && fits(l.listener));
        found
    }

    /// Of each source: is it part of a log path?
    pub fn used_sources(&self) -> Vec<bool> {
        let refs = self.steps().into_iter().filter_map(|s| match &s.kind {
            StepKind::Source(r) => Some(r),
            _ => None,
        });
        let mut used = used(&self.sources, refs, |s| s.name.as_ref());
        // The daemon opens every source that has a name then, referenced or not (seen on 3.38).
        if self.logs.iter().any(|path| path.flags.catchall) {
            used.iter_mut().zip(&self.sources).for_each(|(used, source)| *used |= source.name.is_some());
        }
        used
    }

    /// Of each destination: is it part of a log path?
    pub fn used_destinations(&self) -> Vec<bool> {
        let refs = self.steps().into_iter().filter_map(|s| match &s.kind {
            StepKind::Destination(r) => Some(r),
            _ => None,
        });
        used(&self.destinations, refs, |d| d.name.as_ref())
    }

    /// All steps of all log paths, those of branches and of channels inside the parsers and destinations they use
    /// included.
    pub fn steps(&self) -> Vec<&Step> {
        let mut out = Vec::new();
        self.logs.iter().for_each(|l| l.collect(&mut out));
        let mut done: Vec<*const Parser> = Vec::new();
        let mut through: Vec<*const Destination> = Vec::new();
        let mut at = 0;
        while let Some(step) = out.get(at) {
            at += 1;
            if let StepKind::Destination(r) = &step.kind
                && let Some(d) = self.destination(r).filter(|d| !through.contains(&std::ptr::from_ref(*d)))
            {
                through.push(d);
                d.channels.iter().for_each(|path| path.collect(&mut out));
                continue;
            }
            let StepKind::Parser(r) = &step.kind else { continue };
            let Some(parser) = self.parser(r).filter(|p| !done.contains(&std::ptr::from_ref(*p))) else { continue };
            done.push(parser);
            for step in &parser.steps {
                if let ParserStep::Channel(path) = step {
                    path.collect(&mut out);
                }
            }
        }
        out
    }

    /// Destination drivers that forward over the network.
    pub fn forwards(&self) -> Vec<(&Destination, &DestDriver, &Forward)> {
        let drivers = self.destinations.iter().flat_map(|d| d.drivers.iter().map(move |v| (d, v)));
        let forwards = drivers.filter_map(|(d, v)| match &v.kind {
            DestKind::Forward(f) => Some((d, v, f)),
            _ => None,
        });
        forwards.collect()
    }

    /// The destination that local messages of no special kind are written to: where a person looks for them.
    pub fn local_log(&self) -> Option<&Text> {
        let local = |s: &&Source| s.drivers.iter().any(|d| d.kind == SourceKind::System);
        let source = Ref::Named(self.sources.iter().find(local)?.name.clone()?);
        let event = SampleEvent::read(b"<134>Jan  1 00:00:00 here app: text", &Origin::default(), Format::Rfc3164);
        let visits = self.trace(&event, &source).visits;
        self.destinations.iter().filter(|d| d.drivers.iter().any(|v| matches!(v.kind, DestKind::File(_)))).find_map(
            |d| {
                let here = Ref::Named(d.name.clone()?);
                visits.iter().any(|v| v.destination == here && !v.maybe).then_some(d.name.as_ref()?)
            },
        )
    }

    /// Files that an event of a source is written to, each with the step that does it; `true`: perhaps only.
    pub fn file_copies(&self, event: &SampleEvent, source: &Ref) -> Vec<(Text, Location, bool)> {
        let mut found = Vec::new();
        for visit in self.trace(event, source).visits {
            for driver in self.destination(&visit.destination).map(|d| d.drivers.as_slice()).unwrap_or_default() {
                if let DestKind::File(path) = &driver.kind {
                    found.push((path.clone(), visit.at.clone(), visit.maybe));
                }
            }
        }
        found
    }

    /// Forwards over TCP that a source stands still for when they do not take events, each with the log path that says so.
    pub fn holding_up(&self, source: &Ref) -> Vec<(&LogPath, &DestDriver, &Forward)> {
        let mut found = Vec::new();
        for path in self.logs.iter().filter(|p| p.flags.catchall || p.sources().contains(&source)) {
            for destination in path.waits_for().into_iter().filter_map(|r| self.destination(r)) {
                for driver in &destination.drivers {
                    match &driver.kind {
                        DestKind::Forward(f) if f.transport.is_stream() => found.push((path, driver, f)),
                        _ => {}
                    }
                }
            }
        }
        found
    }

    /// Forwards to this port of the machine itself.
    pub fn forwards_to(&self, port: u16) -> Vec<(&Destination, &DestDriver, &Forward)> {
        let mut found = self.forwards();
        found.retain(|(_, _, f)| f.is_loopback() && f.port_number() == Some(port));
        found
    }

    /// The folder beside the main file that distributions include.
    pub fn drop_in_folder(&self) -> PathBuf {
        self.main.parent().unwrap_or(Path::new("/")).join("conf.d")
    }

    /// The `@include` that reads files of this name, a drop-in folder's `NAME.conf` for instance, whether it is there
    /// or not.
    pub fn includes_path<'a>(&'a self, path: &Path) -> Option<&'a Include> {
        self.readers(path).next()
    }

    /// Every include that reads it.
    pub fn readers<'a, 'p>(&'a self, path: &'p Path) -> impl Iterator<Item = &'a Include> + use<'a, 'p> {
        self.includes.iter().filter(move |i| {
            i.places.iter().any(|place| *place == *path || path.parent() == Some(place) || glob::matches(place, path))
        })
    }
}

impl LogPath {
    pub(in crate::syslog::syslogng) fn collect<'a>(&'a self, out: &mut Vec<&'a Step>) {
        for step in &self.steps {
            out.push(step);
            match &step.kind {
                StepKind::Junction(paths) => paths.iter().for_each(|p| p.collect(out)),
                StepKind::If { branches, otherwise } => {
                    branches.iter().for_each(|b| b.path.collect(out));
                    if let Some(path) = otherwise {
                        path.collect(out);
                    }
                }
                _ => {}
            }
        }
    }

    /// Is the destination named anywhere in this path?
    pub fn leads_to(&self, destination: &Ref) -> bool {
        let mut steps = Vec::new();
        self.collect(&mut steps);
        steps.iter().any(|s| matches!(&s.kind, StepKind::Destination(d) if d == destination))
    }

    /// Destinations that the sources of this path wait for when they do not take events (`flags(flow-control)`).
    pub fn waits_for(&self) -> Vec<&Ref> {
        let mut found = Vec::new();
        if self.flags.flow_control {
            let mut steps = Vec::new();
            self.collect(&mut steps);
            found.extend(
                steps.into_iter().filter_map(|s| if let StepKind::Destination(r) = &s.kind { Some(r) } else { None }),
            );
            return found;
        }
        for step in &self.steps {
            if let StepKind::Junction(paths) = &step.kind {
                found.extend(paths.iter().flat_map(LogPath::waits_for));
            }
        }
        found
    }

    /// Is there any destination in this path?
    pub fn leads_anywhere(&self) -> bool {
        let mut steps = Vec::new();
        self.collect(&mut steps);
        steps.iter().any(|s| matches!(s.kind, StepKind::Destination(_)))
    }

    /// Sources named anywhere in this path.
    pub fn sources(&self) -> Vec<&Ref> {
        let mut steps = Vec::new();
        self.collect(&mut steps);
        steps.into_iter().filter_map(|s| if let StepKind::Source(r) = &s.kind { Some(r) } else { None }).collect()
    }
}

/// Names are compared byte by byte; the first definition counts.
fn find<'a, T>(list: &'a [T], r: &Ref, name: impl Fn(&T) -> Option<&Text>) -> Option<&'a T> {
    match r {
        Ref::Inline(id) => list.get(*id),
        Ref::Named(wanted) => list.iter().find(|t| name(t) == Some(wanted)),
    }
}

fn used<'a, T>(list: &[T], refs: impl Iterator<Item = &'a Ref>, name: impl Fn(&T) -> Option<&Text>) -> Vec<bool> {
    let mut used = vec![false; list.len()];
    for r in refs {
        let at = match r {
            Ref::Inline(id) => Some(*id),
            Ref::Named(wanted) => list.iter().position(|t| name(t) == Some(wanted)),
        };
        if let Some(flag) = at.and_then(|i| used.get_mut(i)) {
            *flag = true;
        }
    }
    used
}
