// The peer's side of the network: where names really are, an https server, and what came in and went out.
import https from "node:https";
import { readFileSync } from "node:fs";
import { Agent, buildConnector, setGlobalDispatcher } from "undici";

/** Makes `host` on the usual https port reachable at `address` ("127.0.0.1:8443"); its certificate is checked all the same. */
export function reach(host, address) {
  const [hostname, port] = address.split(":");
  const connect = buildConnector({});
  setGlobalDispatcher(new Agent({
    connect: (options, done) =>
      connect(options.hostname === host ? { ...options, hostname, port, servername: host } : options, done),
  }));
}

/** Every request that this process sends from now on, with the status of its answer. */
export function recordRequests() {
  const sent = [];
  const plainFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const entry = { method: request.method, url: request.url, scheme: schemeOf(request.headers) };
    sent.push(entry);
    const response = await plainFetch(request, init?.signal ? { signal: init.signal } : undefined);
    entry.status = response.status;
    return response;
  };
  return sent;
}

/** By which scheme a request is signed. */
export function schemeOf(headers) {
  if (headers.has("signature-input")) return "rfc9421";
  return headers.has("signature") ? "cavage" : "none";
}

/**
 * Serves https on a free port of localhost. `handle` gets a Request whose URL is the public one, and its body as it came.
 * Returns the origin once it listens, and how to end it.
 */
export async function serve({ cert, key, handle }) {
  let origin;
  const server = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, async (incoming, outgoing) => {
    try {
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const headers = new Headers();
      for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
      const bodiless = incoming.method === "GET" || incoming.method === "HEAD";
      const request = new Request(new URL(incoming.url, origin), { method: incoming.method, headers, ...(bodiless ? {} : { body }) });
      const response = await handle(request, body);
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      console.error(error);
      outgoing.writeHead(500).end();
    }
  });
  await new Promise((listening, failed) => server.on("error", failed).listen(0, "127.0.0.1", listening));
  origin = `https://localhost:${server.address().port}`;
  return { origin, end: () => { server.close(); server.closeAllConnections(); } };
}

/** Looks again and again until `holds` gives something true, which it returns; gives up after `seconds`. */
export async function until(what, holds, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it did not come to this within ${seconds} s: ${what}`);
    await new Promise((again) => setTimeout(again, 25));
  }
}
