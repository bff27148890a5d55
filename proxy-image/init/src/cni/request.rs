//! What the runtime writes to standard input, and the one annotation in it that is for us.

use std::io::Read;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Code, Failure};
use crate::options::Options;

/// Versions of the CNI specification in which a result is passed on as it came; the newest last.
pub(super) const SUPPORTED: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The capability by which containerd (1.6 and later) and CRI-O hand over a pod's annotations.
pub(crate) const POD_ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";
/// Written by the injector: the flags of `weft-proxy init`.
const ANNOTATION: &str = "weft.dev/redirect-rules";
/// All annotations of a pod together have at most 256 KiB.
const CONF_BYTES: usize = 1 << 20;
/// Longer than any list of ports that the injector takes from a MeshConfig.
const RULES_BYTES: usize = 4096;

pub(crate) fn is_supported(version: &str) -> bool {
    SUPPORTED.contains(&version)
}

pub(super) struct Conf {
    pub(super) version: String,
    /// As it came, because it is passed on so.
    pub(super) previous: Option<Box<RawValue>>,
    /// The value of the annotation.
    pub(super) rules: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "cniVersion", default)]
    version: String,
    #[serde(rename = "prevResult", default)]
    previous: Option<Box<RawValue>>,
    #[serde(rename = "runtimeConfig", default)]
    runtime: Option<RuntimeConfig>,
}

#[derive(Deserialize)]
struct RuntimeConfig {
    #[serde(rename = "io.kubernetes.cri.pod-annotations", default)]
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "weft.dev/redirect-rules", default)]
    rules: Option<String>,
}

impl Conf {
    pub(super) fn read(input: impl Read) -> Result<Self, Failure> {
        let mut text = Vec::new();
        input
            .take(CONF_BYTES as u64 + 1)
            .read_to_end(&mut text)
            .map_err(|error| Failure::new(Code::Io, "standard input cannot be read", error.to_string()))?;
        if text.len() > CONF_BYTES {
            let details = format!("it may have {CONF_BYTES} bytes");
            return Err(Failure::new(Code::Decode, "the network configuration is too long", details));
        }
        let raw: Raw = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(Code::Decode, "the network configuration cannot be read", error.to_string())
        })?;
        let rules = raw.runtime.and_then(|runtime| runtime.annotations).and_then(|annotations| annotations.rules);
        Ok(Self { version: raw.version, previous: raw.previous, rules })
    }
}

/// Flags with one space between.
pub(super) fn options(rules: &str) -> Result<Options, Failure> {
    let failure = |details: String| {
        Failure::new(Code::Annotation, format!("the annotation {ANNOTATION} cannot be used"), details)
    };
    if rules.len() > RULES_BYTES {
        return Err(failure(format!(
            "it has {} bytes and may have {RULES_BYTES}: shorten the lists of skipped ports",
            rules.len()
        )));
    }
    Options::parse(rules.split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned))
        .map_err(|error| failure(format!("{error}. The injector of Weft writes it: take it out of what you apply")))
}
