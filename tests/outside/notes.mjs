// What must be true of one Create, of the Note in it, and of the page that shows the Note.
import { Link, Note } from "@fedify/vocab";
import { PUBLIC, isCount, isObject, isStringArray, isText, isWholeSecond, sameJson, show } from "./checks.mjs";

// What the outbox may leave out of a Note that it embeds, and what only a document of its own has.
const OWN_ONLY = new Set(["@context", "replies", "likes", "shares"]);

/** The literal shape of a Note, embedded or read by its own id. */
function noteShape(must, note, actor) {
  const at = note.id;
  const is = (step, rule, holds, field) => must(step, rule, holds, () => `${field} is ${show(note[field])}`, at);
  is("note.type", "R-43", note.type === "Note", "type");
  for (const field of ["to", "cc"]) is("note.audience-arrays", "R-44", isStringArray(note[field]), field);
  for (const field of ["tag", "attachment"]) is("note.arrays", "R-44", Array.isArray(note[field]) && note[field].every(isObject), field);
  is("note.inReplyTo", "R-44", note.inReplyTo === null || note.inReplyTo === undefined || isText(note.inReplyTo), "inReplyTo");
  is("note.summary", "R-44", note.summary === null || note.summary === undefined || typeof note.summary === "string", "summary");
  is("note.content", "R-44", typeof note.content === "string" && (note.content !== "" || note.attachment.length > 0), "content");
  is("note.attributedTo", "R-44", typeof note.attributedTo === "string" && note.attributedTo === actor.id, "attributedTo");
  is("note.no-name", "R-67", !("name" in note), "name");
  const audience = [...note.to, ...note.cc];
  must("note.audience", "R-45", audience.includes(PUBLIC) && audience.includes(actor.followers), () => `to and cc are ${show(audience)}`, at);
  is("note.published", "R-46", isWholeSecond(note.published), "published");
  if (note.updated !== undefined) is("note.updated", "R-47", isWholeSecond(note.updated) && note.updated > note.published, "updated");
  if (note.contentMap !== undefined) {
    is("note.contentMap", "R-48", isObject(note.contentMap) && sameJson(Object.values(note.contentMap), [note.content]), "contentMap");
  }
  must("note.url-first", "R-4", Array.isArray(note.url) && typeof note.url[0] === "string" && URL.canParse(note.url[0]) && new URL(note.url[0]).host === new URL(note.id).host,
    () => `url is ${show(note.url)}`, at);
  const canonical = note.url[1];
  must("note.url-canonical", "R-4", isObject(canonical) && canonical.type === "Link" && canonical.rel === "canonical" && canonical.mediaType === "text/html" && /^https?:\/\//.test(canonical.href),
    () => `url[1] is ${show(canonical)}`, at);
  must("note.url-rest", "R-4", note.url.length <= 3 && note.url.slice(2).every((l) => isObject(l) && l.rel === "alternate" && l.mediaType === "application/activity+json"),
    () => `url is ${show(note.url)}`, at);
  for (const a of note.attachment) {
    must("note.attachments", "R-53", isText(a.mediaType) && isText(a.url) && !("href" in a), () => `an attachment is ${show(a)}`, at);
  }
}

/** A Create and the Note embedded in it. */
export function checkEmbedded(must, create, actor) {
  const is = (step, holds, field) => must(step, "R-69", holds, () => `${field} is ${show(create[field])}`, create.id);
  is("create.type", create.type === "Create", "type");
  is("create.actor", create.actor === actor.id, "actor");
  is("create.embeds", isObject(create.object) && isText(create.object.id), "object");
  const note = create.object;
  noteShape(must, note, actor);
  is("create.id", create.id === `${note.id}/activity`, "id");
  is("create.published", create.published === note.published, "published");
  for (const field of ["to", "cc"]) is("create.audience", sameJson(create[field], note[field]), field);
  must("create.replies-not-inlined", "R-22", !isObject(note.replies) || !["first", "items", "orderedItems"].some((k) => k in note.replies),
    () => `replies is ${show(note.replies)}`, create.id);
}

