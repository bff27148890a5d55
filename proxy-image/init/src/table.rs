//! The rules in nf_tables' own terms (linux/netfilter/nf_tables.h), as the messages of one transaction.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::netlink::Attributes;
use crate::netlink::message::{Message, message};
use crate::options::PortRange;
use crate::rules::{Action, Chain, Condition, Hook, Rule};

/// Ours alone; replaced as a whole.
pub(crate) const TABLE: &str = "weft";

const NEW_TABLE: u8 = 0;
const DELETE_TABLE: u8 = 2;
const NEW_CHAIN: u8 = 3;
const NEW_RULE: u8 = 6;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
/// NFT_RETURN is -5.
const RETURN: u32 = 5_u32.wrapping_neg();
/// Before what other destination NAT a pod may have.
const PRIORITY_DSTNAT: u32 = 100_u32.wrapping_neg();
/// Before connection tracking.
const PRIORITY_RAW: u32 = 300_u32.wrapping_neg();

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_SKUID: u32 = 10;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
/// Offsets of the sequence number and the flags in the TCP header, and some of these (RFC 9293, 3.1).
const TCP_SEQUENCE: u32 = 4;
const TCP_FLAGS: u32 = 13;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const TCP_ACK: u8 = 0x10;

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;

/// Deleting what may not exist fails, so the table is made first: the three together replace it whatever was there.
pub(crate) fn messages(chains: &[Chain]) -> Vec<Message> {
    let table = Attributes::new().string(1, TABLE);
    let mut messages = vec![
        message(NEW_TABLE, CREATE, table.clone()),
        message(DELETE_TABLE, 0, table.clone()),
        message(NEW_TABLE, CREATE, table),
    ];
    messages.extend(chains.iter().map(new_chain));
    messages.extend(chains.iter().flat_map(|chain| chain.rules.iter().map(|rule| new_rule(chain.name, rule))));
    messages
}

fn new_chain(chain: &Chain) -> Message {
    let (kind, hook, priority) = match chain.hook {
        Hook::NatPrerouting => ("nat", 0, PRIORITY_DSTNAT),
        Hook::NatOutput => ("nat", 3, PRIORITY_DSTNAT),
        Hook::FilterInput => ("filter", 1, 0),
        Hook::RawOutput => ("filter", 3, PRIORITY_RAW),
    };
    let attributes = Attributes::new()
        .string(1, TABLE)
        .string(3, chain.name)
        .nested(4, Attributes::new().number(1, hook).number(2, priority))
        .number(5, ACCEPT)
        .string(7, kind);
    message(NEW_CHAIN, CREATE, attributes)
}

fn new_rule(chain: &str, rule: &Rule) -> Message {
    let mut expressions = vec![meta(META_L4PROTO), compare(EQUAL, &[IPPROTO_TCP])];
    expressions.extend(rule.conditions.iter().flat_map(condition));
    expressions.extend(action(rule.action));
    let list = expressions.into_iter().fold(Attributes::new(), |list, expression| list.nested(1, expression));
    let attributes = Attributes::new().string(1, TABLE).string(2, chain).nested(4, list);
    message(NEW_RULE, CREATE | APPEND, attributes)
}

