//! What the store keeps of what came in: each once, counted, and gone with its author.

use super::{FIRST, SECOND, app_with_posts};
use crate::support::{PATIENCE, TestApp, status_id};
use chrono::{DateTime, TimeDelta, Utc};
use everpost::domain::echo::{Errand, ErrandKind, ReactionKind, Reply};
use everpost::domain::ids::{PostId, RemoteActorId};
use everpost::domain::remote::{KnownActor, RemoteActor};
use everpost::store::reactions::{NewReaction, Undo};
use everpost::store::received::{Effect, REMEMBERED, Taken};
use everpost::store::replies::NewReply;
use everpost::text::SafeHtml;
use std::time::{Duration, Instant};

async fn actor(app: &TestApp, name: &str) -> KnownActor {
    let uri = format!("https://far.example/users/{name}");
    let told = RemoteActor { inbox: format!("{uri}/inbox"), uri, ..RemoteActor::default() };
    app.app.store.keep_remote_actor(&told, Utc::now()).await.unwrap()
}

fn reply<'a>(uri: &'a str, content: &'a SafeHtml, post: PostId) -> NewReply<'a> {
    let published = "2024-02-01T00:00:00Z".parse().unwrap();
    let answers = "https://kept.example/users/ann/statuses/1";
    NewReply {
        post,
        depth: 1,
        uri,
        answers,
        page: None,
        content,
        warning: None,
        language: None,
        published,
        updated: None,
    }
}

/// What does not agree: a post, and its numbers as they are kept and as they are counted.
const DISAGREEING: &str = "SELECT concat_ws(' ', id, coalesce(e.likes, 0), l, coalesce(e.boosts, 0), b, coalesce(e.emoji, 0), m, coalesce(e.replies, 0), r) \
    FROM (SELECT id, (SELECT count(*) FROM reactions WHERE post_id = p.id AND kind = 'like') l, \
        (SELECT count(*) FROM reactions WHERE post_id = p.id AND kind = 'boost') b, \
        (SELECT count(*) FROM reactions WHERE post_id = p.id AND kind = 'emoji') m, \
        (SELECT count(*) FROM replies WHERE post_id = p.id) r FROM posts p) c \
    LEFT JOIN echoes e ON e.post_id = c.id WHERE (coalesce(e.likes, 0), coalesce(e.boosts, 0), coalesce(e.emoji, 0), coalesce(e.replies, 0)) <> (l, b, m, r)";

#[tokio::test]
async fn numbers_agree_with_what_is_kept_whatever_comes_and_goes() {
    let app = app_with_posts().await;
    let store = &app.app.store;
    let posts = [PostId(status_id(FIRST)), PostId(status_id(SECOND))];
    let content = SafeHtml::sanitise("<p>Hello</p>");
    let mut state = 7_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % limit
    };
    for n in 0..300 {
        let who = actor(&app, ["bob", "cat", "dan"][below(3) as usize]).await;
        let post = posts[below(2) as usize];
        let kind = [ReactionKind::Like, ReactionKind::Boost, ReactionKind::Emoji][below(3) as usize];
        let emoji = [None, Some("🎉"), Some("🦊")][below(3) as usize];
        let uri = format!("{}/replies/{}", who.told.uri, below(9));
        let id = format!("{}/{n}", who.told.uri);
        let reaction = NewReaction { post, kind, emoji, uri: Some(&id) };
        let undo = Undo { kind: Some(kind), post: Some(post), emoji, ..Undo::default() };
        let reply = reply(&uri, &content, post);
        let effect = match below(12) {
            0..=4 => Effect::React(&reaction),
            5..=6 => Effect::Undo(&undo),
            7..=8 => Effect::Reply(&reply),
            9..=10 => Effect::Delete(&uri),
            _ => Effect::Vanish,
        };
        store.receive(&who, Some(&id), &effect, Utc::now()).await.unwrap();
        assert_eq!(app.database.texts(DISAGREEING), Vec::<String>::new(), "after {n}: {effect:?}");
    }
    assert!(app.database.number("SELECT count(*) FROM received") > 200);
}

