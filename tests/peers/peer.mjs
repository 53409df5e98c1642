#!/usr/bin/env node
// A stranger's server meets an account: it finds it, reads it, follows it, likes, boosts, answers and takes all of it back;
// tries what must be refused; and is gone in the end. One JSON line a step; exit 0 only if every step held.
import { Temporal } from "@js-temporal/polyfill";
import { getDocumentLoader, signRequest, verifyObject } from "@fedify/fedify";
import {
  Accept, Announce, Create, Delete, EmojiReact, Follow, isActor, Like, Note, Object as AsObject, traverseCollection, Undo, Update,
} from "@fedify/vocab";
import { AS2, options, PUBLIC, show } from "../outside/checks.mjs";
import { start } from "./federation.mjs";
import { reach, recordRequests, until } from "./network.mjs";

const USAGE = "usage: node peer.mjs --handle user@host --at 127.0.0.1:PORT --cert FILE --key FILE --first cavage|rfc9421 --notes N";
const CAVAGE = "draft-cavage-http-signatures-12";
const ACCEPT = { accept: `application/ld+json; profile="${AS2}"` };
const PUBLIC_URL = new URL(PUBLIC);

let asked;
try {
  asked = options(process.argv.slice(2), ["handle", "at", "cert", "key", "first", "notes"]);
  if (!["cavage", "rfc9421"].includes(asked.first)) throw new Error(`--first is ${asked.first}`);
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(64);
}

const host = asked.handle.split("@").at(-1);
reach(host, asked.at);
const sent = recordRequests();
const spec = asked.first === "cavage" ? CAVAGE : "rfc9421";
let target;
const peer = await start({
  ...asked, spec, insist: asked.first === "rfc9421", keyOf: async () => (await json(target.id.href)).publicKey.publicKeyPem,
});
const { context } = peer;
const loader = getDocumentLoader({ allowPrivateAddress: true });
const loaders = { documentLoader: loader, contextLoader: loader };
let failures = 0;

/** Does a step and prints how it ended; what it gives is told too. */
async function step(name, act) {
  const begun = performance.now();
  try {
    const told = await act();
    console.log(JSON.stringify({ step: name, ok: true, ...told, ms: Math.round(performance.now() - begun) }));
  } catch (error) {
    failures += 1;
    console.log(JSON.stringify({ step: name, ok: false, reason: String(error?.stack ?? error).slice(0, 4000) }));
  }
}

function must(holds, reason) {
  if (!holds) throw new Error(reason);
}

/** A document as it is served, without any cache of ours. */
async function json(url) {
  const response = await fetch(url, { headers: ACCEPT, redirect: "error" });
  must(response.status === 200, `${url} answers ${response.status}`);
  return await response.json();
}

/** The ids in a collection, page by page. */
async function members(url) {
  const root = await json(url);
  const found = [];
  let page = typeof root.first === "string" ? await json(root.first) : root.first ?? root;
  for (;;) {
    found.push(...(page.items ?? page.orderedItems ?? []).map((item) => item.id ?? item));
    if (!page.next) return found;
    page = await json(page.next);
  }
}

/** What a post of the account tells of others, and how many follow the account. */
async function totals() {
  const note = await json(post.id.href);
  const total = async (collection) => (await json(collection.id ?? collection)).totalItems;
  return {
    followers: await total((await json(target.id.href)).followers),
    likes: await total(note.likes),
    shares: await total(note.shares),
    replies: (await members(note.replies.id)).filter((id) => id.startsWith(peer.origin)).length,
  };
}

/** Waits until the totals are these; those that are not named are 0. */
async function become(expected) {
  const wanted = { followers: 0, likes: 0, shares: 0, replies: 0, ...expected };
  let last;
  await until(`${show(wanted)}, not ${show(last)}`, async () => show(last = await totals()) === show(wanted)).catch((error) => {
    throw new Error(`${error.message}; they are ${show(last)}`);
  });
  return { totals: wanted };
}

let number = 0;
const newId = (actor, kind) => new URL(`#${kind}-${number += 1}`, actor.id);
/** The signed request of an activity, made but not sent; `change` may spoil it before it is signed. */
async function made(actor, activity, { url = target.inboxId.href, privateKey = actor.keys[0].privateKey, headers = {}, body, date } = {}) {
  const text = body ?? JSON.stringify(await activity.toJsonLd({ contextLoader: loader }));
  const request = new Request(url, {
    method: "POST", body: text,
    headers: { "content-type": "application/activity+json", date: (date ?? new Date()).toUTCString(), ...headers },
  });
  const currentTime = date && Temporal.Instant.from(date.toISOString());
  return { signed: await signRequest(request, privateKey, actor.keyId, { spec, currentTime }), text, unsigned: request };
}
/** Sends a request as it is, with another body if one is given. */
async function deliver(request, body) {
  const { signed, text } = request;
  const response = await fetch(new Request(signed.url, { method: "POST", headers: signed.headers, body: body ?? text }));
  return response.status;
}

