//! What `Control::start` needs to know; the environment is read elsewhere.

use std::path::PathBuf;
use std::time::Duration;

/// Where the operator is and how it is recognised.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// `host:port` or `ip:port`.
    pub address: String,
    /// DNS name that the operator's certificate must bear.
    pub server_name: String,
    /// Service account token bound to the pod, audience `weft.dev`; read anew at each use, because it is rotated in place.
    pub token_file: PathBuf,
    /// Roots until the operator sends its own.
    pub trust: TrustSource,
    /// Told to the operator, for people.
    pub proxy_version: &'static str,
    /// Delays and limits.
    pub timeouts: Timeouts,
}

/// Where the first roots come from.
#[derive(Clone, Debug, Default)]
pub struct TrustSource {
    /// Written into the pod at injection.
    pub pem: Option<String>,
    /// A mounted bundle; may not exist, may change. Preferred over `pem` once it holds a certificate.
    pub file: Option<PathBuf>,
}

/// Delays and limits; the default is for production, tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To resolve, connect and shake hands.
    pub connect: Duration,
    /// For one certificate request.
    pub certify: Duration,
    /// First and longest delay between attempts; in between it doubles, with jitter.
    pub backoff: (Duration, Duration),
    /// A stream that lived this long was a good one: the next failure starts from the first delay again.
    pub settled: Duration,
    /// HTTP/2 pings on a silent connection, and how long an answer may take before the peer counts as gone.
    pub keepalive: (Duration, Duration),
    /// How often the trust file is looked at.
    pub trust_poll: Duration,
    /// Share of a certificate's remaining life after which it is renewed: drawn evenly from this range.
    pub renew: (f64, f64),
    /// How often unused resources are looked for.
    pub sweep: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            certify: Duration::from_secs(10),
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            settled: Duration::from_secs(5),
            keepalive: (Duration::from_secs(20), Duration::from_secs(5)),
            trust_poll: Duration::from_secs(5),
            renew: (0.5, 0.7),
            sweep: Duration::from_secs(15),
        }
    }
}
