//! What operators of earlier versions send, byte for byte. src/wire/released.test.ts reads the other half of the file.

use prost::Message;

use crate::apply::apply;
use crate::config::TrustSource;
use crate::handle::Shared;
use crate::store::Limits;
use crate::trust::Trust;
use crate::wire::config::ServerMessage;

const RECORDED: &str = include_str!("../../../../conformance/wire/0.1.0.txt");
/// Field 1000, a number: nobody has it yet.
const LATER: [u8; 3] = [0xc0, 0x3e, 0x01];

fn recorded() -> Vec<Vec<u8>> {
    let hex =
        |text: &str| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    RECORDED
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|parts| parts[0] == "server")
        .map(|parts| hex(parts[2]))
        .collect()
}

/// Applies the messages to a proxy that has just started; what it refused.
fn refusals(messages: &[Vec<u8>]) -> Vec<String> {
    let shared = Shared::new(Limits::default(), Trust::new(&TrustSource { pem: None, file: None }), false);
    for bytes in messages {
        apply(&shared, ServerMessage::decode(bytes.as_slice()).unwrap());
    }
    let mut store = shared.store();
    let workload = store.workload().borrow().clone();
    assert_eq!(
        workload.map(|workload| (workload.pod_uid.clone(), workload.application_ended)),
        Some(("uid-1".to_owned(), false))
    );
    std::mem::take(&mut store.outbox).nacks.into_iter().map(|nack| nack.reason).collect()
}

#[test]
fn an_operator_of_0_1_0_is_understood() {
    let messages = recorded();
    assert_eq!(messages.len(), 4);
    assert_eq!(refusals(&messages), Vec::<String>::new());
}

#[test]
fn fields_that_a_later_operator_adds_change_nothing() {
    let later: Vec<_> = recorded().into_iter().map(|message| [message.as_slice(), LATER.as_slice()].concat()).collect();
    assert_eq!(refusals(&later), Vec::<String>::new());
}

#[test]
fn a_resource_of_a_kind_that_a_later_operator_adds_is_refused_alone() {
    let mut messages = recorded();
    // ServerMessage { nonce: 10, upsert: { name: "later", version: "1", 1000: 1 } }
    messages.push([&[8, 10, 18, 13, 10, 5], b"later".as_slice(), &[18, 1, b'1'], &LATER].concat());
    assert_eq!(refusals(&messages).len(), 1);
}
