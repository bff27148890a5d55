use super::*;
use crate::config::Config;
use crate::exchange::Direction;
use crate::metrics::{LabelBuilder, Limits, Metrics, Response};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};
use weft_control::{Control, ControlSetter, Credentials};
use weft_policy::model::{InboundPort, Workload};

struct Admin {
    proxy: Rc<Proxy>,
    setter: ControlSetter,
    address: SocketAddr,
}

impl Admin {
    async fn start(config: Config) -> Self {
        Self::start_at(config, Ipv4Addr::LOCALHOST).await
    }

    /// Listens at `ip` and is asked at 127.0.0.1.
    async fn start_at(config: Config, ip: Ipv4Addr) -> Self {
        let (control, setter) = Control::memory();
        let proxy = Proxy::new(config, control, Metrics::new(Limits::default()));
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = (Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()).into();
        spawn_local(serve(Rc::clone(&proxy), listener));
        Self { proxy, setter, address }
    }

    /// Sends `text` on a connection of its own and reads to the end.
    async fn say(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.say(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn make_ready(&self) {
        self.setter.set_workload(Workload {
            mesh: "default".into(),
            namespace: "demo".into(),
            pod: "web-1".into(),
            pod_uid: "uid".into(),
            identity: "spiffe://mesh/ns/demo/sa/web".into(),
            labels: Arc::from([]),
            ports: Vec::new(),
            default_port: Arc::new(InboundPort::default()),
            inbound_ports: Vec::new(),
            unknown_destination: Default::default(),
            access_log: Default::default(),
            log_level: String::new(),
            pod_ips: Vec::new(),
            detect_timeout_ms: 0,
            forwarded_for: false,
            application_ended: false,
        });
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let der = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).unwrap();
        self.setter.set_credentials(Credentials {
            certified_key: Arc::new(rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], signer)),
            identity: Arc::from("spiffe://mesh/ns/demo/sa/web"),
            not_after: std::time::SystemTime::now() + Duration::from_secs(3600),
            trust_domains: Vec::new(),
        });
    }
}

async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

#[tokio::test]
async fn a_proxy_is_live_at_once_and_ready_when_it_holds_configuration_and_certificate() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        assert_eq!(admin.get("/live").await, (200, "live\n".into()));
        let (status, why) = admin.get("/ready").await;
        assert!(status == 503 && why.contains("certificate"), "{why}");
        admin.make_ready();
        assert_eq!(admin.get("/ready").await, (200, "ready\n".into()));
        let (status, text) = admin.get("/config").await;
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(status, 200);
        assert_eq!(config["workload"]["pod"], "web-1");
        assert_eq!(config["identity"]["identity"], "spiffe://mesh/ns/demo/sa/web");
        assert_eq!(admin.get("/nothing").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn the_configuration_told_is_bounded_and_says_what_it_leaves_out() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        let destination = |index: u32| SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + index), 80));
        for index in 0..1_200 {
            drop(admin.proxy.control.outbound(destination(index)).await);
        }
        let endpoint = |index: u32| weft_policy::model::Endpoint {
            address: destination(index),
            pod_uid: String::new(),
            identity: String::new(),
            transport: weft_policy::model::Transport::Plain,
            zone: String::new(),
            labels: Arc::from([]),
        };
        for name in ["endpoints/demo/a:80", "endpoints/demo/b:80"] {
            admin.setter.set_endpoints(name, (0..6_000).map(endpoint).collect());
        }
        let config: serde_json::Value = serde_json::from_str(&admin.get("/config").await.1).unwrap();
        assert_eq!(config["outbounds"].as_array().map(Vec::len), Some(1_000));
        assert_eq!(config["endpoints"].as_object().map(serde_json::Map::len), Some(1));
        assert_eq!(config["omitted"]["outbounds"], 200);
        assert_eq!(config["omitted"]["endpoints"], 1);
    })
    .await;
}

#[tokio::test]
async fn metrics_are_chunked_for_http_1_1_and_plain_for_1_0() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        for index in 0..200 {
            let labels = LabelBuilder::new(Direction::Inbound).with("n", &index.to_string()).build();
            let series = admin.proxy.metrics.request_series(&labels);
            series.begin();
            series.finish(Response::classified(200, None), 1);
        }
        let plain = admin.say("GET /metrics HTTP/1.0\r\n\r\n").await;
        let (head, text) = plain.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("text/plain; version=0.0.4") && !head.contains("chunked"));
        assert_eq!(text, admin.proxy.metrics.render());
        let chunked = admin.get("/metrics").await.1;
        let mut rest = chunked.as_str();
        let mut whole = String::new();
        loop {
            let (size, after) = rest.split_once("\r\n").unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                break;
            }
            whole.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        assert_eq!(whole, text);
    })
    .await;
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_and_head_has_no_body() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        let text = admin
            .say("HEAD /live HTTP/1.1\r\nhost: x\r\n\r\nGET /live HTTP/1.1\r\nhost: x\r\nConnection: Close\r\n\r\n")
            .await;
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
        assert_eq!(text.matches("live\n").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_closed() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        assert!(admin.say("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        assert!(admin.say("GET live HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(9_000));
        assert!(admin.say(&long).await.starts_with("HTTP/1.1 431 "));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
        assert!(admin.say(&many).await.starts_with("HTTP/1.1 431 "));
        assert!(admin.say("POST /ready HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        // The body of a request is not taken for the next one.
        let smuggled = "GET /live HTTP/1.1\r\ncontent-length: 35\r\n\r\nGET /drain HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(admin.say(smuggled).await.matches("HTTP/1.1").count(), 1);
        assert!(!admin.proxy.drain.draining());
    })
    .await;
}

#[tokio::test]
async fn silent_clients_do_not_keep_a_probe_out() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS * 2 {
            let mut stream = TcpStream::connect(admin.address).await.unwrap();
            stream.write_all(b"GET /li").await.unwrap();
            silent.push(stream);
        }
        assert_eq!(admin.get("/live").await.0, 200);
        let mut byte = [0];
        let end = timeout(Duration::from_secs(10), silent[0].read(&mut byte)).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "the oldest gave way");
    })
    .await;
}

