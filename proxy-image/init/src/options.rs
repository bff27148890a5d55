//! The flags of `weft-proxy init`.

use std::str::FromStr;

use ipnet::IpNet;

use crate::error::InitError;

/// What is redirected, and what is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where outbound connections go.
    pub outbound_port: u16,
    /// Where inbound connections go; connections addressed to it stay as they are.
    pub inbound_port: u16,
    /// The proxy's own connections are left alone.
    pub proxy_uid: u32,
    /// Destination ports of inbound connections that are left alone. 4191 always is.
    pub skip_inbound_ports: Vec<PortRange>,
    /// Destination ports of outbound connections that are left alone.
    pub skip_outbound_ports: Vec<PortRange>,
    /// Sources of inbound connections that are left alone.
    pub skip_inbound_cidrs: Vec<IpNet>,
    /// Destinations of outbound connections that are left alone.
    pub skip_outbound_cidrs: Vec<IpNet>,
    /// What happens to inbound IPv6.
    pub ipv6: Ipv6,
}

/// What happens to inbound IPv6 TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// Redirected like IPv4; dropped where the pod has no IPv6.
    #[default]
    Auto,
    /// Dropped, but for loopback.
    Drop,
}

/// One port, or all from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            outbound_port: 4140,
            inbound_port: 4143,
            proxy_uid: 2102,
            skip_inbound_ports: Vec::new(),
            skip_outbound_ports: Vec::new(),
            skip_inbound_cidrs: Vec::new(),
            skip_outbound_cidrs: Vec::new(),
            ipv6: Ipv6::Auto,
        }
    }
}

impl FromStr for PortRange {
    type Err = ();

    /// `80` or `5000-5010`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or(());
        let (first, last) = (port(first)?, port(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(()) }
    }
}

impl Options {
    /// Flags as `--name=value` or `--name value`; lists are separated by commas, and an empty list is one.
    ///
    /// # Errors
    /// A flag that is unknown, lacks its value or cannot be parsed: nothing is guessed, since a rule would be missing.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, InitError> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, arguments.next()),
            };
            let Some(value) = value else { return Err(invalid(&flag, "", "followed by a value")) };
            options.set(&flag, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), InitError> {
        match flag {
            "--outbound-port" => self.outbound_port = one(flag, value, "a port")?,
            "--inbound-port" => self.inbound_port = one(flag, value, "a port")?,
            "--proxy-uid" => self.proxy_uid = one(flag, value, "a uid")?,
            "--skip-inbound-ports" => self.skip_inbound_ports = list(flag, value, "a list of ports or ranges")?,
            "--skip-outbound-ports" => self.skip_outbound_ports = list(flag, value, "a list of ports or ranges")?,
            "--skip-inbound-cidrs" => self.skip_inbound_cidrs = list(flag, value, "a list of CIDRs")?,
            "--skip-outbound-cidrs" => self.skip_outbound_cidrs = list(flag, value, "a list of CIDRs")?,
            "--ipv6" => {
                self.ipv6 = match value {
                    "auto" => Ipv6::Auto,
                    "drop" => Ipv6::Drop,
                    _ => return Err(invalid(flag, value, "auto or drop")),
                }
            }
            _ => return Err(invalid(flag, value, "a flag of init")),
        }
        Ok(())
    }
}

fn one<T: FromStr>(flag: &str, value: &str, expected: &'static str) -> Result<T, InitError> {
    value.parse().map_err(|_| invalid(flag, value, expected))
}

fn list<T: FromStr>(flag: &str, value: &str, expected: &'static str) -> Result<Vec<T>, InitError> {
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| one(flag, item, expected)).collect()
}

fn invalid(flag: &str, value: &str, expected: &'static str) -> InitError {
    InitError::Option { flag: flag.to_owned(), value: value.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::{Ipv6, Options, PortRange};

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(|argument| (*argument).to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_set_what_they_say_and_the_rest_keeps_its_default() {
        let options = parse(&[
            "--outbound-port=4240",
            "--proxy-uid",
            "7",
            "--skip-inbound-ports=22, 5000-5010",
            "--skip-outbound-cidrs=169.254.169.254/32,fd00::/8",
            "--skip-outbound-ports=",
            "--ipv6=drop",
        ]);
        let wanted = Options {
            outbound_port: 4240,
            proxy_uid: 7,
            skip_inbound_ports: vec![PortRange { first: 22, last: 22 }, PortRange { first: 5000, last: 5010 }],
            skip_outbound_cidrs: vec!["169.254.169.254/32".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ipv6: Ipv6::Drop,
            ..Options::default()
        };
        assert_eq!(options, Ok(wanted));
    }

    #[test]
    fn what_cannot_be_used_is_an_error_that_names_the_flag() {
        let cases: [(&[&str], &str); 6] = [
            (&["--skip-inbound-ports=22,x"], r#"--skip-inbound-ports: "x" is not a list of ports or ranges"#),
            (&["--skip-inbound-ports=9-8"], r#"--skip-inbound-ports: "9-8" is not a list of ports or ranges"#),
            (&["--skip-outbound-cidrs=10.0.0.0/33"], r#"--skip-outbound-cidrs: "10.0.0.0/33" is not a list of CIDRs"#),
            (&["--ipv6=no"], r#"--ipv6: "no" is not auto or drop"#),
            (&["--colour=red"], r#"--colour: "red" is not a flag of init"#),
            (&["--proxy-uid"], r#"--proxy-uid: "" is not followed by a value"#),
        ];
        for (arguments, wanted) in cases {
            assert_eq!(parse(arguments), Err(wanted.to_owned()));
        }
    }
}
