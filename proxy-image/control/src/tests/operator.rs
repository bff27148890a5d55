//! The operator, played: a real gRPC server behind real TLS, whose every word the test decides.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use super::pki::Pki;
use super::{DEADLINE, IDENTITY, SERVER_NAME};
use crate::connect::provider;
use crate::wire::config::client_message::Kind;
use crate::wire::config::config_service_server::{ConfigService, ConfigServiceServer};
use crate::wire::config::upsert::Resource;
use crate::wire::config::{ClientMessage, Hello, Remove, ServerMessage, Upsert, server_message};
use crate::wire::identity::identity_service_server::{IdentityService, IdentityServiceServer};
use crate::wire::identity::{CertifyRequest, CertifyResponse};
use crate::wire::telemetry::telemetry_service_server::{TelemetryService, TelemetryServiceServer};
use crate::wire::telemetry::{ReportRequest, ReportResponse};

/// How requests for certificates are answered.
pub(super) struct Certify {
    pub(super) issuer: Arc<Pki>,
    pub(super) lifetime: Duration,
    pub(super) identity: String,
    pub(super) generation: String,
    pub(super) other_key: bool,
    pub(super) refuse: bool,
    /// Tokens of all requests.
    pub(super) tokens: Vec<String>,
}

pub(super) struct Operator {
    pub(super) address: SocketAddr,
    pub(super) certify: Arc<Mutex<Certify>>,
    /// While true, a stream is read but not answered: no headers come.
    pub(super) withhold: watch::Sender<bool>,
    /// While false, reports are refused as by an operator that knows of none.
    pub(super) listens: watch::Sender<bool>,
    listeners: mpsc::UnboundedReceiver<Listener>,
    links: mpsc::UnboundedReceiver<Link>,
    service: Service,
    pki: Arc<Pki>,
    name: String,
    tasks: JoinSet<()>,
}

/// One configuration stream.
pub(super) struct Link {
    pub(super) token: String,
    sender: mpsc::Sender<Result<ServerMessage, Status>>,
    messages: mpsc::UnboundedReceiver<Kind>,
}

/// One stream of reports; refused ones have no messages.
pub(super) struct Listener {
    pub(super) token: String,
    sender: mpsc::Sender<Result<ReportResponse, Status>>,
    reports: mpsc::UnboundedReceiver<ReportRequest>,
}

#[derive(Clone)]
struct Service {
    listeners: mpsc::UnboundedSender<Listener>,
    listens: watch::Receiver<bool>,
    links: mpsc::UnboundedSender<Link>,
    certify: Arc<Mutex<Certify>>,
    withhold: watch::Receiver<bool>,
}

impl Operator {
    pub(super) async fn start(pki: &Arc<Pki>) -> Self {
        Self::start_as(pki, SERVER_NAME).await
    }

    pub(super) async fn start_as(pki: &Arc<Pki>, name: &str) -> Self {
        let (sender, links) = mpsc::unbounded_channel();
        let certify = Arc::new(Mutex::new(Certify {
            issuer: Arc::clone(pki),
            lifetime: Duration::from_secs(3600),
            identity: IDENTITY.to_owned(),
            generation: String::new(),
            other_key: false,
            refuse: false,
            tokens: Vec::new(),
        }));
        let withhold = watch::Sender::new(false);
        let listens = watch::Sender::new(true);
        let (listening, listeners) = mpsc::unbounded_channel();
        let service = Service {
            listeners: listening,
            listens: listens.subscribe(),
            links: sender,
            certify: Arc::clone(&certify),
            withhold: withhold.subscribe(),
        };
        let (pki, name) = (Arc::clone(pki), name.to_owned());
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut operator =
            Self { address, certify, withhold, listens, listeners, links, service, pki, name, tasks: JoinSet::new() };
        operator.resume().await;
        operator
    }

    /// Gone: connections are cut, new ones refused.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Back at the same address.
    pub(super) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (certificate, key) = self.pki.server(&self.name);
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (sender, connections) = mpsc::channel::<std::io::Result<Connection>>(8);
        self.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    drop(sender.send(Ok(Connection(stream))).await);
                }
            }
        });
        let server = Server::builder()
            .add_service(ConfigServiceServer::new(self.service.clone()))
            .add_service(IdentityServiceServer::new(self.service.clone()))
            .add_service(TelemetryServiceServer::new(self.service.clone()))
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), std::future::pending());
        self.tasks.spawn(async move { server.await.unwrap() });
    }

    pub(super) async fn link(&mut self) -> Link {
        tokio::time::timeout(DEADLINE, self.links.recv()).await.expect("no stream in time").unwrap()
    }

    pub(super) async fn listener(&mut self) -> Listener {
        tokio::time::timeout(DEADLINE, self.listeners.recv()).await.expect("nobody reports").unwrap()
    }

    pub(super) fn has_listener(&mut self) -> bool {
        self.listeners.try_recv().is_ok()
    }

    pub(super) fn has_link(&mut self) -> bool {
        self.links.try_recv().is_ok()
    }
}

