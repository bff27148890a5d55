//! Label sets, kept as the escaped text that a scrape prints: rendering is copying.

use std::fmt::Write;
use std::rc::Rc;

use weft_policy::model;

use super::http::Direction;

/// Longest label value in bytes; what a client chooses (an authority, an identity) must not grow without bound.
const MAX_VALUE: usize = 256;
/// Longest label name in bytes.
const MAX_NAME: usize = 128;
/// Labels of one set; more are left out.
const MAX_LABELS: usize = 64;

/// A finished label set: `a="x",b="y"`, without braces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesLabels(Rc<str>);

impl SeriesLabels {
    /// No labels.
    #[must_use]
    pub fn none() -> Self {
        Self(Rc::from(""))
    }

    /// What the series past a family's bound carry.
    #[must_use]
    pub fn overflow() -> Self {
        Self(Rc::from("overflow=\"true\""))
    }

    /// The text between the braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a connection is protected, in Linkerd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Mesh TLS with a verified peer.
    Verified,
    /// Mesh TLS, peer without a certificate.
    NoIdentity,
    /// The application's own TLS, passed through.
    Opaque,
    /// Plain, though this proxy could have spoken TLS.
    None,
    /// The pod talks to itself.
    Loopback,
}

/// Builds a label set. A name given twice keeps its first value, as Prometheus refuses duplicates.
#[derive(Clone, Debug, Default)]
pub struct LabelBuilder {
    text: String,
    names: Vec<Box<str>>,
}

impl LabelBuilder {
    /// Begins with `direction`.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self::default().with("direction", direction.as_str())
    }

    /// Begins with nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds one label; characters that a name may not have become `_`, a long value is cut at 256 bytes.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }

    /// Adds labels that the operator sent (of this workload, a destination, an endpoint).
    #[must_use]
    pub fn with_all(mut self, labels: &model::Labels) -> Self {
        for (name, value) in labels.iter() {
            self.push(name, value);
        }
        self
    }

    /// Adds `<prefix>_group`, `_kind`, `_name` and, where there is one, `_namespace` and `_port`; prefixes are `srv`, `route`, `authz`, ....
    #[must_use]
    pub fn with_ref(mut self, prefix: &str, reference: &model::Ref) -> Self {
        self.push_joined(prefix, "_group", &reference.group);
        self.push_joined(prefix, "_kind", &reference.kind);
        self.push_joined(prefix, "_name", &reference.name);
        if !reference.namespace.is_empty() {
            self.push_joined(prefix, "_namespace", &reference.namespace);
        }
        if reference.port != 0 {
            self.push_joined(prefix, "_port", &reference.port.to_string());
        }
        self
    }

    /// Adds `tls` and, where it is not `true`, `no_tls_reason`. `peer` is the peer's verified identity: `client_id` inbound, `server_id` outbound.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls, direction: Direction, peer: Option<&str>) -> Self {
        let (value, reason) = match tls {
            Tls::Verified => ("true", None),
            Tls::NoIdentity => ("no_identity", None),
            Tls::Opaque => ("opaque", None),
            Tls::None => match direction {
                Direction::Inbound => ("no_identity", Some("no_tls_from_remote")),
                Direction::Outbound => ("no_identity", Some("not_provided_by_service_discovery")),
            },
            Tls::Loopback => ("no_identity", Some("loopback")),
        };
        self.push("tls", value);
        if let Some(reason) = reason {
            self.push("no_tls_reason", reason);
        }
        if let Some(identity) = peer {
            let name = match direction {
                Direction::Inbound => "client_id",
                Direction::Outbound => "server_id",
            };
            self.push(name, identity);
        }
        self
    }

    /// The finished set.
    #[must_use]
    pub fn build(&self) -> SeriesLabels {
        SeriesLabels(Rc::from(self.text.as_str()))
    }

    fn push_joined(&mut self, prefix: &str, suffix: &str, value: &str) {
        let mut name = String::with_capacity(prefix.len() + suffix.len());
        name.push_str(prefix);
        name.push_str(suffix);
        self.push(&name, value);
    }

    fn push(&mut self, name: &str, value: &str) {
        let name = sanitised(name);
        if name.is_empty() || self.names.len() >= MAX_LABELS || self.names.contains(&name) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&name);
        self.text.push_str("=\"");
        escape_into(&mut self.text, truncated(value));
        self.text.push('"');
        self.names.push(name);
    }
}

/// Writes one more label behind a finished set.
pub(super) fn append(text: &mut String, base: &SeriesLabels, extra: &[(&str, &dyn std::fmt::Display)]) {
    text.push_str(base.as_str());
    for (name, value) in extra {
        if !text.ends_with('{') {
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}=\"{value}\"");
    }
}

fn sanitised(name: &str) -> Box<str> {
    name.char_indices()
        .take(MAX_NAME)
        .map(|(index, c)| match c {
            'a'..='z' | 'A'..='Z' | '_' => c,
            '0'..='9' if index > 0 => c,
            _ => '_',
        })
        .collect::<String>()
        .into_boxed_str()
}

fn truncated(value: &str) -> &str {
    value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default()
}

fn escape_into(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(c),
        }
    }
}
