//! One type for every connection the proxy holds, so that nothing on the data path is boxed twice or generic over transports.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::sys;

/// A connection, plain or inside mesh TLS.
pub enum Stream {
    /// As the socket gives it.
    Plain(TcpStream),
    /// Mesh TLS that we began.
    Client(Box<client::TlsStream<TcpStream>>),
    /// Mesh TLS that a peer began.
    Server(Box<server::TlsStream<TcpStream>>),
}

macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self {
            Stream::Plain($stream) => $body,
            Stream::Client($stream) => $body,
            Stream::Server($stream) => $body,
        }
    };
}

impl Stream {
    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Client(stream) => stream.get_ref().0,
            Stream::Server(stream) => stream.get_ref().0,
        }
    }

    /// Whether mesh TLS protects it.
    #[must_use]
    pub fn is_mesh(&self) -> bool {
        !matches!(self, Stream::Plain(_))
    }

    /// A drop resets the connection: a peer proxy sees that the exchange was cancelled.
    pub fn reset_on_drop(&self) {
        sys::reset_on_close(self.socket());
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
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(context))
    }
}
