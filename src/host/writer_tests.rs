use super::*;
use std::os::unix::fs::PermissionsExt;

use crate::host::fault;
use crate::host::writer_attrs::Xattr;

fn root() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::at(dir.path());
    (dir, root)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

#[test]
fn a_new_file_has_the_mode_asked_for_or_the_usual_one() {
    let (dir, root) = root();
    assert_eq!(root.write(Path::new("/a"), b"x", &Attrs::mode(0o666)).unwrap(), Written::Created);
    assert_eq!(root.write(Path::new("/b"), b"x", &Attrs::default()).unwrap(), Written::Created);
    assert_eq!(root.stat(Path::new("/a")).unwrap().unwrap().mode, 0o666);
    assert_eq!(root.stat(Path::new("/b")).unwrap().unwrap().mode, 0o644);
    assert_eq!(names(dir.path()), ["a", "b"]);
}

#[test]
fn equal_files_are_left_alone() {
    let (_dir, root) = root();
    let (a, wanted) = (Path::new("/a"), Attrs::mode(0o640));
    root.write(a, b"x", &wanted).unwrap();
    let before = root.stat(a).unwrap();
    assert_eq!(root.write(a, b"x", &wanted).unwrap(), Written::Unchanged);
    assert_eq!(root.write(a, b"x", &Attrs::default()).unwrap(), Written::Unchanged);
    assert_eq!(root.stat(a).unwrap(), before);
    assert_eq!(root.write(a, b"x", &Attrs::mode(0o600)).unwrap(), Written::Replaced);
    assert_eq!(root.write(a, b"y", &Attrs::default()).unwrap(), Written::Replaced);
    assert_eq!(root.stat(a).unwrap().unwrap().mode, 0o600);
}

#[test]
fn a_replaced_file_keeps_mode_owner_and_attributes() {
    let (dir, root) = root();
    let real = dir.path().join("a");
    std::fs::write(&real, b"old").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o2751)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&real, Some(7), Some(8)).unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o2751)).unwrap();
    }
    let label = Xattr { name: "user.label".into(), value: b"\x00\xffv".to_vec() };
    rustix::fs::setxattr(&real, label.name.as_str(), &label.value, rustix::fs::XattrFlags::empty()).unwrap();
    let old = root.attrs(Path::new("/a")).unwrap();
    assert_eq!(old.xattrs, Some(vec![label]));
    root.write(Path::new("/a"), b"new", &Attrs::default()).unwrap();
    let new = root.attrs(Path::new("/a")).unwrap();
    assert_eq!((new.mode, new.owner, new.xattrs), (old.mode, old.owner, old.xattrs.clone()));
    // A backup is put back with its time as well.
    root.write(Path::new("/a"), b"old", &old).unwrap();
    assert_eq!(root.attrs(Path::new("/a")).unwrap(), old);
}

#[test]
fn an_acl_survives() {
    let (dir, root) = root();
    let real = dir.path().join("a");
    std::fs::write(&real, b"old").unwrap();
    let setfacl = std::process::Command::new("setfacl").args(["-m", "u:65534:r"]).arg(&real).status();
    if !setfacl.is_ok_and(|s| s.success()) {
        return; // no such tool or no ACL on this file system
    }
    let old = root.attrs(Path::new("/a")).unwrap();
    assert!(old.xattrs.iter().flatten().any(|x| x.name == "system.posix_acl_access"));
    root.write(Path::new("/a"), b"new", &Attrs::default()).unwrap();
    let new = root.attrs(Path::new("/a")).unwrap();
    assert_eq!((new.mode, new.xattrs), (old.mode, old.xattrs));
    // Put back exactly "no ACL".
    root.write(Path::new("/a"), b"new", &Attrs { xattrs: Some(Vec::new()), ..Attrs::mode(0o644) }).unwrap();
    assert_eq!(root.attrs(Path::new("/a")).unwrap().xattrs, Some(Vec::new()));
}

#[test]
fn links_are_followed_to_the_real_file_also_when_it_is_missing() {
    let (dir, root) = root();
    std::fs::create_dir_all(dir.path().join("etc/real.d")).unwrap();
    symlink("/etc/real.d", dir.path().join("etc/link.d")).unwrap();
    symlink("../link.d/missing.conf", dir.path().join("etc/real.d/dangling.conf")).unwrap();
    let path = Path::new("/etc/link.d/dangling.conf");
    assert_eq!(root.write(path, b"x", &Attrs::default()).unwrap(), Written::Created);
    assert_eq!(root.stat(path).unwrap().unwrap().kind, FileKind::Link);
    assert_eq!(std::fs::read(dir.path().join("etc/real.d/missing.conf")).unwrap(), b"x");
    assert_eq!(names(&dir.path().join("etc/real.d")), ["dangling.conf", "missing.conf"]);
}

