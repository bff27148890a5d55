//! Messages: a header, nfnetlink's own header, attributes.

use super::Attributes;

/// The families, subsystems and flags of linux/netlink.h and linux/netfilter/nfnetlink.h.
const INET: u8 = 1;
const SUBSYSTEM_NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// One message of the table's family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    kind: u16,
    flags: u16,
    attributes: Attributes,
}

pub(crate) fn message(kind: u8, flags: u16, attributes: Attributes) -> Message {
    Message { kind: SUBSYSTEM_NFTABLES << 8 | u16::from(kind), flags, attributes }
}

/// All or nothing. Numbered from 0 (the begin); only the last of `messages` asks for an acknowledgement: errors come unasked, in
/// order, before it.
pub(super) fn transaction(messages: &[Message]) -> (Vec<u8>, u32) {
    let mut bytes = Vec::new();
    let mut sequence = 0;
    write(&mut bytes, BATCH_BEGIN, REQUEST, sequence, (0, SUBSYSTEM_NFTABLES), &[]);
    for (index, message) in messages.iter().enumerate() {
        sequence += 1;
        let ack = if index + 1 == messages.len() { ACK } else { 0 };
        let flags = REQUEST | message.flags | ack;
        write(&mut bytes, message.kind, flags, sequence, (INET, 0), message.attributes.as_slice());
    }
    write(&mut bytes, BATCH_END, REQUEST, sequence + 1, (0, SUBSYSTEM_NFTABLES), &[]);
    (bytes, sequence)
}

pub(super) fn dump(message: &Message, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, message.kind, REQUEST | DUMP, sequence, (INET, 0), message.attributes.as_slice());
    bytes
}

fn write(bytes: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, (family, resource): (u8, u16), attributes: &[u8]) {
    let length = u32::try_from(HEADER + FAMILY_HEADER + attributes.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// What the kernel answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// An error number, 0 for an acknowledgement.
    Status { sequence: u32, errno: i32 },
    /// End of a dump.
    Done,
    /// The attributes of an object.
    Object(&'a [u8]),
}

/// The answers of one datagram; what is cut short is left out.
pub(super) fn answers(mut datagram: &[u8]) -> Vec<Answer<'_>> {
    let mut answers = Vec::new();
    while let Some((header, _)) = datagram.split_first_chunk::<HEADER>() {
        let word =
            |at: usize| header.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes);
        let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
        let Some(body) = datagram.get(HEADER..length) else { break };
        let [_, _, _, _, kind_0, kind_1, ..] = *header;
        answers.push(match u16::from_ne_bytes([kind_0, kind_1]) {
            ERROR => {
                let code = body.first_chunk().map_or(i32::MIN, |code| i32::from_ne_bytes(*code));
                Answer::Status { sequence: word(8), errno: code.saturating_neg() }
            }
            DONE => Answer::Done,
            _ => Answer::Object(body.get(FAMILY_HEADER..).unwrap_or_default()),
        });
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    answers
}