#[tokio::test]
async fn reactions_that_come_at_once_are_kept_as_if_each_came_alone_and_a_refused_one_spoils_no_other() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let posts = [PostId(status_id(FIRST)), PostId(status_id(SECOND))];
    let (bob, cat) = (actor(&app, "bob").await, actor(&app, "cat").await);
    let nobody = KnownActor { id: RemoteActorId(cat.id.0 + 1000), ..cat.clone() };
    let react = async |who: &KnownActor, id: &str, post: PostId, kind, emoji: Option<&str>| {
        let reaction = NewReaction { post, kind, emoji, uri: Some(id) };
        store.receive(who, Some(id), &Effect::React(&reaction), now).await
    };
    let (like, emoji) = (ReactionKind::Like, ReactionKind::Emoji);
    let unknown = PostId(5);
    let (first, again, other, twice, celebrated, broken, lost, stray) = tokio::join!(
        react(&bob, "1", posts[0], like, None),
        react(&bob, "1", posts[0], like, None),
        react(&cat, "1", posts[0], like, None),
        react(&bob, "2", posts[0], like, None),
        react(&bob, "3", posts[0], emoji, Some("🎉")),
        // The database has no room for this character.
        react(&cat, "2", posts[1], emoji, Some("\0")),
        react(&nobody, "1", posts[1], like, None),
        react(&cat, "3", unknown, like, None),
    );
    assert!(broken.is_err(), "{broken:?}");
    let mut same = [first.unwrap(), again.unwrap()];
    same.sort_by_key(|taken| *taken != Taken::Changed);
    assert_eq!(same, [Taken::Changed, Taken::Before]);
    assert_eq!((other.unwrap(), twice.unwrap()), (Taken::Changed, Taken::Unchanged));
    assert_eq!(
        (celebrated.unwrap(), lost.unwrap(), stray.unwrap()),
        (Taken::Changed, Taken::ActorGone, Taken::Unchanged)
    );
    assert_eq!(app.database.texts(DISAGREEING), Vec::<String>::new());
    let kept = "SELECT kind || ' ' || count(*) FROM reactions GROUP BY kind ORDER BY kind";
    assert_eq!(app.database.texts(kept), ["emoji 1", "like 2"]);
    let many: Vec<String> = (0..100).map(|n| format!("boost-{n}")).collect();
    let boosts = many
        .iter()
        .map(|id| react(if id.ends_with('7') { &bob } else { &cat }, id, posts[1], ReactionKind::Boost, None));
    let taken = futures::future::try_join_all(boosts).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Changed).count(), 2);
    assert_eq!(app.database.texts(DISAGREEING), Vec::<String>::new());
    assert_eq!(app.database.number("SELECT count(*) FROM received"), 5 + 100);
}

#[tokio::test]
async fn an_activity_takes_effect_once_until_nobody_sends_it_any_more() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let bob = actor(&app, "bob").await;
    let post = PostId(status_id(FIRST));
    let like = Effect::React(&NewReaction { post, kind: ReactionKind::Like, emoji: None, uri: None });
    let take = async |id: Option<&'static str>, effect: &Effect<'_>, now: DateTime<Utc>| {
        store.receive(&bob, id, effect, now).await.unwrap()
    };
    assert_eq!(take(Some("a"), &like, now).await, Taken::Changed);
    assert_eq!(take(Some("a"), &like, now).await, Taken::Before);
    assert_eq!(take(Some("b"), &like, now).await, Taken::Unchanged, "another activity says the same");
    assert_eq!(take(Some("c"), &Effect::Nothing, now).await, Taken::Unchanged);
    assert_eq!(take(Some("c"), &Effect::Vanish, now).await, Taken::Before);
    assert_eq!(take(None, &like, now).await, Taken::Unchanged, "what has no id is not remembered");
    store.forget_received(now + REMEMBERED).await.unwrap();
    assert_eq!(take(Some("c"), &Effect::Nothing, now).await, Taken::Before);
    assert_eq!(store.forget_received(now + REMEMBERED + TimeDelta::seconds(1)).await.unwrap(), 3);
    assert_eq!(take(Some("c"), &Effect::Nothing, now).await, Taken::Unchanged);
}

#[tokio::test]
async fn whoever_is_gone_leaves_nothing_and_comes_in_no_more_under_the_old_number() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, cat) = (actor(&app, "bob").await, actor(&app, "cat").await);
    let post = PostId(status_id(FIRST));
    let content = SafeHtml::sanitise("<p>Hello</p>");
    for who in [&bob, &cat] {
        let uri = format!("{}/1", who.told.uri);
        for effect in [
            Effect::React(&NewReaction { post, kind: ReactionKind::Boost, emoji: None, uri: None }),
            Effect::Reply(&reply(&uri, &content, post)),
            Effect::Report { account: app.account("ann").await.id, objects: &[], content: "spam" },
        ] {
            store.receive(who, None, &effect, now).await.unwrap();
        }
    }
    assert_eq!(store.receive(&bob, None, &Effect::Vanish, now).await.unwrap(), Taken::Changed);
    for table in ["reactions", "replies", "reports", "remote_actors"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")), 1, "{table}: cat's stays");
    }
    let like = Effect::React(&NewReaction { post, kind: ReactionKind::Like, emoji: None, uri: None });
    for effect in [like, Effect::Nothing, Effect::Reply(&reply("x", &content, post))] {
        assert_eq!(store.receive(&bob, Some("x"), &effect, now).await.unwrap(), Taken::ActorGone);
    }
}

