#!/usr/bin/env node
// Walks one account from outside, as a server built on Fedify would read it: WebFinger, actor, collections,
// the whole outbox, each Note by its own id, its thread and its page. Rules R-n are those of the federation design.
import { createPublicKey } from "node:crypto";
import { createFederation, MemoryKvStore } from "@fedify/fedify";
import { Collection, CollectionPage, Create, Object as APObject, OrderedCollection, OrderedCollectionPage, Person, Service, isActor, traverseCollection } from "@fedify/vocab";
import { CheckFailed, Checks, isCount, isObject, isText, isWholeSecond, options, show } from "./checks.mjs";
import { checkNote, checkNotePage, checkEmbedded } from "./notes.mjs";
import { Reader } from "./reader.mjs";

const SELF_TYPES = ["application/activity+json", 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'];
const USAGE = "usage: node walk.mjs --origin http://localhost:PORT --acct user@localhost:PORT --expect-notes N";

const checks = new Checks();
const must = checks.must.bind(checks);

/** WebFinger over the origin itself, for Fedify asks for acct: over https only. Returns the actor's id. */
async function webFinger(reader, origin, acct) {
  const url = `${origin}/.well-known/webfinger?resource=${encodeURIComponent(`acct:${acct}`)}`;
  const answer = await reader.plain(url, "application/jrd+json, application/json");
  must("webfinger.status", "R-10", answer.status === 200, `answers ${answer.status}`, url);
  const type = answer.headers.get("content-type") ?? "";
  must("webfinger.content-type", "R-124", /^application\/jrd\+json(;|$)/.test(type), `Content-Type is ${type}`, url);
  must("webfinger.cors", "R-124", answer.headers.get("access-control-allow-origin") === "*", "Access-Control-Allow-Origin is not *", url);
  let jrd;
  try { jrd = JSON.parse(answer.text); } catch { /* The next check names it. */ }
  must("webfinger.json", "R-10", isObject(jrd), "the body is not a JSON object", url);
  must("webfinger.subject", "R-10", typeof jrd.subject === "string", () => `subject is ${show(jrd.subject)}`, url);
  must("webfinger.subject-is-asked", "R-12", jrd.subject.toLowerCase() === `acct:${acct}`.toLowerCase(), () => `subject is ${jrd.subject}`, url);
  must("webfinger.links", "R-10", Array.isArray(jrd.links) && jrd.links.length > 0 && jrd.links.every(isObject), () => `links is ${show(jrd.links)}`, url);
  const self = jrd.links.filter((l) => l.rel === "self");
  must("webfinger.self", "R-10", self.length === 1 && SELF_TYPES.includes(self[0].type) && reader.isOurs(self[0].href), () => `rel self is ${show(self)}`, url);
  const others = jrd.links.filter((l) => l !== self[0] && String(l.type ?? "").startsWith("application/"));
  must("webfinger.one-application-link", "R-10", others.length === 0, () => `another link has an application type: ${show(others)}`, url);

  const context = createFederation({ kv: new MemoryKvStore(), allowPrivateAddress: true }).createContext(new URL(origin), undefined);
  const looked = await context.lookupWebFinger(new URL(self[0].href));
  must("webfinger.by-actor-id", "R-9", looked?.subject === jrd.subject, () => `Fedify's lookup of the actor id gives ${show(looked)}`, self[0].href);
  must("webfinger.loops-back", "R-12", looked.links?.find((l) => l.rel === "self")?.href === self[0].href, () => `self is ${show(looked.links)}`, self[0].href);
  return self[0].href;
}

/** The actor document: its literal shape, then what Fedify makes of it. */
async function actorOf(reader, id, acct) {
  const raw = await reader.read(id, "actor");
  const actorMust = (step, rule, holds, field) => must(step, rule, holds, () => `${field} is ${show(field.split(".").reduce((v, k) => v?.[k], raw))}`, id);
  actorMust("actor.type", "R-19", raw.type === "Person" || raw.type === "Service", "type");
  actorMust("actor.preferredUsername", "R-19", raw.preferredUsername === acct.split("@")[0].toLowerCase(), "preferredUsername");
  actorMust("actor.inbox", "R-19", isText(raw.inbox), "inbox");
  actorMust("actor.outbox", "R-20", isText(raw.outbox), "outbox");
  actorMust("actor.publicKey-object", "R-20", isObject(raw.publicKey), "publicKey");
  for (const field of ["icon", "image"]) {
    if (raw[field] !== undefined) actorMust("actor.images", "R-20", raw[field]?.type === "Image" && isText(raw[field].url), field);
  }
  if (raw.published !== undefined) actorMust("actor.published", "R-20", isWholeSecond(raw.published), "published");
  for (const field of ["name", "summary"]) {
    if (raw[field] !== undefined) actorMust("actor.text-fields", "R-21", isText(raw[field]), field);
  }
  for (const field of ["inbox", "outbox", "followers", "following", "publicKey.id"]) {
    actorMust("actor.same-host", "R-21", reader.isOurs(field.split(".").reduce((v, k) => v?.[k], raw)), field);
  }
  if (raw.endpoints !== undefined) actorMust("actor.same-host", "R-21", reader.isOurs(raw.endpoints.sharedInbox), "endpoints.sharedInbox");
  actorMust("actor.manuallyApprovesFollowers", "R-22", typeof raw.manuallyApprovesFollowers === "boolean", "manuallyApprovesFollowers");
  if (raw.alsoKnownAs !== undefined) actorMust("actor.alsoKnownAs", "R-22", Array.isArray(raw.alsoKnownAs) && raw.alsoKnownAs.length <= 20, "alsoKnownAs");
  actorMust("actor.publicKey-id", "R-23", raw.publicKey.id === `${id}#main-key`, "publicKey.id");
  actorMust("actor.publicKey-owner", "R-23", raw.publicKey.owner === id, "publicKey.owner");
  let key;
  const pem = String(raw.publicKey.publicKeyPem);
  try { if (/^-----BEGIN PUBLIC KEY-----\n/.test(pem)) key = createPublicKey(pem); } catch { /* The next check names it. */ }
  must("actor.publicKey-rsa2048", "R-23", key?.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails.modulusLength === 2048, () => `publicKeyPem is not RSA-2048 SPKI: ${pem.slice(0, 40)}`, id);
  const methods = raw.assertionMethod;
  const multikey = (m) => isObject(m) && m.type === "Multikey" && m.controller === id && String(m.publicKeyMultibase).startsWith("z6Mk") && reader.isOurs(m.id) && m.id !== raw.publicKey.id;
  actorMust("actor.assertionMethod", "R-23", Array.isArray(methods) && methods.length > 0 && methods.length <= 10 && methods.every(multikey), "assertionMethod");

  const actor = await reader.parse("the actor", "R-19", APObject, raw, [Person, Service]);
  const keys = [];
  for await (const k of actor.getPublicKeys(reader.loaders)) keys.push(k);
  const curves = [];
  for await (const k of actor.getAssertionMethods(reader.loaders)) curves.push(k.publicKey?.algorithm?.name);
  must("actor.fedify-id", "R-19", isActor(actor) && actor.id?.href === id && actor.inboxId?.href === raw.inbox && actor.preferredUsername === raw.preferredUsername, "Fedify reads another id, inbox or name", id);
  must("actor.fedify-key", "R-23", keys.length === 1 && keys[0].id?.href === raw.publicKey.id && keys[0].ownerId?.href === id && keys[0].publicKey?.algorithm?.modulusLength === 2048, "Fedify does not read one RSA-2048 key owned by the actor", id);
  must("actor.fedify-assertion", "R-23", curves.length === methods.length && curves.every((n) => n === "Ed25519"), () => `Fedify reads ${show(curves)}`, id);
  return { raw, actor };
}

/** Slash and case variants of an id may not answer 200 with another id. */
async function variants(reader, id) {
  const url = new URL(id);
  for (const path of [`${url.pathname}/`, url.pathname.replace(/[^/]+$/, (s) => s.toUpperCase())]) {
    const variant = new URL(path, url).href;
    if (variant === id) continue;
    const answer = await reader.plain(variant, "application/activity+json");
    must("document.variants", "R-35", answer.status !== 200, () => "a variant of an id answers 200 to an ActivityPub reader", variant);
  }
}

/** A root that Mastodon counts: ordered, with a number and a first page that resolves. */
async function countedRoot(reader, url, step) {
  const raw = await reader.read(url, step);
  must("collection.type", "R-26", raw.type === "OrderedCollection", () => `${step} is a ${show(raw.type)}`, url);
  must("collection.totalItems", "R-26", isCount(raw.totalItems), () => `${step}.totalItems is ${show(raw.totalItems)}`, url);
  must("collection.first", "R-26", isText(raw.first) || isText(raw.first?.id), () => `${step}.first is ${show(raw.first)}`, url);
  const parsed = await reader.parse(step, "R-26", OrderedCollection, raw);
  must("collection.fedify-totalItems", "R-26", parsed.totalItems === raw.totalItems, () => `Fedify reads ${parsed.totalItems}`, url);
  return { raw, parsed };
}

/** All items of a collection, page by page through `first` and `next`, each page read by its own id. */
async function itemsOf(reader, raw, step) {
  if (raw.first === undefined) return raw.orderedItems ?? raw.items ?? [];
  const items = [], seen = new Set();
  for (let url = isText(raw.first) ? raw.first : raw.first?.id; url !== undefined && url !== null;) {
    must("page.no-loop", "R-68", !seen.has(url), () => `${step} comes back to a page`, url);
    seen.add(url);
    const page = await reader.read(url, `page of ${step}`);
    const ordered = page.type === "OrderedCollectionPage";
    must("page.type", "R-68", ordered || page.type === "CollectionPage", () => `type is ${show(page.type)}`, url);
    must("page.partOf", "R-68", page.partOf === raw.id, () => `partOf is ${show(page.partOf)}`, url);
    must("page.next", "R-68", page.next === undefined || isText(page.next), () => `next is ${show(page.next)}`, url);
    const own = (ordered ? page.orderedItems : page.items) ?? [];
    must("page.items", "R-68", Array.isArray(own), () => `items are ${show(own)}`, url);
    await reader.parse(`page of ${step}`, "R-68", ordered ? OrderedCollectionPage : CollectionPage, page);
    items.push(...own);
    url = page.next;
  }
  return items;
}

/** The outbox to its end: every Create with its embedded Note, newest first. */
async function outboxOf(reader, actorRaw, expected) {
  const { raw, parsed } = await countedRoot(reader, actorRaw.outbox, "outbox");
  const items = await itemsOf(reader, raw, "outbox");
  const creates = new Map();
  let before = Infinity;
  for (const item of items) {
    must("outbox.items-are-activities", "R-68", isObject(item) && isText(item.id), () => `an item is ${show(item)}`, raw.id);
    if (item.type !== "Create") continue;
    must("outbox.distinct", "R-68", !creates.has(item.id), "listed twice", item.id);
    checkEmbedded(must, item, actorRaw);
    const at = Date.parse(item.published);
    must("outbox.newest-first", "R-68", at <= before, "is newer than the item before it", item.id);
    before = at;
    creates.set(item.id, item);
  }
  const notes = new Set([...creates.values()].map((c) => c.object.id));
  must("outbox.distinct-notes", "R-68", notes.size === creates.size, () => `${creates.size} Creates of ${notes.size} Notes`, raw.id);
  must("outbox.totalItems", "R-27", raw.totalItems === creates.size, () => `totalItems is ${raw.totalItems}, the pages hold ${creates.size} Creates`, raw.id);
  must("outbox.expected", "R-27", creates.size === expected, () => `${creates.size} Creates, expected ${expected}`, raw.id);
  let walked = 0;
  for await (const item of traverseCollection(parsed, reader.loaders)) if (item instanceof Create) walked += 1;
  must("outbox.fedify-walk", "R-27", walked === expected, () => `Fedify's own walk gives ${walked} Creates`, raw.id);
  return creates;
}

/** Replies and context: they resolve, and the whole self-thread is reachable through them. */
async function threads(reader, notes) {
  const successors = new Map();
  for (const n of notes.values()) successors.set(n.inReplyTo, [...(successors.get(n.inReplyTo) ?? []), n]);
  const contexts = new Map();
  for (const note of notes.values()) {
    const next = successors.get(note.id) ?? [];
    const inThread = next.length > 0 || reader.isOurs(note.inReplyTo);
    const ref = isObject(note.replies) ? note.replies.id : note.replies;
    if (next.length > 0 || ref !== undefined) {
      const replies = await reader.read(ref, "replies");
      must("replies.type", "R-58", replies.type === "Collection" || replies.type === "OrderedCollection", () => `type is ${show(replies.type)}`, ref);
      await reader.parse("replies", "R-58", Collection, replies);
      // Own Notes may stand whole in it.
      const items = (await itemsOf(reader, replies, "replies")).map((i) => (isObject(i) ? i.id : i));
      must("replies.ids", "R-58", items.every((i) => reader.isOurs(i)), () => `items are ${show(items)}`, ref);
      const missing = next.filter((n) => !items.includes(n.id)).map((n) => n.id);
      must("replies.thread", "R-58", missing.length === 0, () => `lacks ${show(missing)}`, ref);
    }
    if (inThread) must("context.present", "R-59", isText(note.context), () => `context is ${show(note.context)}`, note.id);
    if (note.context === undefined) continue;
    must("context.conversation", "R-59", note.conversation === note.context, () => `conversation is ${show(note.conversation)}`, note.id);
    const parent = notes.get(note.inReplyTo);
    if (parent) must("context.same-as-parent", "R-59", parent.context === note.context, () => `context is ${note.context}, the parent's ${parent.context}`, note.id);
    contexts.set(note.context, [...(contexts.get(note.context) ?? []), note]);
  }
  for (const [url, members] of contexts) {
    const raw = await reader.read(url, "context");
    must("context.type", "R-59", raw.type === "Collection" || raw.type === "OrderedCollection", () => `type is ${show(raw.type)}`, url);
    await reader.parse("context", "R-59", Collection, raw);
    const items = (await itemsOf(reader, raw, "context")).map((i) => (isObject(i) ? i.id : i));
    const missing = members.filter((n) => !items.includes(n.id)).map((n) => n.id);
    must("context.thread", "R-59", missing.length === 0, () => `lacks ${show(missing)}`, url);
    const times = items.filter((i) => notes.has(i)).map((i) => Date.parse(notes.get(i).published));
    must("context.chronological", "R-59", times.every((t, i) => i === 0 || times[i - 1] <= t), "is not in order of time", url);
    if (raw.totalItems !== undefined) must("context.totalItems", "R-59", raw.totalItems === items.length, () => `totalItems is ${show(raw.totalItems)}, ${items.length} listed`, url);
  }
}

async function walk({ origin, acct, expected }) {
  const reader = new Reader(origin, checks);
  const actorId = await webFinger(reader, origin, acct);

  const { raw: actor } = await actorOf(reader, actorId, acct);
  await variants(reader, actorId);
  for (const field of ["followers", "following"]) {
    const { raw } = await countedRoot(reader, actor[field], field);
    await itemsOf(reader, raw, field);
  }
  for (const field of ["featured", "featuredTags"]) {
    if (actor[field] === undefined) continue;
    const raw = await reader.read(actor[field], field);
    await reader.parse(field, "R-56", Collection, raw);
  }

  const creates = await outboxOf(reader, actor, expected);

  const notes = new Map();
  for (const embedded of creates.values()) {
    const create = await reader.read(embedded.id, "Create");
    checkEmbedded(must, create, actor);
    await reader.parse("the Create", "R-69", Create, create);
    const note = await checkNote(must, reader, create, embedded, actor);
    notes.set(note.id, note);
  }
  if (notes.size > 0) await variants(reader, notes.keys().next().value);

  for (const note of notes.values()) {
    if (reader.isOurs(note.inReplyTo) && !notes.has(note.inReplyTo)) {
      const parent = await reader.read(note.inReplyTo, "inReplyTo");
      must("note.parent", "R-54", parent.type === "Note", () => `inReplyTo leads to a ${show(parent.type)}`, note.id);
    }
  }
  await threads(reader, notes);

  for (const note of notes.values()) await checkNotePage(must, reader, note);
  return notes.size;
}

let args;
try {
  const found = options(process.argv.slice(2), ["origin", "acct", "expect-notes"]);
  args = { origin: new URL(found.origin).origin, acct: found.acct.replace(/^acct:/, ""), expected: Number(found["expect-notes"]) };
  if (!isCount(args.expected)) throw new Error("--expect-notes is not a number");
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(64);
}
try {
  const notes = await walk(args);
  checks.print();
  console.log(JSON.stringify({ step: "done", notes, checks: checks.size, ok: true }));
  process.exit(0);
} catch (error) {
  const line = error instanceof CheckFailed ? error.line : { step: "exception", rule: null, ok: false, reason: String(error?.stack ?? error) };
  checks.print();
  console.log(JSON.stringify(line));
  process.exit(1);
}
