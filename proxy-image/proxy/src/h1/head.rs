//! HTTP/1 message heads (RFC 9112): parsed in place, judged strictly, never copied. Pure.
//!
//! Anything that two implementations could read differently is refused: bare LF, obs-fold, space before a colon, two lengths,
//! a length beside a transfer coding, more than one Host.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};
use weft_policy::RequestView;

use super::fields::Fields;
use crate::exchange::ErrorReason;

/// Fields in one head; one more is refused with 431.
pub const MAX_HEADERS: usize = 100;

/// Room for the fields of one head, on the stack and never initialised.
pub type Slots<'b> = [MaybeUninit<Header<'b>>; MAX_HEADERS];

/// Fresh room for a head's fields.
#[must_use]
pub fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// A request head, borrowed from the buffer it was read into.
pub struct RequestHead<'h, 'b> {
    /// Length of the head with its empty line.
    pub length: usize,
    /// Case-sensitive.
    pub method: &'b str,
    /// As sent.
    pub target: &'b str,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// In the order sent.
    pub headers: &'h [Header<'b>],
    /// What the fields say about this connection and this message.
    pub fields: Fields<'b>,
    form: Form<'b>,
}

/// Forms of a request target (RFC 9112 3.2).
#[derive(Clone, Copy)]
enum Form<'b> {
    Origin,
    Absolute { authority: &'b str, path: &'b str },
    Authority,
    Asterisk,
}

fn fault(error: httparse::Error) -> ErrorReason {
    match error {
        httparse::Error::TooManyHeaders => ErrorReason::HeadTooLarge,
        httparse::Error::Version => ErrorReason::BadVersion,
        _ => ErrorReason::BadRequest,
    }
}

/// LF without CR before it. The parser would take it for a line's end; others might not.
fn has_bare_lf(head: &[u8]) -> bool {
    let after = head.get(1..).unwrap_or_default();
    head.first() == Some(&b'\n')
        || head.iter().zip(after).fold(false, |found, (before, byte)| found | ((*byte == b'\n') & (*before != b'\r')))
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// Parses the head at the front of `bytes`; None while bytes are missing.
    ///
    /// # Errors
    /// The answer that the client gets before its connection is closed.
    pub fn parse(bytes: &'b [u8], slots: &'h mut Slots<'b>) -> Result<Option<Self>, ErrorReason> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, slots);
        let length = match parsed {
            Ok(Status::Complete(length)) => length,
            // What is refused must not wait for the rest of its head.
            Ok(Status::Partial) => return if has_bare_lf(bytes) { Err(ErrorReason::BadRequest) } else { Ok(None) },
            Err(error) => return Err(fault(error)),
        };
        if has_bare_lf(bytes.get(..length).unwrap_or_default()) {
            return Err(ErrorReason::BadRequest);
        }
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
            return Err(ErrorReason::BadRequest);
        };
        let headers: &'h [Header<'b>] = request.headers;
        let fields = Fields::read(headers).ok_or(ErrorReason::BadRequest)?;
        let form = form(method, target).ok_or(ErrorReason::BadRequest)?;
        let head = Self { length, method, target, http10: version == 0, headers, fields, form };
        head.check()?;
        Ok(Some(head))
    }

    fn check(&self) -> Result<(), ErrorReason> {
        let fields = &self.fields;
        // RFC 9112 3.2: exactly one Host, except in HTTP/1.0.
        if fields.hosts > 1 || (fields.hosts == 0 && !self.http10) {
            return Err(ErrorReason::BadRequest);
        }
        if fields.host.is_some_and(|host| !host.iter().all(|byte| is_authority_byte(*byte))) {
            return Err(ErrorReason::BadRequest);
        }
        if fields.coded {
            // RFC 9112 6.1: a length beside a coding, or a coding in HTTP/1.0, is an attempt at smuggling.
            if self.http10 || fields.content_length.is_some() || !fields.ends_chunked {
                return Err(ErrorReason::BadRequest);
            }
            if !fields.only_chunked {
                return Err(ErrorReason::UnknownCoding);
            }
        }
        // RFC 9110 9.3.6: a CONNECT request has no content.
        if self.is_connect() && (fields.coded || fields.content_length.is_some_and(|length| length > 0)) {
            return Err(ErrorReason::BadRequest);
        }
        Ok(())
    }

    /// The method is CONNECT.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.form, Form::Authority)
    }

    /// The response will have no body, whatever its head says.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Sending it twice does no more than sending it once (RFC 9110 9.2.2).
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
    }

    /// The client asks to change protocol and may.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        !self.http10 && self.fields.upgrade_option && self.fields.upgrade_field && !self.fields.upgrade_to_http
    }

    /// The client will send another request on this connection unless something else ends it.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        !self.fields.close && (!self.http10 || self.fields.keep_alive)
    }

    /// Host of an absolute-form target, which replaces the Host field (RFC 9112 3.2.2).
    #[must_use]
    pub fn absolute_authority(&self) -> Option<&'b str> {
        match self.form {
            Form::Absolute { authority, .. } => Some(authority),
            Form::Origin | Form::Authority | Form::Asterisk => None,
        }
    }

    fn path_and_query(&self) -> &'b str {
        match self.form {
            Form::Absolute { path: "", .. } => "/",
            Form::Absolute { path, .. } => path,
            Form::Origin | Form::Authority | Form::Asterisk => self.target,
        }
    }
}

