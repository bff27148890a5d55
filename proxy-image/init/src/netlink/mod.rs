//! Netlink to nf_tables, as little as is needed: one transaction out, one dump in. RFC 3549 and linux/netlink.h define the framing.

mod attributes;
pub(crate) mod message;
mod socket;

pub(crate) use attributes::Attributes;
pub(crate) use socket::Connection;
