use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::answer::{Code, Failure};
use super::{Answer, Invocation, Task, call};
use crate::options::{Options, PortRange};

const PREVIOUS: &str = r#"{"cniVersion":"1.0.0",  "ips":[{"address":"10.0.0.2/24"}],"dns":{}}"#;

fn invocation(command: &str) -> Invocation {
    Invocation {
        command: command.to_owned(),
        namespace: "/var/run/netns/pod".to_owned(),
        arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1".to_owned(),
    }
}

/// A configuration as libcni writes it; `runtime` is the value of runtimeConfig.
fn conf(runtime: &str) -> String {
    format!(
        r#"{{"cniVersion":"1.0.0","name":"pods","type":"weft-cni","runtimeConfig":{runtime},"prevResult":{PREVIOUS}}}"#
    )
}

fn annotated(rules: &str) -> String {
    conf(
        &json!({ "io.kubernetes.cri.pod-annotations": { "weft.dev/redirect-rules": rules, "other": "x" } }).to_string(),
    )
}

type Calls = Vec<(PathBuf, Options, Task)>;

/// The answer, and what it would have had the kernel do.
fn run(invocation: &Invocation, input: &str) -> (Answer, Calls) {
    let calls = RefCell::new(Calls::new());
    let answer = call(invocation, input.as_bytes(), |path: &Path, options: &Options, task| {
        calls.borrow_mut().push((path.to_owned(), options.clone(), task));
        Ok(())
    });
    (answer, calls.into_inner())
}

fn refused(invocation: &Invocation, input: &str) -> Value {
    let (answer, calls) = run(invocation, input);
    assert!(!answer.success, "{input} was accepted");
    assert_eq!(calls, [], "the kernel was asked for {input}");
    serde_json::from_str(&answer.output).unwrap()
}

#[test]
fn a_pod_with_the_annotation_gets_its_rules_and_the_result_is_passed_on_byte_for_byte() {
    let rules = "--outbound-port=4140 --inbound-port=4143 --proxy-uid=2102 --skip-outbound-ports=25,5000-5010";
    let wanted = Options {
        skip_outbound_ports: vec![PortRange { first: 25, last: 25 }, PortRange { first: 5000, last: 5010 }],
        ..Options::default()
    };
    let namespace = PathBuf::from("/var/run/netns/pod");
    let (answer, calls) = run(&invocation("ADD"), &annotated(rules));
    assert_eq!(answer, Answer { output: PREVIOUS.to_owned(), success: true });
    assert_eq!(calls, [(namespace.clone(), wanted.clone(), Task::Apply)]);
    let (answer, calls) = run(&invocation("CHECK"), &annotated(rules));
    assert_eq!(answer, Answer { output: String::new(), success: true });
    assert_eq!(calls, [(namespace, wanted, Task::Check)]);
}

#[test]
fn a_pod_without_the_annotation_is_left_alone_whatever_the_runtime_passes() {
    for runtime in [
        "{}",
        "null",
        r#"{"portMappings":[]}"#,
        r#"{"io.kubernetes.cri.pod-annotations":null}"#,
        r#"{"io.kubernetes.cri.pod-annotations":{}}"#,
        r#"{"io.kubernetes.cri.pod-annotations":{"weft.dev/inject":"enabled"}}"#,
    ] {
        // Not even a namespace is needed.
        let invocation = Invocation { namespace: String::new(), ..invocation("ADD") };
        let (answer, calls) = run(&invocation, &conf(runtime));
        assert_eq!((answer.output.as_str(), answer.success), (PREVIOUS, true), "{runtime}");
        assert_eq!(calls, []);
    }
}

#[test]
fn deleting_and_the_commands_for_the_whole_node_need_nothing() {
    for command in ["DEL", "GC", "STATUS"] {
        for input in ["", "nonsense", &annotated("--proxy-uid=1")] {
            let (answer, calls) = run(&invocation(command), input);
            assert_eq!(answer, Answer { output: String::new(), success: true });
            assert_eq!(calls, []);
        }
    }
}

