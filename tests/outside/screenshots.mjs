#!/usr/bin/env node
// Takes pictures of pages on a phone and a desktop, light and dark, and fails on what a reader would notice:
// errors in the console, requests that fail or leave the origin, sideways scrolling, nothing without JavaScript.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const USAGE = "usage: node screenshots.mjs --out DIR URL…  (CHROMIUM names the browser, default /usr/bin/chromium)";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const DEVICES = {
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 900 } },
};
const SCHEMES = ["light", "dark"];
const TIMEOUT_MS = 30_000;

function parse(argv) {
  const urls = [];
  let out;
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === "--out") out = argv[++i];
    else if (argv[i].startsWith("--out=")) out = argv[i].slice("--out=".length);
    else if (/^https?:\/\//.test(argv[i]) && URL.canParse(argv[i])) urls.push(new URL(argv[i]).href);
    else throw new Error(`unexpected argument ${argv[i]}`);
  }
  if (!out || urls.length === 0) throw new Error("--out and at least one URL are needed");
  return { out, urls };
}

/** A file name for each URL, made of its path and query; equal names are numbered. */
function slugs(urls) {
  const taken = new Map();
  return urls.map((url) => {
    const { pathname, search } = new URL(url);
    const slug = `${pathname}${search}`.replace(/[^A-Za-z0-9_.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "home";
    const times = (taken.get(slug) ?? 0) + 1;
    taken.set(slug, times);
    return times === 1 ? slug : `${slug}-${times}`;
  });
}

/** Opens `url` in a context of its own; gives the page, and a list that fills with what goes wrong. */
async function open(browser, url, settings) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...settings });
  const origin = new URL(url).origin;
  const reasons = [];
  await context.route("**/*", (route) => {
    const asked = route.request().url();
    if (new URL(asked).origin === origin || /^(data|blob):/.test(asked)) return route.continue();
    reasons.push(`a request leaves the origin: ${asked}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  page.on("console", (message) => message.type() === "error" && reasons.push(`console error: ${message.text()}`));
  page.on("pageerror", (error) => reasons.push(`script error: ${error.message}`));
  page.on("requestfailed", (request) => reasons.push(`request fails: ${request.url()} ${request.failure()?.errorText ?? ""}`.trim()));
  page.on("response", (response) => response.status() >= 400 && reasons.push(`request fails: ${response.url()} answers ${response.status()}`));
  try {
    await page.goto(url, { waitUntil: "networkidle" });
    if (new URL(page.url()).origin !== origin) reasons.push(`the page leaves the origin: ${page.url()}`);
  } catch (error) {
    reasons.push(`the page does not load: ${error.message.split("\n")[0]}`);
  }
  return { context, page, reasons };
}

/** Scrolls once through the page, so that pictures that load late are there. */
async function scrollThrough(page) {
  await page.evaluate(async () => {
    const step = Math.max(window.innerHeight / 2, 200);
    for (let y = 0; y < document.documentElement.scrollHeight && y < 50_000; y += step) {
      window.scrollTo(0, y);
      await new Promise((done) => setTimeout(done, 20));
    }
    window.scrollTo(0, 0);
  });
  await page.waitForLoadState("networkidle");
}

/** The parts that stick out of the viewport to the right, widest first. */
function tooWide(width) {
  const root = document.documentElement;
  const widest = Math.max(root.scrollWidth, document.body?.scrollWidth ?? 0);
  if (widest <= width) return null;
  const sticksOut = [...document.querySelectorAll("body *")]
    .map((e) => ({ right: Math.round(e.getBoundingClientRect().right), name: e.tagName.toLowerCase() + (e.className ? `.${String(e.className).split(" ")[0]}` : "") }))
    .filter((e) => e.right > width)
    .sort((a, b) => b.right - a.right);
  return { widest, names: sticksOut.slice(0, 3).map((e) => e.name) };
}

async function picture(browser, url, file, device, scheme) {
  const { viewport } = DEVICES[device];
  const { context, page, reasons } = await open(browser, url, { ...DEVICES[device], colorScheme: scheme });
  let background = null;
  try {
    await scrollThrough(page);
    const wide = await page.evaluate(tooWide, viewport.width);
    if (wide) reasons.push(`the page is ${wide.widest} wide, more than ${viewport.width}: ${wide.names.join(", ")}`);
    const broken = await page.evaluate(() => [...document.images].filter((i) => i.complete && i.naturalWidth === 0).map((i) => i.src));
    for (const src of broken) reasons.push(`an image is broken: ${src}`);
    background = await page.evaluate(() => [document.body, document.documentElement].map((e) => getComputedStyle(e).backgroundColor).find((c) => c !== "rgba(0, 0, 0, 0)") ?? null);
    await page.screenshot({ path: file, fullPage: true, animations: "disabled" });
  } catch (error) {
    reasons.push(`no picture: ${error.message.split("\n")[0]}`);
  }
  await context.close();
  return { url, file, device, scheme, background, ok: reasons.length === 0, ...(reasons.length ? { reasons: [...new Set(reasons)] } : {}) };
}

/** The page must have its content without any script. */
async function withoutScript(browser, url) {
  const { context, page, reasons } = await open(browser, url, { ...DEVICES.phone, javaScriptEnabled: false });
  const main = await page.locator("main").count().catch(() => 0);
  if (main === 0) reasons.push("with JavaScript disabled the page has no <main>");
  await context.close();
  return { url, javascript: false, ok: reasons.length === 0, ...(reasons.length ? { reasons: [...new Set(reasons)] } : {}) };
}

let args;
try {
  args = parse(process.argv.slice(2));
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(64);
}
mkdirSync(args.out, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS, timeout: TIMEOUT_MS });
let failed = 0;
const report = (line) => {
  if (!line.ok) failed += 1;
  console.log(JSON.stringify(line));
};
const names = slugs(args.urls);
for (const [i, url] of args.urls.entries()) {
  for (const device of Object.keys(DEVICES)) {
    for (const scheme of SCHEMES) {
      report(await picture(browser, url, join(args.out, `${names[i]}-${device}-${scheme}.png`), device, scheme));
    }
  }
  const bare = await withoutScript(browser, url);
  if (!bare.ok) report(bare);
}
await browser.close();
process.exit(failed === 0 ? 0 : 1);
