//! How much may come in: by address before anything is believed, by host once it is proven who sends.
//!
//! Only what is proven counts against a host, for anybody can name any host in a signature. Memory is bounded: where too
//! many are remembered, whoever is new shares one limit, and bodies have so much room together. Must never know what a
//! request is about. Start with [`Limits`].

use super::{Settings, extract};
use actix_web::{HttpRequest, web};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests a second from one address, and how many may come at once: a large server sends a Move's thousands of follows
/// from one address within minutes.
const ADDRESS: (u32, u32) = (100, 2000);
/// What a request counts that proved to be worth nothing.
const WORTHLESS: u32 = 20;
/// Most that an address may owe: what it gets in ten seconds. Many behind one address are not shut out for long.
const MOST_OWED: u32 = 1000;
/// How long it is remembered.
const OWED_FOR: Duration = Duration::from_secs(60);
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
/// Room for all bodies that are being read or judged, in KiB.
const ROOM: usize = 64 << 10;

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
    /// A permit for each KiB.
    bodies: Arc<Semaphore>,
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
            bodies: Arc::new(Semaphore::new(ROOM)),
        }
    }
}

impl Limits {
    /// Count a request from an address; the error says how long to wait.
    pub fn request(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        address.map_or(Ok(()), |address| self.addresses.take(&address))
    }

    /// Count a request that proved to be worth nothing.
    pub fn worthless(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.addresses.charge(&address, WORTHLESS);
        }
    }

    /// Count something that a host sent, which is proven.
    pub fn proven(&self, host: &str) -> Result<(), Duration> {
        self.hosts.take(&host.to_owned())
    }

    /// Room for a body, of which nothing is taken yet.
    pub fn room(&self) -> Room {
        Room { all: self.bodies.clone(), held: None }
    }

    /// Whether a host is heard of for the first time in a while.
    pub fn is_heard_anew(&self, host: &str) -> bool {
        self.heard.entry_by_ref(host).or_insert(()).is_fresh()
    }

    /// Whether a key may be fetched from `host` because of a request from this address. Ask only when one would be.
    ///
    /// Whoever has used up what is theirs takes nothing from the host that they name.
    pub fn may_fetch(&self, address: Option<IpAddr>, host: &str) -> bool {
        address.is_none_or(|address| self.strangers_of_address.take(&address).is_ok())
            && self.strangers_of_host.take(&host.to_owned()).is_ok()
            && self.strangers.check().is_ok()
    }
}

/// Room in memory for one body. It is given back when this is dropped.
#[derive(Debug)]
pub struct Room {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Have room for that many bytes altogether; whether there is any.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(1024).saturating_sub(held);
        if more == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(more) = self.all.clone().try_acquire_many_owned(more) else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        true
    }
}

/// A limit for each of many.
#[derive(Debug)]
struct Keyed<K, C = DefaultClock>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Clock,
{
    each: RateLimiter<K, DefaultKeyedStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    /// For all who come when too many are remembered.
    others: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    /// What somebody has still to pay before anything else of theirs is let through.
    owed: moka::sync::Cache<K, Arc<AtomicU32>>,
    most: usize,
    calls: AtomicUsize,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Keyed<K> {
    fn new(rate: (u32, u32), most: usize) -> Keyed<K> {
        Keyed::with_clock(rate, most, DefaultClock::default())
    }
}

impl<K, C> Keyed<K, C>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Clock + Clone,
{
    fn with_clock(rate: (u32, u32), most: usize, clock: C) -> Keyed<K, C> {
        Keyed {
            each: RateLimiter::new(quota(rate), DefaultKeyedStateStore::default(), clock.clone()),
            others: RateLimiter::new(quota(rate), InMemoryState::default(), clock),
            owed: moka::sync::Cache::builder().max_capacity(most as u64).time_to_idle(OWED_FOR).build(),
            most,
            calls: AtomicUsize::new(0),
        }
    }

