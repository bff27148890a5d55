//! The application's connections: where they were meant to go decides what is done with them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use weft_policy::model::{OutboundKind, Protocol, Workload};
use weft_policy::{Client, ClientTls};

use crate::config::Origin;
use crate::context::Proxy;
use crate::detect::Verdict;
use crate::exchange::{OutboundRules, Session};
use crate::first::{First, first};
use crate::io::Stream;
use crate::refusal::Refusal;
use crate::{bytes, h1, h2, preamble, sys};

/// Serves one connection.
///
/// # Errors
/// Why it was refused.
pub async fn serve(proxy: Rc<Proxy>, stream: TcpStream, peer: SocketAddr) -> Result<(), Refusal> {
    let original = match &proxy.config.outbound_origin {
        Origin::Kernel => sys::original_destination(&stream).map_err(|_| Refusal::Unreachable)?,
        Origin::Given(address) => address.get(),
    };
    if proxy.is_own_port(original.port()) && proxy.is_own_address(original.ip()) {
        return Err(Refusal::ProxyPort);
    }
    let workload = started(&proxy).await.ok_or(Refusal::NotReady)?;
    let destination = proxy.control.outbound(original).await;
    let client = Client::new(peer.ip(), ClientTls::None, &workload.pod_ips);
    drop(workload);
    let rules = OutboundRules::new(&proxy, original, destination.resolution.clone());
    let table = rules.table(&proxy);
    let protocol = match &table {
        None => None,
        Some(table) => match &table.outbound().kind {
            OutboundKind::Routed(_) | OutboundKind::Endpoint(_) => Some(table.outbound().protocol),
            OutboundKind::PassThrough | OutboundKind::Refused(_) => None,
        },
    };
    let session = Session::outbound(&proxy, client, rules);
    let hint = match protocol {
        None | Some(Protocol::Opaque) => {
            let stream = Stream::plain(stream).counted(&session.accepted());
            return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Opaque)).await;
        }
        Some(Protocol::Tls) => {
            let stream = Stream::plain(stream).counted(&session.accepted());
            return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Tls)).await;
        }
        // No server is dialled for the sake of speaking first where an earlier client was heard to speak HTTP.
        Some(_) if table.as_ref().is_some_and(|table| table.is_http()) => Protocol::Http1,
        Some(hint) => hint,
    };
    let verdict = match Box::pin(first(&stream, &session, hint, proxy.config.limits.detect)).await {
        First::Closed => return Ok(()),
        First::Server(early) => {
            bytes::relay_early(stream, early, &session).await;
            return Ok(());
        }
        First::Client(verdict) => verdict,
    };
    let stream = Stream::plain(stream).counted(&session.accepted());
    if let (Some(table), Verdict::Http1 | Verdict::Http2) = (table, verdict) {
        table.remember_http();
    }
    match verdict {
        Verdict::Http1 => h1::serve(stream, session).await,
        Verdict::Http2 => Box::pin(h2::serve(session, stream)).await,
        Verdict::Tls | Verdict::MeshTls => {
            return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Tls)).await;
        }
        Verdict::Undecided if protocol == Some(Protocol::Detect) => {
            return Box::pin(bytes::serve_watched(stream, &session)).await;
        }
        // A destination that is known to speak HTTP gets what may become HTTP, and nothing else.
        Verdict::Undecided => h1::serve(stream, session).await,
        Verdict::Bytes => {
            return Box::pin(bytes::serve(stream, &session, preamble::Protocol::Opaque)).await;
        }
    }
    // The subscription to the destination lapses some time after its last connection.
    drop(destination);
    Ok(())
}

/// What this pod is. The application may be quicker than a proxy that was replaced under it.
async fn started(proxy: &Proxy) -> Option<Arc<Workload>> {
    if !proxy.control.ready() {
        let (mut workload, mut credentials) = (proxy.control.workload(), proxy.control.credentials());
        let held = async {
            workload.wait_for(Option::is_some).await.is_ok() && credentials.wait_for(Option::is_some).await.is_ok()
        };
        let _ = timeout(proxy.config.limits.start, held).await;
    }
    proxy.workload()
}
