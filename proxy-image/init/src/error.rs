//! What keeps the rules from being written; the texts end with the remedy.

use std::io;

/// The pod must not start: its traffic would go round the mesh.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A flag cannot be used.
    #[error("{flag}: {value:?} is not {expected}")]
    Option {
        /// As given.
        flag: String,
        /// As given.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// No netlink socket.
    #[error(
        "the kernel offers no netfilter netlink: {0}. This node cannot redirect from inside a pod: run the pod on another, or leave it out with weft.dev/inject: disabled"
    )]
    Socket(#[source] io::Error),
    /// Missing capability.
    #[error(
        "not permitted to write nftables rules: the init container needs the capability NET_ADMIN \
         (securityContext.capabilities.add: [NET_ADMIN], runAsUser: 0). Where the namespace's Pod Security level forbids it, \
         let the CNI plugin write them: install the chart with cni.enabled=true and annotate the pod or its namespace weft.dev/redirect=cni"
    )]
    NotPermitted,
    /// The kernel refused the rules.
    #[error(
        "the kernel refused the rules: {0}. Redirection needs nf_tables with inet nat, redirect and conntrack (Linux 5.2 or later)"
    )]
    Refused(#[source] io::Error),
    /// Netlink failed or answered nonsense.
    #[error("netlink: {0}")]
    Netlink(#[from] io::Error),
    /// Read back other than written.
    #[error(
        "the kernel holds other rules than were written (wanted {wanted:?}, held {held:?}, {total} in all): \
         something else edits the table inet weft"
    )]
    Verify {
        /// Chains and counts written.
        wanted: Vec<(&'static str, usize)>,
        /// The same chains as read back.
        held: Vec<(&'static str, usize)>,
        /// Rules read back in the whole table.
        total: usize,
    },
}
