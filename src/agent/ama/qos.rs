//! `mdsd.qos`, in which the Azure Monitor Agent counts what it did: comma-separated rows below a header (facts 3.6). One
//! block of rows is added every some minutes; the last row of an operation and object is the present one.

use serde::{Deserialize, Serialize};

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Line of what was looked at.
    pub line: usize,
    pub operation: String,
    /// A stream, or where an upload went to.
    pub object: String,
    pub total: u64,
    pub success: u64,
    pub retries: u64,
    pub rows_read: u64,
    pub rows_sent: u64,
}

/// Operation of an upload.
pub const UPLOAD: &str = "MaODSRequest";

/// Rows in the file's order. Columns are found by the header's names; without one they are in the usual order.
pub fn parse(text: &[u8]) -> Vec<Row> {
    let text = String::from_utf8_lossy(text);
    let mut columns: Vec<String> = USUAL.iter().map(|s| (*s).to_owned()).collect();
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches('#').trim();
        let fields: Vec<&str> = line.split(',').map(|f| f.trim().trim_matches('"')).collect();
        if fields.len() < 4 {
            continue;
        }
        if fields.contains(&"TotalCount") {
            columns = fields.iter().map(|f| (*f).to_owned()).collect();
            continue;
        }
        let get = |name: &str| columns.iter().position(|c| c == name).and_then(|n| fields.get(n).copied());
        let number = |name: &str| get(name).and_then(|v| v.parse::<f64>().ok()).map_or(0, |n| n.max(0.0) as u64);
        let (Some(operation), Some(object)) = (get("Operation"), get("Object")) else { continue };
        if get("TotalCount").is_none_or(|t| t.parse::<f64>().is_err()) {
            continue;
        }
        rows.push(Row {
            line: at + 1,
            operation: operation.into(),
            object: object.into(),
            total: number("TotalCount"),
            success: number("SuccessCount"),
            retries: number("Retries"),
            rows_read: number("TotalRowsRead"),
            rows_sent: number("TotalRowsSent"),
        });
    }
    rows
}

const USUAL: [&str; 11] = [
    "Operation",
    "Object",
    "TotalCount",
    "SuccessCount",
    "Retries",
    "AverageDuration",
    "AverageSize",
    "AverageDelay",
    "TotalSize",
    "TotalRowsRead",
    "TotalRowsSent",
];

/// The last row of each operation and object, in the order of their last lines.
pub fn latest(rows: &[Row]) -> Vec<&Row> {
    let later = |r: &Row| rows.iter().any(|o| o.line > r.line && o.operation == r.operation && o.object == r.object);
    rows.iter().filter(|r| !later(r)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_the_headers_names_and_garbage_left_out() {
        let text = b"#Operation,Object,TotalCount,SuccessCount,Retries,AverageDuration,AverageSize,AverageDelay,TotalSize,TotalRowsRead,TotalRowsSent\n\
            MaRunTaskLocal,SECURITY_CEF_BLOB,15,15,0,1.5,0,0,0,120,120\nMaODSRequest,https://x/,10,7,3,1,1,1,1,0,100\n\xff,,\nMaRunTaskLocal,SECURITY_CEF_BLOB,4,4,0,1,0,0,0,0,0\n";
        let rows = parse(text);
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[1].operation.as_str(), rows[1].total, rows[1].success, rows[1].retries), (UPLOAD, 10, 7, 3));
        let last: Vec<u64> = latest(&rows).iter().map(|r| r.total).collect();
        assert_eq!(last, [10, 4]);
        assert_eq!(parse(b"SuccessCount,TotalCount,Object,Operation\n1,2,o,p\n")[0].success, 1);
        assert_eq!(parse(b"\x1b[31m,,,,\n"), []);
    }
}
