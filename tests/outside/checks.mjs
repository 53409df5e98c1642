// The named checks of a walk: each is counted while it holds and printed once, as one JSON line;
// the first one that does not hold ends the walk.

/** Thrown by `Checks.must`; carries the line that names the broken rule. */
export class CheckFailed extends Error {
  constructor(line) {
    super(line.reason);
    this.line = line;
  }
}

export class Checks {
  #held = new Map();

  /** How many named checks held. */
  get size() {
    return this.#held.size;
  }

  /** Counts one observation of the check `step` of `rule`; throws when it does not hold. */
  must(step, rule, holds, reason, at) {
    const key = `${step} ${rule}`;
    if (!holds) {
      this.#held.delete(key);
      const why = typeof reason === "function" ? reason() : reason;
      throw new CheckFailed({ step, rule, ok: false, reason: why, ...(at ? { at } : {}) });
    }
    const line = this.#held.get(key) ?? { step, rule, ok: true, count: 0 };
    line.count += 1;
    this.#held.set(key, line);
  }

  /** Prints every check that held, in the order in which they were first made. */
  print() {
    for (const line of this.#held.values()) console.log(JSON.stringify(line));
  }
}

export const AS2 = "https://www.w3.org/ns/activitystreams";
export const PUBLIC = `${AS2}#Public`;

export const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v);
export const isText = (v) => typeof v === "string" && v.length > 0;
export const isStringArray = (v) => Array.isArray(v) && v.every(isText);
export const isCount = (v) => Number.isSafeInteger(v) && v >= 0;
export const show = (v) => JSON.stringify(v)?.slice(0, 300) ?? String(v);

/** The number of nested objects and arrays, as PHP's `json_decode` counts its depth. */
export function depth(v) {
  if (v === null || typeof v !== "object") return 0;
  let deepest = 0;
  for (const inner of Object.values(v)) deepest = Math.max(deepest, depth(inner));
  return deepest + 1;
}

/** True for an instant of the form 2024-04-05T00:39:47Z that exists in the calendar. */
export function isWholeSecond(v) {
  if (typeof v !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(v)) return false;
  const ms = Date.parse(v);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === v.replace("Z", ".000Z");
}

/** True when both values are the same JSON, whatever the order of the keys. */
export function sameJson(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => k in b && sameJson(a[k], b[k]));
}

/** Reads `--name value` and `--name=value`; every name in `names` is required and no other is known. */
export function options(argv, names) {
  const found = {};
  for (let i = 0; i < argv.length; i++) {
    const m = /^--([a-z-]+)(?:=(.*))?$/.exec(argv[i]);
    if (!m || !names.includes(m[1])) throw new Error(`unexpected argument ${argv[i]}`);
    found[m[1]] = m[2] ?? argv[++i];
  }
  for (const name of names) if (!found[name]) throw new Error(`--${name} is missing`);
  return found;
}
