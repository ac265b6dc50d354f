//! Counters of syslog-ng as `syslog-ng-ctl stats` prints them: `SourceName;SourceId;SourceInstance;State;Type;Number`
//! (facts 6.5). Up to 3.x the instance is `tcp,127.0.0.1:25226`, with 4.x more may stand around it.

/// Events that wait for a network destination, all its queues together.
pub fn queued(stats: &[u8], target: &str, port: Option<u16>) -> u64 {
    let Some(port) = port else { return 0 };
    let address = format!("{target}:{port}");
    let text = String::from_utf8_lossy(stats);
    text.lines().filter_map(|l| queued_line(l, &address)).sum()
}

/// Events that wait for the destination `stem`, or one of that name with a number behind it, whatever its address.
pub fn queued_by(stats: &[u8], stem: &str) -> u64 {
    sum_by(stats, stem, "queued")
}

/// Events that such destinations have sent since the daemon started.
pub fn written_by(stats: &[u8], stem: &str) -> u64 {
    sum_by(stats, stem, "written")
}

fn sum_by(stats: &[u8], stem: &str, wanted: &str) -> u64 {
    let text = String::from_utf8_lossy(stats);
    let line = |line: &str| -> Option<u64> {
        let fields: Vec<&str> = line.split(';').collect();
        let [name, id, _, state, kind, number] = fields.as_slice() else { return None };
        let rest = id.strip_prefix(stem)?.trim_start_matches(|c: char| c.is_ascii_digit());
        let ours = name.starts_with("dst.") && (rest.is_empty() || rest.starts_with('#'));
        (ours && *kind == wanted && *state != "o").then(|| number.trim().parse().ok())?
    };
    text.lines().filter_map(line).sum()
}

fn queued_line(line: &str, address: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split(';').collect();
    let [name, _, instance, state, kind, number] = fields.as_slice() else { return None };
    // Orphaned counters are of destinations that are gone.
    let here = name.starts_with("dst.") && instance.split(',').any(|part| part == address);
    (here && *kind == "queued" && *state != "o").then(|| number.trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forwards_own_queue_counts() {
        let stats = b"SourceName;SourceId;SourceInstance;State;Type;Number\n\
dst.network;d_cefctl#0;tcp,127.0.0.1:25226;a;queued;17\n\
dst.network;d_cefctl#0;tcp,127.0.0.1:25226;a;processed;99\n\
dst.network;d_cefctl#0;tcp,127.0.0.1:25226;a;written;82\n\
dst.network;d_cefctl_azure#0;tcp,127.0.0.1:28330;a;queued;3\n\
dst.network;d_cefctl2#0;tcp,127.0.0.1:25227;a;queued;1\n\
dst.network;d_old#0;tcp,127.0.0.1:25226;o;queued;5\n\
dst.network;d_siem#0;tcp,127.0.0.1:252267;a;queued;4\n\
global;internal_source;;a;queued;3\nnonsense\n\xff\n.\n";
        assert_eq!(queued(stats, "127.0.0.1", Some(25226)), 17);
        assert_eq!(queued(stats, "127.0.0.1", None), 0);
        assert_eq!(queued(b"", "127.0.0.1", Some(25226)), 0);
        assert_eq!(queued_by(stats, "d_cefctl"), 18);
        assert_eq!((queued_by(stats, "d_other"), written_by(stats, "d_cefctl")), (0, 82));
    }
}
