// The search of a static site: the indexes lie beside this file, and nothing is asked of any other place.
const form = document.querySelector("form.search");
const words = document.getElementById("words");
const said = document.getElementById("said");
const list = document.getElementById("results");
const more = document.getElementById("more");
const AT_ONCE = 20;
let opened;
let asked = 0;

/** All indexes as one; they are opened when somebody searches first. */
function open() {
  opened ??= (async () => {
    const [first, ...others] = form.dataset.indexes.split(" ").filter(Boolean);
    if (!first) return null;
    const at = (name) => new URL(`./${name}/`, import.meta.url).href;
    const options = { baseUrl: new URL("../", import.meta.url).pathname, language: form.dataset.language };
    const pagefind = await import(`${at(first)}pagefind.js`);
    await pagefind.options(options);
    for (const other of others) await pagefind.mergeIndex(at(other), options);
    await pagefind.init(form.dataset.language);
    return pagefind;
  })();
  return opened;
}

/** A piece of text with its found words marked. What stands in it as markup is text. */
function excerpt(html) {
  const piece = document.createElement("p");
  for (const node of new DOMParser().parseFromString(html, "text/html").body.childNodes) {
    const shown = node.nodeName === "MARK" ? document.createElement("mark") : document.createElement("span");
    shown.textContent = node.textContent;
    piece.append(shown);
  }
  return piece;
}

function line({ url, meta, excerpt: found }) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = url;
  link.textContent = meta.title || url;
  const date = document.createElement("time");
  date.dateTime = meta.date;
  date.className = "quiet";
  date.textContent = new Date(meta.date).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  item.append(link, " ", date, excerpt(found));
  return item;
}

async function show(results, from, mine) {
  const found = await Promise.all(results.slice(from, from + AT_ONCE).map((result) => result.data()));
  if (mine !== asked) return;
  list.append(...found.map(line));
  more.hidden = results.length <= from + AT_ONCE;
  more.onclick = () => show(results, from + AT_ONCE, mine);
}

async function search(text) {
  const mine = ++asked;
  list.replaceChildren();
  more.hidden = true;
  said.textContent = text ? "Searching…" : "";
  if (!text) return;
  try {
    const pagefind = await open();
    const results = pagefind ? (await pagefind.search(text)).results : [];
    if (mine !== asked) return;
    said.textContent = results.length === 1 ? "1 post" : `${results.length.toLocaleString("en")} posts`;
    await show(results, 0, mine);
  } catch (error) {
    said.textContent = "The search could not be loaded. It needs to be read from a web server.";
    throw error;
  }
}

const given = () => new URLSearchParams(location.search).get("q")?.trim() ?? "";
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = words.value.trim();
  history.pushState(null, "", text ? `?q=${encodeURIComponent(text)}` : location.pathname);
  search(text);
});
addEventListener("popstate", () => {
  words.value = given();
  search(words.value);
});
words.value = given();
search(words.value);