fn condition(condition: &Condition) -> Vec<Attributes> {
    match condition {
        // The kernel hands uids over in the host's byte order.
        Condition::Uid(uid) => vec![meta(META_SKUID), compare(EQUAL, &uid.to_ne_bytes())],
        Condition::FromLoopback => vec![meta(META_IIFNAME), compare(EQUAL, &interface("lo"))],
        Condition::NotFromLoopback => vec![meta(META_IIFNAME), compare(NOT_EQUAL, &interface("lo"))],
        Condition::ToLoopback => vec![meta(META_OIFNAME), compare(EQUAL, &interface("lo"))],
        Condition::Ipv6 => vec![meta(META_NFPROTO), compare(EQUAL, &[NFPROTO_IPV6])],
        Condition::Opening => {
            vec![payload(BASE_TRANSPORT, TCP_FLAGS, 1), masked(&[SYN | TCP_ACK]), compare(EQUAL, &[SYN])]
        }
        Condition::ToPorts(PortRange { first, last }) if first == last => {
            vec![payload(BASE_TRANSPORT, 2, 2), compare(EQUAL, &first.to_be_bytes())]
        }
        Condition::ToPorts(ports) => vec![
            payload(BASE_TRANSPORT, 2, 2),
            compare(AT_LEAST, &ports.first.to_be_bytes()),
            compare(AT_MOST, &ports.last.to_be_bytes()),
        ],
        Condition::FromPort(port) => vec![payload(BASE_TRANSPORT, 0, 2), compare(EQUAL, &port.to_be_bytes())],
        Condition::Refusal => vec![
            payload(BASE_TRANSPORT, TCP_FLAGS, 1),
            masked(&[RST | TCP_ACK | SYN]),
            compare(EQUAL, &[RST | TCP_ACK]),
            payload(BASE_TRANSPORT, TCP_SEQUENCE, 4),
            compare(EQUAL, &[0; 4]),
        ],
        // Offsets of the addresses in the IPv4 and IPv6 headers.
        Condition::Source(net) => inside(net, 12, 8),
        Condition::Destination(net) => inside(net, 16, 24),
    }
}

fn inside(net: &IpNet, offset_v4: u32, offset_v6: u32) -> Vec<Attributes> {
    let (protocol, offset) = match net {
        IpNet::V4(_) => (NFPROTO_IPV4, offset_v4),
        IpNet::V6(_) => (NFPROTO_IPV6, offset_v6),
    };
    let (network, mask) = (octets(net.network()), octets(net.netmask()));
    let length = u32::try_from(mask.len()).unwrap_or_default();
    vec![
        meta(META_NFPROTO),
        compare(EQUAL, &[protocol]),
        payload(BASE_NETWORK, offset, length),
        masked(&mask),
        compare(EQUAL, &network),
    ]
}

fn masked(mask: &[u8]) -> Attributes {
    let data = Attributes::new()
        .number(1, REGISTER_1)
        .number(2, REGISTER_1)
        .number(3, u32::try_from(mask.len()).unwrap_or_default())
        .nested(4, value(mask))
        .nested(5, value(&vec![0; mask.len()]));
    expression("bitwise", data)
}

fn action(action: Action) -> Vec<Attributes> {
    match action {
        Action::Return => vec![verdict(RETURN)],
        Action::Drop => vec![verdict(DROP)],
        Action::Redirect(port) => {
            let load = Attributes::new().number(1, REGISTER_1).nested(2, value(&port.to_be_bytes()));
            vec![expression("immediate", load), expression("redir", Attributes::new().number(1, REGISTER_1))]
        }
    }
}

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::new().string(1, name).nested(2, data)
}

fn meta(key: u32) -> Attributes {
    expression("meta", Attributes::new().number(1, REGISTER_1).number(2, key))
}

fn payload(base: u32, offset: u32, length: u32) -> Attributes {
    let data = Attributes::new().number(1, REGISTER_1).number(2, base).number(3, offset).number(4, length);
    expression("payload", data)
}

fn compare(operator: u32, data: &[u8]) -> Attributes {
    expression("cmp", Attributes::new().number(1, REGISTER_1).number(2, operator).nested(3, value(data)))
}

fn verdict(code: u32) -> Attributes {
    let verdict = Attributes::new().nested(2, Attributes::new().number(1, code));
    expression("immediate", Attributes::new().number(1, REGISTER_VERDICT).nested(2, verdict))
}

fn value(data: &[u8]) -> Attributes {
    Attributes::new().bytes(1, data)
}

/// Compared over the whole of IFNAMSIZ, so that `lo` is not `lo0`.
fn interface(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    for (slot, byte) in padded.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    padded
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