let post;
/** The page of the post. */
async function page() {
  const response = await fetch(post.url.href, { headers: { accept: "text/html" } });
  must(response.status === 200, `the page answers ${response.status}`);
  return await response.text();
}

const ann = await peer.add("ann");

await step("finds the handle", async () => {
  const found = await context.lookupWebFinger(`acct:${asked.handle}`);
  const self = found?.links?.find((link) => link.rel === "self")?.href;
  must(self, `WebFinger leads nowhere: ${show(found)}`);
  const signing = await context.getDocumentLoader({ identifier: ann.name });
  target = await context.lookupObject(self, { documentLoader: signing });
  must(isActor(target) && target.id.href === self, `${self} is no actor`);
  return { actor: self, sharedInbox: target.endpoints?.sharedInbox?.href };
});

await step("reads the outbox to its last item", async () => {
  const outbox = await target.getOutbox({ ...context });
  const notes = [];
  for await (const item of traverseCollection(outbox, { ...context })) {
    const note = item instanceof Create ? await item.getObject({ ...context }) : undefined;
    must(note?.attributionId?.href === target.id.href, `the outbox holds ${item?.id?.href}`);
    notes.push(note);
  }
  must(notes.length === Number(asked.notes) && outbox.totalItems === notes.length, `${notes.length} of ${outbox.totalItems} Notes`);
  post = notes[0];
  const { proof } = await json(post.id.href);
  const proven = proof && (await verifyObject(AsObject, await json(post.id.href), loaders));
  must(proven, `the Note's proof is ${show(proof)}`);
  return { notes: notes.length, post: post.id.href };
});
if (failures > 0) process.exit(1);

await step("begins with nothing", () => become({}));

const follow = new Follow({ id: newId(ann, "follow"), actor: ann.id, object: target.id });
const like = () => new Like({ id: newId(ann, "like"), actor: ann.id, object: post.id });

/** Each case that must be refused, with the answers that say so. */
const hostile = {
  "an unsigned request": [[401], async () => ({ ...(await made(ann, follow)), signed: (await made(ann, follow)).unsigned })],
  "another body than the digest's": [[401], async () => {
    const { signed, text } = await made(ann, follow);
    return { signed, text: text.replace("#follow-", "#forged-") };
  }],
  "a signed digest that is wrong": [[401], async () => {
    const other = Buffer.alloc(32, 7).toString("base64");
    const headers = spec === CAVAGE ? { digest: `SHA-256=${other}` } : { "content-digest": `sha-256=:${other}:` };
    return await made(ann, follow, { headers });
  }],
  "another key than the actor's": [[401], async () => made(ann, follow, { privateKey: (await peer.add("nobody")).keys[0].privateKey })],
  "a date of last week": [[401], async () => made(ann, follow, { date: new Date(Date.now() - 7 * 864e5) })],
  "a date of tomorrow": [[401], async () => made(ann, follow, { date: new Date(Date.now() + 864e5) })],
  "a signature for another address": [[401], async () => {
    const { signed, text } = await made(ann, follow, { url: new URL("/inbox", target.id).href });
    return { signed: new Request(target.inboxId.href, { method: "POST", headers: signed.headers, body: text }), text };
  }],
  "another actor's id": [[401, 403], async () => {
    const other = await peer.add("ben");
    return await made(ann, new Follow({ id: newId(other, "follow"), actor: other.id, object: target.id }));
  }],
  "the account's own id": [[401, 403], async () =>
    made(ann, new Follow({ id: newId(ann, "follow"), actor: target.id, object: target.id }))],
  "a body that is no JSON": [[400], async () => made(ann, follow, { body: "{" })],
  "a body above 1 MiB": [[413], async () => made(ann, follow, { body: JSON.stringify({ type: "Follow", content: "x".repeat(1 << 20) }) })],
};
for (const [what, [statuses, make]] of Object.entries(hostile)) {
  await step(`refused: ${what}`, async () => {
    const status = await deliver(await make());
    must(statuses.includes(status), `it was answered ${status}, not ${statuses.join(" or ")}`);
    return { status };
  });
}
await step("what was refused had no effect", async () => {
  must(peer.received.length === 0, `it brought ${show(peer.received.map((activity) => activity.id?.href))}`);
  return await become({});
});

