//! Likes, boosts and emoji of others, and how many of them each post has.
//!
//! Rows and numbers change in the same transaction, so that they never disagree.

use super::Error;
use super::received::Taken;
use super::schema::reactions;
use crate::domain::echo::ReactionKind;
use crate::domain::ids::{AccountId, PostId, RemoteActorId};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Different emoji that one person may give a post.
const MOST_EMOJI: i64 = 20;

/// A reaction that came.
#[derive(Clone, Copy, Debug)]
pub struct NewReaction<'a> {
    /// To which post.
    pub post: PostId,
    /// Of what kind.
    pub kind: ReactionKind,
    /// Its emoji.
    pub emoji: Option<&'a str>,
    /// The id of the activity.
    pub uri: Option<&'a str>,
}

/// Something that is taken back: by the id of its activity, or by what it was and what it was about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undo<'a> {
    /// The id of the activity.
    pub id: Option<&'a str>,
    /// What it was, if it was a reaction.
    pub kind: Option<ReactionKind>,
    /// The account that it was about, if it was a Follow.
    pub account: Option<AccountId>,
    /// The post that it was about, if it was a reaction.
    pub post: Option<PostId>,
    /// Its emoji.
    pub emoji: Option<&'a str>,
}

impl Undo<'_> {
    /// Whether it can be about a Follow.
    pub fn may_be_follow(&self) -> bool {
        self.kind.is_none() && self.post.is_none()
    }
}

#[derive(QueryableByName)]
struct Outcome {
    #[diesel(sql_type = Bool)]
    known: bool,
    #[diesel(sql_type = Bool)]
    new: bool,
    #[diesel(sql_type = Bool)]
    changed: bool,
}

/// Keep a reaction to a post that is shown, in one statement: likes come in floods. `hash` is remembered with it.
pub(super) async fn react(
    connection: &mut AsyncPgConnection,
    hash: Option<&[u8]>,
    actor: RemoteActorId,
    reaction: &NewReaction<'_>,
    now: DateTime<Utc>,
) -> Result<Taken, Error> {
    let statement = "WITH known AS ( \
            SELECT id FROM remote_actors WHERE id = $2 FOR KEY SHARE \
        ), new AS ( \
            INSERT INTO received (hash, received_at) SELECT $1, $7 FROM known WHERE $1 IS NOT NULL \
            ON CONFLICT DO NOTHING RETURNING 1 \
        ), aim AS ( \
            SELECT posts.id FROM posts WHERE posts.id = $3 AND withdrawn_at IS NULL AND listed AND boost_of IS NULL \
            AND EXISTS (SELECT FROM known) AND ($1 IS NULL OR EXISTS (SELECT FROM new)) \
            AND (SELECT count(*) FROM reactions WHERE post_id = $3 AND actor_id = $2 AND kind = 'emoji' AND $4 = 'emoji') < $8 \
        ), kept AS ( \
            INSERT INTO reactions (post_id, actor_id, kind, mark, emoji, activity_uri, created_at) \
            SELECT id, $2, $4, CASE $4 WHEN 'emoji' THEN coalesce($5, '') ELSE '' END, $5, $6, $7 FROM aim \
            ON CONFLICT (post_id, actor_id, kind, mark) \
            DO UPDATE SET emoji = excluded.emoji, activity_uri = coalesce(excluded.activity_uri, reactions.activity_uri) \
            RETURNING post_id, xmax = 0 AS fresh \
        ), counted AS ( \
            INSERT INTO echoes (post_id, likes, boosts, emoji, changed_at) \
            SELECT post_id, ($4 = 'like')::int, ($4 = 'boost')::int, ($4 = 'emoji')::int, $7 FROM kept WHERE fresh \
            ON CONFLICT (post_id) DO UPDATE SET likes = echoes.likes + excluded.likes, boosts = echoes.boosts + excluded.boosts, \
            emoji = echoes.emoji + excluded.emoji, changed_at = greatest(echoes.changed_at, excluded.changed_at) RETURNING 1 \
        ) SELECT EXISTS (SELECT FROM known) AS known, ($1 IS NULL OR EXISTS (SELECT FROM new)) AS new, \
            EXISTS (SELECT FROM counted) AS changed";
    let outcome: Outcome = diesel::sql_query(statement)
        .bind::<Nullable<Bytea>, _>(hash)
        .bind::<BigInt, _>(actor.0)
        .bind::<BigInt, _>(reaction.post.0)
        .bind::<Text, _>(reaction.kind.as_str())
        .bind::<Nullable<Text>, _>(reaction.emoji)
        .bind::<Nullable<Text>, _>(reaction.uri)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(MOST_EMOJI)
        .get_result(connection)
        .await?;
    Ok(match outcome {
        Outcome { known: false, .. } => Taken::ActorGone,
        Outcome { new: false, .. } => Taken::Before,
        Outcome { changed: true, .. } => Taken::Changed,
        _ => Taken::Unchanged,
    })
}

