#!/usr/bin/env node
// A stranger's server follows an account and listens: each message that reaches it is printed as a JSON line, with what
// Fedify, and what we by hand, think of its signature. Ends when its standard input does.
import { getDocumentLoader, verifyObject } from "@fedify/fedify";
import { Follow, isActor, Object as AsObject } from "@fedify/vocab";
import { AS2, options } from "../outside/checks.mjs";
import { start } from "./federation.mjs";
import { reach } from "./network.mjs";

const USAGE = "usage: node listen.mjs --handle user@host --at 127.0.0.1:PORT --cert FILE --key FILE";
const ACCEPT = { accept: `application/ld+json; profile="${AS2}"` };

let asked;
try {
  asked = options(process.argv.slice(2), ["handle", "at", "cert", "key"]);
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(64);
}
reach(asked.handle.split("@").at(-1), asked.at);

async function json(url) {
  const response = await fetch(url, { headers: ACCEPT, redirect: "error" });
  if (response.status !== 200) throw new Error(`${url} answers ${response.status}`);
  return await response.json();
}

let target;
const spec = "draft-cavage-http-signatures-12";
const peer = await start({ ...asked, spec, insist: false, keyOf: async () => (await json(target.id.href)).publicKey.publicKeyPem });
const loader = getDocumentLoader({ allowPrivateAddress: true });
const loaders = { documentLoader: loader, contextLoader: loader };
const ann = await peer.add("ann");
const found = await peer.context.lookupWebFinger(`acct:${asked.handle}`);
const self = found.links.find((link) => link.rel === "self").href;
target = await peer.context.lookupObject(self, { documentLoader: await peer.context.getDocumentLoader({ identifier: ann.name }) });
if (!isActor(target)) throw new Error(`${self} is no actor`);
// Somebody has seen the posts from now on, so there is somebody to tell of their edits.
const outbox = await json(target.outboxId.href);
const page = await json(outbox.first);
console.log(JSON.stringify({ read: page.orderedItems.map((item) => item.object.id) }));
await ann.send(target, new Follow({ id: new URL("#follow", ann.id), actor: ann.id, object: target.id }));

let ended = false;
process.stdin.resume().on("end", () => { ended = true; });
/** Who listens in vain for so long, in milliseconds, gives up. */
const PATIENCE = 60_000;
let told = 0;
let last = Date.now();
for (;;) {
  const delivery = peer.deliveries[told];
  if (delivery?.status) {
    told += 1;
    last = Date.now();
    const activity = JSON.parse(delivery.body);
    const proven = Boolean(await verifyObject(AsObject, structuredClone(activity), loaders));
    const { status, answer, judged, refused } = delivery;
    console.log(JSON.stringify({ activity, status, answer, judged, refused, proven, heard: peer.received.map((one) => one.id?.href) }));
  } else if (ended && told === peer.deliveries.length) {
    break;
  } else if (Date.now() - last > PATIENCE) {
    console.error("nothing came");
    process.exit(1);
  } else {
    await new Promise((again) => setTimeout(again, 25));
  }
}
peer.end();
process.exit(0);
