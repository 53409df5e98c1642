//! How much may come in: by address before anything is believed, by host once it is proven who sends.
//!
//! Only what is proven counts against a host, for anybody can name any host in a signature. Memory is bounded: where too
//! many are remembered, whoever is new shares one limit. Must never know what a request is about. Start with [`Limits`].

use super::{Settings, extract};
use actix_web::{HttpRequest, web};
use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Requests a second from one address, and how many may come at once: a large server sends a Move's thousands of follows
/// from one address within minutes.
const ADDRESS: (u32, u32) = (100, 2000);
/// What a request counts that proved to be worth nothing.
const WORTHLESS: u32 = 20;
/// The same for a host, counted only once it is proven that it sends.
const HOST: (u32, u32) = (50, 2000);
/// Keys a second that are fetched because of one address, because of names of one host, and altogether.
const STRANGERS_OF_ADDRESS: (u32, u32) = (5, 100);
const STRANGERS_OF_HOST: (u32, u32) = (5, 100);
const STRANGERS: (u32, u32) = (20, 200);
/// How long a host that was heard of counts as being there.
const HEARD: Duration = Duration::from_secs(60);
/// How many addresses or hosts are remembered.
const MOST: usize = 50_000;
/// After how many requests those are forgotten that have their whole allowance again.
const SWEEP: usize = 10_000;

/// The limits of a server, shared by all of its threads.
#[derive(Debug)]
pub struct Limits {
    addresses: Keyed<IpAddr>,
    hosts: Keyed<String>,
    strangers_of_address: Keyed<IpAddr>,
    strangers_of_host: Keyed<String>,
    strangers: DefaultDirectRateLimiter,
    /// Hosts that were heard of lately.
    heard: moka::sync::Cache<String, ()>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            addresses: Keyed::new(ADDRESS, MOST),
            hosts: Keyed::new(HOST, MOST),
            strangers_of_address: Keyed::new(STRANGERS_OF_ADDRESS, MOST),
            strangers_of_host: Keyed::new(STRANGERS_OF_HOST, MOST),
            strangers: RateLimiter::direct(quota(STRANGERS)),
            heard: moka::sync::Cache::builder().max_capacity(MOST as u64).time_to_live(HEARD).build(),
        }
    }
}

impl Limits {
    /// Count a request from an address; the error says how long to wait.
    pub fn request(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        address.map_or(Ok(()), |address| self.addresses.take(&address, 1))
    }

    /// Count a request that proved to be worth nothing.
    pub fn worthless(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            // What is used up is used up; the next request will hear of it.
            let _ = self.addresses.take(&address, WORTHLESS);
        }
    }

    /// Count something that a host sent, which is proven.
    pub fn proven(&self, host: &str) -> Result<(), Duration> {
        self.hosts.take(&host.to_owned(), 1)
    }

    /// Whether a host is heard of for the first time in a while.
    pub fn is_heard_anew(&self, host: &str) -> bool {
        self.heard.entry_by_ref(host).or_insert(()).is_fresh()
    }

    /// Whether a key may be fetched from `host` because of a request from this address.
    pub fn may_fetch(&self, address: Option<IpAddr>, host: &str) -> bool {
        address.is_none_or(|address| self.strangers_of_address.take(&address, 1).is_ok())
            && self.strangers_of_host.take(&host.to_owned(), 1).is_ok()
            && self.strangers.check().is_ok()
    }
}

/// A limit for each of many.
#[derive(Debug)]
struct Keyed<K: Clone + Eq + Hash> {
    each: DefaultKeyedRateLimiter<K>,
    /// For all who come when too many are remembered.
    others: DefaultDirectRateLimiter,
    most: usize,
    calls: AtomicUsize,
}

impl<K: Clone + Eq + Hash> Keyed<K> {
    fn new(rate: (u32, u32), most: usize) -> Keyed<K> {
        let others = RateLimiter::direct(quota(rate));
        Keyed { each: RateLimiter::keyed(quota(rate)), others, most, calls: AtomicUsize::new(0) }
    }

    fn take(&self, key: &K, cells: u32) -> Result<(), Duration> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.each.retain_recent();
            self.each.shrink_to_fit();
        }
        let cells = NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN);
        let full = self.each.len() >= self.most;
        let now = self.others.clock().now();
        let taken = if full { self.others.check_n(cells) } else { self.each.check_key_n(key, cells) };
        match taken {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_yet)) => Err(not_yet.wait_time_from(now)),
            // More than is ever allowed at once.
            Err(_) => Err(Duration::from_secs(1)),
        }
    }
}

fn quota((per_second, at_once): (u32, u32)) -> Quota {
    let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(number(per_second)).allow_burst(number(at_once))
}

