//! Which addresses may be asked: those of the public internet, and what the owner allows besides.
//!
//! A pure rule over addresses; `client.rs` applies it to every address right before it connects. Must never resolve a name.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a request may go to this address: it is public, or lies in one of these blocks.
///
/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is allowed by a block of either kind, and is never public.
pub fn may_be_asked(address: IpAddr, allowed: &[IpNet]) -> bool {
    let plain = address.to_canonical();
    is_public(address) || allowed.iter().any(|block| block.contains(&address) || block.contains(&plain))
}

/// Whether an address belongs to one host of the public internet (IANA's special-purpose address registries).
///
/// What only stands for another address is not public: IPv4 inside IPv6, NAT64, 6to4 and Teredo lead wherever the
/// address inside them leads.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private networks, loopback.
        [0 | 10 | 127, ..]
            // Shared behind carriers' address translation (RFC 6598).
            | [100, 64..=127, ..]
            // Link-local, and where clouds tell machines their secrets.
            | [169, 254, ..]
            | [172, 16..=31, ..]
            // Protocol assignments and documentation.
            | [192, 0, 0 | 2, _]
            // Relays of 6to4.
            | [192, 88, 99, _]
            | [192, 168, ..]
            // Benchmarks.
            | [198, 18 | 19, ..]
            // Documentation.
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Multicast, reserved, broadcast.
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3. Outside of it lie loopback, IPv4 inside IPv6, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48),
    // unique-local, link-local and multicast addresses, and what is reserved.
    let [first, second, ..] = address.segments();
    (0x2000..=0x3fff).contains(&first)
        && !matches!(
            (first, second),
            // Protocol assignments, Teredo and benchmarks among them (2001::/23), and documentation.
            (0x2001, 0..=0x1ff | 0xdb8)
                // 6to4.
                | (0x2002, _)
                // Documentation (3fff::/20).
                | (0x3fff, 0..=0xfff)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let inner = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254 \
            172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 \
            203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::8.8.8.8 ::ffff:127.0.0.1 \
            ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::a00:1 100::1 2001::1 2001:0:1::1 \
            2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1 3fff:fff::1 \
            5f00::1 fc00::1 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1";
        for address in inner.split_whitespace() {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 \
            169.253.255.255 172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1 192.88.98.1 192.167.0.1 192.169.0.1 198.17.255.255 \
            198.20.0.1 198.51.99.1 203.0.112.1 223.255.255.255 2001:200::1 2001:db7::1 2001:4860:4860::8888 2003::1 \
            2606:4700::1111 2a01:4f8::1 3ffe::1 3fff:1000::1";
        for address in public.split_whitespace() {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_the_owner_allows_may_be_asked_and_nothing_beside_it() {
        let allowed = ["10.1.0.0/16", "fd00::/8", "127.0.0.1/32"].map(|block| block.parse().unwrap());
        for address in ["10.1.2.3", "fd00::1", "127.0.0.1", "::ffff:10.1.2.3", "8.8.8.8"] {
            assert!(may_be_asked(address.parse().unwrap(), &allowed), "{address}");
        }
        for address in ["10.2.0.1", "fe80::1", "127.0.0.2", "::1", "::ffff:10.2.0.1", "::ffff:8.8.8.8"] {
            assert!(!may_be_asked(address.parse().unwrap(), &allowed), "{address}");
        }
        assert!(!may_be_asked("10.1.2.3".parse().unwrap(), &[]));
    }
}
