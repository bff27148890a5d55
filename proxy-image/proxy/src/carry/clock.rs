//! The limits of time of one request: one timer, set to whichever limit comes first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use weft_policy::model::Timeouts;

/// How far a request has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// It has been sent whole.
    pub sent: bool,
    /// The head of its response is here.
    pub answered: bool,
    /// Bytes moved so far in both directions.
    pub bytes: u64,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// That of this try; another may be made.
    Try,
    /// One that holds for the request whatever is tried.
    Request,
}

/// Limits under way.
pub struct Clock {
    timeouts: Timeouts,
    request_at: Option<Instant>,
    try_at: Option<Instant>,
    response_at: Option<Instant>,
    moved: (u64, Instant),
    timer: Pin<Box<Sleep>>,
}

impl Clock {
    /// Starts now; None when nothing is limited. `deadline` is the client's own (`grpc-timeout`); the shorter one holds.
    #[must_use]
    pub fn start(timeouts: Timeouts, deadline: Option<Duration>) -> Option<Self> {
        let request = [timeouts.request, deadline].into_iter().flatten().min();
        if request.is_none() && timeouts == Timeouts::default() {
            return None;
        }
        let now = Instant::now();
        Some(Self {
            timeouts,
            request_at: request.and_then(|limit| now.checked_add(limit)),
            try_at: None,
            response_at: None,
            moved: (0, now),
            timer: Box::pin(sleep_until(now)),
        })
    }

    /// A try is about to be sent.
    pub fn begin_try(&mut self) {
        let now = Instant::now();
        self.try_at = self.timeouts.per_try.and_then(|limit| now.checked_add(limit));
        self.response_at = None;
        self.moved = (0, now);
    }

    /// The future's result, or None when the request's time is over before.
    pub async fn bound<T>(clock: Option<&Self>, future: impl Future<Output = T>) -> Option<T> {
        match clock.and_then(|clock| clock.request_at) {
            Some(deadline) => timeout_at(deadline, future).await.ok(),
            None => Some(future.await),
        }
    }

    /// Whether a try that begins after `pause` has any time left.
    #[must_use]
    pub fn allows(&self, pause: Duration) -> bool {
        self.request_at.is_none_or(|deadline| Instant::now() + pause < deadline)
    }

    /// Ready when a limit is reached.
    pub fn poll(&mut self, context: &mut Context<'_>, progress: Progress) -> Poll<Expired> {
        loop {
            let now = Instant::now();
            if progress.bytes != self.moved.0 {
                self.moved = (progress.bytes, now);
            }
            if progress.sent && self.response_at.is_none() {
                self.response_at = self.timeouts.response.and_then(|limit| now.checked_add(limit));
            }
            let idle_at = self.timeouts.idle.and_then(|limit| self.moved.1.checked_add(limit));
            let of_try = self.try_at.filter(|_| !progress.answered);
            let of_request = [self.request_at, self.response_at, idle_at].into_iter().flatten().min();
            let (at, expired) = match (of_try, of_request) {
                (Some(at), Some(other)) if at <= other => (at, Expired::Try),
                (_, Some(at)) => (at, Expired::Request),
                (Some(at), None) => (at, Expired::Try),
                (None, None) => return Poll::Pending,
            };
            if at <= now {
                return Poll::Ready(expired);
            }
            if self.timer.deadline() != at {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const FRESH: Progress = Progress { sent: false, answered: false, bytes: 0 };

    async fn ends(clock: &mut Clock, progress: Progress) -> (Expired, u128) {
        let begun = Instant::now();
        let expired = poll_fn(|context| clock.poll(context, progress)).await;
        (expired, begun.elapsed().as_millis())
    }

    fn limits(limits: [u64; 4]) -> Timeouts {
        let [request, per_try, response, idle] = limits.map(|ms| (ms > 0).then(|| Duration::from_millis(ms)));
        Timeouts { request, per_try, response, idle }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_limited_is_no_clock() {
        assert!(Clock::start(Timeouts::default(), None).is_none());
        assert!(Clock::start(Timeouts::default(), Some(Duration::from_secs(1))).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_ends_it() {
        let table = [
            ([500, 100, 0, 0], None, FRESH, (Expired::Try, 100)),
            ([50, 100, 0, 0], None, FRESH, (Expired::Request, 50)),
            ([500, 100, 0, 0], Some(30), FRESH, (Expired::Request, 30)),
            ([500, 100, 0, 0], None, Progress { answered: true, ..FRESH }, (Expired::Request, 500)),
            ([0, 0, 70, 0], None, Progress { sent: true, ..FRESH }, (Expired::Request, 70)),
            ([0, 0, 70, 90], None, FRESH, (Expired::Request, 90)),
        ];
        for (timeouts, deadline, progress, wanted) in table {
            let mut clock = Clock::start(limits(timeouts), deadline.map(Duration::from_millis)).unwrap();
            clock.begin_try();
            assert_eq!(ends(&mut clock, progress).await, wanted, "{timeouts:?} {progress:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_move_put_the_idle_limit_off_and_a_new_try_has_its_own() {
        let mut clock = Clock::start(limits([0, 80, 0, 100]), None).unwrap();
        clock.begin_try();
        let answered = Progress { answered: true, ..FRESH };
        for bytes in 1..5 {
            let moved = Progress { bytes, ..answered };
            let waited = tokio::time::timeout(Duration::from_millis(90), ends(&mut clock, moved)).await;
            assert!(waited.is_err(), "byte {bytes} came in time");
        }
        assert_eq!(ends(&mut clock, Progress { bytes: 4, ..answered }).await, (Expired::Request, 10));
        clock.begin_try();
        assert_eq!(ends(&mut clock, FRESH).await, (Expired::Try, 80));
        assert!(clock.allows(Duration::from_secs(60)));
    }
}
