//! Into the network namespace of the pod.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::answer::{Code, Failure};

/// Moves the calling thread. Refuses its own namespace, which is the node's: rules there would redirect the node.
pub(super) fn enter(path: &Path) -> Result<(), Failure> {
    let failure = |error: std::io::Error| {
        Failure::new(Code::Io, format!("the network namespace {} cannot be entered", path.display()), error.to_string())
    };
    let target = File::open(path).map_err(failure)?;
    let own = File::open("/proc/thread-self/ns/net").map_err(failure)?;
    let identity = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    if identity(&target).map_err(failure)? == identity(&own).map_err(failure)? {
        let details =
            "rules there would redirect the node itself; a pod with hostNetwork has no network for a plugin to make";
        return Err(Failure::new(
            Code::Environment,
            format!("{} is the node's own namespace", path.display()),
            details,
        ));
    }
    move_into_link_name_space(target.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|error| failure(error.into()))
}
