//! Every answer the proxy makes by itself says why, from one closed set.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $status:literal, $grpc:literal;)*) => {
        /// Why the proxy answered instead of the application: the value of the `weft-error` header and of the metric label `error`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorReason { $($(#[$doc])* $variant,)* }

        impl ErrorReason {
            /// All, in the order of their discriminants.
            pub const ALL: &'static [ErrorReason] = &[$(ErrorReason::$variant,)*];

            /// Header and label value.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(ErrorReason::$variant => $name,)* }
            }

            /// HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(ErrorReason::$variant => $status,)* }
            }

            /// `grpc-status` of the trailers-only answer to a gRPC call.
            #[must_use]
            pub fn grpc(self) -> u16 {
                match self { $(ErrorReason::$variant => $grpc,)* }
            }
        }
    };
}

reasons! {
    /// The request's framing or head breaks RFC 9112 or 9110.
    BadRequest => "bad-request", 400, 13;
    /// The head is larger, or has more fields, than the proxy will hold.
    HeadTooLarge => "head-too-large", 431, 8;
    /// A transfer coding that the proxy does not speak.
    UnknownCoding => "unknown-transfer-coding", 501, 12;
    /// An HTTP version that the proxy does not speak.
    BadVersion => "bad-version", 505, 12;
    /// The client was silent in the middle of its head.
    RequestTimeout => "request-timeout", 408, 4;
    /// No route matches.
    NoRoute => "no-route", 404, 5;
    /// No authorization admits the caller.
    Denied => "denied", 403, 7;
    /// A rate limit is used up.
    Limited => "limited", 429, 8;
    /// The route's backend does not exist or is not valid.
    InvalidBackend => "invalid-backend", 500, 13;
    /// No connection to the upstream could be made.
    Connect => "connect", 502, 14;
    /// The peer is not who the control plane says it must be, or mesh TLS failed.
    Identity => "identity", 502, 14;
    /// The upstream closed or broke before it answered, or in the middle of its answer.
    Upstream => "upstream", 502, 14;
    /// The upstream's answer breaks RFC 9112.
    BadResponse => "bad-response", 502, 13;
    /// No endpoint serves the backend.
    NoEndpoint => "no-endpoint", 503, 14;
    /// A bound of the proxy is reached.
    Overload => "overload", 503, 14;
    /// The proxy holds no configuration yet.
    NotReady => "not-ready", 503, 14;
    /// The breaker of the request's policy is open.
    CircuitOpen => "circuit-open", 503, 14;
    /// A TrafficPolicy says that this request is to fail.
    Fault => "fault-injected", 503, 14;
    /// The upstream did not accept or answer in time.
    Timeout => "timeout", 504, 4;
}
