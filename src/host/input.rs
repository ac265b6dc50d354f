//! Files that the user names on the command line, as input or output: of the machine the program runs on, or standard
//! input. Not part of the examined root.

use std::io::{self, Read};
use std::path::Path;

use super::Host;

/// Larger input is refused: it is held in memory.
const LIMIT: u64 = 1 << 30;

impl Host {
    /// Whole content of a file, or of standard input for `-`.
    ///
    /// # Errors
    /// As opening and reading; input above 1 GiB.
    pub fn read_input(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = match path.to_str() {
            Some("-") => io::stdin().lock().take(LIMIT + 1).read_to_end(&mut content)?,
            _ => std::fs::File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?,
        };
        if read as u64 > LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 GiB"));
        }
        Ok(content)
    }

    /// A file to write to, made or emptied.
    ///
    /// # Errors
    /// As creating the file.
    pub fn create_output(&self, path: &Path) -> io::Result<std::fs::File> {
        std::fs::File::create(path)
    }
}
