//! Whether the pod has IPv6.

use std::fs;

/// No interface but loopback has an IPv6 address, or the kernel has IPv6 switched off for the namespace.
///
/// The proxy then listens on IPv4 alone, so IPv6 that appears later must not become a way round it.
pub(crate) fn is_off() -> bool {
    let disabled = fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    let addresses = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    disabled.map_or(true, |text| text.trim() == "1") || !has_address(&addresses)
}

/// Each line: address, index, prefix length, scope, flags, interface.
fn has_address(if_inet6: &str) -> bool {
    if_inet6.lines().filter_map(|line| line.split_whitespace().nth(5)).any(|interface| interface != "lo")
}

#[cfg(test)]
mod tests {
    use super::has_address;

    #[test]
    fn loopback_alone_is_no_ipv6() {
        let lo = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let eth0 = "fd770000000000000000000000000002 02 40 00 80     eth0\n";
        assert!(!has_address(""));
        assert!(!has_address(lo));
        assert!(has_address(&format!("{lo}{eth0}")));
    }
}
