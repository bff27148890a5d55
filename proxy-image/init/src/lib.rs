//! Redirects a pod's connections to its proxy, waits for the proxy to be ready, and tells it when to end.
//!
//! Owns the nftables table `inet weft` of the network namespace it runs in, or, as a CNI plugin, of the pod's that is being made; and, on a node,
//! the plugin's program and its entry in the network configuration. Speaks netlink itself: the image holds no shell and no nft. Imports nothing
//! of the workspace; runs once, before the application.

mod ask;
pub mod cni;
mod drain;
mod error;
pub mod install;
mod ipv6;
mod netlink;
mod options;
mod ready;
mod rules;
mod table;
mod validate;

pub use drain::{DrainError, drain};
pub use error::InitError;
pub use options::{Ipv6, Options, PortRange};
pub use ready::{AwaitError, await_ready};
pub use validate::{ValidateError, validate};

use netlink::Connection;
use rules::Chain;

/// What was written, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Name of each chain and how many rules it holds, as read back from the kernel.
    pub chains: Vec<(&'static str, usize)>,
    /// Inbound IPv6 TCP is dropped.
    pub ipv6_dropped: bool,
}

/// Replaces the table `inet weft` as a whole, in one transaction, and reads it back.
///
/// # Errors
/// When the kernel refuses (the text says what to do about it), or holds other than what was written.
pub fn apply(options: &Options) -> Result<Applied, InitError> {
    let ipv6_dropped = match options.ipv6 {
        Ipv6::Drop => true,
        Ipv6::Auto => ipv6::is_off(),
    };
    let chains = rules::chains(options, ipv6_dropped);
    let mut connection = Connection::open()?;
    connection.commit(&table::messages(&chains))?;
    let chains = verify(&chains, &connection.rules(table::TABLE)?)?;
    Ok(Applied { chains, ipv6_dropped })
}

/// Whether the table `inet weft` holds what `apply` writes; whether the pod had IPv6 then is not asked.
///
/// # Errors
/// When it is not there or holds other rules, or the kernel does not say.
pub fn check(options: &Options) -> Result<(), InitError> {
    let held = Connection::open()?.rules(table::TABLE)?;
    let with_ipv6 = verify(&rules::chains(options, false), &held);
    with_ipv6.or_else(|_| verify(&rules::chains(options, true), &held)).map(|_| ())
}

/// What is written against what is held: for each rule the name of its chain.
fn verify(chains: &[Chain], held: &[String]) -> Result<Vec<(&'static str, usize)>, InitError> {
    let count = |name: &str| held.iter().filter(|chain| *chain == name).count();
    let applied: Vec<_> = chains.iter().map(|chain| (chain.name, count(chain.name))).collect();
    let wanted: Vec<_> = chains.iter().map(|chain| (chain.name, chain.rules.len())).collect();
    if applied != wanted || held.len() != wanted.iter().map(|(_, count)| count).sum::<usize>() {
        return Err(InitError::Verify { wanted, held: applied, total: held.len() });
    }
    Ok(applied)
}