#[tokio::test]
async fn a_reply_is_kept_once_replaced_by_a_newer_one_of_the_same_author_and_never_after_its_deletion() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, cat) = (actor(&app, "bob").await, actor(&app, "cat").await);
    let post = PostId(status_id(FIRST));
    let text = |html: &str| SafeHtml::sanitise(html);
    let (first, second) = (text("<p>One</p>"), text("<p>Two</p>"));
    let uri = "https://far.example/notes/1";
    let told = |content| reply(uri, content, post);
    let at = |hours| Some(told(&first).published + TimeDelta::hours(hours));
    let take = async |who: &KnownActor, reply: NewReply<'_>| {
        store.receive(who, None, &Effect::Reply(&reply), now).await.unwrap()
    };
    let shown =
        async || store.list_replies(&[post], 9).await.unwrap().iter().map(|r| r.content.to_plain()).collect::<Vec<_>>();
    assert_eq!(take(&bob, told(&first)).await, Taken::Changed);
    assert_eq!(take(&bob, told(&second)).await, Taken::Unchanged, "it does not say that it was changed");
    assert_eq!(take(&cat, NewReply { updated: at(9), ..told(&second) }).await, Taken::Unchanged, "it is not hers");
    assert_eq!(take(&bob, NewReply { updated: at(2), ..told(&second) }).await, Taken::Changed);
    assert_eq!(
        take(&bob, NewReply { updated: at(1), ..told(&first) }).await,
        Taken::Unchanged,
        "an older change comes late"
    );
    assert_eq!(shown().await, ["Two"]);
    assert_eq!(store.receive(&cat, None, &Effect::Delete(uri), now).await.unwrap(), Taken::Unchanged);
    assert_eq!(store.receive(&bob, None, &Effect::Delete(uri), now).await.unwrap(), Taken::Changed);
    assert_eq!(take(&bob, told(&first)).await, Taken::Unchanged, "deleted is deleted");
    assert_eq!(shown().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_kept_below_a_post_is_bounded_and_goes_with_the_post() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let bob = actor(&app, "bob").await;
    let post = PostId(status_id(FIRST));
    let content = SafeHtml::sanitise("<p>Hello</p>");
    app.database.execute(&format!(
        "INSERT INTO echoes (post_id, replies, changed_at) VALUES ({post}, {}, now())",
        Reply::MOST - 1
    ));
    let take = async |uri: &'static str| {
        store.receive(&bob, None, &Effect::Reply(&reply(uri, &content, post)), now).await.unwrap()
    };
    assert_eq!(take("https://far.example/notes/1").await, Taken::Changed);
    assert_eq!(take("https://far.example/notes/2").await, Taken::Unchanged);
    for n in 0..50 {
        let emoji = n.to_string();
        let reaction = NewReaction { post, kind: ReactionKind::Emoji, emoji: Some(&emoji), uri: None };
        store.receive(&bob, None, &Effect::React(&reaction), now).await.unwrap();
    }
    assert_eq!(app.database.number("SELECT count(*) FROM reactions"), 20);
    store.withdraw_post(app.account("ann").await.id, post, None, now).await.unwrap();
    for table in ["reactions", "replies", "echoes"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(take("https://far.example/notes/1").await, Taken::Unchanged);
    let like = Effect::React(&NewReaction { post, kind: ReactionKind::Like, emoji: None, uri: None });
    assert_eq!(store.receive(&bob, None, &like, now).await.unwrap(), Taken::Unchanged);
}

