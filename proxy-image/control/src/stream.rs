//! The configuration stream: one at a time, for ever.
//!
//! Each stream begins with a hello that names what is held, so that the operator answers with differences only. Reading and writing
//! go on side by side: an operator that has nothing new sends not even headers, and subscriptions must reach it all the same.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use crate::apply::apply;
use crate::backoff::{Backoff, jitter};
use crate::config::ControlConfig;
use crate::connect::{Link, bearer, connect};
use crate::error::ControlError;
use crate::handle::Shared;
use crate::store::Outbox;
use crate::wire::config as wire;
use crate::wire::config::client_message::Kind;
use crate::wire::config::config_service_client::ConfigServiceClient;
use crate::wire::config::{Ack, ClientMessage, HeldResource, Hello, Nack, Subscribe, Unsubscribe};

/// Revision of the protocol that this proxy speaks.
const PROTOCOL: u32 = 1;
/// Bound on one message of the operator.
pub(crate) const MESSAGE_BYTES: usize = 8 << 20;
/// Names in one subscribe or unsubscribe.
const NAMES: usize = 1_000;

/// Keeps a stream up for as long as the task runs.
pub(crate) async fn run(shared: Arc<Shared>, config: Arc<ControlConfig>) {
    let mut backoff = Backoff::new(config.timeouts.backoff);
    loop {
        let started = Instant::now();
        let error = match serve(&shared, &config).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        shared.link.send_replace(None);
        shared.connected.send_if_modified(|connected| std::mem::replace(connected, false));
        if started.elapsed() >= config.timeouts.settled {
            backoff.reset();
        }
        let delay = backoff.next(jitter());
        tracing::warn!(peer = %config.address, err = %error, retryMs = delay.as_millis(), "configuration stream lost");
        {
            let stats = &mut shared.store().stats;
            stats.failures += 1;
            stats.last_error = error.to_string();
        }
        tokio::time::sleep(delay).await;
    }
}

async fn serve(shared: &Shared, config: &Arc<ControlConfig>) -> Result<std::convert::Infallible, ControlError> {
    let channel = connect(shared, config).await?;
    let link = Link { channel: channel.clone(), config: Arc::clone(config) };
    let mut client = ConfigServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
    let (sender, receiver) = mpsc::channel(16);
    let mut request = Request::new(ReceiverStream::new(receiver));
    request.metadata_mut().insert("authorization", bearer(config)?);

    let hello = begin(shared, config);
    let write = async {
        // The receiver lives in the call below; when it is gone the call has ended and says why.
        if sender.send(message(hello)).await.is_ok() {
            write(shared, &sender).await;
        }
        std::future::pending().await
    };
    let read = async {
        let mut messages = client.stream(request).await?.into_inner();
        shared.store().stats.streams += 1;
        shared.connected.send_replace(true);
        shared.link.send_replace(Some(link));
        tracing::info!(peer = %config.address, "configuration stream established");
        while let Some(message) = messages.message().await? {
            apply(shared, message);
            if shared.store().outbox.is_stalled() {
                return Err(ControlError::Stalled);
            }
        }
        Err(ControlError::Ended)
    };
    tokio::select! {
        outcome = read => outcome,
        outcome = write => outcome,
    }
}

/// The hello, taken together with the reset of the outbox: an address asked about in between is in one of the two.
fn begin(shared: &Shared, config: &ControlConfig) -> Kind {
    let mut store = shared.store();
    store.begin_stream();
    store.outbox.leaf = true;
    shared.outgoing.notify_one();
    let held = store.versions().into_iter().map(|(name, version)| HeldResource { name, version }).collect();
    Kind::Hello(Hello { proxy_version: config.proxy_version.to_owned(), protocol: PROTOCOL, held })
}

/// Sends what the outbox collects, until nobody listens.
async fn write(shared: &Shared, sender: &mpsc::Sender<ClientMessage>) {
    loop {
        shared.outgoing.notified().await;
        let outbox = std::mem::take(&mut shared.store().outbox);
        let leaf = outbox.leaf.then(|| leaf(shared)).flatten();
        for kind in leaf.into_iter().chain(kinds(outbox)) {
            if sender.send(message(kind)).await.is_err() {
                return;
            }
        }
    }
}

/// None while there is no certificate, or when the operator did not say who signed it: one that is too old to be told, too.
fn leaf(shared: &Shared) -> Option<Kind> {
    let leaf = shared.leaf.borrow();
    let leaf = leaf.as_ref().filter(|leaf| !leaf.generation.is_empty())?;
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Kind::Leaf(wire::Leaf {
        generation: leaf.generation.clone(),
        not_after: i64::try_from(since(leaf.not_after).as_secs()).unwrap_or(i64::MAX),
        clock_ms: i64::try_from(since(SystemTime::now()).as_millis()).unwrap_or(i64::MAX),
    }))
}

/// Unsubscribe goes before subscribe: a name in both was let go and is wanted anew, from nothing.
fn kinds(outbox: Outbox) -> impl Iterator<Item = Kind> {
    let unsubscribe = chunks(outbox.unsubscribe).map(|names| Kind::Unsubscribe(Unsubscribe { names }));
    let subscribe = chunks(outbox.subscribe).map(|names| Kind::Subscribe(Subscribe { names }));
    let nacks = outbox
        .nacks
        .into_iter()
        .map(|nack| Kind::Nack(Nack { nonce: nack.nonce, resource: nack.resource, reason: nack.reason }));
    let acks = outbox.acks.into_iter().map(|nonce| Kind::Ack(Ack { nonce }));
    unsubscribe.chain(subscribe).chain(nacks).chain(acks)
}

fn chunks(names: impl IntoIterator<Item = String>) -> impl Iterator<Item = Vec<String>> {
    let mut names = names.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<_> = names.by_ref().take(NAMES).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn message(kind: Kind) -> ClientMessage {
    ClientMessage { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_messages_of_a_bounded_size() {
        let outbox =
            Outbox { subscribe: (0..2 * NAMES + 1).map(|n| format!("n{n:05}")).collect(), ..Outbox::default() };
        let sizes: Vec<usize> = kinds(outbox)
            .map(|kind| match kind {
                Kind::Subscribe(subscribe) => subscribe.names.len(),
                other => panic!("not a subscribe: {other:?}"),
            })
            .collect();
        assert_eq!(sizes, [NAMES, NAMES, 1]);
    }
}