/// Where a request comes from, as far as limits go: an IPv4 address, or the network of an IPv6 address (/64), for each
/// customer has at least one of those.
///
/// What a trusted proxy adds to `X-Forwarded-For` is believed, and nothing else. `None` for an address of this machine or
/// of its local network: that is a proxy which nobody told us of, and behind it stands everybody.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let address = if extract::from_trusted_proxy(request) { forwarded(request).unwrap_or(peer) } else { peer };
    match address {
        IpAddr::V4(four) if four.is_loopback() || four.is_private() || four.is_link_local() => None,
        IpAddr::V6(six) if six.is_loopback() || six.is_unique_local() || six.is_unicast_link_local() => None,
        IpAddr::V4(_) => Some(address),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Some(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
        }
    }
}

/// The last address in `X-Forwarded-For` that is not a trusted proxy's: what stands before it, anybody can write.
fn forwarded(request: &HttpRequest) -> Option<IpAddr> {
    let settings = request.app_data::<web::Data<Settings>>()?;
    let lines: Vec<&str> = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    for part in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let address = read_address(part.trim())?;
        if !settings.trusted_proxies.iter().any(|network| network.contains(&address)) {
            return Some(address);
        }
    }
    None
}

/// An address, with or without a port.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    alone.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn from(peer: &str, forwarded: &[&str]) -> Option<String> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()];
        let settings = Settings { trusted_proxies: trusted, ..Settings::default() };
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 1);
        let request = TestRequest::post().peer_addr(peer).app_data(web::Data::new(settings));
        let request = forwarded.iter().fold(request, |request, line| request.append_header(("x-forwarded-for", *line)));
        address(&request.to_http_request()).map(|address| address.to_string())
    }

    fn is(found: Option<String>, expected: &str) {
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn an_address_counts_from_a_trusted_proxy_alone_and_only_what_it_added() {
        is(from("198.51.100.1", &["203.0.113.9"]), "198.51.100.1");
        is(from("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        is(from("10.0.0.1", &["1.2.3.4, 203.0.113.9"]), "203.0.113.9");
        is(from("10.0.0.1", &["203.0.113.9, 192.0.2.7, 10.1.1.1"]), "203.0.113.9");
        is(from("10.0.0.1", &["203.0.113.9", "192.0.2.7"]), "203.0.113.9");
        is(from("10.0.0.1", &["203.0.113.9:1234"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["203.0.113.9, nonsense"]), None, "the proxy's own address is a local one");
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_one_is_ipv4() {
        is(from("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
        is(from("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::");
        is(from("::ffff:203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn a_proxy_that_nobody_told_of_is_not_limited() {
        for peer in ["127.0.0.1", "::1", "172.18.0.2", "192.168.1.1", "fd00::1", "10.0.0.1"] {
            assert_eq!(from(peer, &[]), None, "{peer}");
        }
    }

    #[test]
    fn who_sends_too_much_has_to_wait_and_nobody_else() {
        let keyed: Keyed<&str> = Keyed::new((1, 10), 100);
        assert!((0..10).all(|_| keyed.take(&"a", 1).is_ok()));
        let wait = keyed.take(&"a", 1).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(keyed.take(&"b", 10).is_ok());
        assert!(keyed.take(&"c", 11).is_err(), "more than is ever allowed at once");
    }

    #[test]
    fn memory_is_bounded_and_whoever_is_new_then_shares_one_limit() {
        let keyed: Keyed<u32> = Keyed::new((1, 10), 100);
        let taken = (0..10_000_u32).filter(|n| keyed.take(n, 1).is_ok()).count();
        assert!(keyed.each.len() <= 100, "{}", keyed.each.len());
        assert!((110..200).contains(&taken), "{taken}: a hundred of their own, and the others together");
    }

    #[test]
    fn strangers_are_bounded_by_address_by_host_and_altogether() {
        let address = |n: u8| Some(IpAddr::from([203, 0, 113, n]));
        let fetched = |limits: &Limits, one: &dyn Fn(u32) -> (u8, String)| {
            (0..2000)
                .filter(|n| {
                    let (n, host) = one(*n);
                    limits.may_fetch(address(n), &host)
                })
                .count()
        };
        let below = |most: u32| (most as usize)..(most as usize + 40);
        assert!(below(100).contains(&fetched(&Limits::default(), &|n| (1, format!("{n}.example")))));
        assert!(below(100).contains(&fetched(&Limits::default(), &|n| (n as u8, "a.example".to_owned()))));
        assert!(below(200).contains(&fetched(&Limits::default(), &|n| (n as u8, format!("{n}.example")))));
    }

    #[test]
    fn what_is_worth_nothing_costs_more() {
        let limits = Limits::default();
        let address = Some(IpAddr::from([203, 0, 113, 1]));
        let bad = (0..1000)
            .take_while(|_| {
                limits.worthless(address);
                limits.request(address).is_ok()
            })
            .count();
        assert!(bad < 110, "{bad}");
        assert!(limits.request(Some(IpAddr::from([203, 0, 113, 2]))).is_ok());
        assert!((0..1000).all(|_| limits.request(None).is_ok()));
    }
}
