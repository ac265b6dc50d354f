//! The archive: tar in gzip, every file readable by its owner only, names that cannot leave the folder they are unpacked
//! in.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Unpacked bytes of a bundle that are read at most: somebody else made it.
const MOST: u64 = 256 << 20;

/// Packs files under one folder; `time` is that of all of them, in seconds since the epoch.
///
/// # Errors
/// Those of the formats: a name that does not fit.
pub fn pack(folder: &str, time: i64, files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let time = u64::try_from(time).unwrap_or_default();
    let mut names = std::collections::BTreeSet::new();
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(time);
        let mut path = format!("{folder}/{}", safe_name(name));
        while !names.insert(path.clone()) {
            path.push('_');
        }
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    archive.into_inner()?.finish()
}

/// A name of plain parts: no way up, no absolute path, nothing a terminal or another system would stumble over.
fn safe_name(name: &str) -> String {
    let part = |part: &str| -> Option<String> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-+@=,".contains(c) { c } else { '_' };
        let part: String = part.chars().map(plain).take(120).collect();
        (!part.is_empty() && !part.chars().all(|c| c == '.')).then_some(part)
    };
    name.split('/').filter_map(part).take(24).collect::<Vec<_>>().join("/")
}

/// Content of the file of that name in the bundle's folder; `None` where there is none.
///
/// # Errors
/// What is no bundle, or a damaged one.
pub fn unpack_one(bundle: &[u8], wanted: &str) -> io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(GzDecoder::new(bundle).take(MOST));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut parts = path.components().skip(1);
        if parts.next().is_some_and(|p| p.as_os_str() == wanted) && parts.next().is_none() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}