#[test]
fn versions_are_told() {
    for (asked, told) in [("0.4.0", "0.4.0"), ("1.1.0", "1.1.0"), ("7.0.0", "1.1.0")] {
        let (answer, _) = run(&invocation("VERSION"), &format!(r#"{{"cniVersion":"{asked}"}}"#));
        let wanted = json!({ "cniVersion": told, "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] });
        assert_eq!(serde_json::from_str::<Value>(&answer.output).unwrap(), wanted);
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_its_code_and_the_pod() {
    let add = invocation("ADD");
    let no_previous = r#"{"cniVersion":"1.0.0","runtimeConfig":{}}"#;
    let nowhere = Invocation { namespace: "pod".to_owned(), ..add.clone() };
    let ours = annotated("--proxy-uid=2102");
    for (invocation, input, code, message) in [
        (&invocation("INSTALL"), "", 4, "CNI_COMMAND is \"INSTALL\""),
        (&invocation(""), "", 4, "CNI_COMMAND is \"\""),
        (&nowhere, ours.as_str(), 4, "CNI_NETNS is \"pod\""),
        (&add, "", 6, "cannot be read"),
        (&add, "[1]", 6, "cannot be read"),
        (&add, r#"{"cniVersion":1}"#, 6, "cannot be read"),
        (&add, "{}", 1, "cniVersion \"\" is not supported"),
        (&add, r#"{"cniVersion":"0.2.0"}"#, 1, "cniVersion \"0.2.0\" is not supported"),
        (&add, no_previous, 7, "there is no prevResult"),
    ] {
        let error = refused(invocation, input);
        assert_eq!(error["code"], code, "{error}");
        assert!(error["msg"].as_str().unwrap().contains(message), "{error}");
        assert!(!error["details"].as_str().unwrap().is_empty(), "{error}");
        assert!(super::is_supported(error["cniVersion"].as_str().unwrap()), "{error}");
    }
}

#[test]
fn a_hostile_annotation_is_refused_and_the_kernel_is_not_asked() {
    for (rules, says) in [
        ("--proxy-uid", "followed by a value"),
        ("--proxy-uid=-1", "is not a uid"),
        ("--proxy-uid=4294967296", "is not a uid"),
        ("--outbound-port=65536", "is not a port"),
        ("--skip-inbound-ports=1-0", "is not a list of ports"),
        ("--skip-inbound-ports=$(reboot)", "is not a list of ports"),
        ("--skip-outbound-cidrs=10.0.0.0/33", "is not a list of CIDRs"),
        ("--table=filter", "is not a flag of init"),
        ("../../etc/passwd", "followed by a value"),
        ("--ipv6=\u{0}", "is not auto or drop"),
        ("{\"json\":true}", "followed by a value"),
        ("--ipv6=drop\n--proxy-uid=0", "is not auto or drop"),
    ] {
        let error = refused(&invocation("ADD"), &annotated(rules));
        assert_eq!(error["code"], 100, "{error}");
        let message = error["msg"].as_str().unwrap();
        assert_eq!(message, "weft-cni: pod shop/web-1: the annotation weft.dev/redirect-rules cannot be used");
        assert!(error["details"].as_str().unwrap().contains(says), "{error}");
    }
    // Twice the same name is nobody's intention.
    let twice = r#"{"io.kubernetes.cri.pod-annotations":{"weft.dev/redirect-rules":"","weft.dev/redirect-rules":""}}"#;
    assert_eq!(refused(&invocation("ADD"), &conf(twice))["code"], 6);
    let number = r#"{"io.kubernetes.cri.pod-annotations":{"weft.dev/redirect-rules":1}}"#;
    assert_eq!(refused(&invocation("ADD"), &conf(number))["code"], 6);
}

#[test]
fn what_is_longer_than_its_bound_is_refused() {
    let list = |bytes: usize| format!("--skip-inbound-ports={}1", "1,".repeat((bytes - 22) / 2));
    assert_eq!(list(4096).len(), 4096);
    assert!(run(&invocation("ADD"), &annotated(&list(4096))).0.success);
    let error = refused(&invocation("ADD"), &annotated(&list(4098)));
    assert_eq!(error["code"], 100);
    assert!(error["details"].as_str().unwrap().contains("may have 4096"), "{error}");

    let padded = |bytes: usize| format!("{}{}", conf("{}"), " ".repeat(bytes - conf("{}").len()));
    assert!(run(&invocation("ADD"), &padded(1 << 20)).0.success);
    let error = refused(&invocation("ADD"), &padded((1 << 20) + 1));
    assert_eq!((error["code"].as_u64(), error["msg"].as_str().unwrap().contains("too long")), (Some(6), true));
}

#[test]
fn rules_that_are_not_in_force_are_an_error_so_that_the_pod_is_tried_again() {
    let answer = call(&invocation("ADD"), annotated("--proxy-uid=2102").as_bytes(), |_, _, _| {
        Err(Failure::new(Code::Rules, "the redirect rules of the pod are not in force", "the kernel said no"))
    });
    let wanted = json!({
        "cniVersion": "1.0.0",
        "code": 101,
        "msg": "weft-cni: pod shop/web-1: the redirect rules of the pod are not in force",
        "details": "the kernel said no",
    });
    assert!(!answer.success);
    assert_eq!(serde_json::from_str::<Value>(&answer.output).unwrap(), wanted);
}

#[test]
fn a_namespace_that_is_the_nodes_own_is_never_touched() {
    let own = Invocation { namespace: "/proc/thread-self/ns/net".to_owned(), ..invocation("ADD") };
    let answer = super::run(&own, annotated("--proxy-uid=2102").as_bytes());
    assert!(!answer.success && answer.output.contains("own namespace"), "{}", answer.output);
}
