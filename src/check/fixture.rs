//! Facts of made-up boxes for the tests of the checks.

use std::collections::BTreeMap;

use super::facts::UnitFacts;
use crate::platform::service;

/// Units by name; `lines` are properties as systemd shows them.
pub fn units(units: &[(&str, &str)]) -> BTreeMap<String, UnitFacts> {
    let unit = |(name, lines): &(&str, &str)| {
        let state = service::parse_show(format!("Id={name}\nLoadState=loaded\n{lines}").as_bytes());
        let unit = UnitFacts {
            state,
            since: Some(1_000_000),
            invocation: "i".into(),
            freezer: "running".into(),
            exec_status: Some(0),
            user: String::new(),
            exec_start: "/usr/sbin/rsyslogd -n -iNONE".into(),
        };
        (name.to_string(), unit)
    };
    units.iter().map(unit).collect()
}