    /// Let one through, once what is owed is paid; the error says how long to wait.
    fn take(&self, key: &K) -> Result<(), Duration> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.each.retain_recent();
            self.each.shrink_to_fit();
        }
        if let Some(owed) = self.owed.get(key) {
            while owed.load(Ordering::Relaxed) > 0 {
                self.cell(key)?;
                // Another thread may have paid the last of it.
                let _ = owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |owed| owed.checked_sub(1));
            }
        }
        self.cell(key)
    }

    /// Let somebody pay so many more before anything else of theirs is let through.
    ///
    /// What is taken from what they have left would not do: in a flood nothing ever is.
    fn charge(&self, key: &K, cells: u32) {
        let owed = self.owed.get_with(key.clone(), Arc::default);
        let more = |owed: u32| Some(owed.saturating_add(cells).min(MOST_OWED));
        // It is never `None`, so it never fails.
        let _ = owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn cell(&self, key: &K) -> Result<(), Duration> {
        let now = self.others.clock().now();
        let full = self.each.len() >= self.most;
        let taken = if full { self.others.check() } else { self.each.check_key(key) };
        taken.map_err(|not_yet| not_yet.wait_time_from(now))
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
    use governor::clock::FakeRelativeClock;

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
        assert!((0..10).all(|_| keyed.take(&"a").is_ok()));
        let wait = keyed.take(&"a").unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!((0..10).all(|_| keyed.take(&"b").is_ok()));
    }

    #[test]
    fn memory_is_bounded_and_whoever_is_new_then_shares_one_limit() {
        let keyed: Keyed<u32> = Keyed::new((1, 10), 100);
        let taken = (0..10_000_u32).filter(|n| keyed.take(n).is_ok()).count();
        assert!(keyed.each.len() <= 100, "{}", keyed.each.len());
        assert!((110..200).contains(&taken), "{taken}: a hundred of their own, and the others together");
    }

    #[test]
    fn what_is_worth_nothing_costs_more_also_when_nothing_is_left() {
        let clock = FakeRelativeClock::default();
        let keyed: Keyed<&str, FakeRelativeClock> = Keyed::with_clock((100, 2000), 100, clock.clone());
        let flood = |seconds: u64| {
            let mut taken = 0;
            for _ in 0..seconds * 1000 {
                clock.advance(Duration::from_millis(1));
                if keyed.take(&"bad").is_ok() {
                    taken += 1;
                    keyed.charge(&"bad", WORTHLESS);
                }
            }
            taken
        };
        // Until nothing is left.
        flood(1);
        let taken = flood(10);
        assert!((40..=50).contains(&taken), "{taken}: a hundred a second, twenty-one for each");
        assert!(keyed.take(&"good").is_ok());
        clock.advance(Duration::from_secs(20));
        assert!((0..1900).all(|_| keyed.take(&"bad").is_ok()), "it is forgiven in time");
    }

    #[test]
    fn bodies_have_room_until_too_many_are_there_and_again_when_they_are_gone() {
        let limits = Limits::default();
        let mut rooms: Vec<Room> = (0..64).map(|_| limits.room()).collect();
        assert!(rooms.iter_mut().all(|room| room.reserve(10) && room.reserve(1 << 20) && room.reserve(1000)));
        let mut late = limits.room();
        assert!(!late.reserve(1));
        rooms.pop();
        assert!(late.reserve(1 << 20));
        assert!(!late.reserve((1 << 20) + 1));
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
    fn who_may_fetch_nothing_more_takes_nothing_from_the_host_that_they_name() {
        let limits = Limits::default();
        let bad = Some(IpAddr::from([203, 0, 113, 1]));
        while limits.may_fetch(bad, "other.example") {}
        let refused = (0..100).filter(|_| !limits.may_fetch(bad, "a.example")).count();
        assert!(refused > 90, "{refused}");
        assert!((0..60).all(|_| limits.may_fetch(Some(IpAddr::from([203, 0, 113, 2])), "a.example")));
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
