// Signatures by an implementation that is not Everpost's: Fedify signs for us to verify, and verifies what we signed.
// Nothing is fetched; the only actor is the one that is at hand, and JSON-LD contexts are those that Fedify carries.
import {
  generateCryptoKeyPair, getDocumentLoader, preloadedContexts, signObject, signRequest, verifyObject, verifyRequest,
} from "@fedify/fedify";
import { Create, CryptographicKey, Multikey, Note, Object as AsObject, Person } from "@fedify/vocab";
import { readFileSync } from "node:fs";

const loader = getDocumentLoader();
const print = (line) => console.log(JSON.stringify(line));

async function contextLoader(url) {
  if (url in preloadedContexts) return await loader(url);
  throw new Error(`context ${url} is not preloaded`);
}

/** Requests and objects signed by Fedify, after the actor whose keys they are. */
async function sign() {
  const id = "https://fedify.example/users/ann";
  const rsa = await generateCryptoKeyPair("RSASSA-PKCS1-v1_5");
  const ed25519 = await generateCryptoKeyPair("Ed25519");
  const keyId = new URL(`${id}#main-key`);
  const multikeyId = new URL(`${id}#ed25519-key`);
  const actor = new Person({
    id: new URL(id),
    inbox: new URL(`${id}/inbox`),
    publicKey: new CryptographicKey({ id: keyId, owner: new URL(id), publicKey: rsa.publicKey }),
    assertionMethods: [new Multikey({ id: multikeyId, controller: new URL(id), publicKey: ed25519.publicKey })],
  });
  print({ kind: "actor", actor: await actor.toJsonLd({ contextLoader }) });

  const body = JSON.stringify({ type: "Follow", actor: id, content: "Grüße" });
  const headers = { "content-type": "application/activity+json", accept: "application/activity+json" };
  for (const spec of ["draft-cavage-http-signatures-12", "rfc9421"]) {
    for (const [method, url] of [
      ["POST", "https://everpost.example/inbox"],
      ["POST", "https://everpost.example/inbox?shared=1&x=%20y"],
      ["GET", "https://everpost.example/users/bob"],
      ["GET", "https://everpost.example/users/bob/outbox?page=true"],
    ]) {
      const request = new Request(url, { method, headers, ...(method === "POST" ? { body } : {}) });
      const signed = await signRequest(request, rsa.privateKey, keyId, { spec });
      print({ kind: "request", spec, method, url, headers: [...signed.headers], body: await signed.text() });
    }
  }

  // Not to the public: Fedify signs what it will send, in which it spells that address in full, and prints the short form.
  const note = new Note({
    id: new URL(`${id}/notes/1`),
    attribution: new URL(id),
    content: "<p>Grüße, \u{1f418} and \"quotes\"</p>",
    to: new URL(`${id}/followers`),
  });
  const create = new Create({ id: new URL(`${id}/creates/1`), actor: new URL(id), object: note });
  for (const object of [note, create]) {
    const signed = await signObject(object, ed25519.privateKey, multikeyId, { contextLoader });
    print({ kind: "object", object: await signed.toJsonLd({ format: "compact", contextLoader }) });
  }
}

/** Judges the requests and objects of a file, a JSON value a line, the actor first. */
async function verify(file) {
  const [{ actor }, ...items] = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const documentLoader = async (url) => {
    if (url in preloadedContexts) return await loader(url);
    if (url.split("#")[0] !== actor.id) throw new Error(`nothing is at ${url}`);
    return { contextUrl: null, document: structuredClone(actor), documentUrl: url };
  };
  for (const { kind, name, ...item } of items) {
    let proven;
    if (kind === "request") {
      const { method, url, headers, body } = item;
      const request = new Request(url, { method, headers, ...(method === "POST" ? { body } : {}) });
      proven = (await verifyRequest(request, { documentLoader, contextLoader })) != null;
    } else {
      proven = (await verifyObject(AsObject, item.object, { documentLoader, contextLoader })) != null;
    }
    print({ kind, name, proven });
  }
}

const [mode, file] = process.argv.slice(2);
if (mode === "sign" && file === undefined) await sign();
else if (mode === "verify" && file !== undefined) await verify(file);
else {
  console.error("usage: node signatures.mjs sign | node signatures.mjs verify FILE");
  process.exit(64);
}
