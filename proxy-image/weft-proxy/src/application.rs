//! Whether the application beside a proxy is still there, for pods whose containers all get SIGTERM at once.
//!
//! The two share a network and nothing else, so what can be seen of an application is its sockets. One without any may still be at work: it is
//! believed to have gone only after a while without, which is also the time that it has between its last connection and the next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// How long no socket must have been seen.
const QUIET: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(200);

/// Waits until the application has gone, for `patience` at most; whether it has.
pub async fn gone(patience: Duration) -> bool {
    let Ok(own) = fs::metadata("/proc/self").map(|data| data.uid()) else { return false };
    let deadline = Instant::now() + patience;
    let mut seen = Instant::now();
    while seen.elapsed() < QUIET {
        if Instant::now() >= deadline {
            return false;
        }
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        if tables.iter().any(|table| has_other(table, own)) {
            seen = Instant::now();
        }
        sleep(INTERVAL).await;
    }
    true
}

/// Whether a socket belongs to a process of another user. Columns are separated by blanks: the eighth is the user, the tenth the inode, which is 0 for
/// what the kernel keeps after its process has closed it.
fn has_other(table: &str, own: u32) -> bool {
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(7);
        let user = columns.next().and_then(|user| user.parse::<u32>().ok());
        let inode = columns.nth(1);
        user.is_some_and(|user| user != own) && inode.is_some_and(|inode| inode != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::has_other;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(user: u32, inode: u32) -> String {
        format!(
            "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {user:>5}        0 {inode} 1 0 100 0 0 10 0\n"
        )
    }

    #[test]
    fn a_socket_of_another_user_that_a_process_holds_is_the_application() {
        assert!(!has_other(HEAD, 2102));
        assert!(!has_other(&format!("{HEAD}{}", line(2102, 77)), 2102), "the proxy's own");
        assert!(!has_other(&format!("{HEAD}{}", line(0, 0)), 2102), "TIME_WAIT belongs to nobody");
        assert!(has_other(&format!("{HEAD}{}{}", line(2102, 77), line(1000, 78)), 2102));
        assert!(has_other(&format!("{HEAD}{}", line(0, 78)), 2102), "root is a user like others");
    }
}
