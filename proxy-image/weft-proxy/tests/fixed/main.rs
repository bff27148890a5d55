//! The binary with `WEFT_STATIC_CONFIG`: two processes as a pair, from their files to their end by SIGTERM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod app;
mod file;
mod process;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use app::App;
use file::{Ca, Files, SERVICE, spiffe};
use process::Proxy;

/// An address of this run's test alone: ports that are free on it stay free.
fn own_address(test: u32) -> IpAddr {
    let [_, high, middle, low] = (std::process::id() << 2 | test).to_be_bytes();
    Ipv4Addr::new(127, 64 | high << 4 | middle >> 4, middle << 4 | low >> 4, 1 + (low & 15)).into()
}

fn free(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// One exchange on a connection that stays open.
fn get(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: app\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while !answer.ends_with(app::BODY) {
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "the answer ends early: {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(chunk.get(..count).unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_pair_from_files_serves_a_request_and_ends_by_sigterm() {
    let ip = own_address(0);
    let app = App::start(ip);
    let (ca, files) = (Ca::new(), Files::new());
    let (inbound, outbound) = (free(ip), free(ip));
    let mut server = Proxy {
        config: files.write("server", &ca, &[file::workload("server", Some(app.address.port()))]),
        inbound,
        outbound: free(ip),
        admin: free(ip),
        direct_port: inbound.port(),
        // The deadline is far: idle, it ends long before.
        drain: Duration::from_secs(30),
        sidecar: "native",
    }
    .start();
    let resources = [file::workload("client", None), file::endpoints(app.address), file::outbound()];
    let mut client = Proxy {
        config: files.write("client", &ca, &resources),
        inbound: free(ip),
        outbound,
        admin: free(ip),
        direct_port: inbound.port(),
        drain: Duration::from_secs(2),
        sidecar: "plain",
    }
    .start();
    server.wait_until_ready();
    client.wait_until_ready();

    let mut stream = TcpStream::connect(outbound).unwrap();
    for _ in 0..2 {
        let answer = get(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let request = app.request();
        assert!(request.starts_with("GET /hello HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("weft-client-id: {}\r\n", spiffe("client"))), "by mesh TLS: {request}");
    }

    let began = Instant::now();
    server.terminate();
    assert!(server.ended(Duration::from_secs(20)).success());
    assert!(began.elapsed() < Duration::from_secs(20), "idle, it need not wait for its deadline");
    // The application's connection stays open, and as an ordinary container its proxy goes on until its deadline.
    let began = Instant::now();
    client.terminate();
    assert!(client.ended(Duration::from_secs(20)).success());
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}: the application was still there", began.elapsed());
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "and is told");
}

#[test]
fn a_native_sidecar_that_is_replaced_closes_idle_connections_and_ends_at_once() {
    let ip = own_address(2);
    let app = App::start(ip);
    let (ca, files) = (Ca::new(), Files::new());
    let outbound = free(ip);
    let resources = [file::workload("client", None), file::endpoints(app.address), file::outbound()];
    let mut client = Proxy {
        config: files.write("replaced", &ca, &resources),
        inbound: free(ip),
        outbound,
        admin: free(ip),
        direct_port: 1,
        drain: Duration::from_secs(30),
        sidecar: "native",
    }
    .start();
    client.wait_until_ready();
    let mut stream = TcpStream::connect(outbound).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: app\r\n\r\n").unwrap();
    // Nobody serves it, and the answer that says so leaves the connection open.
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 50"));
    let began = Instant::now();
    client.terminate();
    assert!(client.ended(Duration::from_secs(20)).success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "the application is told");
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_nothing_starts() {
    let ip = own_address(1);
    let (ca, files) = (Ca::new(), Files::new());
    let mut proxy = Proxy {
        config: files.write("none", &ca, &[file::outbound()]),
        inbound: free(ip),
        outbound: free(ip),
        admin: free(ip),
        direct_port: 1,
        drain: Duration::from_secs(1),
        sidecar: "native",
    }
    .start();
    assert_eq!(proxy.ended(Duration::from_secs(20)).code(), Some(1));
    let said = proxy.said();
    assert!(said.contains("resources: none of them is the workload"), "{said}");
}
