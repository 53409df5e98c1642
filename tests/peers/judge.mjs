// Judges the signature of a request by hand, with node:crypto alone: neither Fedify's code nor Everpost's.
import { createHash, createPublicKey, verify } from "node:crypto";
import { schemeOf } from "./network.mjs";

/** Throws unless `request` with `body` is signed by `pem`, covers what it has to, and is of now. Returns what it found. */
export function judge(request, body, pem) {
  const scheme = schemeOf(request.headers);
  if (scheme === "none") throw new Error("there is no signature");
  const found = scheme === "cavage" ? cavage(request) : rfc9421(request);
  const needed = scheme === "cavage"
    ? ["(request-target)", "host", "date", "digest"]
    : ["@method", "@target-uri", "content-digest"];
  for (const name of needed) if (!found.covered.includes(name)) throw new Error(`the signature does not cover ${name}`);
  const digest = createHash("sha256").update(body).digest("base64");
  const told = scheme === "cavage" ? request.headers.get("digest") : request.headers.get("content-digest");
  const expected = scheme === "cavage" ? `SHA-256=${digest}` : `sha-256=:${digest}:`;
  if (told !== expected) throw new Error(`the digest is ${told}, the body's is ${expected}`);
  if (Math.abs(Date.now() - found.made) > 60_000) throw new Error(`it was signed at ${new Date(found.made).toISOString()}`);
  if (!verify("RSA-SHA256", Buffer.from(found.base), createPublicKey(pem), Buffer.from(found.signature, "base64"))) {
    throw new Error(`the key did not sign ${JSON.stringify(found.base)}`);
  }
  return { scheme, keyId: found.keyId, covered: found.covered, algorithm: found.algorithm };
}

/** draft-cavage-http-signatures-12, sections 2.1 and 2.3. */
function cavage(request) {
  const parameters = Object.fromEntries(
    [...request.headers.get("signature").matchAll(/([a-zA-Z]+)=(?:"([^"]*)"|(\d+))/g)].map(([, name, text, number]) => [name, text ?? number]),
  );
  const url = new URL(request.url);
  const covered = parameters.headers.split(" ");
  const line = (name) => {
    if (name === "(request-target)") return `${name}: ${request.method.toLowerCase()} ${url.pathname}${url.search}`;
    if (name === "host") return `host: ${url.host}`;
    if (!request.headers.has(name)) throw new Error(`there is no ${name}`);
    return `${name}: ${request.headers.get(name)}`;
  };
  return {
    covered, base: covered.map(line).join("\n"), signature: parameters.signature, keyId: parameters.keyId,
    algorithm: parameters.algorithm, made: Date.parse(request.headers.get("date")),
  };
}

/** RFC 9421, sections 2.5 and 3.2; one signature, and the components that Everpost uses. */
function rfc9421(request) {
  const input = request.headers.get("signature-input");
  const [, label, parameters] = /^([a-z][a-z0-9_-]*)=(\(.*)$/.exec(input);
  const covered = [.../^\(([^)]*)\)/.exec(parameters)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  const url = new URL(request.url);
  const derived = {
    "@method": request.method, "@target-uri": url.href, "@authority": url.host, "@path": url.pathname, "@scheme": "https",
    "@request-target": `${url.pathname}${url.search}`,
  };
  const line = (name) => {
    const value = name.startsWith("@") ? derived[name] : name === "host" ? url.host : request.headers.get(name);
    if (value === undefined || value === null) throw new Error(`there is no ${name}`);
    return `"${name}": ${value}`;
  };
  const signature = new RegExp(`(?:^|,\\s*)${label}=:([^:]+):`).exec(request.headers.get("signature"))[1];
  return {
    covered, base: [...covered.map(line), `"@signature-params": ${parameters}`].join("\n"), signature,
    keyId: /;keyid="([^"]+)"/.exec(parameters)[1], algorithm: /;alg="([^"]+)"/.exec(parameters)?.[1],
    made: Number(/;created=(\d+)/.exec(parameters)[1]) * 1000,
  };
}
