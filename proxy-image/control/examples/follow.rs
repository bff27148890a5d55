//! Follows an operator from a shell: `follow <address> <server name> <token file> <root PEM> [<ip:port> ...]` prints what it says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::time::Duration;

use weft_control::{Control, ControlConfig, Timeouts, TrustSource};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("follow <address> <server name> <token file> <root PEM> [<ip:port> ...]");
    let config = ControlConfig {
        address: next(),
        server_name: next(),
        token_file: PathBuf::from(next()),
        trust: TrustSource { pem: None, file: Some(PathBuf::from(next())) },
        proxy_version: env!("CARGO_PKG_VERSION"),
        timeouts: Timeouts::default(),
    };
    let control = Control::start(config);
    let mut destinations = Vec::new();
    for address in arguments {
        destinations.push(control.outbound(address.parse().expect("ip:port")).await);
    }
    let mut last = String::new();
    loop {
        let identity = control.credentials().borrow().as_ref().map(|credentials| credentials.identity.to_string());
        let now = format!("ready {} {identity:?} {:#?} {:?}", control.ready(), control.held(), control.stats());
        if now != last {
            println!("{now}\n");
            last = now;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
