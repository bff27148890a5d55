//! A connection to the operator: TCP, TLS 1.3 with the operator's name verified, HTTP/2.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::config::ControlConfig;
use crate::error::ControlError;
use crate::handle::Shared;

/// The stream is small and its peer trusted: small windows keep what a burst can pin in memory low.
const WINDOW_BYTES: u32 = 256 * 1024;

/// A connection whose configuration stream is up.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) config: Arc<ControlConfig>,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Connects anew, with the roots believed in now. The channel does not reconnect by itself in a way that would outlive its roots:
/// whoever holds it drops it when its stream ends.
pub(crate) async fn connect(shared: &Shared, config: &ControlConfig) -> Result<Channel, ControlError> {
    // Shaken hands with first, so that the reason of a failure is told in full rather than as "transport error".
    let limit = config.timeouts.connect;
    let stream = tokio::time::timeout(limit, handshake(shared, config))
        .await
        .map_err(|_| ControlError::Timeout(config.address.clone(), limit))??;
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("the connection is used up"));
        std::future::ready(stream)
    });
    let (interval, answer) = config.timeouts.keepalive;
    let endpoint = Endpoint::try_from(format!("http://{}", config.server_name))?
        .http2_keep_alive_interval(interval)
        .keep_alive_timeout(answer)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .buffer_size(16_usize);
    Ok(endpoint.connect_with_connector(connector).await?)
}

async fn handshake(shared: &Shared, config: &ControlConfig) -> Result<TlsStream<TcpStream>, ControlError> {
    let name = ServerName::try_from(config.server_name.clone())
        .map_err(|_| ControlError::ServerName(config.server_name.clone()))?;
    let roots = shared.trust.borrow().operator_roots();
    if roots.is_empty() {
        return Err(ControlError::NoTrust);
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    tls.resumption = Resumption::disabled();
    let address = || config.address.clone();
    let stream = TcpStream::connect(&config.address)
        .await
        .map_err(|source| ControlError::Connect { address: address(), source })?;
    stream.set_nodelay(true).map_err(|source| ControlError::Connect { address: address(), source })?;
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|source| ControlError::Handshake {
        address: address(),
        name: config.server_name.clone(),
        source,
    })
}

/// The pod's token, as it is in the file now.
pub(crate) fn token(config: &ControlConfig) -> Result<String, ControlError> {
    let path = &config.token_file;
    let text = std::fs::read_to_string(path).map_err(|source| ControlError::Token { path: path.clone(), source })?;
    Ok(text.trim().to_owned())
}

/// The token as a header, marked so that it is never logged nor indexed.
pub(crate) fn bearer(config: &ControlConfig) -> Result<MetadataValue<Ascii>, ControlError> {
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {}", token(config)?).parse().map_err(|_| ControlError::TokenText(config.token_file.clone()))?;
    value.set_sensitive(true);
    Ok(value)
}
