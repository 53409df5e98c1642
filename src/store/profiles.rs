//! What archives told of an account: a JSON column, and the transaction that lets an archive fill a profile.

use super::announcements::{self, OfAccount};
use super::schema::accounts as table;
use super::{Error, Store, accounts, changes, media as media_rows};
use crate::domain::account::Profile;
use crate::domain::ids::AccountId;
use crate::domain::profile::{ArchivedProfile, Brought, Given, Merged, NewProfile, SourceFacts, merge};
use crate::text::SafeHtml;
use chrono::{DateTime, SecondsFormat, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};

/// What stands of an account: its profile, what archives told of it, and the id of the account at its source.
type Standing = (Profile, Option<ArchivedProfile>, Option<String>);

impl Store {
    /// Let an archive fill and refresh an account's profile ([`merge`]). The pictures that it brings are on the disk already;
    /// one that is not shown in the end is forgotten with the other files that nothing refers to. Followers are told of what
    /// is shown otherwise now.
    ///
    /// The row is locked meanwhile, so that nothing is lost of what the owner sets at the same time.
    pub async fn take_profile(
        &self,
        id: AccountId,
        new: &NewProfile,
        told: OfAccount<'_>,
        now: DateTime<Utc>,
    ) -> Result<Merged, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let (present, before, actor) = lock(connection, id).await?;
                let merged = merge(&present, before.as_ref(), new);
                let stated = new.actor.as_ref().filter(|_| !merged.older).or(actor.as_ref());
                // Also of those that are not shown: a row is what lets go of the bytes again.
                let brought = [&new.avatar, &new.header].into_iter().filter_map(|picture| match picture {
                    Brought::File(file) => Some(file),
                    Brought::None | Brought::Missing => None,
                });
                media_rows::insert(connection, brought.collect(), now).await?;
                if before.as_ref() == Some(&merged.archived) && stated == actor.as_ref() {
                    return Ok(merged);
                }
                let shown = &merged.profile;
                let change = (
                    table::name.eq(&shown.name),
                    table::summary_html.eq(shown.summary.as_str()),
                    table::fields.eq(fields_json(&shown.fields)),
                    table::avatar_sha256.eq(shown.avatar.as_ref().map(|file| &file.sha256)),
                    table::header_sha256.eq(shown.header.as_ref().map(|file| &file.sha256)),
                    table::archived_profile.eq(to_json(&merged.archived)),
                    table::source_actor_id.eq(stated),
                );
                diesel::update(table::table.find(id.0)).set(change).execute(connection).await?;
                accounts::touch(connection, id, now).await?;
                if merged.profile != present || stated != actor.as_ref() {
                    let account = accounts::get(connection, id).await?;
                    if let Some(told) = told(&account) {
                        announcements::announce(connection, id, &told, now).await?;
                    }
                }
                changes::tell(connection).await?;
                Ok(merged)
            })
            .await
    }
}

/// What stands, with the row locked.
async fn lock(connection: &mut AsyncPgConnection, id: AccountId) -> Result<Standing, Error> {
    type Row = (String, String, Value, Option<String>, Option<String>, Option<Value>, Option<String>);
    let row: Option<Row> = table::table
        .filter(table::id.eq(id.0).and(table::state.ne("gone")))
        .select((
            table::name,
            table::summary_html,
            table::fields,
            table::avatar_sha256,
            table::header_sha256,
            table::archived_profile,
            table::source_actor_id,
        ))
        .for_update()
        .first(connection)
        .await
        .optional()?;
    let Some((name, summary, fields, avatar, header, archived, actor)) = row else {
        return Err(Error::NotFound("the account".to_owned()));
    };
    let damaged = |what: &str| Error::Damaged(format!("account {id}: {what}"));
    let files = accounts::list_pictures(connection, &[&avatar, &header]).await?;
    let picture = |sha256: &Option<String>| files.iter().find(|file| Some(&file.sha256) == sha256.as_ref()).cloned();
    let present = Profile {
        name,
        summary: SafeHtml::stored(summary),
        fields: read_fields(&fields).ok_or_else(|| damaged("fields"))?,
        avatar: picture(&avatar),
        header: picture(&header),
    };
    let archived = archived.as_ref().map(|value| read(value).ok_or_else(|| damaged("archived profile")));
    Ok((present, archived.transpose()?, actor))
}

/// The column's value. Text and lists stand as they are, a file by its hash.
pub(super) fn to_json(archived: &ArchivedProfile) -> Value {
    let ArchivedProfile { facts, given, up_to } = archived;
    json!({
        "handle": facts.handle,
        "published": facts.published.map(written),
        "also_known_as": facts.also_known_as,
        "moved_to": facts.moved_to,
        "discoverable": facts.discoverable,
        "indexable": facts.indexable,
        "suspended": facts.suspended,
        "given": {
            "name": given.name,
            "summary": given.summary.as_str(),
            "fields": fields_json(&given.fields),
            "avatar": given.avatar,
            "header": given.header,
        },
        "up_to": up_to.map(written),
    })
}

/// The value as it was; `None` for what is none.
pub(super) fn read(value: &Value) -> Option<ArchivedProfile> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let flag = |key: &str| value[key].as_bool();
    let given = &value["given"];
    Some(ArchivedProfile {
        facts: SourceFacts {
            handle: text(&value["handle"]),
            published: time(&value["published"])?,
            also_known_as: value["also_known_as"].as_array()?.iter().map(text).collect::<Option<_>>()?,
            moved_to: text(&value["moved_to"]),
            discoverable: flag("discoverable")?,
            indexable: flag("indexable")?,
            suspended: flag("suspended")?,
        },
        given: Given {
            name: text(&given["name"])?,
            summary: SafeHtml::stored(text(&given["summary"])?),
            fields: read_fields(&given["fields"])?,
            avatar: text(&given["avatar"]),
            header: text(&given["header"]),
        },
        up_to: time(&value["up_to"])?,
    })
}

/// Rows of a profile's table as they are stored: arrays of name and value.
pub(super) fn fields_json(fields: &[(String, String)]) -> Value {
    Value::from_iter(fields.iter().map(|(name, value)| json!([name, value])))
}

/// The rows from their value.
pub(super) fn read_fields(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |field: &Value| Some((field.get(0)?.as_str()?.to_owned(), field.get(1)?.as_str()?.to_owned()));
    value.as_array()?.iter().map(pair).collect()
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time, or none; `None` for what is neither.
fn time(value: &Value) -> Option<Option<DateTime<Utc>>> {
    match value {
        Value::Null => Some(None),
        other => DateTime::parse_from_rfc3339(other.as_str()?).ok().map(|at| Some(at.to_utc())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_archive_told_comes_back_as_it_was() {
        let full = ArchivedProfile {
            facts: SourceFacts {
                handle: Some("ann@a.example".to_owned()),
                published: "2019-03-02T00:00:00.25Z".parse().ok(),
                also_known_as: vec!["https://b.example/users/ann".to_owned()],
                moved_to: Some("https://c.example/users/ann".to_owned()),
                discoverable: true,
                indexable: false,
                suspended: true,
            },
            given: Given {
                name: "Ann".to_owned(),
                summary: SafeHtml::from_plain("Hi & bye"),
                fields: vec![("Site".to_owned(), "https://ann.example".to_owned())],
                avatar: Some("aa".to_owned()),
                header: None,
            },
            up_to: "2024-04-05T00:39:47.731Z".parse().ok(),
        };
        for archived in [full, ArchivedProfile::default()] {
            assert_eq!(read(&to_json(&archived)), Some(archived));
        }
        assert_eq!(read(&json!({})), None);
    }
}
