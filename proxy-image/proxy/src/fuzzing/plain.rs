//! A second reader of HTTP/1 heads, as simple as it can be and sharing no code with the one that it checks.

/// A head, line by line.
pub(super) struct Plain<'a> {
    pub(super) start: Vec<&'a str>,
    pub(super) fields: Vec<(&'a str, &'a str)>,
}

/// Reads `bytes`, which must be one head and nothing else. Panics at whatever two readers could read differently.
pub(super) fn read(bytes: &[u8]) -> Plain<'_> {
    // Bytes beyond ASCII may stand in values; here only positions matter, so each is read as one character.
    let text: &str = std::str::from_utf8(bytes).unwrap_or_else(|_| {
        assert!(bytes.iter().any(|byte| !byte.is_ascii()));
        ""
    });
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends with an empty line");
    assert_eq!(end + 4, bytes.len(), "what is passed on is one head");
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(bytes.get(index + 1), Some(&b'\n'), "bare CR"),
            b'\n' => assert_eq!(bytes.get(index.wrapping_sub(1)), Some(&b'\r'), "bare LF"),
            0 => panic!("NUL"),
            _ => {}
        }
    }
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().splitn(3, ' ').collect();
    let fields = lines
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a field has a colon");
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?} is no name");
            (name, value.trim_matches([' ', '\t']))
        })
        .collect();
    Plain { start, fields }
}

impl<'a> Plain<'a> {
    /// Nothing could be read of it as text.
    pub(super) fn is_binary(&self) -> bool {
        self.start == [""]
    }

    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> Vec<&'a str> {
        self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect()
    }
}

/// So many fields are added at most: to a head that has as many as one may have, the next proxy says 431 or 502.
pub(super) const ADDED: usize = 4;

/// Fields of one connection, and those by which a proxy vouches for the caller.
pub(super) const NEVER: [&str; 8] = [
    "te",
    "upgrade",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "weft-client-id",
    "l5d-client-id",
];

/// The fields of a head that are the receiver's business (RFC 9110 7.6.1), but for one called `close`: it is an option where `Connection` says it.
pub(super) fn end_to_end<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> Vec<(String, Vec<u8>)> {
    let named: Vec<String> = fields
        .clone()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        .map(|member| String::from_utf8_lossy(member.trim_ascii()).to_ascii_lowercase())
        .filter(|member| member != "host" && member != "content-length")
        .collect();
    fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
        .filter(|(name, _)| !NEVER.contains(&name.as_str()) && !named.contains(name) && name != "close")
        .collect()
}
