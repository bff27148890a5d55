//! Why a connection was refused before its first byte was served; one counter each.

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// A closed set: the label values of `inbound_refused_total`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $variant,)* }

        impl Refusal {
            /// All, in the order of their discriminants.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant,)*];

            /// The value of the metric label `reason`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Refusal::$variant => $name,)* }
            }
        }
    };
}

refusals! {
    /// The client's chain ends in no anchor of its own trust domain.
    UntrustedRoot => "untrusted_root",
    /// A certificate of the client's chain is out of its time.
    Expired => "expired",
    /// Our ALPN, but no client certificate.
    NoCertificate => "no_certificate",
    /// TLS to the direct port without our ALPN.
    WrongAlpn => "wrong_alpn",
    /// The preamble names another pod.
    WrongPod => "wrong_pod",
    /// The preamble names a port that is not the workload's, or not the one the connection was made to.
    WrongPort => "wrong_port",
    /// Bytes that are no mesh TLS on the direct port.
    PlaintextDirect => "plaintext_direct",
    /// The first bytes inside mesh TLS are no preamble.
    BadPreamble => "bad_preamble",
    /// The original destination is a port of the proxy.
    ProxyPort => "proxy_port",
    /// No authorization admits the client to the port.
    Unauthorized => "unauthorized",
    /// Any other failure of the TLS handshake.
    Handshake => "handshake",
    /// No workload or no credentials are held yet.
    NotReady => "not_ready",
    /// As many connections as the proxy will hold.
    Overload => "overload",
    /// Bytes for a port whose rules are about HTTP.
    HttpExpected => "http_expected",
    /// Bytes that turned out to be HTTP when the time to judge them was over.
    LateHttp => "late_http",
    /// The destination is unknown and the mesh refuses those.
    UnknownDestination => "unknown_destination",
    /// The control plane knows the destination and refuses it.
    RefusedDestination => "refused_destination",
    /// The application did not accept a connection.
    Unreachable => "unreachable",
    /// No endpoint serves the destination.
    NoEndpoint => "no_endpoint",
}
