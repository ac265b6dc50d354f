//! Whether the Azure Monitor Agent gets rid of security events, by its own counters (`mdsd.qos`, facts 3.6).

use super::the_ama;
use crate::agent::ama::qos::{self, Row, UPLOAD};
use crate::agent::ama::rules::Stream;
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};

/// Counters are written every some minutes; older ones say nothing about now, in seconds.
const FRESH: i64 = 3 * 3600;

pub fn upload(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    let Some(qos) = &ama.qos else {
        return Err(NotJudged::Skip("the agent has written no counters (mdsd.qos) yet".into()));
    };
    let qos = qos.as_ref()?;
    let age = case.facts.taken - qos.mtime;
    if age > FRESH {
        return Err(NotJudged::Unknown(format!("the agent's counters are from {} ago", super::span(age))));
    }
    let rows = qos::latest(&qos.rows);
    let line = |row: &Row| {
        let text = format!(
            "{} {}: {} of {} succeeded, {} retries",
            row.operation, row.object, row.success, row.total, row.retries
        );
        (format!("{}:{}", qos.path, row.line), text)
    };
    let uploads: Vec<&Row> = rows.iter().copied().filter(|r| r.operation == UPLOAD && r.total > 0).collect();
    let streams: Vec<&Row> = rows.iter().copied().filter(|r| is_security(&r.object)).collect();
    let seen = || uploads.iter().chain(&streams).map(|r| line(r));
    let mend = |out: Outcome| {
        out.advise("mdsd.err says why; look at the network, the proxy, the clock and the agent's identity")
            .command("sudo tail -n 50 /var/opt/microsoft/azuremonitoragent/log/mdsd.err")
    };
    let bad = |r: &&&Row| r.total > 0 && r.success < r.total;
    let failing: Vec<&&Row> = uploads.iter().chain(&streams).filter(bad).collect();
    if let Some(none) = failing.iter().find(|r| r.success == 0) {
        let text = format!("not one of {} uploads of {} succeeded", none.total, none.object);
        return super::unless_cut_off(case, mend(Outcome::fail(text).seen_all(seen())));
    }
    if let Some(some) = failing.first() {
        let lost = some.total - some.success;
        return Ok(mend(
            Outcome::warn(format!("{lost} of {} uploads of {} failed", some.total, some.object)).seen_all(seen()),
        ));
    }
    if streams.iter().any(|r| r.total > 0) {
        let sent: u64 = streams.iter().map(|r| r.rows_sent.max(r.rows_read)).sum();
        return Ok(Outcome::pass(format!("uploads of security events succeed ({sent} rows in the last count)"))
            .seen_all(seen()));
    }
    Err(NotJudged::Skip("the agent has counted no security event yet".into()))
}

/// The object names the stream, alone or with the table or workspace around it.
fn is_security(object: &str) -> bool {
    object
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .any(|word| Stream::of(word).is_security())
        || ["SECURITY_CEF_BLOB", "SECURITY_CISCO_ASA_BLOB"].iter().any(|s| object.contains(s))
}
