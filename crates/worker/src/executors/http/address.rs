//! What sort of address one is: the whole world's, or one of a network that outsiders have no business in.
//!
//! After the IANA special-purpose registries (RFC 6890 and what came since). An IPv6 address that carries an IPv4 one is
//! judged by that: a gateway would hand the connection on to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Public,
    /// Of this machine or of a network of one's own.
    Private,
    /// Where clouds hand out credentials, or nothing that a single server can have.
    Special,
}

/// Where clouds tell a machine about itself, and hand out its credentials.
const METADATA_V4: [Ipv4Addr; 6] = [
    // Nearly all of them.
    Ipv4Addr::new(169, 254, 169, 254),
    // Amazon's containers, and its Kubernetes.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba, within the carriers' range.
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's wire server, which looks public.
    Ipv4Addr::new(168, 63, 129, 16),
    // Oracle's older one.
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 3] = [
    // Amazon's machines, and its Kubernetes.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

pub(super) fn sort(address: IpAddr) -> Sort {
    match address {
        IpAddr::V4(address) => sort_v4(address),
        IpAddr::V6(address) => sort_v6(address),
    }
}

fn sort_v4(address: Ipv4Addr) -> Sort {
    if METADATA_V4.contains(&address) {
        return Sort::Special;
    }
    match address.octets() {
        // This machine, private networks, carriers' own, link-local.
        [127 | 10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..] => Sort::Private,
        // "This network", protocol assignments, documentation, the old 6to4 relays, benchmarks, multicast, reserved.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Sort::Special,
        _ => Sort::Public,
    }
}

fn sort_v6(address: Ipv6Addr) -> Sort {
    if METADATA_V6.contains(&address) {
        return Sort::Special;
    }
    if address == Ipv6Addr::LOCALHOST {
        return Sort::Private;
    }
    if let Some(carried) = carried(address) {
        return sort_v4(carried);
    }
    match address.segments() {
        // Unique local, link-local, the old site-local, and NAT64 of one's own network (RFC 8215).
        [0xfc00..=0xfdff | 0xfe80..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Sort::Private,
        // Protocol assignments (Teredo among them), documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Sort::Special,
        [0x2000..=0x3fff, ..] => Sort::Public,
        // Multicast, and all that was given to nobody.
        _ => Sort::Special,
    }
}

/// The IPv4 address within one that is mapped, compatible, translated (RFC 2765), of NAT64 (RFC 6052) or of 6to4.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Sort, addresses: &str) {
        for address in addresses.split_whitespace() {
            assert_eq!(sort(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn addresses_of_the_world_are_public() {
        check(
            Sort::Public,
            "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 \
             100.63.255.255 100.128.0.0 169.253.255.255 169.255.0.0 126.255.255.255 128.0.0.0 223.255.255.255 \
             2606:4700::1111 2a00:1450::1 2001:200::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1",
        );
    }

    #[test]
    fn addresses_of_ones_own_networks_are_private() {
        check(
            Sort::Private,
            "127.0.0.1 127.255.255.255 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.1 100.64.0.0 \
             100.127.255.255 169.254.0.1 ::1 fc00::1 fdff::1 fe80::1 febf::1 fec0::1 64:ff9b:1::1",
        );
    }

    #[test]
    fn an_address_within_another_is_what_counts() {
        check(
            Sort::Private,
            "::ffff:127.0.0.1 ::ffff:10.1.2.3 ::127.0.0.1 ::ffff:0:192.168.0.1 64:ff9b::10.0.0.1 2002:7f00:1::1 \
             2002:a00:1::",
        );
        check(
            Sort::Special,
            "::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1 ::ffff:0.0.0.0",
        );
    }

    #[test]
    fn metadata_multicast_and_reserved_addresses_are_special() {
        check(
            Sort::Special,
            "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 0.0.0.0 0.1.2.3 :: \
             224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 203.0.113.9 ff02::1 2001::1 \
             2001:db8::1 4000::1 e000::1",
        );
    }
}