/** Waits for the Accept of a Follow and judges it. */
async function accepted(of, before) {
  const accept = await until("an Accept comes", () =>
    peer.received.slice(before).find((one) => one instanceof Accept && one.actorId?.href === target.id.href))
    .catch((error) => {
      const came = peer.deliveries.map(({ body, ...rest }) => ({ ...rest, body: body.toString().slice(0, 2000) }));
      throw new Error(`${error.message}; what came: ${JSON.stringify(came)}`);
    });
  const embedded = await accept.getObject({ ...context, crossOrigin: "trust" });
  must(embedded instanceof Follow && embedded.id?.href === of.id.href && embedded.actorId?.href === ann.id.href, "the Accept embeds another Follow");
  const delivery = peer.deliveries.findLast((one) => one.body.includes('"Accept"') && one.judged);
  must(delivery, `no signature of the Accept holds: ${show(peer.deliveries.map(({ body, ...rest }) => rest))}`);
  must(delivery.judged.keyId === `${target.id.href}#main-key`, `it is signed by ${delivery.judged.keyId}`);
  must(delivery.path === `/users/${ann.name}/inbox`, `it came to ${delivery.path}`);
  must(delivery.judged.scheme === asked.first, `it is signed by ${delivery.judged.scheme}`);
  const knocks = peer.deliveries.map((one) => `${one.scheme} ${one.status}`);
  const proven = await verifyObject(AsObject, JSON.parse(delivery.body), loaders);
  must(proven, "the Accept's integrity proof does not hold");
  return { type: delivery.type, ...delivery.judged, knocks };
}

