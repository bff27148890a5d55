use super::*;
use crate::h2::clients::Counted;
use crate::h2::connection::Connection;

/// A mesh connection to a peer that is polled only while `answers`; the virtual clock jumps from timer to timer.
async fn peer(answers: bool) -> (Rc<Connection>, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    spawn_local(async move {
        let mut connection = ::h2::server::handshake(theirs).await.unwrap();
        if answers {
            while connection.accept().await.is_some() {}
        }
        std::future::pending::<()>().await;
    });
    let counted = Counted::begin(&Rc::default(), 1).unwrap();
    let (connection, drive) = Connection::open(ours, true, &Rc::default(), counted).await.unwrap();
    (connection, spawn_local(drive))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_with_requests_in_hand_is_given_up_within_a_quarter_of_a_minute() {
    LocalSet::new()
        .run_until(async {
            let (connection, driving) = peer(false).await;
            connection.occupy();
            let begun = Instant::now();
            timeout(Duration::from_secs(100), driving).await.expect("it is given up").unwrap();
            let after = begun.elapsed();
            assert!((Duration::from_secs(10)..Duration::from_secs(16)).contains(&after), "{after:?}");
            assert!(connection.is_closing());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_is_kept_and_an_idle_one_is_not_asked() {
    LocalSet::new()
        .run_until(async {
            for answers in [true, false] {
                let (connection, driving) = peer(answers).await;
                if answers {
                    connection.occupy();
                }
                assert!(timeout(Duration::from_secs(300), driving).await.is_err(), "answers: {answers}");
                assert!(connection.has_room());
            }
        })
        .await;
}
