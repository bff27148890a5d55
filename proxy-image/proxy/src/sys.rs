//! What the kernel knows about a socket. `socket2` wraps the calls, so the crate stays free of unsafe code.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

const BACKLOG: i32 = 4096;

/// Where the client meant to go before the pod's redirect rule (`SO_ORIGINAL_DST`, `IP6T_SO_ORIGINAL_DST`).
/// The accepted socket's own address when nothing was redirected or connection tracking does not know it.
///
/// # Errors
/// When the socket is no longer connected.
pub fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = canonical(stream.local_addr()?);
    let socket = SockRef::from(stream);
    let found = if local.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    Ok(found.ok().and_then(|address| address.as_socket()).map_or(local, canonical))
}

/// An IPv4-mapped IPv6 address as IPv4.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Listens on `address`; an IPv6 listener takes IPv6 alone, because the original destination of an IPv4 connection cannot be
/// asked for on an IPv6 socket.
///
/// # Errors
/// Those of bind and listen.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Sets what every connection of the proxy has: no Nagle delay, and a peer that vanishes while nothing is under way is noticed in half a minute.
pub fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(10)).with_retries(2);
    // A socket whose peer is already gone refuses options; its first read tells.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// Whether the connection ends when its peer has not taken for half a minute what was sent to it. A server that gets a request is to be given up then;
/// a reader of a long stream may have paused, which looks the same to the kernel, and must be waited for as it would be without a proxy.
pub fn expect_prompt_reads(stream: &TcpStream, expected: bool) {
    let _ = SockRef::from(stream).set_tcp_user_timeout(expected.then_some(Duration::from_secs(30)));
}

/// The next close resets the connection, so that the peer learns that the exchange was given up, not finished.
pub fn reset_on_close(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
