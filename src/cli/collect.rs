//! `cefctl collect`: a support bundle without secrets, and `troubleshoot --from`, which judges one on another machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::args::{CollectArgs, Format};
use super::exit::{Exit, fail, usage};
use super::troubleshoot::target_options;
use crate::bundle::{self, Recorded, archive, items};
use crate::check::select::Selection;
use crate::check::{self};
use crate::host::{Host, Interrupt};
use crate::report::{clean, json_safe};
use crate::ui::Ui;

/// How long looking at every hop may take, but for the watching.
const LIMIT: Duration = Duration::from_secs(60);

pub fn run(host: &Host, ui: &Ui, args: &CollectArgs) -> anyhow::Result<Exit> {
    if let Some(file) = &args.file
        && !host.can_hold_output(file)
    {
        return Err(usage(
            format!("{} cannot be written: its folder is not there", file.display()),
            "make the folder first",
        ));
    }
    let interrupt = Interrupt::install().context("watching for Ctrl-C")?;
    let progress = ui.progress("looking at every hop");
    let options = check::Options {
        target: target_options(&args.target),
        selection: Selection::default(),
        no_probe: args.no_probe,
        watch: args.watch.map(Duration::from_secs),
        limit: Some(LIMIT),
    };
    let (facts, report) = check::troubleshoot(host, &interrupt, &options, &mut |_| ());
    if interrupt.is_set() {
        return Ok(Exit::Interrupted);
    }
    progress.now("taking configuration, logs and states");
    let mut gathered = items::gather(host, &facts, args.log_size << 10);
    let mut recorded = Recorded { schema: bundle::SCHEMA, options: options.target, facts };
    let forgotten = items::forget_forbidden(host, &mut recorded.facts, &mut gathered);
    let taken = recorded.facts.taken;
    let name = folder_name(&recorded.facts.host.hostname, &report.started, args.mask);
    let bundle =
        bundle::assemble(recorded, &report, gathered, &forgotten, args.mask).context("putting the bundle together")?;
    let bytes = archive::pack(&name, taken, &bundle.files).context("packing the bundle")?;
    drop(progress);
    let path = match &args.file {
        Some(file) => file.clone(),
        None => host.private_folder("cefctl").context("making a folder for the bundle")?.join(format!("{name}.tar.gz")),
    };
    host.write_private(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    let secrets: u64 = bundle.manifest.taken.iter().flat_map(|t| t.scrubbed.values()).sum();
    ui.result(&match args.output {
        Format::Json => {
            let object = serde_json::json!({ "bundle": path, "bytes": bytes.len(), "manifest": bundle.manifest });
            format!("{}\n", json_safe(&object.to_string()))
        }
        Format::Text => format!(
            "{}\n  {} files, {} KiB, readable by you only; {secrets} secrets replaced by ***{}; {} things left out \
             (manifest.json says which)\n",
            clean(&path.to_string_lossy()),
            bundle.files.len(),
            bytes.len().div_ceil(1024),
            if args.mask { ", names and addresses by others" } else { "" },
            bundle.manifest.left_out.len(),
        ),
    })?;
    if args.output == Format::Text {
        let mask =
            if args.mask { "" } else { " Names, addresses and workspace ids are still in it; --mask replaces them." };
        ui.say(&format!("Look at it before you pass it on: tar xzf unpacks it.{mask}"));
        ui.say("`cefctl troubleshoot --from` judges it on another machine.");
    }
    Ok(Exit::Good)
}

fn folder_name(hostname: &str, started: &str, masked: bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let host: String = if masked { "masked".into() } else { hostname.chars().map(plain).take(60).collect() };
    let time: String = started.chars().take_while(|c| *c != '.').filter(char::is_ascii_alphanumeric).collect();
    format!("cefctl-{host}-{}", time.trim_end_matches('Z'))
}

/// The facts of a bundle.
///
/// # Errors
/// A file that is no bundle, or one of another version.
pub fn read(host: &Host, path: &Path) -> anyhow::Result<Recorded> {
    let shown = clean(&path.to_string_lossy());
    let not_one = |why: String| {
        fail(
            Exit::Usage,
            format!("{shown} is no support bundle: {why}"),
            "give the .tar.gz that `cefctl collect` wrote",
        )
    };
    let bytes = host.read_input(&PathBuf::from(path)).with_context(|| format!("cannot read {shown}"))?;
    let facts = archive::unpack_one(&bytes, "facts.json").map_err(|e| not_one(e.to_string()))?;
    let facts = facts.ok_or_else(|| not_one("facts.json is not in it".into()))?;
    let value: serde_json::Value = serde_json::from_slice(&facts).map_err(|e| not_one(e.to_string()))?;
    match value["schema"].as_u64() {
        Some(n) if n == u64::from(bundle::SCHEMA) => {}
        other => {
            let other = other.map_or_else(|| "none".into(), |n| n.to_string());
            return Err(fail(
                Exit::Usage,
                format!(
                    "{shown} was written by another version of cefctl (layout {other}, this one reads {})",
                    bundle::SCHEMA
                ),
                "use the version that manifest.json in it names",
            ));
        }
    }
    serde_json::from_value(value).map_err(|e| {
        let hint = "use the version of cefctl that manifest.json in it names";
        fail(Exit::Usage, format!("the facts in {shown} cannot be read: {e}"), hint)
    })
}
