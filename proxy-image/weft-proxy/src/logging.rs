//! Logs: constant messages, dotted field names; JSON unless `WEFT_LOG_FORMAT=text`.

use std::env;
use std::sync::Arc;

use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// What is logged when nobody says otherwise.
const DEFAULT: &str = "warn,weft=info,weft_proxy=info,weft_proxy_core=info,weft_control=info";

/// Lets the operator change what is logged.
pub struct Level {
    handle: reload::Handle<EnvFilter, Registry>,
    configured: String,
}

/// Begins to log by `WEFT_LOG`.
pub fn start() -> anyhow::Result<Level> {
    let configured = env::var("WEFT_LOG").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(expand(&configured))?);
    let registry = tracing_subscriber::registry().with(filter);
    if env::var("WEFT_LOG_FORMAT").is_ok_and(|format| format == "text") {
        registry.with(fmt::layer().with_ansi(false).with_writer(std::io::stderr)).try_init()?;
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()?;
    }
    Ok(Level { handle, configured })
}

/// `weft=level` means all crates of the proxy.
fn expand(directives: &str) -> String {
    let mut all = directives.to_owned();
    for level in directives.split(',').filter_map(|directive| directive.trim().strip_prefix("weft=")) {
        for part in ["weft_proxy", "weft_proxy_core", "weft_control", "weft_init"] {
            all.push_str(&format!(",{part}={level}"));
        }
    }
    all
}

impl Level {
    /// Follows the level that the operator sets for this workload.
    pub async fn follow(self, mut workload: watch::Receiver<Option<Arc<weft_policy::model::Workload>>>) {
        let mut now = String::new();
        loop {
            let wanted = workload.borrow_and_update().as_ref().map(|held| held.log_level.clone()).unwrap_or_default();
            if wanted != now {
                let directives = if wanted.is_empty() { &self.configured } else { &wanted };
                match EnvFilter::try_new(expand(directives)).map(|filter| self.handle.reload(filter)) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(error = %error, "log level not changed"),
                    Err(error) => {
                        tracing::warn!(error = %error, log.directives = directives, "log level not understood")
                    }
                }
                now = wanted;
            }
            if workload.changed().await.is_err() {
                return;
            }
        }
    }
}
