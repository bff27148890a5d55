//! The program under the name of the CNI plugin, as a container runtime calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Plugin(PathBuf);

impl Plugin {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("weft-plugin-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        symlink(env!("CARGO_BIN_EXE_weft-proxy"), folder.join("weft-cni")).unwrap();
        Self(folder)
    }

    fn call(&self, command: &str, input: &str) -> Output {
        call(&self.0.join("weft-cni"), &[], command, input)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn call(program: &Path, arguments: &[&str], command: &str, input: &str) -> Output {
    let mut running = Command::new(program)
        .args(arguments)
        .env("CNI_COMMAND", command)
        .env("CNI_NETNS", "/var/run/netns/none")
        .env("CNI_ARGS", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.wait_with_output().unwrap()
}

fn text(output: &Output) -> (Option<i32>, &str) {
    (output.status.code(), std::str::from_utf8(&output.stdout).unwrap())
}

#[test]
fn its_name_makes_it_the_plugin() {
    let plugin = Plugin::new("name");
    let versions = r#"{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#;
    assert_eq!(text(&plugin.call("VERSION", r#"{"cniVersion":"1.0.0"}"#)), (Some(0), versions));
    let pass = r#"{"cniVersion":"1.0.0","prevResult":{ "ips": [] }}"#;
    assert_eq!(text(&plugin.call("ADD", pass)), (Some(0), r#"{ "ips": [] }"#));
    // By its own name it is the plugin when it is told to be.
    let by_word = call(Path::new(env!("CARGO_BIN_EXE_weft-proxy")), &["cni"], "ADD", pass);
    assert_eq!(text(&by_word), (Some(0), r#"{ "ips": [] }"#));
}

#[test]
fn what_fails_is_told_on_standard_output_and_by_the_exit_code() {
    let plugin = Plugin::new("fails");
    let rules = r#"{"io.kubernetes.cri.pod-annotations":{"weft.dev/redirect-rules":"--proxy-uid=2102"}}"#;
    let output = plugin.call("ADD", &format!(r#"{{"cniVersion":"1.0.0","prevResult":{{}},"runtimeConfig":{rules}}}"#));
    let (code, answer) = text(&output);
    assert_eq!(code, Some(1));
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
    let message = "weft-cni: pod shop/web: the network namespace /var/run/netns/none cannot be entered";
    assert_eq!((answer["code"].as_u64(), answer["msg"].as_str()), (Some(5), Some(message)));
}
