//! `relay client|server CERT KEY CA LISTEN=UPSTREAM...`: one half of a pair. The client half takes plain connections and carries them over mutual
//! TLS to the server half, which carries them on in the clear. Bytes only: what a proxy pair costs at least.
//!
//! One task polls both directions of a connection over the undivided streams, so that nothing is locked or handed between tasks.

use std::{error::Error, fs, sync::Arc};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One TLS record's worth: smaller buffers make small records, which cost more each.
const BUFFER: usize = 16 * 1024;

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

type AnyError = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
enum Half {
    Client(TlsConnector),
    Server(TlsAcceptor),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, cert, key, ca, routes @ ..] = args.as_slice() else {
        return Err("usage: relay client|server CERT KEY CA LISTEN=UPSTREAM...".into());
    };
    let half = half(role, cert, key, ca)?;
    let mut listeners = JoinSet::new();
    for route in routes {
        let (listen, upstream) = route.split_once('=').ok_or("a route is LISTEN=UPSTREAM")?;
        listeners.spawn(accept(TcpListener::bind(listen).await?, upstream.to_owned(), half.clone()));
    }
    while let Some(ended) = listeners.join_next().await {
        ended??;
    }
    Ok(())
}

fn half(role: &str, cert: &str, key: &str, ca: &str) -> Result<Half, AnyError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key)?)?;
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_file_iter(ca)? {
        roots.add(anchor?)?;
    }
    // The suite of all pairs.
    let suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(CryptoProvider { cipher_suites: suites, ..aws_lc_rs::default_provider() });
    match role {
        "client" => {
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(TLS13)?
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)?;
            Ok(Half::Client(TlsConnector::from(Arc::new(config))))
        }
        "server" => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
            let config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(TLS13)?
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain, key)?;
            Ok(Half::Server(TlsAcceptor::from(Arc::new(config))))
        }
        other => Err(format!("{other} is neither client nor server").into()),
    }
}

async fn accept(listener: TcpListener, upstream: String, half: Half) -> Result<(), AnyError> {
    loop {
        let (down, _) = listener.accept().await?;
        tokio::spawn(carry(down, upstream.clone(), half.clone()));
    }
}

async fn carry(down: TcpStream, upstream: String, half: Half) -> Result<(), AnyError> {
    down.set_nodelay(true)?;
    let up = TcpStream::connect(upstream).await?;
    up.set_nodelay(true)?;
    match half {
        Half::Client(connector) => {
            let name = ServerName::try_from("app.local")?;
            both_ways(down, connector.connect(name, up).await?).await
        }
        Half::Server(acceptor) => both_ways(acceptor.accept(down).await?, up).await,
    }
}

async fn both_ways<A, B>(mut a: A, mut b: B) -> Result<(), AnyError>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_bidirectional_with_sizes(&mut a, &mut b, BUFFER, BUFFER).await?;
    Ok(())
}
