//! The rules in a real network namespace, with real connections in both directions.
//!
//! The program plays every part itself: with a role as first argument it applies rules, serves or connects inside a namespace. Needs root
//! (namespaces, uids), `ip` and `nft`; without root it says so and passes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("role-apply") => apply(&arguments[1..]),
        Some("role-serve") => serve(&arguments[1..]),
        Some("role-connect") => connect(&arguments[1]),
        Some("role-plugin") => plugin(&arguments[1..]),
        Some("role-validate") => validate(),
        Some("--list") => println!("redirects: test\nfrom_the_node: test"),
        _ => {
            let uid = Command::new("id").arg("-u").output().expect("id").stdout;
            if uid.trim_ascii() != b"0" {
                println!("skipped: network namespaces and other uids need root");
                return;
            }
            redirects();
            println!("redirects ... ok");
            from_the_node();
            println!("from_the_node ... ok");
        }
    }
}

fn apply(flags: &[String]) {
    let outcome = weft_init::Options::parse(flags.iter().cloned()).and_then(|options| weft_init::apply(&options));
    match outcome {
        Ok(applied) => println!("{applied:?}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// Answers every connection with the port that took it.
fn serve(ports: &[String]) {
    let serving: Vec<_> = ports
        .iter()
        .map(|port| {
            let listener = TcpListener::bind(format!("[::]:{port}")).unwrap();
            let port = port.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    drop(stream.unwrap().write_all(port.as_bytes()));
                }
            })
        })
        .collect();
    println!("serving");
    serving.into_iter().for_each(|thread| thread.join().unwrap());
}

fn connect(address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    let answer = TcpStream::connect_timeout(&address, Duration::from_secs(2)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut port = String::new();
        stream.read_to_string(&mut port)?;
        Ok(port)
    });
    println!("{}", answer.unwrap_or_else(|error| format!("{:?}", error.kind())));
}

/// The CNI plugin as a runtime calls it: outside of the namespace, with its configuration on standard input.
fn plugin(arguments: &[String]) {
    let [command, namespace] = arguments else { panic!("a command and a namespace") };
    let (command, namespace) = (command.clone(), namespace.clone());
    let invocation = weft_init::cni::Invocation { command, namespace, arguments: String::new() };
    let answer = weft_init::cni::run(&invocation, std::io::stdin().lock());
    println!("{}", answer.output);
    std::process::exit(i32::from(!answer.success));
}

