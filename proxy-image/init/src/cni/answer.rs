//! What the runtime reads on standard output (CNI specification, section 5).

/// Reserved numbers below 100; ours from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Version = 1,
    Environment = 4,
    Io = 5,
    Decode = 6,
    Configuration = 7,
    /// The pod's annotation.
    Annotation = 100,
    /// The kernel.
    Rules = 101,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: Code,
    message: String,
    details: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>, details: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: details.into() }
    }

    /// Names the pod, as CNI_ARGS does.
    pub(super) fn of(mut self, arguments: &str) -> Self {
        let value =
            |key: &str| arguments.split(';').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key));
        if let (Some((_, namespace)), Some((_, name))) = (value("K8S_POD_NAMESPACE"), value("K8S_POD_NAME")) {
            self.message = format!("pod {namespace}/{name}: {}", self.message);
        }
        self
    }
}

/// To be printed, and whether the program ends with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output; may be empty.
    pub output: String,
    /// The exit code is 0.
    pub success: bool,
}

impl Answer {
    pub(super) fn success(output: String) -> Self {
        Self { output, success: true }
    }

    pub(super) fn failure(failure: &Failure, version: &str) -> Self {
        let version = if super::is_supported(version) { version } else { "1.0.0" };
        let output = serde_json::json!({
            "cniVersion": version,
            "code": failure.code as u32,
            "msg": format!("weft-cni: {}", failure.message),
            "details": failure.details,
        });
        Self { output: output.to_string(), success: false }
    }
}
