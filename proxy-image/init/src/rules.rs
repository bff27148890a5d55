//! Which rules the pod gets: a pure function of the options.

use ipnet::IpNet;

use crate::options::{Options, PortRange};

/// Never redirected: readiness must be answered before and without the mesh.
const ADMIN_PORT: u16 = 4191;

/// A chain hooked into the packet path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) hook: Hook,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Destination NAT of connections that arrive.
    NatPrerouting,
    /// Destination NAT of connections that the pod opens.
    NatOutput,
    /// What arrived, after NAT.
    FilterInput,
    /// What the pod sends, before connections are tracked.
    RawOutput,
}

/// Applies to TCP packets that fulfil all conditions; rules are tried in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The socket's owner.
    Uid(u32),
    FromLoopback,
    NotFromLoopback,
    ToLoopback,
    Ipv6,
    /// The first packet of a connection from elsewhere (SYN without ACK): answers to the pod's own connections still come in.
    Opening,
    ToPorts(PortRange),
    FromPort(u16),
    /// What the kernel answers to the first packet of a connection to a port where nobody listens: RST and ACK, and sequence number 0.
    Refusal,
    Source(IpNet),
    Destination(IpNet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Leave the packet as it is.
    Return,
    Drop,
    /// To this port of the pod itself.
    Redirect(u16),
}

/// All chains of the table.
pub(crate) fn chains(options: &Options, drop_ipv6: bool) -> Vec<Chain> {
    let mut chains = vec![
        Chain { name: "prerouting", hook: Hook::NatPrerouting, rules: inbound(options) },
        Chain { name: "output", hook: Hook::NatOutput, rules: outbound(options) },
    ];
    if drop_ipv6 {
        let rules = vec![rule(vec![Condition::Ipv6, Condition::NotFromLoopback, Condition::Opening], Action::Drop)];
        chains.push(Chain { name: "input", hook: Hook::FilterInput, rules });
    }
    chains.push(Chain { name: "successor", hook: Hook::RawOutput, rules: vec![unrefused(options.outbound_port)] });
    chains
}

fn inbound(options: &Options) -> Vec<Rule> {
    let mut skipped = vec![Condition::FromLoopback];
    let own = [options.inbound_port, ADMIN_PORT].map(|port| PortRange { first: port, last: port });
    skipped.extend(own.into_iter().chain(options.skip_inbound_ports.iter().copied()).map(Condition::ToPorts));
    skipped.extend(options.skip_inbound_cidrs.iter().copied().map(Condition::Source));
    redirected(skipped, options.inbound_port)
}

fn outbound(options: &Options) -> Vec<Rule> {
    let mut skipped = vec![Condition::Uid(options.proxy_uid), Condition::ToLoopback];
    skipped.extend(options.skip_outbound_ports.iter().copied().map(Condition::ToPorts));
    skipped.extend(options.skip_outbound_cidrs.iter().copied().map(Condition::Destination));
    redirected(skipped, options.outbound_port)
}

/// Between the end of a proxy and the start of the one that takes its place nobody listens. The application is not told: its kernel tries again a second
/// later, and what would have been an error is a delay.
fn unrefused(outbound_port: u16) -> Rule {
    rule(vec![Condition::ToLoopback, Condition::FromPort(outbound_port), Condition::Refusal], Action::Drop)
}

fn redirected(skipped: Vec<Condition>, port: u16) -> Vec<Rule> {
    let skip = |condition| rule(vec![condition], Action::Return);
    skipped.into_iter().map(skip).chain([rule(Vec::new(), Action::Redirect(port))]).collect()
}

fn rule(conditions: Vec<Condition>, action: Action) -> Rule {
    Rule { conditions, action }
}
