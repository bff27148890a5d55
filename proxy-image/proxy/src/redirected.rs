//! Peers whose own port did not answer, so that not every connection to them waits for it to fail.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A peer whose port 4143 did not answer is reached over its application's port for this long.
const REDIRECTED: Duration = Duration::from_mins(5);
/// Peers remembered; one more takes the place of the one that would be asked again first.
const PEERS: usize = 1024;

/// Since when each peer is known for it.
#[derive(Default)]
pub struct Redirected(RefCell<HashMap<IpAddr, Instant>>);

impl Redirected {
    /// The peer is not worth asking at its own port yet.
    #[must_use]
    pub fn contains(&self, peer: IpAddr, now: Instant) -> bool {
        self.0.borrow().get(&peer).is_some_and(|since| now.saturating_duration_since(*since) < REDIRECTED)
    }

    /// The peer's own port did not answer just now.
    pub fn remember(&self, peer: IpAddr, now: Instant) {
        let mut peers = self.0.borrow_mut();
        if peers.len() >= PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, since| now.saturating_duration_since(*since) < REDIRECTED);
            if peers.len() >= PEERS
                && let Some(oldest) = peers.iter().min_by_key(|(_, since)| **since).map(|(peer, _)| *peer)
            {
                peers.remove(&oldest);
            }
        }
        peers.insert(peer, now);
    }
}

#[cfg(test)]
mod tests {
    use super::{PEERS, REDIRECTED, Redirected};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    fn peer(number: usize) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap()).into()
    }

    #[test]
    fn a_peer_is_asked_again_after_its_time() {
        let (redirected, now) = (Redirected::default(), Instant::now());
        redirected.remember(peer(1), now);
        assert!(redirected.contains(peer(1), now + REDIRECTED - Duration::from_millis(1)));
        assert!(!redirected.contains(peer(1), now + REDIRECTED));
        assert!(!redirected.contains(peer(2), now));
    }

    #[test]
    fn past_the_bound_the_peer_remembered_for_longest_is_forgotten_and_no_other() {
        let (redirected, start) = (Redirected::default(), Instant::now());
        for number in 0..PEERS * 2 {
            redirected.remember(peer(number), start + Duration::from_millis(number as u64));
        }
        let now = start + Duration::from_millis(PEERS as u64 * 2);
        assert_eq!(redirected.0.borrow().len(), PEERS);
        assert!(!redirected.contains(peer(PEERS - 1), now) && redirected.contains(peer(PEERS), now));
        // Those that would be asked again anyway go first, all at once.
        redirected.remember(peer(0), start + REDIRECTED * 2);
        assert_eq!(redirected.0.borrow().len(), 1);
    }
}
