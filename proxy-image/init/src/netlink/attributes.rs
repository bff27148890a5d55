//! Attributes: length, kind, value, padded to four bytes; numbers are big endian in nf_tables.

const NESTED: u16 = 0x8000;
const HEADER: usize = 4;

/// A sequence of attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        // All values here are far below 64 KiB.
        let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn string(self, kind: u16, value: &str) -> Self {
        let terminated: Vec<u8> = value.bytes().chain([0]).collect();
        self.bytes(kind, &terminated)
    }

    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(self, kind: u16, value: Self) -> Self {
        self.bytes(kind | NESTED, &value.0)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// The value of the first attribute of a kind.
pub(super) fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((head, _)) = attributes.split_first_chunk::<HEADER>() {
        let [length_0, length_1, kind_0, kind_1] = *head;
        let length = usize::from(u16::from_ne_bytes([length_0, length_1]));
        let kind = u16::from_ne_bytes([kind_0, kind_1]) & !NESTED;
        let value = attributes.get(HEADER..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

/// Without the zero byte at its end.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Attributes, find, text};

    #[test]
    fn what_is_written_is_found_again() {
        let inner = Attributes::new().number(1, 7);
        let attributes = Attributes::new().string(1, "weft").bytes(2, &[9]).nested(4, inner.clone());
        assert_eq!(attributes.as_slice().len() % 4, 0);
        assert_eq!(find(attributes.as_slice(), 1).map(text).as_deref(), Some("weft"));
        assert_eq!(find(attributes.as_slice(), 2), Some(&[9][..]));
        assert_eq!(find(attributes.as_slice(), 4), Some(inner.as_slice()));
        assert_eq!(find(attributes.as_slice(), 5), None);
    }

    #[test]
    fn nonsense_ends_the_search() {
        for nonsense in [&[0, 0, 1, 0][..], &[3, 0, 1, 0], &[255, 255, 1, 0, 1], &[8]] {
            assert_eq!(find(nonsense, 1), None);
        }
    }
}
