#!/usr/bin/env node
// Searches a static site in a browser, as a person does: opens its search page, types words, reads the results.
import { chromium } from "playwright-core";

const USAGE = "usage: node search.mjs URL WORDS…  (CHROMIUM names the browser, default /usr/bin/chromium)";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const TIMEOUT_MS = 30_000;

const [url, ...searches] = process.argv.slice(2);
if (!URL.canParse(url ?? "") || searches.length === 0) {
  console.error(USAGE);
  process.exit(64);
}
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS, timeout: TIMEOUT_MS });
const context = await browser.newContext();
const wrong = [];
await context.route("**/*", (route) => {
  const asked = route.request().url();
  if (new URL(asked).origin === new URL(url).origin || /^(data|blob):/.test(asked)) return route.continue();
  wrong.push(`a request leaves the origin: ${asked}`);
  return route.abort();
});
const page = await context.newPage();
page.setDefaultTimeout(TIMEOUT_MS);
page.on("console", (message) => message.type() === "error" && wrong.push(`console error: ${message.text()}`));
page.on("pageerror", (error) => wrong.push(`script error: ${error.message}`));
await page.goto(url, { waitUntil: "networkidle" });
for (const words of searches) {
  await page.fill("#words", words);
  await page.press("#words", "Enter");
  await page.waitForFunction(
    () => {
      const said = document.getElementById("said").textContent.match(/^([\d,]+) posts?$/);
      return said && document.querySelectorAll("#results li").length === Math.min(20, Number(said[1].replaceAll(",", "")));
    },
  );
  const results = await page.$$eval("#results li", (lines) =>
    lines.map((line) => ({ url: line.querySelector("a").href, text: line.textContent, marked: line.querySelector("mark")?.textContent ?? "" })),
  );
  console.log(JSON.stringify({ words, results }));
}
await browser.close();
wrong.forEach((reason) => console.error(reason));
process.exit(wrong.length === 0 ? 0 : 1);
