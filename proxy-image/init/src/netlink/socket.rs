//! The socket to the kernel.

use std::io::{self, Read};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Attributes;
use super::attributes::{find, text};
use super::message::{Answer, Message, answers, dump, message, transaction};
use crate::error::InitError;

const AF_NETLINK: i32 = 16;
const NETLINK_NETFILTER: i32 = 12;
const EPERM: i32 = 1;
const GET_RULE: u8 = 7;
/// The kernel answers at once; it must not hang the pod if it does not.
const PATIENCE: Duration = Duration::from_secs(5);
/// Larger than any datagram of a dump.
const DATAGRAM: usize = 64 * 1024;

pub(crate) struct Connection(Socket);

impl Connection {
    pub(crate) fn open() -> Result<Self, InitError> {
        let socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_NETFILTER)))
            .map_err(InitError::Socket)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// All messages, or none and the kernel's reason.
    pub(crate) fn commit(&mut self, messages: &[Message]) -> Result<(), InitError> {
        let (bytes, last) = transaction(messages);
        self.send(&bytes)?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            for answer in answers(self.receive(&mut buffer)?) {
                match answer {
                    Answer::Status { errno: EPERM, .. } => return Err(InitError::NotPermitted),
                    Answer::Status { errno: 0, sequence } if sequence == last => return Ok(()),
                    Answer::Status { errno: 0, .. } | Answer::Done | Answer::Object(_) => {}
                    Answer::Status { errno, .. } => {
                        return Err(InitError::Refused(io::Error::from_raw_os_error(errno)));
                    }
                }
            }
        }
    }

    /// For every rule of a table, the name of its chain.
    pub(crate) fn rules(&mut self, table: &str) -> Result<Vec<String>, InitError> {
        self.send(&dump(&message(GET_RULE, 0, Attributes::new().string(1, table)), 1))?;
        let mut buffer = vec![0; DATAGRAM];
        let mut chains = Vec::new();
        loop {
            for answer in answers(self.receive(&mut buffer)?) {
                match answer {
                    Answer::Done => return Ok(chains),
                    Answer::Status { errno: 0, .. } => {}
                    Answer::Status { errno, .. } => return Err(io::Error::from_raw_os_error(errno).into()),
                    // Older kernels dump the rules of every table.
                    Answer::Object(rule) if find(rule, 1).map(text).as_deref() == Some(table) => {
                        chains.extend(find(rule, 2).map(text));
                    }
                    Answer::Object(_) => {}
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // Without an address a netlink datagram goes to the kernel.
        let sent = self.0.send(bytes)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("the request was cut short")) }
    }

    fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let length = self.0.read(buffer)?;
        buffer.get(..length).ok_or_else(|| io::Error::other("the answer is larger than its buffer"))
    }
}