fn validate() {
    match weft_init::validate(&weft_init::Options::default(), Duration::from_millis(1_500), "node-7") {
        Ok(seen) => println!("{seen:?}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// Two namespaces with a wire between them; gone when dropped.
struct Pair {
    pod: String,
    peer: String,
    servers: Vec<Child>,
}

impl Pair {
    fn new() -> Self {
        let id = std::process::id();
        let pair = Self { pod: format!("weft-pod-{id}"), peer: format!("weft-peer-{id}"), servers: Vec::new() };
        let (pod, peer) = (&pair.pod, &pair.peer);
        for namespace in [pod, peer] {
            ip(&format!("netns add {namespace}"));
            ip(&format!("-n {namespace} link set lo up"));
        }
        ip(&format!("link add eth0 netns {pod} type veth peer name eth0 netns {peer}"));
        for (namespace, last) in [(pod, "2"), (peer, "1"), (peer, "200")] {
            ip(&format!("-n {namespace} addr add 10.77.0.{last}/24 dev eth0"));
            ip(&format!("-n {namespace} addr add fd77::{last}/64 dev eth0 nodad"));
            ip(&format!("-n {namespace} link set eth0 up"));
        }
        pair
    }

    fn serve(&mut self, namespace: &str, ports: &[&str]) {
        let mut server = self.role(namespace, 0, "role-serve").args(ports).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "serving\n");
        self.servers.push(server);
    }

    /// This program in a namespace, as a user.
    fn role(&self, namespace: &str, uid: u32, role: &str) -> Command {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]);
        if uid != 0 {
            // `ip netns exec` itself needs root, so the uid changes behind it.
            command.args(["setpriv", "--reuid", &uid.to_string(), "--clear-groups"]);
        }
        command.arg(program).arg(role);
        command.process_group(0);
        command
    }

    fn apply(&self, flags: &[&str]) -> Result<String, String> {
        self.apply_as(0, flags)
    }

    fn apply_as(&self, uid: u32, flags: &[&str]) -> Result<String, String> {
        let output = self.role(&self.pod, uid, "role-apply").args(flags).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The plugin for the pod, with these annotations.
    fn plugin(&self, command: &str, annotations: &str) -> Result<String, String> {
        let conf = format!(
            r#"{{"cniVersion":"1.0.0","name":"pods","type":"weft-cni","prevResult":{{"ips":[]}},"runtimeConfig":{{"io.kubernetes.cri.pod-annotations":{annotations}}}}}"#
        );
        let mut command_line = Command::new(std::env::current_exe().unwrap());
        command_line.args(["role-plugin", command, &format!("/var/run/netns/{}", self.pod)]);
        let mut running = command_line.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(conf.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// What the validator says in the pod.
    fn validate(&self, uid: u32) -> Result<String, String> {
        let output = self.role(&self.pod, uid, "role-validate").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Which port answers a connection from the pod.
    fn pod_reaches(&self, uid: u32, address: &str) -> String {
        Self::answer(self.role(&self.pod, uid, "role-connect").arg(address))
    }

    fn peer_reaches(&self, address: &str) -> String {
        Self::answer(self.role(&self.peer, 0, "role-connect").arg(address))
    }

    fn answer(command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn nft_do(&self, command: &str) {
        let nft = ["netns", "exec", &self.pod, "nft"];
        assert!(Command::new("ip").args(nft).args(command.split(' ')).status().unwrap().success());
    }

    fn nft(&self) -> String {
        let output = Command::new("ip").args(["netns", "exec", &self.pod, "nft", "list", "ruleset"]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in &mut self.servers {
            drop(server.kill());
            drop(server.wait());
        }
        for namespace in [&self.pod, &self.peer] {
            drop(Command::new("ip").args(["netns", "delete", namespace]).status());
        }
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {arguments}");
}

fn redirects() {
    let mut pair = Pair::new();
    let (pod, peer) = (pair.pod.clone(), pair.peer.clone());
    pair.serve(&pod, &["4143", "4191", "8080", "9090", "5005"]);
    pair.serve(&peer, &["80", "3306"]);
    pair.serve(&pod, &["4140"]);

    // Control: before the rules everything reaches what it is addressed to.
    assert_eq!(pair.peer_reaches("10.77.0.2:8080"), "8080");
    assert_eq!(pair.peer_reaches("[fd77::2]:8080"), "8080");
    assert_eq!(pair.pod_reaches(1000, "10.77.0.1:80"), "80");

    // Without the capability nothing is written, and the error says what is missing.
    let error = pair.apply_as(65_534, &[]).unwrap_err();
    assert!(error.contains("NET_ADMIN") && error.contains("securityContext"), "{error}");
    assert_eq!(pair.nft(), "");

    let flags = [
        "--skip-inbound-ports=9090,5000-5010",
        "--skip-outbound-ports=3306",
        "--skip-outbound-cidrs=10.77.0.128/25,fd77::200/128",
    ];
    let applied = pair.apply(&flags).unwrap();
    assert!(applied.contains("ipv6_dropped: false"), "{applied}");
    inbound(&pair);
    outbound(&pair);

    // Again, and again with other flags: the table is replaced, not added to.
    let first = pair.nft();
    println!("{first}");
    pair.apply(&flags).unwrap();
    assert_eq!(pair.nft(), first);
    pair.apply(&["--skip-inbound-cidrs=10.77.0.1/32"]).unwrap();
    assert_eq!(pair.peer_reaches("10.77.0.2:8080"), "8080", "the source is skipped");
    assert_eq!(pair.peer_reaches("[fd77::2]:8080"), "4143");
    assert_eq!(pair.pod_reaches(1000, "10.77.0.1:3306"), "4140", "no longer skipped");

    ipv6(&pair);
    successor(&mut pair);
}

fn inbound(pair: &Pair) {
    for address in ["10.77.0.2", "[fd77::2]"] {
        let port = |port: u16| pair.peer_reaches(&format!("{address}:{port}"));
        assert_eq!(port(8080), "4143");
        assert_eq!(port(1), "4143", "also where nobody listens");
        assert_eq!(port(4143), "4143");
        assert_eq!(port(4191), "4191", "the admin port is never redirected");
        assert_eq!(port(4140), "4143", "the outbound port is not reachable from outside");
        assert_eq!(port(9090), "9090", "a skipped port");
        assert_eq!(port(5005), "5005", "a port in a skipped range");
    }
}

fn outbound(pair: &Pair) {
    for (peer, own, loopback) in [("10.77.0.1", "10.77.0.2", "127.0.0.1"), ("[fd77::1]", "[fd77::2]", "[::1]")] {
        assert_eq!(pair.pod_reaches(1000, &format!("{peer}:80")), "4140");
        assert_eq!(pair.pod_reaches(0, &format!("{peer}:80")), "4140", "root is no exception");
        assert_eq!(pair.pod_reaches(2102, &format!("{peer}:80")), "80", "the proxy itself is");
        assert_eq!(pair.pod_reaches(1000, &format!("{peer}:3306")), "3306", "a skipped port");
        assert_eq!(pair.pod_reaches(1000, &format!("{loopback}:8080")), "8080");
        assert_eq!(pair.pod_reaches(1000, &format!("{own}:8080")), "8080", "the pod's own address goes over loopback");
    }
    assert_eq!(pair.pod_reaches(1000, "10.77.0.200:80"), "80", "a skipped network");
    assert_eq!(pair.pod_reaches(1000, "[fd77::200]:80"), "80", "a skipped network");
}

fn ipv6(pair: &Pair) {
    pair.apply(&["--ipv6=drop", "--skip-inbound-ports=9090"]).unwrap();
    assert_eq!(pair.peer_reaches("[fd77::2]:8080"), "TimedOut");
    assert_eq!(pair.peer_reaches("[fd77::2]:9090"), "TimedOut", "a skipped port is no way in either");
    assert_eq!(pair.peer_reaches("10.77.0.2:8080"), "4143");
    assert_eq!(pair.pod_reaches(1000, "[::1]:8080"), "8080");
    assert_eq!(pair.pod_reaches(2102, "[fd77::1]:80"), "80", "answers to the pod's own connections come in");

    // Control: the same rules without the flag let it in again.
    pair.apply(&[]).unwrap();
    assert_eq!(pair.peer_reaches("[fd77::2]:8080"), "4143");

    ip(&format!("-n {} -6 addr flush dev eth0", pair.pod));
    let applied = pair.apply(&[]).unwrap();
    assert!(applied.contains("ipv6_dropped: true") && applied.contains(r#"("input", 1)"#), "{applied}");
    // IPv6 that appears later is no way round.
    ip(&format!("-n {} addr add fd77::2/64 dev eth0 nodad", pair.pod));
    assert_eq!(pair.peer_reaches("[fd77::2]:8080"), "TimedOut");
}

/// A proxy that is replaced: nobody listens for a while.
fn successor(pair: &mut Pair) {
    let pod = pair.pod.clone();
    let mut proxy = pair.servers.pop().unwrap();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    // Control: another port where nobody listens refuses at once.
    assert_eq!(pair.pod_reaches(1000, "127.0.0.1:4141"), "ConnectionRefused");
    let mut early =
        pair.role(&pair.pod, 1000, "role-connect").arg("10.77.0.1:80").stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(early.try_wait().unwrap().is_none(), "the application waits");
    pair.serve(&pod, &["4140"]);
    let output = early.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "4140", "and reaches the next proxy");
}

/// The plugin writes the same rules from outside of the pod, and the validator in it sees whether it did.
fn from_the_node() {
    let mut pair = Pair::new();
    let (pod, peer) = (pair.pod.clone(), pair.peer.clone());
    for (namespace, gateway) in [(&pod, "10.77.0.1"), (&pod, "fd77::1")] {
        ip(&format!("-n {namespace} route add default via {gateway}"));
    }
    let own = || Command::new("nft").args(["list", "ruleset"]).output().unwrap().stdout;
    let node = own();

    // Without the annotation, and before: no rules, and the validator says where the plugin is missing.
    pair.plugin("ADD", r#"{"weft.dev/inject":"enabled"}"#).unwrap();
    assert_eq!(pair.nft(), "");
    let error = pair.validate(2103).unwrap_err();
    assert!(error.contains("this pod's traffic is not redirected") && error.contains("on node node-7"), "{error}");

    let rules = "--outbound-port=4140 --inbound-port=4143 --proxy-uid=2102 --skip-outbound-ports=3306";
    let annotations = format!(r#"{{"weft.dev/redirect-rules":"{rules}"}}"#);
    let error = pair.plugin("CHECK", &annotations).unwrap_err();
    assert!(error.contains(r#""code":101"#), "{error}");
    assert_eq!(pair.plugin("ADD", &annotations).unwrap(), "{\"ips\":[]}\n");
    assert_eq!(pair.plugin("CHECK", &annotations).unwrap(), "\n");
    // By hand inside the pod the same comes out.
    let from_outside = pair.nft();
    pair.apply(&rules.split(' ').collect::<Vec<_>>()).unwrap();
    assert_eq!(pair.nft(), from_outside);

    // Both families arrive; for the user of the proxy, who is not redirected, neither does.
    let seen = pair.validate(2103).unwrap();
    assert!(seen.contains("192.0.2.1:1 is redirected") && seen.contains("[2001:db8::1]:1 is redirected"), "{seen}");
    assert!(pair.validate(2102).is_err());

    pair.serve(&pod, &["4143", "8080"]);
    pair.serve(&peer, &["80", "3306"]);
    pair.serve(&pod, &["4140"]);
    assert_eq!(pair.peer_reaches("10.77.0.2:8080"), "4143");
    assert_eq!(pair.pod_reaches(1000, "10.77.0.1:80"), "4140");
    assert_eq!(pair.pod_reaches(1000, "10.77.0.1:3306"), "3306");

    // A table out of which somebody has taken something.
    pair.nft_do("flush chain inet weft output");
    assert!(pair.plugin("CHECK", &annotations).unwrap_err().contains(r#""code":101"#));
    assert_eq!(pair.plugin("DEL", &annotations).unwrap(), "\n");
    assert_eq!(own(), node, "the node's own rules are what they were");
}
