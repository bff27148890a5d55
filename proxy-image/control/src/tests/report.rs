//! Reports of what the data path counted.

use std::sync::{Arc, Mutex};

use std::time::Duration;

use tokio::task::JoinHandle;

use super::operator::Operator;
use super::pki::Pki;
use super::{Folder, config};
use crate::handle::Control;
use crate::report::Counted;
use crate::wire::telemetry::{ReportRequest, Requests};

const EVERY: Duration = Duration::from_millis(20);

/// Counts one more each time that it is asked for something new.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Counting>>);

#[derive(Default)]
struct Counting {
    streams: u32,
    asked: u32,
    begun: u32,
    under_way: bool,
}

impl Counted for Counter {
    fn begin(&mut self) {
        self.0.lock().unwrap().streams += 1;
    }

    fn report(&mut self) -> ReportRequest {
        let mut counting = self.0.lock().unwrap();
        counting.asked += 1;
        if !counting.under_way {
            counting.under_way = true;
            counting.begun += 1;
        }
        let requests = vec![Requests { name: 1, begun: counting.begun, responses: Vec::new() }];
        ReportRequest { requests, ..ReportRequest::default() }
    }

    fn acknowledged(&mut self) {
        self.0.lock().unwrap().under_way = false;
    }
}

/// A proxy that reports, and its operator.
struct Reporting {
    operator: Operator,
    control: Control,
    counter: Counter,
    task: JoinHandle<()>,
    _folder: Folder,
}

impl Reporting {
    async fn start(name: &str, listens: bool) -> Self {
        let (folder, pki) = (Folder::new(name), Arc::new(Pki::new()));
        let operator = Operator::start(&pki).await;
        operator.listens.send_replace(listens);
        let control = Control::start(config(&operator, &folder, &pki));
        let counter = Counter::default();
        let task = tokio::spawn({
            let (control, counter) = (control.clone(), counter.clone());
            async move { match control.report_every(EVERY, counter).await {} }
        });
        Self { operator, control, counter, task, _folder: folder }
    }

    fn counting<T>(&self, read: impl FnOnce(&Counting) -> T) -> T {
        read(&self.counter.0.lock().unwrap())
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn told(report: &ReportRequest) -> (u32, u32) {
    (report.sequence, report.requests[0].begun)
}

#[tokio::test]
async fn what_is_counted_is_told_with_the_token_and_once_acknowledged_what_came_since() {
    let mut proxy = Reporting::start("reports", true).await;
    let _link = proxy.operator.link().await;
    let mut listener = proxy.operator.listener().await;
    assert_eq!(listener.token, "Bearer token-1");
    let first = listener.next().await;
    assert_eq!(told(&first), (1, 1));
    tokio::time::sleep(EVERY * 5).await;
    assert_eq!(proxy.counting(|counting| counting.asked), 1, "one is under way");
    listener.acknowledge(1).await;
    let second = listener.next().await;
    assert_eq!((told(&second), second.instance), ((2, 2), first.instance));
}

#[tokio::test]
async fn a_report_that_was_not_acknowledged_is_sent_again_under_its_sequence() {
    let mut proxy = Reporting::start("again", true).await;
    let link = proxy.operator.link().await;
    let lost = proxy.operator.listener().await.next().await;
    proxy.operator.stop().await;
    drop(link);
    proxy.operator.resume().await;
    let _link = proxy.operator.link().await;
    let mut listener = proxy.operator.listener().await;
    assert_eq!(listener.next().await, lost);
    assert_eq!(proxy.counting(|counting| counting.streams), 2);
    listener.acknowledge(1).await;
    assert_eq!(told(&listener.next().await), (2, 2));
}

#[tokio::test]
async fn an_operator_that_takes_no_reports_is_asked_again_on_the_next_connection_only() {
    let mut proxy = Reporting::start("deaf", false).await;
    let link = proxy.operator.link().await;
    drop(proxy.operator.listener().await);
    tokio::time::sleep(EVERY * 20).await;
    assert!(!proxy.operator.has_listener(), "it was asked again");
    assert_eq!(proxy.counting(|counting| counting.asked), 0);
    assert!(*proxy.control.connected().borrow(), "the configuration stream is not disturbed");
    proxy.operator.listens.send_replace(true);
    proxy.operator.stop().await;
    drop(link);
    proxy.operator.resume().await;
    let _link = proxy.operator.link().await;
    assert_eq!(told(&proxy.operator.listener().await.next().await), (1, 1));
}
