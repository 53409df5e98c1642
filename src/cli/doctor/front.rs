//! The way to the front door: does the name resolve, does something answer there, with which certificate.

use super::{Finding, advice};
use crate::federation::certificate::{self, Fault, Shown};
use crate::federation::client;
use chrono::{DateTime, TimeDelta, Utc};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Which part of its life a certificate should have before it: Caddy and certbot renew at a third, whether it lives for months
/// or for days.
const LATE: i32 = 6;

/// Look for the addresses of a host; empty where its name leads nowhere.
pub(super) async fn resolve(host: &str, findings: &mut Vec<Finding>) -> Vec<IpAddr> {
    match client::resolve(host).await {
        Err(error) => {
            findings.push(Finding::problem("dns", format!("{}.", sentence(&error.to_string())), advice::RESOLVE));
            Vec::new()
        }
        Ok(addresses) => {
            let list = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            findings.push(match addresses.iter().find(|address| !is_public(address)) {
                None => Finding::ok("dns", format!("{host} leads to {list}.")),
                Some(inner) => Finding::warning("dns", format!("{host} leads to {list}, and {inner} is an address inside a network."),
                    "If the world shall reach this server, let the name lead to its public address. If it is for your network alone, or if only this machine sees it so (/etc/hosts), this is right."),
            });
            addresses
        }
    }
}

/// Whether an address belongs to the world, by the registries of IANA as far as they concern a server's name.
fn is_public(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
    }
}

/// Look at the certificate on every address; whether a stranger's request would get through.
pub(super) async fn certificates(
    host: &str,
    addresses: &[SocketAddr],
    extra_ca: Option<&PathBuf>,
    now: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) -> bool {
    let (mut silent, mut reached) = (Vec::new(), Vec::new());
    for address in addresses {
        match certificate::look(host, *address, extra_ca.cloned()).await {
            Ok(shown) => reached.push((address, shown)),
            Err(error) => silent.push(format!("{address}: {error}")),
        }
    }
    if reached.is_empty() {
        findings.push(Finding::problem(
            "https",
            format!("Nobody answers by https ({}).", silent.join("; ")),
            advice::UNREACHABLE,
        ));
        return false;
    }
    if !silent.is_empty() {
        let seen = format!("Some addresses of {host} do not answer ({}).", silent.join("; "));
        let family = "Take the address away in DNS, or let the proxy listen there. Often it is an AAAA record (IPv6) to a machine \
                      that has no IPv6, and then some servers reach this one and others do not.";
        findings.push(Finding::problem("https", seen, family));
    }
    let mut good = true;
    for (address, shown) in reached {
        let found = judge(host, &shown, now);
        good &= shown.faults.is_empty();
        // The same words for each address would tell nothing new.
        let known = findings.iter().any(|known| found.first().is_some_and(|found| known.seen == found.seen));
        if !known {
            findings.extend(found);
        }
        tracing::debug!(%address, ?shown, "a certificate was looked at");
    }
    good
}

/// What to say about a certificate.
fn judge(host: &str, shown: &Shown, now: DateTime<Utc>) -> Vec<Finding> {
    const CHECK: &str = "certificate";
    let date = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let until = shown.until.map_or_else(|| "an unknown day".to_owned(), date);
    let problem = |fault: &Fault| match fault {
        Fault::Expired => {
            Finding::problem(CHECK, format!("The certificate of {host} expired on {until}."), advice::EXPIRED)
        }
        Fault::NotYetValid => {
            Finding::problem(CHECK, format!("The certificate of {host} is not valid yet."), advice::CLOCK)
        }
        Fault::OtherName => Finding::problem(
            CHECK,
            format!("The certificate that answers for {host} is for {}.", shown.names.join(", ")),
            advice::OTHER_NAME,
        ),
        Fault::UnknownAuthority => Finding::problem(
            CHECK,
            format!(
                "The certificate of {host} is by {}, whom other servers do not believe ({} in the chain).",
                shown.issuer, shown.chain
            ),
            advice::UNKNOWN_AUTHORITY,
        ),
        Fault::Other => {
            Finding::problem(CHECK, format!("The certificate of {host} cannot be used."), advice::OTHER_NAME)
        }
    };
    if !shown.faults.is_empty() {
        return shown.faults.iter().map(problem).collect();
    }
    let left = shown.until.map_or(TimeDelta::zero(), |until| until - now);
    let life = shown.until.zip(shown.since).map_or(TimeDelta::zero(), |(until, since)| until - since);
    let long = match left.num_days() {
        ..2 => format!("{} more hours", left.num_hours()),
        days => format!("{days} more days"),
    };
    let seen = format!("The certificate of {host} is by {} and good until {until}, for {long}.", shown.issuer);
    vec![match left < life / LATE {
        true => Finding::warning(CHECK, seen, advice::EXPIRED),
        false => Finding::ok(CHECK, seen),
    }]
}

/// A message as the beginning of a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn addresses_inside_a_network_are_told_from_those_of_the_world() {
        for inner in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(&inner.parse().unwrap()), "{inner}");
        }
        for outer in ["100.63.0.1", "8.8.8.8", "2001:4860::1"] {
            assert!(is_public(&outer.parse().unwrap()), "{outer}");
        }
    }

    #[test]
    fn a_certificate_is_judged_by_the_part_of_its_life_that_is_left() {
        let now = Utc::now();
        let severity = |lived: i64, left: i64| {
            let (since, until) = (Some(now - TimeDelta::hours(lived)), Some(now + TimeDelta::hours(left)));
            let shown = Shown { names: vec![], issuer: "X".to_owned(), since, until, chain: 2, faults: vec![] };
            judge("kept.example", &shown, now)[0].severity
        };
        assert_eq!([severity(60 * 24, 30 * 24), severity(80 * 24, 10 * 24)], [Severity::Ok, Severity::Warning]);
        assert_eq!(
            [severity(1, 11), severity(11, 1)],
            [Severity::Ok, Severity::Warning],
            "Caddy's own live for 12 hours"
        );
    }
}
