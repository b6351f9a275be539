//! How often one address may knock.

use axum::http::HeaderMap;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// So many addresses are remembered; beyond it those that kept quiet are forgotten.
const ADDRESSES: usize = 4_096;

/// A bucket of one second's joins for each address (token bucket): a burst of `rate` passes, then `rate` in a second.
#[derive(Debug)]
pub(super) struct JoinRate {
    rate: f64,
    /// What is left, and when that was counted.
    left: BTreeMap<IpAddr, (f64, Instant)>,
}

impl JoinRate {
    /// Joins in a second; 0: any number.
    pub fn new(rate: u32) -> Self {
        Self { rate: rate.into(), left: BTreeMap::new() }
    }

    /// Counts one join. False: too many.
    pub fn allow(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.rate <= 0.0 {
            return true;
        }
        let rate = self.rate;
        let refilled =
            |(left, at): (f64, Instant)| (left + now.saturating_duration_since(at).as_secs_f64() * rate).min(rate);
        if self.left.len() >= ADDRESSES {
            self.left.retain(|_, entry| refilled(*entry) < rate);
        }
        let entry = self.left.entry(network(address)).or_insert((rate, now));
        let left = refilled(*entry);
        let allowed = left >= 1.0;
        *entry = (if allowed { left - 1.0 } else { left }, now);
        allowed
    }
}

/// Who asks: a proxy on this very machine says for whom; others cannot.
pub(super) fn asker(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let forwarded = || {
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?;
        last.trim().parse().ok()
    };
    if peer.ip().is_loopback() { forwarded().unwrap_or(peer.ip()) } else { peer.ip() }
}

/// One customer of IPv6 has a network, not an address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_burst_passes_then_the_rate_and_each_address_counts_alone() {
        let mut rate = JoinRate::new(3);
        let start = Instant::now();
        let mut burst = |address, at| (0..5).filter(|_| rate.allow(address, at)).count();
        assert_eq!(burst(HERE, start), 3);
        assert_eq!(burst(THERE, start), 3);
        assert_eq!(burst(HERE, start + Duration::from_millis(700)), 2);
        assert_eq!(burst(HERE, start + Duration::from_secs(9)), 3);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut rate = JoinRate::new(0);
        let now = Instant::now();
        assert!((0..10_000).all(|_| rate.allow(HERE, now)));
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let mut rate = JoinRate::new(1);
        let start = Instant::now();
        for number in 0..20_000_u32 {
            let now = start + Duration::from_millis(number.into());
            rate.allow(IpAddr::V4(number.into()), now);
        }
        assert!(rate.left.len() <= ADDRESSES);
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_only_a_local_proxy_speaks_for_others() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::2")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), HERE);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "10.0.0.1, 192.0.2.1".parse().unwrap());
        assert_eq!(asker("127.0.0.1:9".parse().unwrap(), &headers), HERE);
        assert_eq!(asker("192.0.2.2:9".parse().unwrap(), &headers), THERE);
    }
}
