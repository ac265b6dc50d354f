//! Before syslog-ng is told to go on without us. It refuses a whole configuration for one name that nobody defines, and
//! then runs on with what it has, so what is left must be one that it takes; and a reload cannot put a socket with
//! another address in the place of ours. Both are known before anything is touched.

use std::path::Path;

use anyhow::Context;

use super::daemon::Daemon;
use super::sockets::{Kernel, must_restart};
use super::syslog_ng::{REPLACED, program};
use super::validate::changed_files;
use crate::check::gather::{self, Depth};
use crate::check::target::TargetOptions;
use crate::cli::exit::{Exit, fail};
use crate::host::Host;
use crate::plan::build::Put;
use crate::plan::{Change, Op, Plan, Step, WriteFile, copy_path};
use crate::platform::service_act::Action;
use crate::report::clean;
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::effective::{Effective, ReadSetting};
use crate::syslog::syslogng::{Problem, lint};

/// The plan as syslog-ng will take it: with a restart where a reload would be refused, and without the older scripts'
/// rule where it names what is no longer there.
///
/// # Errors
/// What is left would not be taken; nothing has been touched.
pub fn fit(host: &Host, plan: Plan) -> anyhow::Result<Plan> {
    if !plan.steps.iter().any(is_reload) {
        return Ok(plan);
    }
    let facts = gather::gather(host, &TargetOptions::default(), Depth::Local, None);
    let Ok(program) = program(&facts) else { return Ok(plan) };
    let main = Path::new(&facts.syslog_ng.main_file);
    let setting = ReadSetting::of(main, program);
    let left = |plan: &Plan| {
        let source = Overlay { base: &host.root, changes: changed_files(plan) };
        Effective::load_with(main, &source, setting.clone())
    };
    // What the daemon has loaded as it stands is no mistake, whatever we make of it.
    let loaded = facts.syslog_ng_says.loaded.as_ref().is_ok_and(|l| l.same);
    let now = if loaded { lint::fatal(&left(&Plan::default())) } else { Vec::new() };
    let wrong = |config: &Effective| -> Vec<Problem> {
        lint::fatal(config).into_iter().filter(|p| now.iter().all(|known| known.text != p.text)).collect()
    };
    let (mut plan, mut config) = (plan, None);
    let mut problems = wrong(&left(&plan));
    if !problems.is_empty()
        && let Some(lighter) = without_older_rule(host, &plan, &main.with_file_name("").join(REPLACED))?
    {
        let then = left(&lighter);
        if wrong(&then).is_empty() {
            (plan, config, problems) = (lighter, Some(then), Vec::new());
        }
    }
    if let Some(problem) = problems.first() {
        return Err(fail(
            Exit::Problems,
            format!("syslog-ng would not take what is left without our part: {}", clean(&problem.to_string())),
            "nothing was changed; mend that line, or take it out with what needs it, and run the command again",
        ));
    }
    let config = config.unwrap_or_else(|| left(&plan));
    if must_restart(&facts, Kernel::of(host, &facts), &config) {
        for step in &mut plan.steps {
            restart(step);
        }
    }
    Ok(plan)
}

fn is_reload(step: &Step) -> bool {
    matches!(&step.op, Op::Service(op) if op.unit == Daemon::SyslogNg.unit() && op.action == Action::Reload)
}

fn restart(step: &mut Step) {
    if !is_reload(step) {
        return;
    }
    if let Op::Service(op) = &mut step.op {
        op.action = Action::Restart;
    }
    if let Change::Service(change) = &mut step.change {
        change.action = Action::Restart;
    }
}

/// The plan with the older scripts' rule put aside instead of back, if it would come back.
fn without_older_rule(host: &Host, plan: &Plan, rule: &Path) -> anyhow::Result<Option<Plan>> {
    let found = plan.steps.iter().enumerate().find_map(|(n, step)| match &step.op {
        Op::File(op) if *op.path == *rule => match &op.put {
            Put::File { content, attrs } => Some((n, content.clone(), attrs.mode)),
            _ => None,
        },
        _ => None,
    });
    let Some((n, content, mode)) = found else { return Ok(None) };
    let copy = copy_path(&host.root, rule, &content).context("cannot put the older rule aside")?;
    let mut kept = WriteFile::new(&copy, content).purpose("the older rule, which no longer fits");
    kept.mode = mode;
    let kept = Plan::build(host, [Change::from(kept)])?;
    let mut lighter = plan.clone();
    lighter.steps.splice(n..=n, kept.steps);
    lighter.notes.push(format!(
        "{} is not put back: with it syslog-ng would not start any more; it is kept as {}",
        rule.display(),
        copy.display()
    ));
    Ok(Some(lighter))
}
