//! One process of the real binary.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_weft-proxy");

/// What a proxy is started with.
pub struct Proxy {
    pub config: PathBuf,
    /// Connections to it count as made to itself, which means mesh TLS of a peer.
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
    pub admin: SocketAddr,
    pub direct_port: u16,
    pub drain: Duration,
    /// `native` or `plain`.
    pub sidecar: &'static str,
}

pub struct Running {
    child: Child,
    admin: SocketAddr,
}

impl Proxy {
    pub fn start(self) -> Running {
        let child = Command::new(BINARY)
            .arg("run")
            .env_clear()
            .env("WEFT_STATIC_CONFIG", &self.config)
            .env("WEFT_INBOUND_LISTEN", self.inbound.to_string())
            .env("WEFT_OUTBOUND_LISTEN", self.outbound.to_string())
            .env("WEFT_ADMIN_LISTEN", self.admin.to_string())
            .env("WEFT_INBOUND_ORIGIN", self.inbound.to_string())
            .env("WEFT_OUTBOUND_ORIGIN", super::SERVICE)
            .env("WEFT_DIRECT_PORT", self.direct_port.to_string())
            .env("WEFT_DRAIN_SECONDS", self.drain.as_secs().to_string())
            .env("WEFT_SIDECAR", self.sidecar)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child, admin: self.admin }
    }
}

impl Running {
    pub fn wait_until_ready(&mut self) {
        let waited = Command::new(BINARY).args(["await", &self.admin.to_string(), "20"]).env_clear().output().unwrap();
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let kill = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for the end, at most so long.
    pub fn ended(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {patience:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All of standard error; waits for the end.
    pub fn said(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
