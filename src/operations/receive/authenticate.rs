//! Who sent something: by the signature of the request, or by the proof that the activity itself carries.
//!
//! Everything that costs nothing is judged first, and whoever is blocked before anybody is asked. A stranger's key is
//! fetched only where the caller allows it, and a known one is fetched anew once if it does not fit. Must never
//! do what the activity says. Start with [`authenticate`].

use super::Message;
use crate::activitystreams::read::incoming::{self, Deed, Incoming};
use crate::domain::remote::{KnownActor, host_of, same_host};
use crate::federation::actors;
use crate::federation::proof;
use crate::federation::signature::{self, Bound, Claim, PublicKey};
use crate::operations::{App, Error};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

/// Signatures of one request that are looked at. Who sends two sends one for each kind of key.
pub const MOST_CLAIMS: usize = 2;
/// How old the proof of what somebody passes on may be: as old as a signature, and much younger than what is
/// forgotten of what came in.
const OLDEST_PROOF: TimeDelta = TimeDelta::hours(13);
/// How far ahead of ours its maker's clock may be.
const EARLIEST_PROOF: TimeDelta = TimeDelta::hours(1);

/// Why something is not taken in. The message is fit for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Whoever sent it is blocked.
    #[error("Nothing is taken from you here.")]
    Blocked,
    /// It is not proven to come from whom it says.
    #[error(transparent)]
    Unproven(#[from] signature::Error),
    /// The key that it names cannot be had.
    #[error("The key of the signature cannot be had: {0}.")]
    NoKey(String),
    /// Too much would have to be fetched to know who sent it.
    #[error("There are too many strangers at the moment. Try again later.")]
    Crowded,
    /// The key cannot be had now.
    #[error("The key of the signature cannot be had now: {0}.")]
    Later(String),
    /// It is no activity.
    #[error(transparent)]
    NoActivity(#[from] incoming::Refusal),
}

/// What is known of a sender.
#[derive(Clone, Debug)]
pub enum Sent {
    /// It is proven whose it is.
    By(Box<Message>),
    /// Somebody of whom nothing is here says that they are gone: nothing is left to do, and nobody need be asked.
    Gone,
}

/// Who may be asked for a key that is not known: the host, and whether it may.
pub type MayFetch<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// Judge a request to an inbox: who signed it, and whose activity it carries.
///
/// `own` is our base URL: nobody here signs what comes to us. `claims` are what [`signature::read`] found.
pub async fn authenticate(
    app: &App,
    own: &str,
    claims: &[Claim],
    body: &[u8],
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Result<Sent, Refusal>, Error> {
    let gone = vanishing(body);
    if let Some(uri) = &gone
        && app.store.find_remote_actor(uri).await?.is_none()
    {
        return Ok(Ok(Sent::Gone));
    }
    let mut refused = Refusal::Unproven(signature::Error::Missing);
    for claim in claims.iter().take(MOST_CLAIMS) {
        if let Err(refusal) = check(claim, own) {
            refused = refusal;
            continue;
        }
        if app.store.is_blocked(None, claim.key_document()).await? {
            return Ok(Err(Refusal::Blocked));
        }
        let bound = match claim.bind(body) {
            Ok(bound) => bound,
            Err(error) => {
                refused = error.into();
                continue;
            }
        };
        match signer(app, claim, &bound, gone.as_deref(), may_fetch, now).await? {
            Ok((signer, known)) => {
                // Who was not known before may go by an address that is blocked, and a key may stand elsewhere.
                let is_checked = known == Known::Before && signer.told.uri == claim.key_document();
                if !is_checked && app.store.is_blocked(None, &signer.told.uri).await? {
                    return Ok(Err(Refusal::Blocked));
                }
                return author(app, signer, claim, body, may_fetch, now).await;
            }
            Err(refusal) => refused = refusal,
        }
    }
    Ok(Err(refused))
}

/// The id of an actor that says that it is gone, told before it is proven.
fn vanishing(body: &[u8]) -> Option<String> {
    memchr::memmem::find(body, b"Delete")?;
    let (_, incoming) = incoming::read(body).ok()?;
    let Incoming { actor, deed: Deed::Delete(object), .. } = incoming else { return None };
    (actor == object).then_some(actor)
}

/// Whether the key that a claim names may be looked up at all. `own` is our base URL.
pub fn check(claim: &Claim, own: &str) -> Result<(), Refusal> {
    if same_host(claim.key_document(), own) {
        return Err(Refusal::NoKey("nobody here sends to us".to_owned()));
    }
    // The database has no room for every character.
    match claim.key_id().contains(char::is_control) {
        true => Err(Refusal::NoKey("its id is not a web address".to_owned())),
        false => Ok(()),
    }
}

/// Since when somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// They were known before.
    Before,
    /// They were asked just now.
    Now,
}

/// The actor whose key made a signature: a known key, else one that is fetched where that is allowed; a known one that does
/// not fit is fetched anew once.
///
/// `gone` is who says that they are gone, if that is what was sent.
pub async fn signer(
    app: &App,
    claim: &Claim,
    bound: &Bound<'_>,
    gone: Option<&str>,
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Result<(KnownActor, Known), Refusal>, Error> {
    let (document, id) = (claim.key_document(), claim.key_id());
    let known = match app.actors.known_key(document, id).await {
        Ok(known) => known,
        Err(error) => return no_key(error),
    };
    let Some((actor, key)) = known else {
        return match key(app, document, id, may_fetch, now).await? {
            Ok((actor, key)) => Ok(bound.verify(&key).map(|()| (actor, Known::Now)).map_err(Refusal::from)),
            Err(refusal) => Ok(Err(refusal)),
        };
    };
    let error = match bound.verify(&key) {
        Ok(()) => return Ok(Ok((actor, Known::Before))),
        Err(error) => error,
    };
    if !error.may_be_an_old_key() {
        return Ok(Err(error.into()));
    }
    let host = host_of(&actor.told.uri).unwrap_or_default();
    if app.actors.would_ask(&actor.told.uri, now).await? && !may_fetch(&host) {
        return Ok(Err(error.into()));
    }
    match app.actors.refresh_soon(&actor.told.uri, now).await {
        Ok(_) => {}
        // Its own host says the same as the activity.
        Err(actors::Error::Gone(_)) if gone == Some(&actor.told.uri) => return Ok(Ok((actor, Known::Before))),
        Err(actors::Error::Inner(cause)) => return Err(actors::Error::Inner(cause).into()),
        Err(_) => return Ok(Err(error.into())),
    }
    match app.actors.known_key(document, id).await {
        Ok(Some((actor, key))) => Ok(bound.verify(&key).map(|()| (actor, Known::Now)).map_err(Refusal::from)),
        Ok(None) => Ok(Err(error.into())),
        Err(error) => no_key(error),
    }
}

/// Somebody's key, fetched where that is needed and allowed. Nobody's allowance is used up where nothing will be fetched.
async fn key(
    app: &App,
    document: &str,
    id: &str,
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Result<(KnownActor, PublicKey), Refusal>, Error> {
    let Some(host) = host_of(document) else {
        return Ok(Err(Refusal::NoKey("its id is not a web address".to_owned())));
    };
    if app.actors.would_ask(document, now).await? && !may_fetch(&host) {
        return Ok(Err(Refusal::Crowded));
    }
    match app.actors.by_key(document, id, now).await {
        Ok(found) => Ok(Ok(found)),
        Err(error) => no_key(error),
    }
}

fn no_key<T>(error: actors::Error) -> Result<Result<T, Refusal>, Error> {
    match error {
        actors::Error::Gone(_) | actors::Error::Unknown(_) => Ok(Err(Refusal::NoKey(error.to_string()))),
        _ if error.is_ours() => Ok(Err(Refusal::Crowded)),
        actors::Error::Later(why) => Ok(Err(Refusal::Later(why))),
        inner @ actors::Error::Inner(_) => Err(inner.into()),
    }
}

/// Whose activity it is: the signer's, or that of whoever made its proof (FEP-8b32).
async fn author(
    app: &App,
    signer: KnownActor,
    claim: &Claim,
    body: &[u8],
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Result<Sent, Refusal>, Error> {
    let (value, incoming) = match incoming::read(body) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let own = incoming.actor == signer.told.uri;
    let (actor, seal) = if own {
        if let Err(refusal) = own_proof(app, &value, &signer, now).await? {
            return Ok(Err(refusal));
        }
        (signer, claim.seal())
    } else {
        if incoming.id.is_none() {
            // By its id a second copy is known, whoever brings it.
            return Ok(Err(incoming::Refusal::NoActivity("what is passed on needs an id").into()));
        }
        match prover(app, &value, &incoming.actor, may_fetch, now).await? {
            Ok(proven) => proven,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
    let text = String::from_utf8_lossy(body).into_owned();
    Ok(Ok(Sent::By(Box::new(Message { incoming, text, actor, seal, relayed: !own }))))
}

/// Whether the proof of an activity that its own actor signed is a good one, as far as that can be told without asking
/// anybody. None is as good; one of a kind that we do not know says nothing.
async fn own_proof(
    app: &App,
    value: &Value,
    signer: &KnownActor,
    now: DateTime<Utc>,
) -> Result<Result<(), Refusal>, Error> {
    let proof = match proof::read(value, now) {
        Ok(Some(proof)) => proof,
        Ok(None) | Err(signature::Error::Unsupported(_)) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error.into())),
    };
    let method = proof.verification_method();
    match app.actors.known_key(document_of(method), method).await {
        Ok(Some((owner, _))) if owner.told.uri != signer.told.uri => Ok(Err(foreign_proof())),
        Ok(Some((_, key))) => Ok(proof.verify(&key).map_err(Refusal::from)),
        Ok(None) => Ok(Ok(())),
        Err(error) => no_key(error),
    }
}

/// The actor whose key made the proof of an activity that somebody else passes on, if that is who the activity says; and
/// what tells the proof from others.
///
/// The proof has to be as young as a signature: else whoever has an old one could say it again when it is forgotten here.
async fn prover(
    app: &App,
    value: &Value,
    actor: &str,
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Result<(KnownActor, [u8; 32]), Refusal>, Error> {
    let none =
        || signature::Error::WrongKey("the activity is not the signer's and carries no proof of its own".to_owned());
    let proof = match proof::read(value, now) {
        Ok(Some(proof)) => proof,
        Ok(None) => return Ok(Err(none().into())),
        Err(error) => return Ok(Err(error.into())),
    };
    if let Err(error) = timely(proof.created(), now) {
        return Ok(Err(error.into()));
    }
    if app.store.is_blocked(None, actor).await? {
        return Ok(Err(Refusal::Blocked));
    }
    let method = proof.verification_method();
    let document = document_of(method);
    let known = match app.actors.known_key(document, method).await {
        Ok(known) => known,
        Err(error) => return no_key(error),
    };
    let (owner, key) = match known {
        Some(found) => found,
        None => match key(app, document, method, may_fetch, now).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    if owner.told.uri != actor {
        return Ok(Err(foreign_proof()));
    }
    Ok(proof.verify(&key).map(|()| (owner, proof.seal())).map_err(Refusal::from))
}

/// Whether a proof is of our time, as a signature of a request has to be.
fn timely(created: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), signature::Error> {
    let created = created.ok_or(signature::Error::Uncovered("the time at which the proof was made"))?;
    if created < now - OLDEST_PROOF {
        return Err(signature::Error::Outdated("the proof of what is passed on was made more than 13 hours ago"));
    }
    if created > now + EARLIEST_PROOF {
        return Err(signature::Error::Outdated("the proof of what is passed on is of a time to come"));
    }
    Ok(())
}

fn foreign_proof() -> Refusal {
    signature::Error::WrongKey("the proof is not that of the activity's actor".to_owned()).into()
}

/// Where a key stands: its id without the fragment.
fn document_of(key_id: &str) -> &str {
    key_id.split_once('#').map_or(key_id, |(document, _)| document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_of_what_is_passed_on_is_of_our_time() {
        let now = Utc::now();
        let judged = |minutes: i64| timely(Some(now + TimeDelta::minutes(minutes)), now);
        for good in [-779, 0, 59] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
        for bad in [-781, 61, -1_000_000] {
            assert!(matches!(judged(bad), Err(signature::Error::Outdated(_))), "{bad}");
        }
        assert!(matches!(timely(None, now), Err(signature::Error::Uncovered(_))));
    }
}
