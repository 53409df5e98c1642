// Reads documents of one origin with Fedify's document loader, keeps the raw JSON beside what Fedify
// parses, and refuses every other host. JSON-LD contexts come from Fedify's preloaded ones only.
import { getDocumentLoader, preloadedContexts } from "@fedify/fedify";
import { AS2, depth, isObject, show } from "./checks.mjs";

const ACCEPTED_TYPES = ["application/activity+json", "application/activity+json; charset=utf-8"];
const DEEPEST = 7;
const TIMEOUT_MS = 30_000;

export class Reader {
  #checks;
  #origin;
  #loader = getDocumentLoader({ allowPrivateAddress: true, maxRedirection: 0 });
  #answers = new Map();
  #documents = new Map();
  #refused = [];
  #plainFetch = globalThis.fetch;

  constructor(origin, checks) {
    this.#origin = new URL(origin).origin;
    this.#checks = checks;
    globalThis.fetch = (input, init) => this.#guardedFetch(input, init);
  }

  /** True when `url` is a string on the walked origin. */
  isOurs(url) {
    return typeof url === "string" && URL.canParse(url) && new URL(url).origin === this.#origin;
  }

  /** Every request of this process passes here, Fedify's own ones included. */
  async #guardedFetch(input, init) {
    const request = new Request(input, init);
    if (!this.isOurs(request.url)) {
      this.#refused.push(request.url);
      throw new Error(`refused to leave the origin for ${request.url}`);
    }
    const signal = init?.signal ?? AbortSignal.timeout(TIMEOUT_MS);
    const response = await this.#plainFetch(request, { redirect: "manual", signal });
    this.#answers.set(request.url, {
      status: response.status,
      type: response.headers.get("content-type"),
      location: response.headers.get("location"),
    });
    return response;
  }

  /** A plain GET without following redirects: status, headers and text. */
  async plain(url, accept) {
    const response = await fetch(url, { headers: { accept }, redirect: "manual" });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** Loads one ActivityPub document by its id and checks what is true of all of them. */
  async read(url, step) {
    const c = this.#checks;
    c.must("document.host", "R-3", this.isOurs(url), () => `${step} names ${show(url)}, not a URL on ${this.#origin}`);
    if (this.#documents.has(url)) return this.#documents.get(url);
    let document, failure;
    try {
      ({ document } = await this.#loader(url));
    } catch (error) {
      failure = error;
    }
    const answer = this.#answers.get(url);
    const because = () => `${step}: ${failure?.message ?? failure}`;
    c.must("document.answer", "R-35", answer !== undefined, because, url);
    c.must("document.no-redirect", "R-35", answer.status < 300 || answer.status > 399,
      () => `${step} redirects (${answer.status}) to ${answer.location}`, url);
    c.must("document.status", "R-35", answer.status === 200, () => `${step} answers ${answer.status}`, url);
    c.must("document.content-type", "R-34", ACCEPTED_TYPES.includes(answer.type), () => `${step} has Content-Type ${show(answer.type)}`, url);
    c.must("document.loads", "R-35", failure === undefined && isObject(document), because, url);
    c.must("document.depth", "R-22", depth(document) <= DEEPEST, () => `${step} nests ${depth(document)} deep, more than ${DEEPEST}`, url);
    c.must("document.id", "R-35", document.id === url, () => `${step} has id ${show(document.id)}`, url);
    const context = [document["@context"]].flat();
    c.must("document.context", "R-19", context.includes(AS2), () => `${step}: @context lacks ${AS2}`, url);
    this.#documents.set(url, document);
    return document;
  }

  /** The loaders that Fedify's objects are given: documents of the origin, and preloaded contexts. */
  loaders = {
    documentLoader: async (url) => {
      if (url in preloadedContexts) return await this.#loader(url);
      const document = await this.read(url, "document asked for by Fedify");
      return { contextUrl: null, document: structuredClone(document), documentUrl: url };
    },
    contextLoader: async (url) => {
      if (url in preloadedContexts) return await this.#loader(url);
      this.#refused.push(url);
      throw new Error(`context ${url} is not preloaded`);
    },
  };

  /** Parses `document` with the Fedify class `type`, for `rule`, and checks that it is one of `types`. */
  async parse(step, rule, type, document, types = [type]) {
    let parsed, failure;
    try {
      parsed = await type.fromJsonLd(structuredClone(document), this.loaders);
    } catch (error) {
      failure = error;
    }
    this.#checks.must("document.known-contexts", "R-133", this.#refused.length === 0,
      () => `${step} needs ${this.#refused.join(", ")}`, document.id);
    const names = types.map((t) => t.name.replace(/\$\d+$/, "")).join(" or ");
    this.#checks.must("fedify.parses", rule, failure === undefined && types.some((t) => parsed instanceof t),
      () => `Fedify does not read ${step} as ${names}: ${failure?.message ?? parsed?.constructor.name}`, document.id);
    return parsed;
  }
}
