//! What the kernel answers when it is asked about its SELinux policy: a question is written to a file of selinuxfs, and the
//! answer read from the same open file (`security_compute_av` of libselinux does the same). It asks only; nothing changes.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;

use super::Root;

/// Folder of selinuxfs.
pub const PLACE: &str = "/sys/fs/selinux";
/// Answers fit in one page.
const PAGE: usize = 4096;

/// Writes `question` to the file `name` of selinuxfs and reads the answer.
///
/// # Errors
/// SELinux is not in use, root is not the running machine's, or the kernel does not know a label of the question (`EINVAL`).
pub fn ask(root: &Root, name: &str, question: &[u8]) -> io::Result<Vec<u8>> {
    if !root.is_live() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only the running machine can be asked"));
    }
    let mut file = OpenOptions::new().read(true).write(true).open(Path::new(PLACE).join(name))?;
    // One question is one write.
    let written = file.write(question)?;
    if written != question.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut answer = vec![0; PAGE];
    let length = file.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}
