//! The whole crate against an operator played in this process, over loopback TCP and TLS.

mod certificates;
mod first_answer;
mod life;
mod operator;
pub(crate) mod pki;
mod reconnect;
mod released;
mod report;
pub(crate) mod resources;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{ControlConfig, Timeouts, TrustSource};
use crate::handle::Control;
use operator::Operator;
use pki::Pki;

const SERVER_NAME: &str = "weft-operator.weft-system.svc";
const IDENTITY: &str = "spiffe://td.example/ns/demo/sa/web";
/// Far above what anything here takes, so that a slow machine does not fail a test.
const DEADLINE: Duration = Duration::from_secs(20);

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weft-control-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The proxy's side, with delays short enough for a test.
fn config(operator: &Operator, folder: &Folder, pki: &Pki) -> ControlConfig {
    ControlConfig {
        address: operator.address.to_string(),
        server_name: SERVER_NAME.to_owned(),
        token_file: folder.write("token", "token-1\n"),
        trust: TrustSource { pem: Some(pki.root_pem()), file: None },
        proxy_version: "test",
        timeouts: Timeouts {
            backoff: (Duration::from_millis(10), Duration::from_millis(100)),
            trust_poll: Duration::from_millis(20),
            ..Timeouts::default()
        },
    }
}

async fn ready(control: &Control) {
    soon("ready", || control.ready()).await;
}

/// Waits until the condition holds.
async fn soon(what: &str, condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, held).await.is_ok(), "not in time: {what}");
}