#[tokio::test]
async fn one_actor_has_a_part_of_what_is_kept_below_a_post_and_still_changes_it() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, cat) = (actor(&app, "bob").await, actor(&app, "cat").await);
    let content = SafeHtml::sanitise("<p>Hello</p>");
    let take = async |who: &KnownActor, number: i64, updated: Option<DateTime<Utc>>| {
        let uri = format!("{}/notes/{number}", who.told.uri);
        let told = NewReply { updated, ..reply(&uri, &content, PostId(status_id(FIRST))) };
        store.receive(who, None, &Effect::Reply(&told), now).await.unwrap()
    };
    for number in 0..Reply::MOST_OF_ONE {
        assert_eq!(take(&bob, number, None).await, Taken::Changed, "{number}");
    }
    assert_eq!(take(&bob, Reply::MOST_OF_ONE, None).await, Taken::Unchanged);
    assert_eq!(take(&bob, 0, Some(now)).await, Taken::Changed, "what is kept can be changed");
    assert_eq!(take(&cat, 0, None).await, Taken::Changed, "there is room for others");
}

#[tokio::test]
async fn of_long_replies_only_as_many_are_listed_as_a_page_can_hold_and_the_ids_of_all() {
    let app = app_with_posts().await;
    let (bob, post) = (actor(&app, "bob").await, PostId(status_id(FIRST)));
    app.database.execute(&format!(
        "INSERT INTO replies (post_id, actor_id, uri, answers_uri, depth, content_html, published_at, received_at) \
         SELECT {post}, {}, 'https://far.example/notes/' || n, 'https://far.example/', n % 2 + 1, repeat('x', 60000), \
         now() + n * interval '1 second', now() FROM generate_series(1, 40) AS n",
        bob.id.0
    ));
    let listed = app.app.store.list_replies(&[post], 100).await.unwrap();
    assert_eq!((listed.len(), listed[0].uri.as_str()), (17, "https://far.example/notes/1"), "1 MiB");
    assert_eq!(listed[0].author.uri, bob.told.uri);
    assert_eq!(app.app.store.list_replies(&[post], 3).await.unwrap().len(), 3);
    let ids = app.app.store.list_reply_ids(post).await.unwrap();
    assert_eq!((ids.len(), &ids[0]), (40, &("https://far.example/notes/1".to_owned(), 2)));
}

/// A transaction of somebody else that holds the numbers of a post.
fn hold(app: &TestApp, post: PostId) -> diesel::PgConnection {
    use diesel::connection::{Connection, SimpleConnection};
    let mut holder = diesel::PgConnection::establish(&app.database.url()).unwrap();
    holder.batch_execute(&format!("BEGIN; SELECT likes FROM echoes WHERE post_id = {post} FOR UPDATE")).unwrap();
    holder
}

/// Look until that many wait for a lock.
async fn until_waiting(app: &TestApp, number: i64) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let began = Instant::now();
    while app.database.number(waiting) != number {
        assert!(began.elapsed() < PATIENCE, "there are never {number} who wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Do one thing that waits for the holder, then another one while it waits, and then let both go on.
async fn together<A, B>(
    app: &TestApp,
    holder: diesel::PgConnection,
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> (A, B) {
    let second = async {
        until_waiting(app, 1).await;
        other.await
    };
    let release = async {
        until_waiting(app, 2).await;
        drop(holder);
    };
    let (one, other, ()) = tokio::join!(one, second, release);
    (one, other)
}

#[tokio::test]
async fn two_who_vanish_together_do_not_wait_for_each_other_in_a_circle() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, cat) = (actor(&app, "bob").await, actor(&app, "cat").await);
    let (first, second) = (PostId(status_id(FIRST)), PostId(status_id(SECOND)));
    let content = SafeHtml::sanitise("<p>Hello</p>");
    for (who, liked, answered) in [(&cat, first, second), (&bob, second, first)] {
        let like = NewReaction { post: liked, kind: ReactionKind::Like, emoji: None, uri: None };
        store.receive(who, None, &Effect::React(&like), now).await.unwrap();
        let uri = format!("{}/notes/1", who.told.uri);
        store.receive(who, None, &Effect::Reply(&reply(&uri, &content, answered)), now).await.unwrap();
    }
    let vanish = async |who: &KnownActor| store.receive(who, None, &Effect::Vanish, now).await.unwrap();
    let went = together(&app, hold(&app, first), vanish(&cat), vanish(&bob)).await;
    assert_eq!(went, (Taken::Changed, Taken::Changed));
    assert_eq!(app.database.texts(DISAGREEING), Vec::<String>::new());
}

#[tokio::test]
async fn who_vanishes_twice_at_the_same_time_is_gone_once() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, post) = (actor(&app, "bob").await, PostId(status_id(FIRST)));
    let like = NewReaction { post, kind: ReactionKind::Like, emoji: None, uri: None };
    store.receive(&bob, None, &Effect::React(&like), now).await.unwrap();
    let vanish = async || store.receive(&bob, None, &Effect::Vanish, now).await.unwrap();
    let went = together(&app, hold(&app, post), vanish(), vanish()).await;
    assert_eq!(went, (Taken::Changed, Taken::ActorGone));
}

