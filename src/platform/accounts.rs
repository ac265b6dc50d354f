//! Users and groups as `/etc/passwd` and `/etc/group` have them, of any root. Accounts from elsewhere (LDAP) are not seen here.

use std::path::Path;

use super::access::Who;
use crate::host::Root;

/// A user with all groups; `None` where the files do not have it.
pub fn who(root: &Root, name: &str) -> Option<Who> {
    let passwd = root.read(Path::new("/etc/passwd")).ok()?;
    let line = entry(&passwd, name)?;
    let mut fields = line.split(':').skip(2);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let groups = root.read(Path::new("/etc/group")).unwrap_or_default();
    let text = String::from_utf8_lossy(&groups);
    let member = |line: &str| {
        let mut fields = line.split(':');
        let id = fields.nth(2)?.parse().ok()?;
        fields.next()?.split(',').any(|m| m.trim() == name).then_some(id)
    };
    Some(Who { uid, gid, groups: text.lines().filter_map(member).collect(), capabilities: 0 })
}

/// Id of a group.
pub fn group(root: &Root, name: &str) -> Option<u32> {
    let groups = root.read(Path::new("/etc/group")).ok()?;
    entry(&groups, name)?.split(':').nth(2)?.parse().ok()
}

fn entry(text: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().find(|l| l.split(':').next() == Some(name)).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests make their own trees
mod tests {
    use super::*;

    #[test]
    fn a_user_with_its_groups() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nsyslog:x:104:110::/:/bin/false\nbad:x\n")
            .unwrap();
        std::fs::write(dir.path().join("etc/group"), "adm:x:4:syslog,me\nsyslog:x:110:\nhimds:x:990:syslog\nbad\n")
            .unwrap();
        let root = Root::at(dir.path());
        let syslog = who(&root, "syslog").unwrap();
        assert_eq!((syslog.uid, syslog.gid, syslog.groups), (104, 110, vec![4, 990]));
        assert_eq!((who(&root, "bad"), who(&root, "sys"), group(&root, "himds")), (None, None, Some(990)));
    }
}