#[test]
fn folders_and_pipes_are_refused_untouched() {
    let (dir, root) = root();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["/d", "/fifo"] {
        assert!(root.write(Path::new(path), b"x", &Attrs::default()).is_err(), "{path}");
    }
    assert!(root.remove_file(Path::new("/d")).is_err());
    assert_eq!(names(dir.path()), ["d", "fifo"]);
}

#[test]
fn names_of_full_length_can_be_written() {
    let (_dir, root) = root();
    let path = PathBuf::from(format!("/{}", "n".repeat(255)));
    root.write(&path, b"x", &Attrs::default()).unwrap();
    root.write(&path, b"y", &Attrs::default()).unwrap();
}

#[test]
fn a_fault_at_any_step_leaves_the_old_or_the_new_file_and_nothing_else() {
    let (dir, root) = root();
    let path = Path::new("/a");
    let write = || root.write(path, b"new content", &Attrs::mode(0o600));
    root.write(path, b"old", &Attrs::default()).unwrap();
    let (_, hits) = fault::with("", write);
    assert_eq!(hits.len(), 6);
    for hit in hits {
        for action in ["error", "enospc", "shortwrite", "timeout"] {
            root.write(path, b"old", &Attrs::mode(0o644)).unwrap();
            let (result, _) = fault::with(&format!("{hit}={action}"), write);
            assert!(result.is_err(), "{hit} {action}");
            let (content, mode) = (root.read(path).unwrap(), root.stat(path).unwrap().unwrap().mode);
            let replaced = hit.starts_with("root.write.dirsync");
            assert_eq!(
                (content.as_slice(), mode),
                if replaced { (&b"new content"[..], 0o600) } else { (&b"old"[..], 0o644) }
            );
            assert_eq!(names(dir.path()), ["a"]);
        }
    }
}

#[test]
fn folders_are_made_and_removed_exactly() {
    let (dir, root) = root();
    root.create_dir(Path::new("/d"), 0o2770, None).unwrap();
    assert_eq!(root.stat(Path::new("/d")).unwrap().unwrap().mode, 0o2770);
    assert!(root.create_dir(Path::new("/d"), 0o700, None).is_err());
    root.write(Path::new("/d/f"), b"", &Attrs::default()).unwrap();
    assert!(root.remove_dir(Path::new("/d")).is_err());
    root.remove_file(Path::new("/d/f")).unwrap();
    root.remove_dir(Path::new("/d")).unwrap();
    for fault in ["root.mkdir=error", "root.mkdir.attrs=error", "root.mkdir.rename=error"] {
        let (failed, _) = fault::with(fault, || root.create_dir(Path::new("/e"), 0o700, None));
        assert!(failed.is_err());
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn links_are_made_in_one_step() {
    let (dir, root) = root();
    let meta = root.stat(Path::new("/")).unwrap().unwrap();
    root.symlink(Path::new("/l"), Path::new("some/where"), (meta.uid, meta.gid)).unwrap();
    root.symlink(Path::new("/l"), Path::new("else/where"), (meta.uid, meta.gid)).unwrap();
    assert_eq!(std::fs::read_link(dir.path().join("l")).unwrap(), Path::new("else/where"));
    assert_eq!(names(dir.path()), ["l"]);
}

#[test]
fn a_failed_append_leaves_no_half_record() {
    let (_dir, root) = root();
    let path = Path::new("/journal");
    root.write(path, b"one\n", &Attrs::default()).unwrap();
    for fault in ["root.append.data=shortwrite", "root.append.sync=error"] {
        let (result, _) = fault::with(fault, || root.append(path, 4, b"second\n", true));
        assert!(result.is_err());
        assert_eq!(root.read(path).unwrap(), b"one\n");
    }
    assert_eq!(root.append(path, 4, b"two\n", true).unwrap(), 8);
    assert_eq!(root.read(path).unwrap(), b"one\ntwo\n");
}

#[test]
fn left_over_temporary_files_are_removed_and_nothing_else() {
    let (dir, root) = root();
    std::fs::write(dir.path().join(".cefctl-tmp-1-0"), b"").unwrap();
    symlink("x", dir.path().join(".cefctl-tmp-1-1")).unwrap();
    std::fs::create_dir(dir.path().join(".cefctl-tmp-1-2")).unwrap();
    std::fs::write(dir.path().join(".other"), b"").unwrap();
    assert_eq!(root.remove_temps(Path::new("/")).unwrap(), 3);
    assert_eq!(names(dir.path()), [".other"]);
    assert_eq!(root.remove_temps(Path::new("/gone")).unwrap(), 0);
}
