//! Connections to upstreams: TCP, mutual TLS, the identity check and the preamble.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use weft_policy::model::{Endpoint, Transport};

use crate::context::Proxy;
use crate::exchange::{ConnectionPlan, ErrorReason, Target};
use crate::io::Stream;
use crate::preamble::{self, Preamble, Protocol};
use crate::{sys, tls};

impl Proxy {
    /// Connects to `target`. Nothing of the application's has been sent when this fails, so another endpoint may be tried.
    ///
    /// # Errors
    /// `Connect`, `Timeout`, or `Identity` when mesh TLS fails or the peer is somebody else.
    pub async fn dial(&self, target: &Target, protocol: Protocol) -> Result<Stream, ErrorReason> {
        self.reach(target, protocol).await.map(|stream| stream.counted(&target.series(self)))
    }

    /// The same for a connection of bytes, counted as its plan says.
    ///
    /// # Errors
    /// As [`Proxy::dial`].
    pub async fn dial_for(&self, plan: &ConnectionPlan, protocol: Protocol) -> Result<Stream, ErrorReason> {
        self.reach(&plan.target, protocol).await.map(|stream| stream.counted(plan.series()))
    }

    async fn reach(&self, target: &Target, protocol: Protocol) -> Result<Stream, ErrorReason> {
        let Some(endpoint) = target.endpoint.as_ref().filter(|_| target.transport != Transport::Plain) else {
            return self.connect(target.address).await.map(Stream::plain);
        };
        let socket = match target.transport {
            Transport::Direct if !self.redirected.contains(target.address.ip(), Instant::now()) => {
                let direct = SocketAddr::new(target.address.ip(), self.config.direct_port);
                match self.connect(direct).await {
                    Ok(socket) => socket,
                    Err(_) => {
                        let socket = self.connect(target.address).await?;
                        self.redirected.remember(target.address.ip(), Instant::now());
                        socket
                    }
                }
            }
            Transport::Direct | Transport::Redirect | Transport::Plain => self.connect(target.address).await?,
        };
        match timeout(self.config.limits.handshake, self.secure(socket, endpoint, protocol)).await {
            Ok(result) => result,
            Err(_) => Err(ErrorReason::Timeout),
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, ErrorReason> {
        match timeout(self.config.limits.connect, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                sys::tune(&socket);
                sys::expect_prompt_reads(&socket, true);
                Ok(socket)
            }
            Ok(Err(error)) => {
                tracing::debug!(upstream.address = %address, error = %error, "connection failed");
                Err(ErrorReason::Connect)
            }
            Err(_) => Err(ErrorReason::Timeout),
        }
    }

    async fn secure(
        &self,
        socket: TcpStream,
        endpoint: &Arc<Endpoint>,
        protocol: Protocol,
    ) -> Result<Stream, ErrorReason> {
        let config = self.tls.client().ok_or(ErrorReason::NotReady)?;
        let name = ServerName::IpAddress(endpoint.address.ip().into());
        let handshake = TlsConnector::from(config).connect_with(name, socket, |session| tls::limit(session));
        let mut stream = handshake.await.map_err(|error| {
            tracing::warn!(upstream.address = %endpoint.address, error = %error, "mesh TLS handshake failed");
            ErrorReason::Identity
        })?;
        let (_, session) = stream.get_ref();
        let identity = tls::peer(session).filter(|_| session.alpn_protocol() == Some(tls::ALPN));
        if identity.as_ref().map(|identity| &*identity.spiffe) != Some(endpoint.identity.as_str()) {
            tracing::warn!(
                upstream.address = %endpoint.address,
                upstream.expected = %endpoint.identity,
                upstream.identity = identity.as_ref().map_or("none", |identity| &identity.spiffe),
                "peer is not who it must be"
            );
            return Err(ErrorReason::Identity);
        }
        send_preamble(&mut stream, endpoint, protocol).await.map_err(|_| ErrorReason::Connect)?;
        Ok(Stream::client(stream))
    }
}

async fn send_preamble<W: AsyncWriteExt + Unpin>(
    stream: &mut W,
    endpoint: &Endpoint,
    protocol: Protocol,
) -> io::Result<()> {
    let mut bytes = [0; preamble::MAX];
    let preamble = Preamble { protocol, port: endpoint.address.port(), pod_uid: &endpoint.pod_uid };
    let length = preamble::encode(&preamble, &mut bytes).ok_or(io::ErrorKind::InvalidInput)?;
    stream.write_all(bytes.get(..length).unwrap_or_default()).await?;
    stream.flush().await
}
