//! Where a report goes: to the screen in the format asked for, and beside it into files, each in the format its name
//! says.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::args::ReportFormat;
use super::exit::usage;
use crate::host::Host;
use crate::report::{Report, TextOptions, html, json, junit, text};
use crate::ui::Ui;

/// Files to write, checked before the diagnosis begins so that a typo does not cost a run.
#[derive(Debug)]
pub struct Files(Vec<(PathBuf, ReportFormat)>);

impl Files {
    /// # Errors
    /// A name whose ending says no format, where none was given; a folder that is not there.
    pub fn new(host: &Host, paths: &[PathBuf], format: Option<ReportFormat>) -> anyhow::Result<Self> {
        let file = |path: &PathBuf| {
            let format = format.or_else(|| by_name(path)).ok_or_else(|| {
                usage(
                    format!("the name {} does not say in which format to write", path.display()),
                    "let it end in .txt, .json, .xml (JUnit) or .html, or add --report-format",
                )
            })?;
            if !host.can_hold_output(path) {
                return Err(usage(
                    format!("{} cannot be written: its folder is not there", path.display()),
                    "make the folder first",
                ));
            }
            Ok((path.clone(), format))
        };
        paths.iter().map(file).collect::<anyhow::Result<_>>().map(Files)
    }

    /// Writes every file; says so on stderr.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, host: &Host, ui: &Ui, report: &Report, deny_warnings: bool) -> anyhow::Result<()> {
        for (path, format) in &self.0 {
            let page = page(report, *format, &TextOptions::default(), deny_warnings)?;
            let tried = || format!("writing the report to {}", path.display());
            host.write_private(path, page.as_bytes()).with_context(tried)?;
            ui.say(&format!("report written to {}", crate::report::clean(&path.to_string_lossy())));
        }
        Ok(())
    }
}

fn by_name(path: &Path) -> Option<ReportFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "txt" | "text" | "log" => Some(ReportFormat::Text),
        "json" => Some(ReportFormat::Json),
        "xml" => Some(ReportFormat::Junit),
        "html" | "htm" => Some(ReportFormat::Html),
        _ => None,
    }
}

/// The report in one format, with a final newline.
///
/// # Errors
/// Those of the renderers.
pub fn page(report: &Report, format: ReportFormat, look: &TextOptions, deny_warnings: bool) -> anyhow::Result<String> {
    let mut page = match format {
        ReportFormat::Text => text::render(report, look),
        ReportFormat::Json => json::render(report).context("writing the report as JSON")?,
        ReportFormat::Junit => junit::render(report, deny_warnings).context("writing the report as JUnit XML")?,
        ReportFormat::Html => html::render(report).context("writing the report as HTML")?,
    };
    if !page.ends_with('\n') {
        page.push('\n');
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        let of = |name: &str| by_name(Path::new(name));
        assert_eq!(of("a/b.HTML"), Some(ReportFormat::Html));
        assert_eq!(
            (of("x.xml"), of("x.json"), of("x.txt")),
            (Some(ReportFormat::Junit), Some(ReportFormat::Json), Some(ReportFormat::Text))
        );
        assert_eq!((of("x"), of("x.pdf"), of(".html")), (None, None, None));
    }
}
