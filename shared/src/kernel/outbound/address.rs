//! Which addresses an account's settings may make this service talk to: those that everybody can
//! reach.
//!
//! The rest is where a request of ours could do what its sender cannot: this machine, the network
//! around it, the metadata service of the instance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address` is one of the public internet. An IPv4 address written as IPv6 is that IPv4
/// address.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// RFC 6890's special networks are not public, nor what is newer and like them.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = match (a, b, c) {
        // This network, private, carrier's NAT, loopback, link-local with the metadata service,
        // private, protocol assignments, 6to4 relays, private, benchmarks; multicast, reserved and
        // broadcast.
        (0 | 10 | 127 | 224..=255, ..)
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 0, 0)
        | (192, 88, 99)
        | (192, 168, _)
        | (198, 18..=19, _) => true,
        _ => v4.is_documentation(),
    };
    !special
}

/// Global unicast is `2000::/3`; of it, what is handed out to carry other addresses or to stand in
/// examples is not public.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    match v6.octets() {
        // An IPv6-only network reaches IPv4 by this prefix (RFC 6052): what counts is where it
        // leads.
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, v4 @ ..] => is_public_v4(Ipv4Addr::from(v4)),
        // Protocol assignments with Teredo, documentation, 6to4, documentation.
        [0x20, 0x01, 0 | 1, ..]
        | [0x20, 0x01, 0x0d, 0xb8, ..]
        | [0x20, 0x02, ..]
        | [0x3f, 0xff, 0..=0x0f, ..] => false,
        [first, ..] => first & 0xe0 == 0x20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_only_this_service_can_reach_is_not() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }
}
