//! Likes, boosts and emoji of others, and how many of them each post has.
//!
//! Rows and numbers change in the same transaction, so that they never disagree.

use super::again::Again;
use super::received::Taken;
use super::schema::reactions;
use super::together::Question;
use super::{Connection, Error};
use crate::domain::echo::ReactionKind;
use crate::domain::ids::{AccountId, PostId, RemoteActorId};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use std::collections::{HashMap, HashSet};

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

/// Somebody's reaction, to be kept and remembered.
#[derive(Clone, Debug)]
pub(super) struct Reacted {
    /// What is remembered of the activity, if it is.
    hash: Option<Vec<u8>>,
    actor: RemoteActorId,
    post: PostId,
    kind: ReactionKind,
    emoji: Option<String>,
    uri: Option<String>,
    at: DateTime<Utc>,
}

impl Reacted {
    pub(super) fn new(hash: Option<Vec<u8>>, actor: RemoteActorId, by: &NewReaction<'_>, at: DateTime<Utc>) -> Reacted {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Reacted { hash, actor, post: by.post, kind: by.kind, emoji: own(by.emoji), uri: own(by.uri), at }
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

/// Reactions to posts that are shown, in one statement: likes come in floods. In the order of their keys, so that two
/// statements wait for each other and not in a circle.
const REACT: &str = "WITH given AS ( \
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY AS g (hash, actor, post, kind, emoji, uri, at, place) \
    ), known AS ( \
        SELECT id FROM remote_actors WHERE id = ANY ($2) ORDER BY id FOR KEY SHARE \
    ), new AS ( \
        INSERT INTO received (hash, received_at) \
        SELECT hash, at FROM given JOIN known ON known.id = actor WHERE hash IS NOT NULL ORDER BY hash \
        ON CONFLICT DO NOTHING RETURNING hash \
    ), aim AS ( \
        SELECT given.* FROM given JOIN known ON known.id = actor JOIN posts ON posts.id = post \
        WHERE withdrawn_at IS NULL AND listed AND boost_of IS NULL AND (hash IS NULL OR hash IN (SELECT new.hash FROM new)) \
        AND (SELECT count(*) FROM reactions AS r WHERE r.post_id = post AND r.actor_id = actor AND r.kind = 'emoji' \
            AND given.kind = 'emoji') < $8 \
    ), kept AS ( \
        INSERT INTO reactions (post_id, actor_id, kind, mark, emoji, activity_uri, created_at) \
        SELECT post, actor, kind, CASE kind WHEN 'emoji' THEN coalesce(emoji, '') ELSE '' END, emoji, uri, at FROM aim \
        ORDER BY post, actor \
        ON CONFLICT (post_id, actor_id, kind, mark) \
        DO UPDATE SET emoji = excluded.emoji, activity_uri = coalesce(excluded.activity_uri, reactions.activity_uri) \
        RETURNING post_id, actor_id, kind, created_at, xmax = 0 AS fresh \
    ), fresh AS ( \
        SELECT * FROM kept WHERE fresh \
    ), counted AS ( \
        INSERT INTO echoes (post_id, likes, boosts, emoji, changed_at) \
        SELECT post_id, count(*) FILTER (WHERE kind = 'like'), count(*) FILTER (WHERE kind = 'boost'), \
            count(*) FILTER (WHERE kind = 'emoji'), max(created_at) FROM fresh GROUP BY post_id ORDER BY post_id \
        ON CONFLICT (post_id) DO UPDATE SET likes = echoes.likes + excluded.likes, boosts = echoes.boosts + excluded.boosts, \
        emoji = echoes.emoji + excluded.emoji, changed_at = greatest(echoes.changed_at, excluded.changed_at) \
    ) SELECT EXISTS (SELECT FROM known WHERE id = actor) AS known, \
        (hash IS NULL OR hash IN (SELECT new.hash FROM new)) AS new, \
        EXISTS (SELECT FROM fresh WHERE post_id = post AND actor_id = actor) AS changed \
    FROM given ORDER BY place";

impl Question for Reacted {
    type Answer = Taken;

    /// While one is being committed, another is made ready.
    const ASKERS: usize = 2;

    async fn answer(questions: &[Reacted], connection: &mut Connection) -> Result<Vec<Result<Taken, Error>>, Error> {
        let turns = turns(questions);
        let mut taken = HashMap::with_capacity(questions.len());
        match &turns[..] {
            [all] => taken.extend(react(connection, questions, all).await?),
            _ => {
                connection
                    .transaction(async |connection| {
                        for turn in &turns {
                            taken.extend(react(connection, questions, turn).await?);
                        }
                        Ok::<(), Error>(())
                    })
                    .await?;
            }
        }
        Ok((0..questions.len()).map(|place| Ok(taken.get(&place).copied().unwrap_or(Taken::Unchanged))).collect())
    }
}

/// The places of what can be kept together: a statement touches no row twice, so of one person to one post, and of one
/// activity, one comes after the other.
fn turns(all: &[Reacted]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..all.len()).collect();
    let mut turns = Vec::new();
    while !left.is_empty() {
        let (mut pairs, mut hashes) = (HashSet::new(), HashSet::new());
        let (turn, later) = left.into_iter().partition(|place| {
            let one = &all[*place];
            let is_first = one.hash.as_ref().is_none_or(|hash| hashes.insert(hash));
            pairs.insert((one.actor, one.post)) && is_first
        });
        turns.push(turn);
        left = later;
    }
    turns
}

/// Keep those at the given places; what came of each.
async fn react(
    connection: &mut AsyncPgConnection,
    all: &[Reacted],
    places: &[usize],
) -> Result<Vec<(usize, Taken)>, Error> {
    fn column<'a, T>(all: &'a [Reacted], places: &[usize], of: impl Fn(&'a Reacted) -> T) -> Vec<T> {
        places.iter().map(|place| of(&all[*place])).collect()
    }
    let statement = diesel::sql_query(REACT)
        .bind::<Array<Nullable<Bytea>>, _>(column(all, places, |one| one.hash.as_deref()))
        .bind::<Array<BigInt>, _>(column(all, places, |one| one.actor.0))
        .bind::<Array<BigInt>, _>(column(all, places, |one| one.post.0))
        .bind::<Array<Text>, _>(column(all, places, |one| one.kind.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(all, places, |one| one.emoji.as_deref()))
        .bind::<Array<Nullable<Text>>, _>(column(all, places, |one| one.uri.as_deref()))
        .bind::<Array<Timestamptz>, _>(column(all, places, |one| one.at))
        .bind::<BigInt, _>(MOST_EMOJI);
    let outcomes: Vec<Outcome> = Again(statement).load(connection).await?;
    let taken = |outcome| match outcome {
        Outcome { known: false, .. } => Taken::ActorGone,
        Outcome { new: false, .. } => Taken::Before,
        Outcome { changed: true, .. } => Taken::Changed,
        _ => Taken::Unchanged,
    };
    Ok(places.iter().copied().zip(outcomes.into_iter().map(taken)).collect())
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
