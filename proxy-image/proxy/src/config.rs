//! What the injector tells the proxy through its environment; one struct, read once.

use std::cell::Cell;
use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

/// A variable that cannot be used.
#[derive(Debug, Error)]
#[error("environment variable {name}: {reason}")]
pub struct ConfigError {
    name: &'static str,
    reason: String,
}

/// Where a connection was meant to go.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// The kernel's connection tracking knows.
    #[default]
    Kernel,
    /// As given: tests run without redirects.
    Given(Rc<Cell<SocketAddr>>),
}

/// Bounds and patience of the data path.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections accepted in one direction; one more is refused.
    pub connections: usize,
    /// Requests of HTTP/2 clients under way, in both directions together; one more is answered 503. (One of HTTP/1 has its connection.)
    pub http2_requests: usize,
    /// HTTP/2 connections to upstreams; one more takes the place of one that is idle, or its request is answered 503.
    pub http2_connections: usize,
    /// An outbound connection waits so long for a proxy that has just started: one that was replaced in a running pod.
    pub start: Duration,
    /// A TCP connection must be made in this time.
    pub connect: Duration,
    /// A TLS handshake and the preamble must be done in this time.
    pub handshake: Duration,
    /// Outbound silence after which a server that may speak first is dialled.
    pub early_dial: Duration,
    /// A client that has begun to speak is listened to for this long before it is treated as one that speaks bytes.
    pub detect: Duration,
    /// The same for a client that has sent one word and no more, where bytes are welcome: it may wait for the answer to it.
    pub word: Duration,
    /// A head that has begun must be complete in this time.
    pub head: Duration,
    /// A client that has shut down its sending side is believed to wait for its answer this long without progress.
    pub half_closed: Duration,
    /// Idle upstream connections kept for one target.
    pub idle_per_target: usize,
    /// Idle upstream connections kept in all.
    pub idle_total: usize,
    /// How long a plain upstream connection is kept idle: below the keep-alive time of common servers (Node's is 5 s).
    pub idle_plain: Duration,
    /// How long an upstream mesh connection is kept idle.
    pub idle_mesh: Duration,
    /// How long one beyond the newest few of its target is: what a burst has left.
    pub idle_surplus: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            http2_requests: 10_000,
            http2_connections: 4_096,
            start: Duration::from_secs(10),
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            early_dial: Duration::from_millis(15),
            detect: Duration::from_secs(10),
            word: Duration::from_secs(1),
            head: Duration::from_secs(30),
            half_closed: Duration::from_secs(10),
            idle_per_target: 512,
            idle_total: 4096,
            idle_plain: Duration::from_secs(3),
            idle_mesh: Duration::from_secs(60),
            idle_surplus: Duration::from_secs(10),
        }
    }
}

/// Everything the data path is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners for connections from other pods.
    pub inbound: Vec<SocketAddr>,
    /// Listeners for the application's connections.
    pub outbound: Vec<SocketAddr>,
    /// Listeners for probes, metrics and drain.
    pub admin: Vec<SocketAddr>,
    /// Port of the peers' inbound listeners.
    pub direct_port: u16,
    /// How the original destination of inbound connections is found.
    pub inbound_origin: Origin,
    /// The same for outbound.
    pub outbound_origin: Origin,
    /// Stands for the address of every inbound client: tests on loopback play another pod.
    pub inbound_peer: Option<IpAddr>,
    /// Longest drain.
    pub drain: Duration,
    /// Whether the application ends before the proxy is told to, as with native sidecars, or at the same time.
    pub outlives: bool,
    /// Bounds and patience.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inbound: both(4143),
            outbound: vec![(Ipv4Addr::LOCALHOST, 4140).into(), (Ipv6Addr::LOCALHOST, 4140).into()],
            admin: both(4191),
            direct_port: 4143,
            inbound_origin: Origin::Kernel,
            outbound_origin: Origin::Kernel,
            inbound_peer: None,
            drain: Duration::from_secs(30),
            outlives: true,
            limits: Limits::default(),
        }
    }
}

fn both(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

/// What the control client is told.
#[derive(Clone, Debug)]
pub struct ControlEnvironment {
    /// host:port of the operator.
    pub address: String,
    /// DNS name in the operator's certificate.
    pub server_name: String,
    /// The pod-bound service account token.
    pub token_file: PathBuf,
    /// Anchors written at injection, PEM.
    pub anchors: Option<String>,
    /// Anchors mounted from a ConfigMap; may not exist.
    pub anchors_file: PathBuf,
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn addresses(name: &'static str, default: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ConfigError> {
    let Some(value) = variable(name) else { return Ok(default) };
    let mut found = Vec::new();
    for part in value.split(',') {
        let address: SocketAddr =
            part.trim().parse().map_err(|_| ConfigError { name, reason: format!("{part:?} is no address:port") })?;
        // [::] stands for both families; each has a listener of its own.
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            found.push((Ipv4Addr::UNSPECIFIED, address.port()).into());
        }
        found.push(address);
    }
    Ok(found)
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names the variable that cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        let drain = match variable("WEFT_DRAIN_SECONDS") {
            None => default.drain,
            Some(text) => Duration::from_secs(text.parse().map_err(|_| ConfigError {
                name: "WEFT_DRAIN_SECONDS",
                reason: format!("{text:?} is no whole number of seconds"),
            })?),
        };
        let mut limits = default.limits;
        if let Some(text) = variable("WEFT_EARLY_DIAL_MS") {
            limits.early_dial = Duration::from_millis(text.parse().map_err(|_| ConfigError {
                name: "WEFT_EARLY_DIAL_MS",
                reason: format!("{text:?} is no whole number of milliseconds"),
            })?);
        }
        Ok(Self {
            inbound: addresses("WEFT_INBOUND_LISTEN", default.inbound)?,
            outbound: addresses("WEFT_OUTBOUND_LISTEN", default.outbound)?,
            admin: addresses("WEFT_ADMIN_LISTEN", default.admin)?,
            direct_port: match variable("WEFT_DIRECT_PORT") {
                None => default.direct_port,
                Some(text) => text
                    .parse()
                    .map_err(|_| ConfigError { name: "WEFT_DIRECT_PORT", reason: format!("{text:?} is no port") })?,
            },
            drain,
            outlives: variable("WEFT_SIDECAR").as_deref() != Some("plain"),
            inbound_origin: origin("WEFT_INBOUND_ORIGIN")?,
            outbound_origin: origin("WEFT_OUTBOUND_ORIGIN")?,
            inbound_peer: None,
            limits,
        })
    }
}

/// A fixed original destination, for measurements without redirects.
fn origin(name: &'static str) -> Result<Origin, ConfigError> {
    let Some(text) = variable(name) else { return Ok(Origin::Kernel) };
    let address = text.parse().map_err(|_| ConfigError { name, reason: format!("{text:?} is no address:port") })?;
    Ok(Origin::Given(Rc::new(Cell::new(address))))
}

impl ControlEnvironment {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn from_env() -> Result<Self, ConfigError> {
        let needed =
            |name: &'static str| variable(name).ok_or_else(|| ConfigError { name, reason: "is not set".to_owned() });
        Ok(Self {
            address: needed("WEFT_CONTROL_ADDR")?,
            server_name: needed("WEFT_CONTROL_NAME")?,
            token_file: variable("WEFT_TOKEN_FILE").unwrap_or("/var/run/secrets/weft/token".to_owned()).into(),
            anchors: variable("WEFT_TRUST_ANCHORS"),
            anchors_file: variable("WEFT_TRUST_FILE").unwrap_or("/var/run/weft/trust/ca.crt".to_owned()).into(),
        })
    }
}
