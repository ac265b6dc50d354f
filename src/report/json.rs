//! The report as one JSON object, for programs.

use super::clean::json_safe;
use super::model::Report;

/// One object, indented, without a final newline. Field order is that of the model.
pub fn render(report: &Report) -> serde_json::Result<String> {
    serde_json::to_string_pretty(report).map(|json| json_safe(&json))
}
