//! One pass over a head's fields: what they say about framing and about the connection, and which of them end here. Pure.

use httparse::Header;

use super::head::MAX_HEADERS;
use crate::exchange::headers::{is_hop_by_hop, is_identity, is_origin};

/// What a head's fields say.
#[derive(Clone, Copy, Default)]
pub struct Fields<'b> {
    /// The one Content-Length.
    pub content_length: Option<u64>,
    /// There is a Transfer-Encoding.
    pub coded: bool,
    /// The last transfer coding is chunked.
    pub ends_chunked: bool,
    /// Chunked is the only transfer coding.
    pub only_chunked: bool,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// `Connection: upgrade`.
    pub upgrade_option: bool,
    /// There is an Upgrade.
    pub upgrade_field: bool,
    /// It offers what requests would pass in that nobody looks into.
    pub upgrade_to_http: bool,
    /// `TE: trailers`.
    pub te_trailers: bool,
    /// Number of Host fields.
    pub hosts: u8,
    /// The first Host.
    pub host: Option<&'b [u8]>,
    /// `Expect: 100-continue`.
    pub expects_continue: bool,
    /// Bit i: field i belongs to this connection, or is forged, and is not passed on.
    pub dropped: u128,
    /// Bit i: field i says where the request has come from.
    pub origin: u128,
}

const _: () = assert!(MAX_HEADERS <= 128, "Fields::dropped has one bit a field");

/// The members of a comma-separated list, without the space around them.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

impl<'b> Fields<'b> {
    /// Reads `headers`; None when a length or a coding cannot be understood in one way only.
    #[must_use]
    pub fn read(headers: &[Header<'b>]) -> Option<Self> {
        let mut fields = Self::default();
        let mut names_others = false;
        for (index, header) in headers.iter().enumerate() {
            // The length of a name rules nearly all fields out before any comparison.
            let is = |other: &str| header.name.eq_ignore_ascii_case(other);
            match header.name.len() {
                4 if is("host") => {
                    fields.hosts = fields.hosts.saturating_add(1);
                    fields.host = fields.host.or(Some(header.value));
                }
                6 if is("expect") => fields.expects_continue = header.value.eq_ignore_ascii_case(b"100-continue"),
                2 if is("te") => {
                    fields.te_trailers |= members(header.value).any(|member| member.eq_ignore_ascii_case(b"trailers"));
                }
                7 if is("upgrade") => {
                    fields.upgrade_field = true;
                    fields.upgrade_to_http |= members(header.value).any(carries_http);
                }
                14 if is("content-length") => {
                    if fields.content_length.is_some() {
                        return None;
                    }
                    fields.content_length = Some(length(header.value)?);
                }
                17 if is("transfer-encoding") => fields.read_coding(header.value)?,
                10 if is("connection") => names_others |= fields.read_connection(header.value),
                _ => {}
            }
            if is_origin(header.name) {
                fields.origin |= 1 << index;
            }
            if is_hop_by_hop(header.name) || is_identity(header.name) {
                fields.dropped |= 1 << index;
            }
        }
        if names_others {
            fields.drop_named(headers);
        }
        Some(fields)
    }

    fn read_coding(&mut self, value: &[u8]) -> Option<()> {
        // More than one field of codings: refused as ambiguous, as is an empty one.
        if self.coded {
            return None;
        }
        self.coded = true;
        let mut count = 0;
        for member in members(value) {
            count += 1;
            // Chunked anywhere but at the end would frame the message twice.
            if self.ends_chunked {
                return None;
            }
            self.ends_chunked = member.eq_ignore_ascii_case(b"chunked");
        }
        self.only_chunked = self.ends_chunked && count == 1;
        (count > 0).then_some(())
    }

    /// Whether the value names fields beyond the well-known options.
    fn read_connection(&mut self, value: &[u8]) -> bool {
        let mut others = false;
        for member in members(value) {
            if member.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if member.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if member.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else {
                others = true;
            }
        }
        others
    }

    /// Marks the fields that `Connection` names. The message's own frame and Host are not the sender's to drop.
    #[cold]
    fn drop_named(&mut self, headers: &[Header<'_>]) {
        for option in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection")) {
            for name in members(option.value) {
                if name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"content-length") {
                    continue;
                }
                for (index, header) in headers.iter().enumerate() {
                    if header.name.as_bytes().eq_ignore_ascii_case(name) {
                        self.dropped |= 1 << index;
                    }
                }
            }
        }
    }

    /// Field `index` says where the request has come from.
    #[must_use]
    pub fn is_origin(&self, index: usize) -> bool {
        self.origin & (1 << index) != 0
    }

    /// Field `index` ends here.
    #[must_use]
    pub fn drops(&self, index: usize) -> bool {
        self.dropped & (1 << index) != 0
    }
}

/// A protocol to upgrade to (RFC 9110 7.8) in which HTTP goes on: h2c (deprecated by RFC 9113 3.1), another version of HTTP, or HTTP in TLS (RFC 2817).
/// Its requests would get round every rule and could name any caller.
fn carries_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default().trim_ascii();
    [&b"h2c"[..], b"h2", b"HTTP", b"TLS"].iter().any(|http| name.eq_ignore_ascii_case(http))
}

/// Digits and nothing else (RFC 9110 8.6).
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}
