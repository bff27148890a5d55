//! Connections from other pods: mesh TLS or plain, detected, authorised, passed on to the application.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use weft_policy::model::{InboundPort, Protocol, Workload};
use weft_policy::{Client, ClientTls};

use crate::access_log::Version;
use crate::config::Origin;
use crate::context::Proxy;
use crate::detect::Verdict;
use crate::exchange::{Direction, InboundRules, Session, Target};
use crate::first::{First, Patience, first, judged};
use crate::io::Stream;
use crate::preamble::{self, Preamble};
use crate::refusal::Refusal;
use crate::{bytes, h1, h2, sys, tls};

/// Serves one connection.
///
/// # Errors
/// Why it was refused.
pub async fn serve(proxy: Rc<Proxy>, stream: TcpStream, peer: SocketAddr) -> Result<(), Refusal> {
    let peer = proxy.config.inbound_peer.map_or(peer, |ip| SocketAddr::new(ip, peer.port()));
    let workload = proxy.workload().filter(|_| proxy.control.ready()).ok_or(Refusal::NotReady)?;
    let (origin, own) = match &proxy.config.inbound_origin {
        Origin::Kernel => {
            let origin = sys::original_destination(&stream).map_err(|_| Refusal::Unreachable)?;
            (origin, proxy.is_own_port(origin.port()))
        }
        Origin::Given(address) => (address.get(), proxy.is_own_port(address.get().port())),
    };
    let direct = proxy.config.inbound.iter().any(|address| address.port() == origin.port());
    if own && !direct {
        return Err(Refusal::ProxyPort);
    }
    if direct {
        return match timeout(proxy.config.limits.handshake, judged(&stream, Patience::even(proxy.config.limits.detect)))
            .await
        {
            Ok(Some(Verdict::MeshTls)) => mesh(proxy, workload, stream, peer, None).await,
            Ok(Some(Verdict::Tls)) => Err(Refusal::WrongAlpn),
            Ok(Some(_)) => Err(Refusal::PlaintextDirect),
            Ok(None) | Err(_) => Err(Refusal::Handshake),
        };
    }
    let rule = Arc::clone(workload.port(origin.port()));
    let client = Client::new(peer.ip(), ClientTls::None, &workload.pod_ips);
    let session =
        Session::inbound(&proxy, client, InboundRules::new(origin.port(), Target::plain(origin, Direction::Inbound)));
    let patience = match workload.detect_timeout_ms {
        0 => proxy.config.limits.detect,
        ms => Duration::from_millis(ms.into()),
    };
    let verdict = match Box::pin(first(&stream, &session, rule.protocol, patience)).await {
        First::Closed => return Ok(()),
        First::Server(early) if takes_bytes(&rule) => {
            bytes::relay_early(stream, early, &session).await;
            return Ok(());
        }
        First::Server(_) => return Err(Refusal::HttpExpected),
        First::Client(verdict) => verdict,
    };
    let stream = match verdict {
        Verdict::MeshTls => return mesh(proxy, workload, stream, peer, Some(origin)).await,
        _ => Stream::plain(stream).counted(&session.accepted()),
    };
    match verdict {
        Verdict::Http1 if speaks_http(&rule) => h1::serve(stream, session).await,
        Verdict::Http2 if speaks_http(&rule) => {
            session.speaks(Version::Http2);
            Box::pin(h2::serve(session, stream)).await;
        }
        // Where bytes are welcome, what may still become HTTP is watched until it cannot; elsewhere it gets an answer.
        Verdict::Undecided if rule.protocol == Protocol::Detect && takes_bytes(&rule) => {
            return Box::pin(bytes::serve_watched(stream, &session)).await;
        }
        Verdict::Undecided if speaks_http(&rule) => h1::serve(stream, session).await,
        Verdict::Tls if takes_bytes(&rule) => {
            return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Tls)).await;
        }
        _ if takes_bytes(&rule) => return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Opaque)).await,
        _ => return Err(Refusal::HttpExpected),
    }
    Ok(())
}

/// The server's own protocol wins over what the client's bytes look like.
fn speaks_http(rule: &InboundPort) -> bool {
    !matches!(rule.protocol, Protocol::Opaque | Protocol::Tls)
}