/// Take back reactions of an actor; whether there were any.
pub(super) async fn undo(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
    undo: &Undo<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    type Condition = Box<dyn BoxableExpression<reactions::table, Pg, SqlType = Nullable<Bool>>>;
    let mut either: Vec<Condition> = Vec::new();
    if let Some(id) = undo.id {
        either.push(Box::new(reactions::activity_uri.eq(id.to_owned())));
    }
    if let (Some(kind), Some(post)) = (undo.kind, undo.post) {
        let mark = undo.emoji.filter(|_| kind == ReactionKind::Emoji).unwrap_or_default().to_owned();
        let same = reactions::post_id.eq(post.0).and(reactions::kind.eq(kind.as_str())).and(reactions::mark.eq(mark));
        either.push(Box::new(same.nullable()));
    }
    let Some(condition) = either.into_iter().reduce(|one, other| Box::new(one.or(other))) else { return Ok(false) };
    let gone: Vec<(i64, String)> =
        diesel::delete(reactions::table.filter(reactions::actor_id.eq(actor.0)).filter(condition))
            .returning((reactions::post_id, reactions::kind))
            .get_results(connection)
            .await?;
    discount(connection, &gone, now).await?;
    Ok(!gone.is_empty())
}

/// Take back all that an actor ever gave; what has to be counted off by [`discount`].
pub(super) async fn delete_all(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
) -> Result<Vec<(i64, String)>, Error> {
    let theirs = reactions::table.filter(reactions::actor_id.eq(actor.0));
    let gone = diesel::delete(theirs).returning((reactions::post_id, reactions::kind));
    Ok(gone.get_results(connection).await?)
}

/// Count what is gone off: each is a post and a column of `echoes` by its kind, or `reply`.
pub(super) async fn discount(
    connection: &mut AsyncPgConnection,
    gone: &[(i64, String)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let (posts, kinds): (Vec<i64>, Vec<&str>) = gone.iter().map(|(post, kind)| (*post, kind.as_str())).unzip();
    // In order, so that two that count off the same posts wait for each other and not in a circle.
    diesel::sql_query(
        "WITH held AS (SELECT post_id FROM echoes WHERE post_id = ANY ($1) ORDER BY post_id FOR UPDATE), gone AS ( \
            SELECT post_id, count(*) FILTER (WHERE kind = 'like') AS likes, count(*) FILTER (WHERE kind = 'boost') AS boosts, \
            count(*) FILTER (WHERE kind = 'emoji') AS emoji, count(*) FILTER (WHERE kind = 'reply') AS replies \
            FROM unnest($1, $2) AS gone (post_id, kind) GROUP BY post_id \
        ) UPDATE echoes SET likes = echoes.likes - gone.likes, boosts = echoes.boosts - gone.boosts, \
            emoji = echoes.emoji - gone.emoji, replies = echoes.replies - gone.replies, changed_at = greatest(changed_at, $3) \
        FROM gone JOIN held USING (post_id) WHERE echoes.post_id = gone.post_id",
    )
    .bind::<Array<BigInt>, _>(posts)
    .bind::<Array<Text>, _>(kinds)
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    Ok(())
}
