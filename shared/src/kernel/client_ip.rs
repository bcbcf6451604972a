//! Where a request comes from: the connection's peer, unless that is one of our own proxies.

use std::net::IpAddr;

use ipnet::IpNet;

/// The widest networks that proxies are named by: whoever is in them is believed.
const WIDEST: (u8, u8) = (8, 19);

/// The proxies that the deployment names. Only they are believed when they say whom they speak for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks in CIDR notation, separated by commas. What is none, or is wider than /8
    /// (IPv4) or /19 (IPv6), is left out and logged: a proxy that is not known is a peer like any
    /// other, which lets nobody in, and where everybody is a proxy everybody says where they are. A
    /// mapped IPv4 network is that IPv4 network, as the addresses are that it is held against.
    pub fn read(text: &str) -> Self {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            let read = entry
                .parse::<IpNet>()
                .ok()
                .or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
            let read = read.map(canonical).filter(|net| is_narrow(*net));
            if read.is_none() {
                tracing::error!(
                    "entry of TRUSTED_PROXIES is not a network or is too wide; the entry is ignored; correct TRUSTED_PROXIES"
                );
            }
            read
        };
        Self(entries.filter_map(network).collect())
    }

    fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that a request comes from, canonical: the peer, or what the chain of our proxies
    /// says, read from the right. Each proxy added whom it was talking to; what stands left of the
    /// first that is not ours is anybody's word.
    pub fn client_ip<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client_ip = peer.to_canonical();
        for entry in forwarded.rev() {
            if !self.include(client_ip) {
                break;
            }
            // What cannot be read ends the chain at the proxy that passed it on: an address that
            // nothing is allowed from.
            let Some(address) = address(entry.trim()) else {
                break;
            };
            client_ip = address;
        }
        client_ip
    }
}

/// A mapped IPv4 network is that IPv4 network.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    match (net.addr().to_canonical(), net.addr().is_ipv6()) {
        (IpAddr::V4(v4), true) if net.prefix_len() >= 96 => {
            IpNet::new(IpAddr::V4(v4), net.prefix_len() - 96).unwrap_or(net)
        }
        _ => net,
    }
}

fn is_narrow(net: IpNet) -> bool {
    net.prefix_len()
        >= if net.addr().is_ipv4() {
            WIDEST.0
        } else {
            WIDEST.1
        }
}

/// An entry of `X-Forwarded-For`: an address, in brackets or with a port where a proxy writes it
/// so.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.parse::<IpAddr>().ok();
    let bracketed = || entry.strip_prefix('[')?.split(']').next()?.parse().ok();
    let with_port = || {
        entry
            .parse::<std::net::SocketAddr>()
            .ok()
            .map(|socket| socket.ip())
    };
    bare()
        .or_else(with_port)
        .or_else(bracketed)
        .map(|address| address.to_canonical())
}

/// A client IP as rate limits know it: an IPv4 address, or the /64 of an IPv6 address, which is
/// what one subscriber has.
pub fn client_ip_key(client_ip: IpAddr) -> String {
    match client_ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_ip(proxies: &str, peer: &str, forwarded: &str) -> String {
        TrustedProxies::read(proxies)
            .client_ip(
                peer.parse().unwrap(),
                forwarded.split(',').filter(|entry| !entry.is_empty()),
            )
            .to_string()
    }

    #[test]
    fn without_proxies_the_peer_is_the_source_whatever_it_says() {
        assert_eq!(client_ip("", "198.51.100.9", "203.0.113.7"), "198.51.100.9");
        assert_eq!(
            client_ip("10.0.0.0/8", "198.51.100.9", "203.0.113.7, 10.0.0.1"),
            "198.51.100.9"
        );
    }

    #[test]
    fn the_chain_is_read_from_the_right_over_our_proxies_alone() {
        let proxies = "10.0.0.0/8, 2001:db8:ffff::/48";
        assert_eq!(client_ip(proxies, "10.0.0.1", "203.0.113.7"), "203.0.113.7");
        assert_eq!(
            client_ip(proxies, "10.0.0.1", "192.0.2.1, 203.0.113.7"),
            "203.0.113.7"
        );
        assert_eq!(
            client_ip(proxies, "10.0.0.1", "192.0.2.1, 203.0.113.7, 10.9.9.9"),
            "203.0.113.7"
        );
        assert_eq!(
            client_ip(proxies, "2001:db8:ffff::1", "203.0.113.7, 10.0.0.1"),
            "203.0.113.7"
        );
        // API Gateway repeats the peer at the end.
        assert_eq!(
            client_ip(proxies, "10.0.0.1", "203.0.113.7, 10.0.0.1"),
            "203.0.113.7"
        );
        // Somebody within: the leftmost of ours.
        assert_eq!(client_ip(proxies, "10.0.0.1", "10.0.0.7"), "10.0.0.7");
        assert_eq!(client_ip(proxies, "10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        assert_eq!(
            client_ip("10.0.0.1", "10.0.0.1", "203.0.113.7:4711"),
            "203.0.113.7"
        );
        assert_eq!(
            client_ip("10.0.0.1", "10.0.0.1", "[2001:db8::7]:4711"),
            "2001:db8::7"
        );
        assert_eq!(
            client_ip("10.0.0.1", "10.0.0.1", "[2001:db8::7]"),
            "2001:db8::7"
        );
        assert_eq!(
            client_ip("10.0.0.1", "::ffff:10.0.0.1", "::ffff:203.0.113.7"),
            "203.0.113.7"
        );
        for garbage in ["unknown", "_hidden", "203.0.113", "203.0.113.7 , x"] {
            assert_eq!(
                client_ip("10.0.0.1", "10.0.0.1", garbage),
                "10.0.0.1",
                "{garbage}"
            );
        }
    }

    #[test]
    fn an_entry_that_is_no_network_is_left_out() {
        assert_eq!(
            TrustedProxies::read("office, 10.0.0.0/8,,300.0.0.0/8"),
            TrustedProxies::read("10.0.0.0/8")
        );
    }

    #[test]
    fn an_entry_that_is_too_wide_is_left_out_and_a_mapped_one_is_its_ipv4_network() {
        for wide in [
            "0.0.0.0/0",
            "128.0.0.0/1",
            "10.0.0.0/7",
            "::/0",
            "2000::/3",
            "::ffff:0.0.0.0/96",
        ] {
            assert_eq!(
                TrustedProxies::read(wide),
                TrustedProxies::default(),
                "{wide}"
            );
            assert_eq!(
                client_ip(wide, "10.0.0.1", "203.0.113.7"),
                "10.0.0.1",
                "{wide}"
            );
        }
        assert_eq!(
            client_ip("::ffff:10.0.0.0/104", "10.0.0.1", "203.0.113.7"),
            "203.0.113.7"
        );
        assert_eq!(
            client_ip("10.0.0.0/8, 2600:9000::/28", "2600:9001::1", "203.0.113.7"),
            "203.0.113.7"
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_a_stranger_somebody_else(header in "\\PC{0,80}") {
            prop_assert_eq!(client_ip("10.0.0.0/8", "198.51.100.9", &header), "198.51.100.9");
            let _ = client_ip("10.0.0.0/8", "10.0.0.1", &header);
        }
    }

    #[test]
    fn a_v6_subscriber_is_one_source() {
        let key = |text: &str| client_ip_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("203.0.113.7"), "203.0.113.7");
    }
}
