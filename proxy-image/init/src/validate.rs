//! Sees for itself that what the pod sends comes to the proxy's port: the proof that somebody outside of the pod has written its rules.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::ipv6;
use crate::options::{Options, PortRange};

/// Of documentation (RFC 5737, RFC 3849): nothing is there, so whoever answers was put in between.
const NOBODY_IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOBODY_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// A connection that is redirected is there at once.
const ATTEMPT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);
const TOKEN: usize = 32;
/// Strangers that may connect while the token is waited for.
const STRANGERS: usize = 16;

/// The pod must not start: its traffic would go round the mesh. The texts end with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The port of the proxy cannot be listened on.
    #[error(
        "{address}: {source}. The port belongs to the proxy of this pod: nothing else may use it, and this runs before the proxy"
    )]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No randomness, or no socket.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What the whole check is for.
    #[error(
        "this pod's traffic is not redirected: {attempt}. The CNI plugin of Weft did not run for this pod on node {node}. See that the pod of DaemonSet \
         weft-system/weft-cni on that node is ready (cni.enabled=true of the chart, cni.confDir and cni.binDir as its container runtime has them), then \
         delete this pod, so that it gets a new network. With weft.dev/redirect=init the pod writes its own rules, where NET_ADMIN is allowed"
    )]
    NotRedirected {
        /// What was tried, and what happened instead.
        attempt: String,
        /// Of the pod.
        node: String,
    },
    /// A pod without a network.
    #[error(
        "this pod has no route of either family, so that nothing can be seen of its redirection: see the network plugin of node {0}"
    )]
    NoRoute(String),
}

/// Dials an address where nobody is, over each family that the pod has, and expects itself to answer; blocks. Must not run as the user of the proxy.
/// Returns what it saw.
///
/// # Errors
/// When a connection goes elsewhere until `limit` has passed; the text names `node`.
pub fn validate(options: &Options, limit: Duration, node: &str) -> Result<Vec<String>, ValidateError> {
    let Some(port) = redirected_port(options) else {
        return Ok(vec!["every port is skipped: nothing is redirected".to_owned()]);
    };
    let mut families = vec![(IpAddr::from(NOBODY_IPV4), IpAddr::from(Ipv4Addr::LOCALHOST))];
    if !ipv6::is_off() {
        families.push((NOBODY_IPV6.into(), Ipv6Addr::LOCALHOST.into()));
    }
    let mut seen = Vec::new();
    for (nobody, loopback) in families {
        let listener = SocketAddr::new(loopback, options.outbound_port);
        let target = SocketAddr::new(nobody, port);
        match arrives(target, listener, limit)? {
            Outcome::Arrived => seen.push(format!("{target} is redirected to {listener}")),
            Outcome::NoRoute => {}
            Outcome::Elsewhere(last) => {
                let attempt = format!("a connection to {target} did not come to {listener} within {limit:?} ({last})");
                return Err(ValidateError::NotRedirected { attempt, node: node.to_owned() });
            }
        }
    }
    if seen.is_empty() { Err(ValidateError::NoRoute(node.to_owned())) } else { Ok(seen) }
}

enum Outcome {
    Arrived,
    NoRoute,
    /// What the last attempt saw.
    Elsewhere(String),
}

fn arrives(target: SocketAddr, address: SocketAddr, limit: Duration) -> Result<Outcome, ValidateError> {
    let failure = |source| ValidateError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failure)?;
    listener.set_nonblocking(true).map_err(failure)?;
    let mut token = [0; TOKEN];
    File::open("/dev/urandom")?.read_exact(&mut token)?;
    let deadline = Instant::now() + limit;
    loop {
        let last = match attempt(target, &listener, &token) {
            Ok(true) => return Ok(Outcome::Arrived),
            Ok(false) => "something else answered there".to_owned(),
            Err(error) if matches!(error.kind(), ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {
                return Ok(Outcome::NoRoute);
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() + INTERVAL >= deadline {
            return Ok(Outcome::Elsewhere(last));
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Whether the token came through.
fn attempt(target: SocketAddr, listener: &TcpListener, token: &[u8; TOKEN]) -> io::Result<bool> {
    let mut dialled = TcpStream::connect_timeout(&target, ATTEMPT)?;
    dialled.set_write_timeout(Some(ATTEMPT))?;
    dialled.write_all(token)?;
    // The kernel has put what was redirected into the queue before it told the dialler.
    for _ in 0..STRANGERS {
        let (mut accepted, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        accepted.set_nonblocking(false)?;
        accepted.set_read_timeout(Some(ATTEMPT))?;
        let mut read = [0; TOKEN];
        if accepted.read_exact(&mut read).is_ok() && read == *token {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The lowest one that no list leaves out.
fn redirected_port(options: &Options) -> Option<u16> {
    let skipped = |port: u16| {
        options.skip_outbound_ports.iter().any(|PortRange { first, last }| (*first..=*last).contains(&port))
    };
    (1..=u16::MAX).find(|port| !skipped(*port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::{Outcome, arrives, redirected_port};
    use crate::options::Options;

    const LIMIT: Duration = Duration::from_secs(20);

    fn skipping(ports: &str) -> Options {
        Options::parse([format!("--skip-outbound-ports={ports}")]).unwrap()
    }

    #[test]
    fn a_port_is_dialled_that_no_list_leaves_out() {
        assert_eq!(redirected_port(&Options::default()), Some(1));
        assert_eq!(redirected_port(&skipping("1-24,26-65535")), Some(25));
        assert_eq!(redirected_port(&skipping("1-65535")), None);
    }

    #[test]
    fn what_comes_is_seen_and_what_somebody_else_takes_is_not() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // Without rules a listener can only be reached at its own address: that stands for redirection.
        assert!(matches!(arrives(free, free, LIMIT).unwrap(), Outcome::Arrived));
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = arrives(other.local_addr().unwrap(), free, Duration::from_millis(300)).unwrap();
        assert!(matches!(taken, Outcome::Elsewhere(last) if last == "something else answered there"));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = arrives(nobody, free, Duration::from_millis(300)).unwrap();
        assert!(matches!(refused, Outcome::Elsewhere(last) if last.contains("refused")));
    }

    #[test]
    fn among_more_strangers_than_the_bound_the_token_is_not_looked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let strangers = |count: usize| {
            // Each comes and goes before the token does.
            (0..count).for_each(|_| drop(std::net::TcpStream::connect(address).unwrap()));
            super::attempt(address, &listener, &[7; super::TOKEN]).unwrap()
        };
        assert!(strangers(15));
        assert!(!strangers(16));
    }

    #[test]
    fn a_port_that_somebody_holds_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let error = arrives(address, address, LIMIT).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&address.to_string()) && error.contains("belongs to the proxy"), "{error}");
    }
}
