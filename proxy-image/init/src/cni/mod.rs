//! The chained CNI plugin: writes the rules of `weft-init` into the network namespace of a pod that is being made.
//!
//! It knows a pod by its annotations alone, which the container runtime hands over (`io.kubernetes.cri.pod-annotations`): no API, no token, no file
//! beside it. It runs as root on the node, and what it reads was written by whoever may create a pod: everything is bounded and typed.

mod answer;
mod namespace;
mod request;

use std::io::Read;
use std::path::Path;

pub use answer::Answer;
use answer::{Code, Failure};
use request::{Conf, SUPPORTED};
pub(crate) use request::{POD_ANNOTATIONS, is_supported};

use crate::error::InitError;
use crate::options::Options;

/// The plugin's type in a network configuration, and so its file's name.
pub const PLUGIN: &str = "weft-cni";

/// What the runtime says beside standard input (CNI specification, section 2).
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// CNI_COMMAND
    pub command: String,
    /// CNI_NETNS
    pub namespace: String,
    /// CNI_ARGS
    pub arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Apply,
    Check,
}

/// One call; blocks.
pub fn run(invocation: &Invocation, input: impl Read) -> Answer {
    call(invocation, input, redirect)
}

fn call(
    invocation: &Invocation,
    input: impl Read,
    redirect: impl FnOnce(&Path, &Options, Task) -> Result<(), Failure>,
) -> Answer {
    let mut version = String::new();
    match answer(invocation, input, redirect, &mut version) {
        Ok(output) => Answer::success(output),
        Err(failure) => Answer::failure(&failure, &version),
    }
}

fn answer(
    invocation: &Invocation,
    input: impl Read,
    redirect: impl FnOnce(&Path, &Options, Task) -> Result<(), Failure>,
    version: &mut String,
) -> Result<String, Failure> {
    let task = match invocation.command.as_str() {
        "ADD" => Task::Apply,
        "CHECK" => Task::Check,
        // The rules go with the namespace, and nothing else was made.
        "DEL" | "GC" | "STATUS" => return Ok(String::new()),
        "VERSION" => return Ok(versions(&Conf::read(input)?.version)),
        other => {
            let message = format!("CNI_COMMAND is {other:?}: it must be ADD, CHECK, DEL, GC, STATUS or VERSION");
            return Err(Failure::new(
                Code::Environment,
                message,
                "a container runtime calls this program, nobody else",
            ));
        }
    };
    let conf = Conf::read(input)?;
    version.clone_from(&conf.version);
    if !is_supported(&conf.version) {
        let message = format!("cniVersion {:?} is not supported", conf.version);
        return Err(Failure::new(Code::Version, message, format!("supported are {}", SUPPORTED.join(", "))));
    }
    let Some(previous) = conf.previous else {
        let details = "it only adds to what a main plugin has made: it must not be the first of its list";
        return Err(Failure::new(Code::Configuration, "there is no prevResult", details));
    };
    if let Some(rules) = conf.rules {
        if !invocation.namespace.starts_with('/') {
            let message = format!("CNI_NETNS is {:?}: it must be a path", invocation.namespace);
            return Err(Failure::new(
                Code::Environment,
                message,
                "a container runtime calls this program, nobody else",
            ));
        }
        let of = |failure: Failure| failure.of(&invocation.arguments);
        let options = request::options(&rules).map_err(of)?;
        redirect(Path::new(&invocation.namespace), &options, task).map_err(of)?;
    }
    Ok(if task == Task::Apply { previous.get().to_owned() } else { String::new() })
}

/// The calling thread is in the pod's network namespace afterwards: the program ends with this call.
fn redirect(namespace: &Path, options: &Options, task: Task) -> Result<(), Failure> {
    namespace::enter(namespace)?;
    let done = match task {
        Task::Apply => crate::apply(options).map(|_| ()),
        Task::Check => crate::check(options),
    };
    done.map_err(|error| Failure::new(Code::Rules, "the redirect rules of the pod are not in force", remedy(&error)))
}

fn remedy(error: &InitError) -> String {
    match error {
        // Said to whoever runs an init container; here it is the plugin itself that lacks it.
        InitError::NotPermitted => "not permitted to write nftables rules: the container runtime must run its plugins as root with the capabilities \
             SYS_ADMIN and NET_ADMIN"
            .to_owned(),
        other => other.to_string(),
    }
}

fn versions(asked: &str) -> String {
    let version = if is_supported(asked) { asked } else { SUPPORTED.last().copied().unwrap_or_default() };
    serde_json::json!({ "cniVersion": version, "supportedVersions": SUPPORTED }).to_string()
}

#[cfg(test)]
mod tests;
