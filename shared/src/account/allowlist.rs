//! The networks from which the password alone is enough for internal users.

use std::net::IpAddr;

use crate::kernel::client_ip::canonical;
use ipnet::IpNet;
use serde::Serialize;
use utoipa::ToSchema;

/// The widest IPv4 network that an entry may be.
const WIDEST_V4: u8 = 16;
/// The widest IPv6 network that an entry may be.
const WIDEST_V6: u8 = 32;

/// Why an entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNetwork {
    /// It is no CIDR.
    Malformed,
    /// It has bits set behind its prefix: `10.0.0.1/24` is more likely a slip than a wish.
    HostBits,
    /// It covers too much.
    TooWide,
}

/// Reads an entry, in canonical form: a mapped IPv4 network (`::ffff:203.0.113.0/120`) is that IPv4
/// network.
pub fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let net: IpNet = match text.parse() {
        Ok(net) => net,
        Err(_) => text
            .parse::<IpAddr>()
            .map(IpNet::from)
            .map_err(|_| InvalidNetwork::Malformed)?,
    };
    let net = canonical(net);
    let widest = if net.addr().is_ipv4() {
        WIDEST_V4
    } else {
        WIDEST_V6
    };
    if net.prefix_len() < widest {
        return Err(InvalidNetwork::TooWide);
    }
    if net == net.trunc() {
        Ok(net)
    } else {
        Err(InvalidNetwork::HostBits)
    }
}

/// Whether an address is in the allowlist, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AllowlistExplanation)]
pub struct Explanation {
    /// Whether the password, or SSO, is enough for internal users from there.
    pub allowed: bool,
    /// The entry that covers the address.
    pub matched: Option<String>,
    /// The address, in canonical form.
    pub address: String,
    /// Why, in words.
    pub reason: String,
}

/// Holds `address` against the entries.
pub fn explain(entries: &[String], address: IpAddr) -> Explanation {
    let address = address.to_canonical();
    let covers = |entry: &&String| network(entry).is_ok_and(|net| net.contains(&address));
    let matched = entries.iter().find(covers).cloned();
    let reason = match &matched {
        Some(entry) => format!("{address} is in {entry}"),
        None if entries.is_empty() => "the allowlist is empty".to_owned(),
        None => format!(
            "{address} is in none of the {} networks of the allowlist",
            entries.len()
        ),
    };
    Explanation {
        allowed: matched.is_some(),
        matched,
        address: address.to_string(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(entries: &[&str], address: &str) -> bool {
        let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
        explain(&entries, address.parse().unwrap()).allowed
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert!(allowed(&["203.0.113.0/24"], "::ffff:203.0.113.7"));
        assert!(allowed(&["::ffff:203.0.113.0/120"], "203.0.113.7"));
        assert!(!allowed(&["203.0.113.0/24"], "::203.0.113.7"));
        assert!(allowed(&["2001:db8::/32"], "2001:db8:1::1"));
        assert!(!allowed(&[], "127.0.0.1"));
    }

    #[test]
    fn what_is_no_narrow_network_is_refused() {
        assert_eq!(network("10.0.0.0/8"), Err(InvalidNetwork::TooWide));
        assert_eq!(network("::/0"), Err(InvalidNetwork::TooWide));
        assert_eq!(network("::ffff:0.0.0.0/96"), Err(InvalidNetwork::TooWide));
        assert_eq!(network("10.0.0.1/24"), Err(InvalidNetwork::HostBits));
        // Too wide is too wide, whatever stands behind the prefix.
        assert_eq!(network("10.1.2.3/8"), Err(InvalidNetwork::TooWide));
        assert_eq!(network("2001:db8::1/16"), Err(InvalidNetwork::TooWide));
        assert_eq!(network("10.0.0.0/33"), Err(InvalidNetwork::Malformed));
        assert_eq!(network("office"), Err(InvalidNetwork::Malformed));
        assert_eq!(network("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            let _ = network(&text);
        }

        #[test]
        fn an_address_is_in_the_network_around_it(address: [u8; 4], prefix in 16_u8..=32) {
            let address = IpAddr::from(address);
            let net = IpNet::new(address, prefix).unwrap().trunc().to_string();
            prop_assert!(explain(&[net], address).allowed);
        }
    }
}