/** Reads a Note by its own id and compares it with the Create's copy, the outbox's copy and Fedify's view. */
export async function checkNote(must, reader, create, listed, actor) {
  const id = create.object.id;
  const note = await reader.read(id, "Note");
  noteShape(must, note, actor);
  for (const [where, copy] of [["Create", create.object], ["outbox", listed.object]]) {
    const differs = Object.keys(copy).filter((k) => !OWN_ONLY.has(k) && !sameJson(copy[k], note[k]));
    must("note.same-as-embedded", "R-69", differs.length === 0, () => `the copy in the ${where} differs in ${differs.join(", ")}`, id);
  }
  for (const field of ["likes", "shares"]) {
    const ref = isObject(note[field]) ? note[field].id : note[field];
    if (ref === undefined) continue;
    const counted = await reader.read(ref, field);
    must("note.counts", "R-60", isCount(counted.totalItems), () => `totalItems is ${show(counted.totalItems)}`, ref);
  }

  const parsed = await reader.parse("the Note", "R-44", Note, note);
  const saw = (step, rule, holds, what) => must(step, rule, holds, () => `Fedify reads ${what()}`, id);
  saw("note.fedify-id", "R-35", parsed.id?.href === id, () => `id ${parsed.id}`);
  saw("note.fedify-attribution", "R-44", parsed.attributionIds.length === 1 && parsed.attributionId?.href === actor.id, () => `attributedTo ${parsed.attributionId}`);
  saw("note.fedify-published", "R-46", Number(parsed.published?.epochMilliseconds) === Date.parse(note.published), () => `published ${parsed.published}`);
  saw("note.fedify-reply", "R-44", (parsed.replyTargetId?.href ?? null) === (note.inReplyTo ?? null), () => `inReplyTo ${parsed.replyTargetId}`);
  saw("note.fedify-content", "R-44", parsed.contents.length > 0 && parsed.contents.every((c) => String(c) === note.content), () => `content ${show(parsed.contents)}`);
  const audience = [...parsed.toIds, ...parsed.ccIds].map((u) => u.href);
  saw("note.fedify-audience", "R-45", sameJson(audience, [...note.to, ...note.cc]), () => `to and cc ${show(audience)}`);
  const [page, canonical] = parsed.urls;
  saw("note.fedify-url", "R-4", page instanceof URL && page.href === note.url[0] && canonical instanceof Link && canonical.rel === "canonical" && canonical.href?.href === new URL(note.url[1].href).href,
    () => `url ${page} and ${canonical}`);
  let media = 0, tags = 0;
  for await (const _ of parsed.getAttachments(reader.loaders)) media += 1;
  for await (const _ of parsed.getTags(reader.loaders)) tags += 1;
  saw("note.fedify-parts", "R-44", media === note.attachment.length && tags === note.tag.length, () => `${media} attachments and ${tags} tags`);
  return note;
}

const unescape = (s) => s.replace(/&(?:#x2f|#47);/gi, "/").replace(/&quot;/g, '"').replace(/&#x27;|&#39;/g, "'").replace(/&amp;/g, "&");

/** The `href` of every `<link>` with this `rel` in a page. */
function links(html, rel) {
  const found = [];
  for (const [tag] of html.matchAll(/<link\b[^>]*>/gi)) {
    const attribute = (name) => new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, "i").exec(tag)?.slice(1).find((v) => v !== undefined);
    if ((attribute("rel") ?? "").toLowerCase().split(/\s+/).includes(rel)) found.push(unescape(attribute("href") ?? ""));
  }
  return found;
}

/** The page at `url[0]`, and the media that the Note names on this host. */
export async function checkNotePage(must, reader, note) {
  const url = note.url[0];
  const page = await reader.plain(url, "text/html");
  must("html.answers", "R-4", page.status === 200, () => `the page answers ${page.status}`, url);
  must("html.is-html", "R-4", /^text\/html(;|$)/.test(page.headers.get("content-type") ?? ""), () => `Content-Type is ${page.headers.get("content-type")}`, url);
  const canonical = links(page.text, "canonical");
  must("html.canonical", "R-5", canonical.length === 1 && [note.url[1].href, url].includes(canonical[0]), () => `rel=canonical is ${show(canonical)}`, url);
  must("html.alternate", "R-130", links(page.text, "alternate").includes(note.id), "no rel=alternate names the Note", url);
  for (const a of note.attachment) {
    if (!reader.isOurs(a.url)) continue;
    const response = await fetch(a.url, { method: "HEAD" });
    must("media.answers", "R-53", response.status === 200 && (response.headers.get("content-type") ?? "").split(";")[0] === a.mediaType,
      () => `answers ${response.status} ${response.headers.get("content-type")}, expected ${a.mediaType}`, a.url);
  }
}
