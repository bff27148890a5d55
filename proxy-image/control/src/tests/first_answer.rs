//! How long a connection waits to be told where its address leads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::life::established;
use super::operator::Operator;
use super::pki::Pki;
use super::resources::outbound;
use super::{DEADLINE, Folder, soon};
use crate::handle::{Control, Shared};
use crate::store::Limits;
use crate::trust::Trust;
use crate::types::Resolution;

const FRESH: &str = "outbound/10.96.0.2:80";

fn fresh() -> SocketAddr {
    "10.96.0.2:80".parse().unwrap()
}

#[tokio::test]
async fn a_connection_waits_for_an_operator_that_is_slow_and_is_not_let_out_in_plain() {
    let (folder, pki) = (Folder::new("slow"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let ask = || {
        let control = control.clone();
        tokio::spawn(async move { control.outbound(fresh()).await.resolution })
    };
    let asking = [ask(), ask()];
    assert_eq!(link.subscribed().await, [FRESH]);
    // Longer than an operator that is away is waited for.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(asking.iter().all(|asking| !asking.is_finished()), "nobody goes on without an answer");
    link.upsert(9, FRESH, "p1", outbound(&["v1"])).await;
    for asking in asking {
        assert!(matches!(*asking.await.unwrap().borrow(), Resolution::Known(_)));
    }
    assert_eq!(control.stats().unanswered, 0);
}

#[tokio::test]
async fn the_question_follows_the_proxy_to_the_replica_that_it_connects_to_next() {
    let (folder, pki) = (Folder::new("moved"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let asking = tokio::spawn({
        let control = control.clone();
        async move { control.outbound(fresh()).await.resolution }
    });
    assert_eq!(link.subscribed().await, [FRESH]);
    drop(link);
    let mut link = operator.link().await;
    link.hello().await;
    assert_eq!(link.subscribed().await, [FRESH]);
    link.upsert(1, FRESH, "p1", outbound(&["v1"])).await;
    assert!(matches!(*asking.await.unwrap().borrow(), Resolution::Known(_)));
}

#[tokio::test]
async fn a_connection_goes_by_the_rule_for_unknown_destinations_soon_after_the_stream_is_lost() {
    let (folder, pki) = (Folder::new("lost"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let asking = tokio::spawn({
        let control = control.clone();
        async move { control.outbound(fresh()).await.resolution }
    });
    assert_eq!(link.subscribed().await, [FRESH]);
    operator.stop().await;
    drop(link);
    let resolution = tokio::time::timeout(DEADLINE, asking).await.expect("it waits for ever").unwrap();
    assert!(matches!(*resolution.borrow(), Resolution::Unknown));
    assert_eq!(control.stats().unanswered, 1);
    soon("an answer is still wanted", || control.stats().outbounds == 2).await;
}

/// A handle whose stream is what the test says, on a clock that the test stops.
fn alone(connected: bool) -> Control {
    let shared = Shared::new(Limits::default(), Trust::default(), false);
    shared.connected.send_replace(connected);
    Control::without_tasks(shared)
}

/// After how long a new address is given up.
async fn waited(control: &Control) -> Duration {
    let began = Instant::now();
    let resolution = control.outbound(fresh()).await.resolution;
    assert!(matches!(*resolution.borrow(), Resolution::Unknown));
    began.elapsed()
}

/// The clock of a test counts in milliseconds and rounds up.
fn about(waited: Duration, seconds: u64) {
    let want = Duration::from_secs(seconds);
    assert!((want..want + Duration::from_millis(5)).contains(&waited), "{waited:?}, not {want:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_there_is_waited_for_ten_seconds_and_one_that_is_away_for_one() {
    about(waited(&alone(true)).await, 10);
    about(waited(&alone(false)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_and_goes_holds_nobody_longer_than_one_that_stays() {
    let control = alone(true);
    let flapping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(600)).await;
            control.shared().connected.send_modify(|connected| *connected = !*connected);
        }
    };
    let waited = tokio::select! {
        waited = waited(&control) => waited,
        () = flapping => unreachable!(),
    };
    about(waited, 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_lost_is_waited_for_one_second_from_then_on() {
    let control = alone(true);
    let lost = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        control.shared().connected.send_replace(false);
    };
    let (waited, ()) = tokio::join!(waited(&control), lost);
    about(waited, 5);
}