#[tokio::test]
async fn a_reply_that_is_deleted_while_it_is_being_kept_does_not_stay() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, post) = (actor(&app, "bob").await, PostId(status_id(FIRST)));
    let like = NewReaction { post, kind: ReactionKind::Like, emoji: None, uri: None };
    store.receive(&bob, None, &Effect::React(&like), now).await.unwrap();
    let (uri, content) = ("https://far.example/notes/1", SafeHtml::sanitise("<p>Hello</p>"));
    let told = reply(uri, &content, post);
    let keep = async || store.receive(&bob, None, &Effect::Reply(&told), now).await.unwrap();
    let delete = async || store.receive(&bob, None, &Effect::Delete(uri), now).await.unwrap();
    let came = together(&app, hold(&app, post), keep(), delete()).await;
    assert_eq!(came, (Taken::Changed, Taken::Changed));
    assert_eq!(app.database.number("SELECT count(*) FROM replies"), 0);
    assert_eq!(app.database.texts(DISAGREEING), Vec::<String>::new());
}

#[tokio::test]
async fn replies_of_whom_the_server_or_the_owner_blocks_are_not_listed() {
    use everpost::domain::block::BlockTarget;
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let (bob, ann) = (actor(&app, "bob").await, app.account("ann").await.id);
    let named = RemoteActor { handle: Some("Bob@far.example".to_owned()), ..bob.told.clone() };
    store.keep_remote_actor(&named, now).await.unwrap();
    let post = PostId(status_id(FIRST));
    let content = SafeHtml::sanitise("<p>Hello</p>");
    store
        .receive(&bob, None, &Effect::Reply(&reply("https://far.example/notes/1", &content, post)), now)
        .await
        .unwrap();
    let listed = async || {
        let ids = store.list_reply_ids(post).await.unwrap();
        (store.list_replies(&[post], 9).await.unwrap().len(), ids.len())
    };
    let domain = |name: &str| BlockTarget::Domain(name.to_owned());
    for (account, target, left) in [
        (None, domain("far.example"), 0),
        (Some(ann), domain("example"), 0),
        (None, BlockTarget::Actor(bob.told.uri.clone()), 0),
        (None, BlockTarget::Address("bob@far.example".to_owned()), 0),
        (None, domain("ar.example"), 1),
    ] {
        store.insert_block(account, &target, "", now).await.unwrap();
        assert_eq!(listed().await, (left, left), "{target:?}");
        store.delete_block(account, &target).await.unwrap();
    }
    assert_eq!(listed().await, (1, 1));
}

#[tokio::test]
async fn an_errand_is_leased_by_one_at_a_time_and_too_many_are_not_taken() {
    let app = app_with_posts().await;
    let (store, now) = (&app.app.store, Utc::now());
    let bob = actor(&app, "bob").await;
    let want = async |url: String, cause: &str| {
        let errand = Errand { kind: ErrandKind::Reply, url, cause: cause.to_owned() };
        store.receive(&bob, None, &Effect::Fetch(&errand), now).await.unwrap()
    };
    assert_eq!(want("https://a.example/1".to_owned(), "far.example").await, Taken::Changed);
    assert_eq!(want("https://a.example/1".to_owned(), "far.example").await, Taken::Unchanged, "it waits already");
    let minutes = |minutes| now + TimeDelta::minutes(minutes);
    let lease = async |at| store.lease_errands(9, at, at + TimeDelta::minutes(5)).await.unwrap();
    let leased = lease(now).await;
    assert_eq!(leased[0].errand.url, "https://a.example/1");
    assert_eq!(lease(minutes(4)).await, []);
    assert_eq!(lease(minutes(5)).await.len(), 1, "its worker died");
    store.postpone_errand(&leased[0], minutes(60)).await.unwrap();
    assert_eq!(lease(minutes(59)).await, []);
    let again = lease(minutes(60)).await;
    assert_eq!(again[0].attempts, 1);
    store.finish_errand(&again[0]).await.unwrap();
    for n in 0..201 {
        want(format!("https://b.example/{n}"), &format!("{n}.example")).await;
        want(format!("https://{n}.example/"), "far.example").await;
    }
    assert_eq!(store.count_errands().await.unwrap(), 400, "200 for one host, 200 because of one");
}
