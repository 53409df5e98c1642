//! The export of an account over the web (FEP-9091): a tar for who brings a token of scope `export`, and for nobody else.
//!
//! It is made whole before the first byte goes out, so that a slow reader holds up nothing here. Public posts only.

use super::Data;
use super::error::Error;
use super::extract::{Here, bearer};
use crate::domain::account::AccountState;
use crate::domain::token::Scope;
use crate::operations::{self, tokens};
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use std::fs::File;
use std::io::Read;
use tokio::sync::Semaphore;

/// Seconds after which somebody who found another export under way may ask again.
const RETRY_AFTER: u32 = 60;
/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;

/// One export at a time, of all accounts together: each may fill gigabytes of the disk.
#[derive(Debug)]
pub struct Turn(Semaphore);

impl Default for Turn {
    fn default() -> Turn {
        Turn(Semaphore::new(1))
    }
}

/// The container of an account.
pub async fn export(
    request: HttpRequest,
    here: Here,
    path: web::Path<String>,
    turn: web::Data<Turn>,
    data: Data,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let nobody = || Error::not_found("There is no such account.");
    let account = here.find_exactly(&data, &path).await?;
    let account = account.filter(|account| !matches!(account.state, AccountState::Gone { .. })).ok_or_else(nobody)?;
    let given = bearer(&request).ok_or_else(Error::needs_token)?;
    // Whoever has another token of ours is told that it is the wrong one.
    let token = tokens::find(&data, given, now).await?.ok_or_else(Error::needs_token)?;
    if token.account != Some(account.id) || !token.scopes.contains(&Scope::Export) {
        return Err(Error::forbidden(WRONG_TOKEN));
    }
    let busy = || Error::later("another export is under way", RETRY_AFTER);
    let _turn = turn.0.try_acquire().map_err(|_| busy())?;
    let file = operations::export::container(&data, &account, now).await?;
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    let name = crate::operations::export::file_name(now);
    Ok(HttpResponse::Ok()
        .content_type("application/x-tar")
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(SizedStream::new(length, chunks(file))))
}

const WRONG_TOKEN: &str = "That token is not for the export of this account.";

fn unreadable(error: &std::io::Error) -> Error {
    tracing::error!(%error, "an export could not be read");
    Error::internal()
}

/// A file chunk by chunk, each read aside.
fn chunks(file: File) -> impl futures::Stream<Item = std::io::Result<web::Bytes>> {
    futures::stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
            Ok::<_, std::io::Error>((chunk, file))
        };
        let (chunk, file) = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!chunk.is_empty()).then(|| (web::Bytes::from(chunk), file)))
    })
}
