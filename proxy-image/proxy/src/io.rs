//! One type for every connection the proxy holds, so that nothing on the data path is boxed twice or generic over transports.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::metrics::{OpenConnection, TcpSeries};
use crate::sys;

/// A connection, plain or inside mesh TLS.
pub struct Stream {
    kind: Kind,
    /// What it is counted under while it is open: one addition for each read and each write.
    open: Option<OpenConnection>,
}

enum Kind {
    Plain(TcpStream),
    Client(Box<client::TlsStream<TcpStream>>),
    Server(Box<server::TlsStream<TcpStream>>),
}

macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self {
            Kind::Plain($stream) => $body,
            Kind::Client($stream) => $body,
            Kind::Server($stream) => $body,
        }
    };
}

impl Stream {
    /// As the socket gives it.
    #[must_use]
    pub fn plain(stream: TcpStream) -> Self {
        Self { kind: Kind::Plain(stream), open: None }
    }

    /// Mesh TLS that we began.
    #[must_use]
    pub fn client(stream: client::TlsStream<TcpStream>) -> Self {
        Self { kind: Kind::Client(Box::new(stream)), open: None }
    }

    /// Mesh TLS that a peer began.
    #[must_use]
    pub fn server(stream: server::TlsStream<TcpStream>) -> Self {
        Self { kind: Kind::Server(Box::new(stream)), open: None }
    }

    /// Counts the connection as open from now until it is dropped, and the bytes that the data path moves meanwhile (inside TLS, not around it).
    #[must_use]
    pub fn counted(mut self, series: &Rc<TcpSeries>) -> Self {
        self.open = Some(series.open());
        self
    }

    /// See [`OpenConnection::set_errno`].
    pub fn set_errno(&self, errno: &'static str) {
        if let Some(open) = &self.open {
            open.set_errno(errno);
        }
    }

    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Some(open), Poll::Ready(Ok(count))) = (&self.open, &result) {
            open.add_written(*count as u64);
        }
        result
    }

    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match &self.kind {
            Kind::Plain(stream) => stream,
            Kind::Client(stream) => stream.get_ref().0,
            Kind::Server(stream) => stream.get_ref().0,
        }
    }

    /// Whether mesh TLS protects it.
    #[must_use]
    pub fn is_mesh(&self) -> bool {
        !matches!(self.kind, Kind::Plain(_))
    }

    /// A drop resets the connection: a peer proxy sees that the exchange was cancelled.
    pub fn reset_on_drop(&self) {
        sys::reset_on_close(self.socket());
    }

    /// See [`sys::expect_prompt_reads`].
    pub fn expect_prompt_reads(&self, expected: bool) {
        sys::expect_prompt_reads(self.socket(), expected);
    }

    /// The other end, for logs.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.socket().peer_addr().ok().map(sys::canonical)
    }

    /// An idle connection is sound when there is nothing to read: neither bytes nor an end. Costs a system call only when the
    /// event loop has seen something happen.
    pub fn is_sound(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_pending()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = each!(&mut this.kind, stream => Pin::new(stream).poll_read(context, buffer));
        if let Some(open) = &this.open {
            open.add_read((buffer.filled().len() - before) as u64);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = each!(&mut this.kind, stream => Pin::new(stream).poll_write(context, bytes));
        this.written(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = each!(&mut this.kind, stream => Pin::new(stream).poll_write_vectored(context, slices));
        this.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().kind, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().kind, stream => Pin::new(stream).poll_shutdown(context))
    }
}