impl Listener {
    pub(super) async fn next(&mut self) -> ReportRequest {
        tokio::time::timeout(DEADLINE, self.reports.recv()).await.expect("no report in time").expect("stream ended")
    }

    pub(super) async fn acknowledge(&self, acknowledged: u32) {
        self.sender.send(Ok(ReportResponse { acknowledged })).await.unwrap();
    }
}

#[tonic::async_trait]
impl TelemetryService for Service {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report(&self, request: Request<Streaming<ReportRequest>>) -> Result<Response<Self::ReportStream>, Status> {
        let token = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        let (sender, receiver) = mpsc::channel(16);
        let (seen, reports) = mpsc::unbounded_channel();
        let mut inbound = request.into_inner();
        drop(self.listeners.send(Listener { token, sender, reports }));
        if !*self.listens.borrow() {
            return Err(Status::unimplemented("no such service"));
        }
        tokio::spawn(async move {
            while let Ok(Some(report)) = inbound.message().await {
                drop(seen.send(report));
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Link {
    pub(super) async fn next(&mut self) -> Kind {
        tokio::time::timeout(DEADLINE, self.messages.recv()).await.expect("no message in time").expect("stream ended")
    }

    pub(super) async fn hello(&mut self) -> Hello {
        match self.next().await {
            Kind::Hello(hello) => hello,
            other => panic!("not a hello: {other:?}"),
        }
    }

    pub(super) async fn subscribed(&mut self) -> Vec<String> {
        match self.next().await {
            Kind::Subscribe(subscribe) => subscribe.names,
            other => panic!("not a subscribe: {other:?}"),
        }
    }

    pub(super) async fn acked(&mut self) -> u64 {
        match self.next().await {
            Kind::Ack(ack) => ack.nonce,
            other => panic!("not an ack: {other:?}"),
        }
    }

    pub(super) async fn upsert(&self, nonce: u64, name: &str, version: &str, resource: Resource) {
        let (name, version) = (name.to_owned(), version.to_owned());
        let upsert = Upsert { name, version, resource: Some(resource) };
        self.send(ServerMessage { nonce, kind: Some(server_message::Kind::Upsert(upsert)) }).await;
    }

    pub(super) async fn remove(&self, nonce: u64, name: &str) {
        let remove = Remove { name: name.to_owned() };
        self.send(ServerMessage { nonce, kind: Some(server_message::Kind::Remove(remove)) }).await;
    }

    pub(super) async fn send(&self, message: ServerMessage) {
        self.sender.send(Ok(message)).await.unwrap();
    }
}

#[tonic::async_trait]
impl ConfigService for Service {
    type StreamStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn stream(&self, request: Request<Streaming<ClientMessage>>) -> Result<Response<Self::StreamStream>, Status> {
        let token = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        let (sender, receiver) = mpsc::channel(16);
        let (seen, messages) = mpsc::unbounded_channel();
        let mut inbound = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbound.message().await {
                drop(seen.send(message.kind.unwrap()));
            }
        });
        drop(self.links.send(Link { token, sender, messages }));
        drop(self.withhold.clone().wait_for(|withhold| !withhold).await);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl IdentityService for Service {
    async fn certify(&self, request: Request<CertifyRequest>) -> Result<Response<CertifyResponse>, Status> {
        let request = request.into_inner();
        let mut plan = self.certify.lock().unwrap();
        plan.tokens.push(request.service_account_token);
        if plan.refuse {
            return Err(Status::unavailable("no issuer yet"));
        }
        let (issuer, lifetime) = (&plan.issuer, plan.lifetime);
        let leaf = match plan.other_key {
            true => issuer.certify_other_key(&plan.identity, lifetime),
            false => issuer.certify(&request.csr, &plan.identity, lifetime),
        };
        let not_after = SystemTime::now() + lifetime;
        Ok(Response::new(CertifyResponse {
            chain: vec![leaf],
            not_before: 0,
            not_after: i64::try_from(not_after.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap(),
            identity: IDENTITY.to_owned(),
            generation: plan.generation.clone(),
        }))
    }
}

/// What tonic wants to know of a connection.
struct Connection(TlsStream<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
