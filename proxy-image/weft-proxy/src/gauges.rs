//! What the control client keeps, told at every scrape.

use std::time::UNIX_EPOCH;

use weft_control::Control;
use weft_proxy_core::metrics::{Descriptor, Metrics, SeriesLabels};

static EXPIRES: Descriptor = Descriptor::gauge(
    "identity_cert_expiration_timestamp_seconds",
    "End of the held certificate's life in Unix seconds.",
);
static CERTIFICATES: Descriptor = Descriptor::counter("identity_cert_refreshes_total", "Certificates received.");
static CERTIFICATE_FAILURES: Descriptor =
    Descriptor::counter("identity_cert_refresh_failures_total", "Certificate requests that failed.");
static CONNECTED: Descriptor = Descriptor::gauge("control_connected", "1 while the configuration stream is up.");
static STREAMS: Descriptor = Descriptor::counter("control_streams_total", "Configuration streams begun.");
static FAILURES: Descriptor = Descriptor::counter("control_failures_total", "Configuration streams that failed.");
static ACKS: Descriptor = Descriptor::counter("control_acks_total", "Resources taken into force.");
static NACKS: Descriptor = Descriptor::counter("control_nacks_total", "Resources refused.");
static OVERFLOWS: Descriptor = Descriptor::counter(
    "control_destination_overflows_total",
    "Destinations treated as unknown because as many as a proxy may ask about were in use.",
);
static UNANSWERED: Descriptor = Descriptor::counter(
    "control_destination_unanswered_total",
    "Destinations treated as unknown because the operator did not answer in time.",
);

/// Adds `identity_*` and `control_*` to every scrape.
pub fn collect(control: &Control, metrics: &Metrics) {
    let control = control.clone();
    metrics.collect_from(move |sampler| {
        let none = SeriesLabels::none();
        let stats = control.stats();
        if let Some(credentials) = &*control.credentials().borrow() {
            let expires = credentials.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            sampler.sample(&EXPIRES, &none, expires.as_secs());
        }
        sampler.sample(&CERTIFICATES, &none, stats.certificates);
        sampler.sample(&CERTIFICATE_FAILURES, &none, stats.certificate_failures);
        sampler.sample(&CONNECTED, &none, u8::from(*control.connected().borrow()));
        sampler.sample(&STREAMS, &none, stats.streams);
        sampler.sample(&FAILURES, &none, stats.failures);
        sampler.sample(&ACKS, &none, stats.acks);
        sampler.sample(&NACKS, &none, stats.nacks);
        sampler.sample(&OVERFLOWS, &none, stats.overflows);
        sampler.sample(&UNANSWERED, &none, stats.unanswered);
    });
}