/// Bytes to a port with HTTP rules would get round them.
fn takes_bytes(rule: &InboundPort) -> bool {
    let http = matches!(rule.protocol, Protocol::Http1 | Protocol::Http2 | Protocol::Grpc);
    !http && rule.routes.is_empty() && !rule.unmatched_not_found
}

/// Mesh TLS; `origin` is where the client meant to go, None when it came to the proxy's own port.
async fn mesh(
    proxy: Rc<Proxy>,
    workload: Arc<Workload>,
    stream: TcpStream,
    peer: SocketAddr,
    origin: Option<SocketAddr>,
) -> Result<(), Refusal> {
    let local = sys::canonical(stream.local_addr().map_err(|_| Refusal::Unreachable)?);
    let accepted = timeout(proxy.config.limits.handshake, Box::pin(accept(&proxy, &workload, stream, origin))).await;
    let Accepted { stream, client, protocol, port } = accepted.map_err(|_| Refusal::Handshake)??;
    let target = Target::plain(origin.unwrap_or(SocketAddr::new(local.ip(), port)), Direction::Inbound);
    let client = Client::new(peer.ip(), client, &workload.pod_ips);
    let rule = Arc::clone(workload.port(port));
    drop(workload);
    let session = Session::inbound(&proxy, client, InboundRules::new(port, target));
    let stream = Stream::server(stream).counted(&session.accepted());
    match protocol {
        preamble::Protocol::Http1 if speaks_http(&rule) => h1::serve(stream, session).await,
        preamble::Protocol::Http2 if speaks_http(&rule) => {
            session.speaks(Version::Http2);
            Box::pin(h2::serve(session, stream)).await;
        }
        other if takes_bytes(&rule) => return Box::pin(bytes::serve(stream, &session, other)).await,
        _ => return Err(Refusal::HttpExpected),
    }
    Ok(())
}

struct Accepted {
    stream: TlsStream<TcpStream>,
    client: ClientTls,
    protocol: preamble::Protocol,
    port: u16,
}

async fn accept(
    proxy: &Proxy,
    workload: &Workload,
    stream: TcpStream,
    origin: Option<SocketAddr>,
) -> Result<Accepted, Refusal> {
    let config = proxy.tls.server().ok_or(Refusal::NotReady)?;
    let handshake = TlsAcceptor::from(config).accept_with(stream, |session| tls::limit(session));
    let mut stream = handshake.await.map_err(|error| tls::refusal(&error))?;
    let identity = tls::peer(stream.get_ref().1).ok_or(Refusal::NoCertificate)?;
    // Read to the byte: what follows belongs to the application.
    let mut bytes = [0; preamble::MAX];
    let mut length = preamble::FIXED;
    let mut read = 0;
    loop {
        let missing = bytes.get_mut(read..length).unwrap_or_default();
        stream.read_exact(missing).await.map_err(|_| Refusal::BadPreamble)?;
        read = length;
        match preamble::decode(bytes.get(..read).unwrap_or_default()).map_err(|_| Refusal::BadPreamble)? {
            Some((preamble, _)) => {
                check(proxy, workload, &preamble, origin)?;
                let Preamble { protocol, port, .. } = preamble;
                return Ok(Accepted { stream, client: tls::client_tls(Some(identity)), protocol, port });
            }
            None if read == preamble::FIXED => length += usize::from(bytes[5]),
            None => return Err(Refusal::BadPreamble),
        }
    }
}

/// A stale address may belong to another pod by now; and no preamble reaches the proxy itself or what the pod does not offer.
fn check(
    proxy: &Proxy,
    workload: &Workload,
    preamble: &Preamble<'_>,
    origin: Option<SocketAddr>,
) -> Result<(), Refusal> {
    if preamble.pod_uid != workload.pod_uid {
        return Err(Refusal::WrongPod);
    }
    if proxy.is_own_port(preamble.port) {
        return Err(Refusal::ProxyPort);
    }
    let admitted = match origin {
        Some(origin) => origin.port() == preamble.port,
        None => workload.admits_port(preamble.port),
    };
    if admitted { Ok(()) } else { Err(Refusal::WrongPort) }
}
