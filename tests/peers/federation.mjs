// The stranger's server: actors, a Note, inboxes, all by Fedify; every request that reaches it is judged by hand as well.
import { Temporal } from "@js-temporal/polyfill";
import { createFederation, generateCryptoKeyPair, getDocumentLoader, MemoryKvStore, verifyRequest } from "@fedify/fedify";
import { Accept, Activity, Endpoints, Note, Person, Reject, Tombstone } from "@fedify/vocab";
import { judge } from "./judge.mjs";
import { schemeOf, serve } from "./network.mjs";

const PUBLIC = new URL("https://www.w3.org/ns/activitystreams#Public");

/**
 * Starts it. `spec` is how it signs first; with `insist` it answers 401 to deliveries that are signed by draft-cavage.
 * `keyOf(keyId)` gives the PEM with which a delivery is judged by hand.
 */
export async function start({ cert, key, spec, insist, keyOf }) {
  const actors = new Map();
  const notes = new Map();
  const received = [];
  const deliveries = [];
  const gets = [];
  let federation;
  const loader = getDocumentLoader({ allowPrivateAddress: true });

  const { origin, end } = await serve({
    cert, key,
    handle: async (request, body) => {
      const { pathname } = new URL(request.url);
      if (request.method === "GET" && pathname.startsWith("/users/")) {
        // As GoToSocial: who does not say who he is reads nothing.
        const signer = await verifyRequest(request, { documentLoader: loader, contextLoader: loader });
        gets.push({ path: pathname, scheme: schemeOf(request.headers), signer: signer?.id?.href, agent: request.headers.get("user-agent") });
        if (!signer) return new Response("sign this", { status: 401 });
      }
      if (request.method === "POST") {
        const delivery = { path: pathname, scheme: schemeOf(request.headers), type: request.headers.get("content-type"), body };
        deliveries.push(delivery);
        if (insist && delivery.scheme === "cavage") return new Response("use RFC 9421", { status: delivery.status = 401 });
        try {
          delivery.judged = judge(request, body, await keyOf());
        } catch (error) {
          delivery.refused = error.message;
        }
        const response = await federation.fetch(request, { contextData: undefined });
        delivery.status = response.status;
        if (response.status >= 400) delivery.answer = await response.clone().text();
        return response;
      }
      return await federation.fetch(request, { contextData: undefined });
    },
  });

  federation = createFederation({ kv: new MemoryKvStore(), origin, allowPrivateAddress: true, firstKnock: spec });
  const has = (name) => actors.has(name);
  federation.setActorDispatcher("/users/{identifier}", async (context, name) => {
    if (!has(name)) return null;
    if (actors.get(name).gone) return new Tombstone({ id: context.getActorUri(name) });
    const keys = await context.getActorKeyPairs(name);
    return new Person({
      id: context.getActorUri(name), preferredUsername: name, name: `The actor ${name}`, url: new URL(`/@${name}`, origin),
      inbox: context.getInboxUri(name), outbox: context.getOutboxUri(name), followers: context.getFollowersUri(name),
      endpoints: new Endpoints({ sharedInbox: context.getInboxUri() }),
      publicKey: keys[0].cryptographicKey, assertionMethods: keys.map((pair) => pair.multikey),
    });
  }).setKeyPairsDispatcher(async (_, name) => actors.get(name)?.keys ?? []);
  const nothing = async (_, name) => (has(name) ? { items: [] } : null);
  federation.setOutboxDispatcher("/users/{identifier}/outbox", nothing);
  federation.setFollowersDispatcher("/users/{identifier}/followers", nothing);
  federation.setObjectDispatcher(Note, "/users/{identifier}/notes/{id}", async (_, { id }) => notes.get(id) ?? null);
  const listeners = federation.setInboxListeners("/users/{identifier}/inbox", "/inbox");
  for (const type of [Accept, Reject, Activity]) listeners.on(type, async (_, activity) => void received.push(activity));

  const context = federation.createContext(new URL(origin), undefined);
  return {
    origin, end, context, federation, notes, received, deliveries, gets,
    /** A new actor: its id, its key and how it sends. */
    async add(name) {
      const keys = [await generateCryptoKeyPair("RSASSA-PKCS1-v1_5"), await generateCryptoKeyPair("Ed25519")];
      actors.set(name, { keys });
      const id = context.getActorUri(name);
      return {
        name, id, keys, keyId: new URL("#main-key", id),
        send: (to, activity, shared = false) =>
          context.sendActivity({ identifier: name }, to, activity, { immediate: true, preferSharedInbox: shared }),
        leave: () => { actors.get(name).gone = true; },
      };
    },
    /** A public Note of an actor that answers `parent`. */
    reply(actor, id, parent, content) {
      const note = new Note({
        id: context.getObjectUri(Note, { identifier: actor.name, id }), attribution: actor.id, replyTarget: parent, content,
        published: Temporal.Now.instant(), tos: [PUBLIC], ccs: [context.getFollowersUri(actor.name)],
      });
      notes.set(id, note);
      return note;
    },
  };
}
