use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{InstallError, Installer};

const LIST: &str =
    "{\n  \"cniVersion\": \"1.0.0\",\n  \"name\": \"pods\",\n  \"plugins\": [\n    { \"type\": \"bridge\" }\n  ]\n}\n";
const SINGLE: &str = r#"{"cniVersion":"0.3.1","name":"cbr0","type":"flannel"}"#;

/// Two folders of a node; gone when dropped.
struct Node(PathBuf);

impl Node {
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("weft-install-{}-{test}", std::process::id()));
        for folder in ["bin", "conf"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("weft-proxy"), "the program").unwrap();
        Self(root)
    }

    fn installer(&self, owner: &str) -> Installer {
        Installer {
            programs: self.0.join("bin"),
            configurations: self.0.join("conf"),
            source: self.0.join("weft-proxy"),
            owner: owner.to_owned(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join("conf").join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join("conf").join(name)).unwrap()
    }

    /// Every file of both folders, with its content.
    fn files(&self) -> Vec<(String, String)> {
        let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let mut files: Vec<_> = ["bin", "conf"].iter().flat_map(|folder| list(&self.0.join(folder))).collect();
        files.sort();
        let name = |path: &Path| path.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned();
        files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn has_entry(text: &str) -> bool {
    super::conflist::owner(text).unwrap().is_some()
}

#[test]
fn what_is_removed_leaves_exactly_what_was_there() {
    for (name, text) in [("10-pods.conflist", LIST), ("10-flannel.conf", SINGLE), ("10-flannel.json", SINGLE)] {
        let node = Node::new("exactly");
        node.write(name, text);
        node.write("20-other.conflist", LIST);
        fs::set_permissions(node.0.join("conf").join(name), fs::Permissions::from_mode(0o640)).unwrap();
        let before = node.files();
        let installer = node.installer("one");
        assert!(matches!(installer.ready(), Err(InstallError::Missing(_))));
        installer.install().unwrap();
        installer.ready().unwrap();
        let list = Path::new(name).with_extension("conflist");
        assert!(has_entry(&node.read(list.to_str().unwrap())));
        assert_eq!(node.read("20-other.conflist"), LIST, "the runtime does not use it");
        let program = node.0.join("bin/weft-cni");
        assert_eq!(fs::read_to_string(&program).unwrap(), "the program");
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(installer.repair().unwrap(), Vec::<String>::new(), "nothing is to be done");
        installer.remove().unwrap();
        assert_eq!(node.files(), before);
        let mode = fs::metadata(node.0.join("conf").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(installer.remove().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_file_that_its_owner_rewrites_is_repaired() {
    let node = Node::new("rewritten");
    node.write("10-pods.conflist", LIST);
    let installer = node.installer("one");
    installer.install().unwrap();
    let changed = LIST.replace("bridge", "ptp");
    node.write("10-pods.conflist", &changed);
    assert!(installer.ready().is_err());
    assert_eq!(installer.repair().unwrap().len(), 1);
    installer.ready().unwrap();
    fs::remove_file(node.0.join("bin/weft-cni")).unwrap();
    assert!(installer.ready().is_err());
    assert_eq!(installer.repair().unwrap().len(), 1);
    installer.ready().unwrap();
    installer.remove().unwrap();
    assert_eq!(node.files(), [("conf/10-pods.conflist".to_owned(), changed)]);
}

#[test]
fn a_new_first_file_gets_the_entry_and_both_lose_it() {
    let node = Node::new("first");
    node.write("10-pods.conflist", LIST);
    let installer = node.installer("one");
    installer.install().unwrap();
    node.write("05-multus.conf", SINGLE);
    assert!(installer.ready().is_err());
    installer.repair().unwrap();
    installer.ready().unwrap();
    assert!(has_entry(&node.read("05-multus.conflist")));
    // Written again by its owner, who knows nothing of ours.
    node.write("05-multus.conf", SINGLE);
    installer.repair().unwrap();
    installer.ready().unwrap();
    installer.remove().unwrap();
    let wanted = [("conf/05-multus.conf", SINGLE), ("conf/10-pods.conflist", LIST)];
    assert_eq!(node.files(), wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn of_two_installers_the_later_one_owns_the_plugin() {
    let node = Node::new("two");
    node.write("10-pods.conflist", LIST);
    let (old, new) = (node.installer("old"), node.installer("new"));
    old.install().unwrap();
    fs::write(node.0.join("weft-proxy"), "the new program").unwrap();
    new.install().unwrap();
    // The old one neither takes it back nor takes it away.
    assert_eq!(old.repair().unwrap(), Vec::<String>::new());
    assert_eq!(old.remove().unwrap(), Vec::<String>::new());
    new.ready().unwrap();
    assert_eq!(fs::read_to_string(node.0.join("bin/weft-cni")).unwrap(), "the new program");
    new.remove().unwrap();
    assert_eq!(node.files(), [("conf/10-pods.conflist".to_owned(), LIST.to_owned())]);
}

#[test]
fn a_folder_without_a_usable_file_is_waited_for_and_left_alone() {
    let node = Node::new("none");
    let installer = node.installer("one");
    let error = installer.install().unwrap_err().to_string();
    assert!(error.contains("holds no network configuration") && error.contains("cni.confDir"), "{error}");
    assert_eq!(node.files(), []);
    node.write("10-half.conflist", "{\"cniVersion\":\"1.0.0\",");
    node.write("20-old.conf", r#"{"cniVersion":"0.1.0","name":"a","type":"b"}"#);
    node.write("readme.txt", LIST);
    let error = installer.repair().unwrap_err().to_string();
    assert!(error.contains("10-half.conflist: it is no network configuration"), "{error}");
    assert!(error.contains("20-old.conf: its cniVersion is \"0.1.0\""), "{error}");
    assert_eq!(node.read("10-half.conflist"), "{\"cniVersion\":\"1.0.0\",");
    node.write("10-half.conflist", LIST);
    installer.repair().unwrap();
    installer.ready().unwrap();
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let node = Node::new("missing");
    node.write("10-pods.conflist", LIST);
    let installer = Installer { programs: node.0.join("nowhere"), ..node.installer("one") };
    let error = installer.install().unwrap_err().to_string();
    assert!(error.contains("nowhere/weft-cni") && error.contains("cni.binDir"), "{error}");
}

#[test]
fn more_or_longer_files_than_the_bounds_are_refused() {
    let node = Node::new("bounds");
    let installer = node.installer("one");
    let padded = |bytes: usize| format!("{LIST}{}", " ".repeat(bytes - LIST.len()));
    node.write("10-pods.conflist", &padded((1 << 20) + 1));
    assert!(installer.install().unwrap_err().to_string().contains("more than 1048576 bytes"));
    // Room for the entry.
    node.write("10-pods.conflist", &padded((1 << 20) - 200));
    installer.install().unwrap();
    for index in 1..256 {
        node.write(&format!("20-{index}.conflist"), LIST);
    }
    installer.ready().unwrap();
    node.write("30-more.conflist", LIST);
    assert!(installer.ready().unwrap_err().to_string().contains("more than 256 configurations"));
}
