//! What the data path has counted, told to the operator: one stream at a time, on the connection of the configuration stream.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::backoff::jitter;
use crate::connect::{Link, bearer};
use crate::error::ControlError;
use crate::handle::Control;
use crate::stream::MESSAGE_BYTES;
use crate::wire::telemetry::ReportRequest;
use crate::wire::telemetry::telemetry_service_client::TelemetryServiceClient;

/// Between two reports; the first of a stream comes after a part of it, so that a thousand proxies do not speak in step.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the operator may take to acknowledge.
const ANSWER: Duration = Duration::from_secs(30);

/// Counters, as differences to what is known to be counted elsewhere.
pub trait Counted {
    /// A stream begins: every label set is to be named anew.
    fn begin(&mut self);
    /// What is new since the last acknowledgement; the same again until that report is acknowledged. Names neither instance nor sequence.
    fn report(&mut self) -> ReportRequest;
    /// The last report is counted.
    fn acknowledged(&mut self);
}

impl Control {
    /// Reports for ever; drop the future to end it. While there is no operator, or one that is too old to listen, nothing is asked of `counted`.
    pub async fn report(&self, counted: impl Counted) -> Infallible {
        self.report_every(INTERVAL, counted).await
    }

    pub(crate) async fn report_every(&self, every: Duration, counted: impl Counted) -> Infallible {
        let mut links = self.shared().link.subscribe();
        let mut reporter = Reporter { counted, every, instance: RandomState::new().hash_one(()), sequence: 1 };
        loop {
            let link = links.wait_for(Option::is_some).await.ok().and_then(|link| link.clone());
            let Some(link) = link else { return std::future::pending().await };
            let error = tokio::select! {
                outcome = reporter.serve(&link) => match outcome {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
                _ = links.changed() => continue,
            };
            drop(link);
            let wait = async {
                if is_unimplemented(&error) {
                    tracing::info!("the operator takes no reports of what is counted");
                    return std::future::pending().await;
                }
                tracing::debug!(err = %error, "reports interrupted");
                sleep(every.mul_f64(0.5 + jitter() / 2.0)).await;
            };
            tokio::select! {
                () = wait => {}
                _ = links.changed() => {}
            }
        }
    }
}

fn is_unimplemented(error: &ControlError) -> bool {
    matches!(error, ControlError::Status(status) if status.code() == Code::Unimplemented)
}

struct Reporter<C> {
    counted: C,
    every: Duration,
    /// Of this process.
    instance: u64,
    /// Of the report that is under way or comes next.
    sequence: u32,
}

impl<C: Counted> Reporter<C> {
    async fn serve(&mut self, link: &Link) -> Result<Infallible, ControlError> {
        let mut client = TelemetryServiceClient::new(link.channel.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let (sender, receiver) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert("authorization", bearer(&link.config)?);
        // The operator answers with headers once it knows who is speaking.
        let mut answers = client.report(request).await?.into_inner();
        self.counted.begin();
        sleep(self.every.mul_f64(jitter())).await;
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let report = self.counted.report();
            let message = ReportRequest { instance: self.instance, sequence: self.sequence, ..report };
            sender.send(message).await.map_err(|_| ControlError::Ended)?;
            let answer = timeout(ANSWER, answers.message()).await.map_err(|_| ControlError::Stalled)??;
            if answer.ok_or(ControlError::Ended)?.acknowledged == self.sequence {
                self.counted.acknowledged();
                // Zero is never a sequence.
                self.sequence = self.sequence.checked_add(1).unwrap_or(1);
            }
        }
    }
}