await step("follows and is accepted", async () => {
  await ann.send(target, follow, asked.first === "rfc9421");
  const told = await accepted(follow, 0);
  return { ...told, ...(await become({ followers: 1 })) };
});
await step("follows again and is accepted again, and is one follower", async () => {
  const before = peer.received.length;
  const again = new Follow({ id: newId(ann, "follow"), actor: ann.id, object: target.id });
  await ann.send(target, again);
  const told = await accepted(again, before);
  // After the first double knock it is known which scheme is understood here.
  must(peer.deliveries.filter((one) => one.status === 401).length <= 1, `it knocked twice again: ${show(told.knocks)}`);
  return { knocks: told.knocks, ...(await become({ followers: 1 })) };
});
await step("was asked for its documents by signed requests of the server", async () => {
  const actors = peer.gets.filter((get) => get.path === `/users/${ann.name}`);
  must(actors.length > 0, "nobody asked for the actor");
  must(actors.at(-1).signer === new URL("/actor#main-key", target.id).href, show(actors));
  must(/^Everpost\/.+ \(\+https:\/\//.test(actors.at(-1).agent), `the user agent is ${actors.at(-1).agent}`);
  return { gets: peer.gets.length, ...actors.at(-1) };
});

/** Does something, takes it back, and looks at the totals each time. */
async function doAndUndo(what, make, counted) {
  let activity;
  await step(what, async () => {
    activity = await make();
    await ann.send(target, activity);
    return await become({ followers: 1, ...counted });
  });
  await step(`${what}, and takes it back`, async () => {
    await ann.send(target, new Undo({ id: newId(ann, "undo"), actor: ann.id, object: activity }));
    return await become({ followers: 1 });
  });
}
await doAndUndo("likes a post", async () => like(), { likes: 1 });
await doAndUndo("boosts a post", async () => new Announce({
  id: newId(ann, "announce"), actor: ann.id, object: post.id, tos: [PUBLIC_URL], published: Temporal.Now.instant(),
}), { shares: 1 });
let reaction;
await step("reacts to a post with an emoji, which is no like", async () => {
  reaction = new EmojiReact({ id: newId(ann, "react"), actor: ann.id, object: post.id, content: "🐘" });
  await ann.send(target, reaction);
  await until("the page tells of it", async () => (await page()).includes("1 emoji reaction"));
  return await become({ followers: 1 });
});
await step("reacts to a post with an emoji, and takes it back", async () => {
  await ann.send(target, new Undo({ id: newId(ann, "undo"), actor: ann.id, object: reaction }));
  await until("the page tells no more of it", async () => !(await page()).includes("emoji reaction"));
});

await step("likes a post twice, which counts once", async () => {
  await ann.send(target, like());
  await ann.send(target, like());
  return await become({ followers: 1, likes: 1 });
});
await step("takes a like back by naming who liked what", async () => {
  const undo = new Undo({ id: newId(ann, "undo"), actor: ann.id, object: like() });
  await ann.send(target, undo);
  return await become({ followers: 1 });
});
await step("a replay is answered 202 and does nothing", async () => {
  const activity = like();
  const request = await made(ann, activity);
  must((await deliver(request)) === 202, "the first was not accepted");
  await become({ followers: 1, likes: 1 });
  await ann.send(target, new Undo({ id: newId(ann, "undo"), actor: ann.id, object: activity }));
  await become({ followers: 1 });
  const status = await deliver(request);
  must(status === 202, `the replay is answered ${status}`);
  // What comes after it is done after it; then the replay has had its time.
  await ann.send(target, new Announce({ id: newId(ann, "announce"), actor: ann.id, object: post.id, tos: [PUBLIC_URL] }));
  await become({ followers: 1, shares: 1 });
  await ann.send(target, new Undo({
    id: newId(ann, "undo"), actor: ann.id, object: new Announce({ id: newId(ann, "announce"), actor: ann.id, object: post.id }),
  }));
  return { status, ...(await become({ followers: 1 })) };
});

const reply = peer.reply(ann, "1", post.id, "<p>I remember that.</p><script>alert(1)</script>");
await step("answers a post, and the page shows it without what runs", async () => {
  const create = new Create({ id: newId(ann, "create"), actor: ann.id, object: reply, tos: [PUBLIC_URL], ccs: [target.id] });
  await ann.send(target, create);
  const told = await become({ followers: 1, replies: 1 });
  const shown = await until("the page shows the answer", async () => {
    const html = await page();
    return html.includes("I remember that.") && html;
  });
  must(!shown.includes("alert(1)"), "the script came through");
  return told;
});
await step("edits its answer", async () => {
  const edited = reply.clone({ content: "<p>I forgot that.</p>", updated: Temporal.Now.instant() });
  peer.notes.set("1", edited);
  await ann.send(target, new Update({ id: newId(ann, "update"), actor: ann.id, object: edited, tos: [PUBLIC_URL], ccs: [target.id] }));
  await until("the page shows the edited answer", async () => {
    const html = await page();
    return html.includes("I forgot that.") && !html.includes("I remember that.");
  });
  return await become({ followers: 1, replies: 1 });
});
await step("cannot delete the answer of somebody else", async () => {
  const eve = await peer.add("eve");
  const status = await deliver(await made(eve, new Delete({ id: newId(eve, "delete"), actor: eve.id, object: reply.id })));
  must(status < 500, `it is answered ${status}`);
  await ann.send(target, like());
  return { status, ...(await become({ followers: 1, replies: 1, likes: 1 })) };
});
await step("deletes its answer", async () => {
  peer.notes.delete("1");
  await ann.send(target, new Delete({ id: newId(ann, "delete"), actor: ann.id, object: reply.id, tos: [PUBLIC_URL] }));
  return await become({ followers: 1, likes: 1 });
});
await step("unfollows", async () => {
  await ann.send(target, new Undo({ id: newId(ann, "undo"), actor: ann.id, object: new Follow({ actor: ann.id, object: target.id }) }));
  return await become({ likes: 1 });
});

await step("an unknown actor that is gone is answered 202", async () => {
  const ghost = await peer.add("ghost");
  ghost.leave();
  const status = await deliver(await made(ghost, new Delete({ id: newId(ghost, "delete"), actor: ghost.id, object: ghost.id, tos: [PUBLIC_URL] })));
  must(status === 202, `it is answered ${status}`);
  return { status };
});
await step("deletes its actor, and all that was of it is gone", async () => {
  const last = new Follow({ id: newId(ann, "follow"), actor: ann.id, object: target.id });
  const before = peer.received.length;
  await ann.send(target, last);
  await accepted(last, before);
  await ann.send(target, new Announce({ id: newId(ann, "announce"), actor: ann.id, object: post.id, tos: [PUBLIC_URL] }));
  const answer = peer.reply(ann, "2", post.id, "<p>One more.</p>");
  await ann.send(target, new Create({ id: newId(ann, "create"), actor: ann.id, object: answer, tos: [PUBLIC_URL], ccs: [target.id] }));
  await become({ followers: 1, likes: 1, shares: 1, replies: 1 });
  const farewell = await made(ann, new Delete({ id: newId(ann, "delete"), actor: ann.id, object: ann.id, tos: [PUBLIC_URL] }));
  ann.leave();
  const status = await deliver(farewell);
  must(status === 202, `it is answered ${status}`);
  const told = await become({});
  await until("the page shows the answer no more", async () => !(await page()).includes("One more."));
  return { status, ...told };
});

const answers = {};
for (const one of sent.filter((one) => one.method === "POST")) {
  const key = `${one.scheme} ${one.status}`;
  answers[key] = (answers[key] ?? 0) + 1;
}
console.log(JSON.stringify({ step: "done", ok: failures === 0, failures, answers }));
peer.end();
process.exit(failures === 0 ? 0 : 1);