impl RequestView for RequestHead<'_, '_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        let path = self.path_and_query();
        path.split_once('?').map_or(path, |(path, _)| if path.is_empty() { "/" } else { path })
    }

    fn query(&self) -> Option<&str> {
        self.path_and_query().split_once('?').map(|(_, query)| query)
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        // RFC 9112 3.2.2: the target's host replaces the field's.
        let authority = if name.eq_ignore_ascii_case("host") { self.absolute_authority() } else { None };
        let fields = self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        let fields = fields.filter(move |_| authority.is_none()).map(|header| header.value);
        authority.map(str::as_bytes).into_iter().chain(fields)
    }
}

fn is_authority_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%' | b'~' | b'!' | b'$')
        || matches!(byte, b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

fn is_authority(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_authority_byte)
}

fn form<'b>(method: &str, target: &'b str) -> Option<Form<'b>> {
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':')?;
        let numeric = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        return (is_authority(host) && numeric).then_some(Form::Authority);
    }
    if target.starts_with('/') {
        return Some(Form::Origin);
    }
    if target == "*" {
        return (method == "OPTIONS").then_some(Form::Asterisk);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    is_authority(authority).then_some(Form::Absolute { authority, path })
}

/// A response head, borrowed from the buffer it was read into.
pub struct ResponseHead<'h, 'b> {
    /// Length of the head with its empty line.
    pub length: usize,
    /// 100..=999.
    pub status: u16,
    /// As sent; may be empty.
    pub reason: &'b str,
    /// The upstream speaks HTTP/1.0.
    pub http10: bool,
    /// In the order sent.
    pub headers: &'h [Header<'b>],
    /// What the fields say about this connection and this message.
    pub fields: Fields<'b>,
}

impl<'h, 'b> ResponseHead<'h, 'b> {
    /// Parses the head at the front of `bytes`; None while bytes are missing.
    ///
    /// # Errors
    /// When the answer cannot be passed on with one meaning.
    pub fn parse(bytes: &'b [u8], slots: &'h mut Slots<'b>) -> Result<Option<Self>, ErrorReason> {
        let mut response = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, slots);
        let length = match parsed {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(ErrorReason::BadResponse),
        };
        let (Some(status @ 100..), Some(version)) = (response.code, response.version) else {
            return Err(ErrorReason::BadResponse);
        };
        let headers: &'h [Header<'b>] = response.headers;
        let fields = Fields::read(headers).ok_or(ErrorReason::BadResponse)?;
        let ambiguous = fields.coded && (version == 0 || fields.content_length.is_some() || !fields.only_chunked);
        if ambiguous || has_bare_lf(bytes.get(..length).unwrap_or_default()) {
            return Err(ErrorReason::BadResponse);
        }
        let reason = response.reason.unwrap_or_default();
        Ok(Some(Self { length, status, reason, http10: version == 0, headers, fields }))
    }

    /// Another response to the same request follows.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The upstream will take another request on this connection.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        !self.fields.close && (!self.http10 || self.fields.keep_alive)
    }
}
