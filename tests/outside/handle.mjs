#!/usr/bin/env node
// Types a handle into the search box of a server built on Fedify: looks it up over https on the usual port, as every stranger
// does, and reads the outbox to its end.
import { isIP } from "node:net";
import { createFederation, MemoryKvStore } from "@fedify/fedify";
import { Create, isActor, Note, traverseCollection } from "@fedify/vocab";
import { options } from "./checks.mjs";

const USAGE = "usage: node handle.mjs --handle @user@host --expect-notes N";

async function read({ handle, expected }) {
  const origin = new URL(`https://${handle.split("@").at(-1)}`);
  if (isIP(origin.hostname)) throw new Error("a handle names a host");
  const federation = createFederation({ kv: new MemoryKvStore(), allowPrivateAddress: true });
  const context = federation.createContext(new URL("https://stranger.example"), undefined);
  const found = await context.lookupWebFinger(`acct:${handle.replace(/^@/, "")}`);
  const self = found?.links?.find((link) => link.rel === "self")?.href;
  if (!self?.startsWith(`${origin.origin}/`)) throw new Error(`WebFinger leads to ${self}`);
  const actor = await context.lookupObject(handle);
  if (!isActor(actor)) throw new Error(`the handle leads to ${actor?.constructor.name}`);
  if (actor.id.href !== self) throw new Error(`WebFinger leads to ${self}, the actor says ${actor.id.href}`);
  const outbox = await actor.getOutbox(context);
  const notes = new Set();
  for await (const item of traverseCollection(outbox, { ...context })) {
    if (!(item instanceof Create)) throw new Error(`the outbox holds ${item?.constructor.name}`);
    const note = await item.getObject(context);
    if (!(note instanceof Note) || note.id.origin !== origin.origin) throw new Error(`a Create of ${note?.id?.href}`);
    notes.add(note.id.href);
  }
  if (outbox.totalItems !== expected || notes.size !== expected) {
    throw new Error(`totalItems is ${outbox.totalItems}, ${notes.size} Notes were read, ${expected} were expected`);
  }
  return { step: "handle", ok: true, handle, actor: self, notes: notes.size };
}

let args;
try {
  const found = options(process.argv.slice(2), ["handle", "expect-notes"]);
  args = { handle: found.handle, expected: Number(found["expect-notes"]) };
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(64);
}
try {
  console.log(JSON.stringify(await read(args)));
  process.exit(0);
} catch (error) {
  console.log(JSON.stringify({ step: "handle", ok: false, reason: String(error?.stack ?? error) }));
  process.exit(1);
}
