//! `relay client|server LISTEN UPSTREAM CERT KEY CA`: one half of a pair. The client half takes plain connections and carries them over mutual TLS
//! to the server half, which carries them on in the clear. Bytes only: what a proxy pair costs at least.

use std::{error::Error, fs, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One TLS record's worth: smaller buffers make small records, which cost more each.
const BUFFER: usize = 16 * 1024;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, listen, upstream, cert, key, ca] = args.as_slice() else {
        return Err("usage: relay client|server LISTEN UPSTREAM CERT KEY CA".into());
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key)?)?;
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_file_iter(ca)? {
        roots.add(anchor?)?;
    }
    let listener = TcpListener::bind(listen).await?;
    match role.as_str() {
        "client" => {
            let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key)?;
            let connector = TlsConnector::from(Arc::new(config));
            let name = ServerName::try_from("app.local")?;
            loop {
                let (down, _) = listener.accept().await?;
                let (connector, name, upstream) = (connector.clone(), name.clone(), upstream.clone());
                tokio::spawn(async move {
                    down.set_nodelay(true)?;
                    let up = TcpStream::connect(upstream).await?;
                    up.set_nodelay(true)?;
                    both_ways(down, connector.connect(name, up).await?).await
                });
            }
        }
        "server" => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
            let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (down, _) = listener.accept().await?;
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                tokio::spawn(async move {
                    down.set_nodelay(true)?;
                    let up = TcpStream::connect(upstream).await?;
                    up.set_nodelay(true)?;
                    both_ways(acceptor.accept(down).await?, up).await
                });
            }
        }
        other => Err(format!("{other} is neither client nor server").into()),
    }
}

async fn both_ways<A, B>(a: A, b: B) -> Result<(), AnyError>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut a_read, mut a_write) = tokio::io::split(a);
    let (mut b_read, mut b_write) = tokio::io::split(b);
    tokio::try_join!(one_way(&mut a_read, &mut b_write), one_way(&mut b_read, &mut a_write))?;
    Ok(())
}

async fn one_way<R, W>(from: &mut R, to: &mut W) -> Result<(), AnyError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}
