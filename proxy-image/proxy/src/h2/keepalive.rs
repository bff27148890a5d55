//! PING on connections that carry streams, so that a vanished peer fails its requests within seconds rather than minutes.

use ::h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use super::{PING_EVERY, PING_PATIENCE};

/// Ends when the peer stops answering. `busy` says whether anything waits for it: an idle connection is not disturbed.
pub(super) async fn watch(mut pings: PingPong, busy: impl Fn() -> bool) {
    loop {
        sleep(PING_EVERY).await;
        if !busy() {
            continue;
        }
        match timeout(PING_PATIENCE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