#[tokio::test]
async fn a_probe_is_answered_by_what_the_application_does() {
    local(async {
        let admin = Admin::start(Config::default()).await;
        let application = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = application.local_addr().unwrap().port();
        assert_eq!(admin.get(&format!("/probe/tcp/{port}")).await.0, 200);
        drop(application);
        assert_eq!(admin.get(&format!("/probe/tcp/{port}")).await.0, 503);
        for port in ["4143", "0", "70000", "x"] {
            assert_eq!(admin.get(&format!("/probe/tcp/{port}")).await.0, 404, "{port}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_answers_when_inbound_is_idle_or_at_the_deadline() {
    local(async {
        let admin = Admin::start(Config { drain: Duration::from_millis(300), ..Config::default() }).await;
        admin.make_ready();
        let guard = admin.proxy.drain.guard(Direction::Inbound);
        let begun = Instant::now();
        let (status, text) = admin.get("/drain").await;
        assert!(status == 200 && text.starts_with("deadline"), "{text}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert_eq!(admin.get("/ready").await, (503, "draining\n".into()));
        drop(guard);
        let answer = admin.say("POST /drain HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        assert!(answer.ends_with("drained\n"), "{answer}");
    })
    .await;
}

/// An address of this host that is not loopback; None on a host without a network.
fn outside() -> Option<std::net::IpAddr> {
    // No packet is sent: the kernel only looks up which source it would use.
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().unwrap().ip()).filter(|ip| !ip.is_loopback())
}

#[tokio::test]
async fn only_the_pod_itself_may_drain_it() {
    local(async {
        let Some(outside) = outside() else {
            println!("not tried: this host has no address but loopback");
            return;
        };
        let mut admin = Admin::start_at(Config::default(), Ipv4Addr::UNSPECIFIED).await;
        admin.make_ready();
        let inside = admin.address;
        admin.address.set_ip(outside);
        for request in ["GET /drain HTTP/1.1\r\n", "POST /drain HTTP/1.1\r\n", "HEAD /drain HTTP/1.1\r\n"] {
            let answer = admin.say(&format!("{request}host: 127.0.0.1\r\nconnection: close\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
            assert!(request.starts_with("HEAD") || answer.contains("weft-proxy drain"), "{answer}");
        }
        assert!(!admin.proxy.drain.draining());
        assert_eq!(admin.get("/ready").await.0, 200, "what only reads stays open");
        admin.address = inside;
        assert_eq!(admin.get("/drain").await.0, 200);
        assert!(admin.proxy.drain.draining());
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_a_drain_is_not_cut_off() {
    local(async {
        let admin = Admin::start(Config { drain: Duration::from_secs(20), ..Config::default() }).await;
        let guard = admin.proxy.drain.guard(Direction::Inbound);
        let mut waiting = TcpStream::connect(admin.address).await.unwrap();
        waiting.write_all(b"POST /drain HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        timeout(Duration::from_secs(10), admin.proxy.drain.started()).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS * 2 {
            silent.push(TcpStream::connect(admin.address).await.unwrap());
        }
        assert_eq!(admin.get("/live").await.0, 200);
        drop(guard);
        let mut answer = String::new();
        timeout(Duration::from_secs(10), waiting.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("\r\n\r\ndrained\n"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn only_so_many_who_wait_for_a_drain_keep_their_place() {
    local(async {
        let admin = Admin::start(Config { drain: Duration::from_secs(20), ..Config::default() }).await;
        let _guard = admin.proxy.drain.guard(Direction::Inbound);
        let mut waiting = Vec::new();
        for _ in 0..=WAITING {
            let mut stream = TcpStream::connect(admin.address).await.unwrap();
            stream.write_all(b"POST /drain HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
            waiting.push(stream);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS * 2 {
            silent.push(TcpStream::connect(admin.address).await.unwrap());
        }
        assert_eq!(admin.get("/live").await.0, 200);
        let mut byte = [0];
        let (last, first) = (waiting.pop().unwrap(), waiting.remove(0));
        for (mut stream, ends) in [(last, true), (first, false)] {
            let read = timeout(Duration::from_millis(if ends { 10_000 } else { 100 }), stream.read(&mut byte)).await;
            assert_eq!(read.is_ok(), ends, "whoever came past the bound gave way, and nobody else");
        }
    })
    .await;
}
