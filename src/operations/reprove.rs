//! The integrity proofs that are kept: those of activities that were or will be sent (decision 0021), each against the key of
//! its account that made it. What is served is proven anew each time, so nothing of that is kept.

use super::{App, Error};
use crate::domain::ids::AccountId;
use crate::federation::proof;
use crate::federation::signature::PublicKey;
use crate::store::archive::Told;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::HashMap;

/// Public keys of accounts, by their ids; none where there is no such key, or none that can be read.
pub(super) type Keys = HashMap<(AccountId, String), Option<PublicKey>>;

/// Whether the proof of an activity holds, and why not; `None` where it was never proven, because its account had no key then.
pub(super) async fn check(app: &App, keys: &mut Keys, told: &Told) -> Result<Option<Result<(), String>>, Error> {
    let Ok(document) = serde_json::from_str::<Value>(&told.body) else {
        return Ok(Some(Err("what is sent is no JSON any more".to_owned())));
    };
    // Ours do not end; one that had would have held once.
    let proof = match proof::read(&document, DateTime::<Utc>::MIN_UTC) {
        Ok(Some(proof)) => proof,
        Ok(None) => return Ok(names_proofs(&document).then(|| Err("it is not there any more".to_owned()))),
        Err(error) => return Ok(Some(Err(error.to_string()))),
    };
    let method = proof.verification_method();
    let id = method.rsplit_once('#').map_or(method, |(_, id)| id).to_owned();
    let place = (told.account, id);
    if !keys.contains_key(&place) {
        let row = app.store.find_key(told.account, &place.1).await?;
        keys.insert(place.clone(), row.and_then(|row| PublicKey::from_multikey(&row.public_key).ok()));
    }
    let Some(Some(key)) = keys.get(&place) else {
        return Ok(Some(Err("the account has no key of that name".to_owned())));
    };
    Ok(Some(proof.verify(key).map_err(|error| error.to_string())))
}

/// Whether an object says that it has a proof: the context of proofs is put in with the proof and not without.
fn names_proofs(document: &Value) -> bool {
    let context = document.get("@context");
    context.and_then(Value::as_array).is_some_and(|context| context.iter().any(|one| one == proof::CONTEXT))
}
