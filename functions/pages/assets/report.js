// The page that a link to a report leads to. The link's token stands behind the `#`, which no server and no log sees; it opens this one
// report, for five minutes. The report comes as a page that runs nothing, and is shown within this one as it is.

import { Problem, fetchText } from "./api.js";

const byId = (id) => document.getElementById(id);
const notice = byId("notice");
const report = byId("report");
const agreement = location.pathname.split("/").at(-1);

let token = "";
let shown = 0;
let neighbours = { prev: null, next: null };

/** Takes the token out of the address, so that neither the history nor a glance at the screen has it. */
function takeToken() {
  token = location.hash.slice(1);
  if (token) history.replaceState(null, "", location.pathname);
}

const SENTENCES = {
  unauthorized: "This link is over, or not complete. It is good for five minutes: whoever made it can make another.",
  forbidden: "This link opens another report.",
  "not-found": "There is no such report any more.",
  busy: "Too many people are here at once. Please try again in a moment.",
  "service-unavailable": "The report cannot be made just now. Please try again in a moment.",
  "unreadable-answer": "The service gave an answer that makes no sense. Please try again in a moment.",
  unreachable: "There was no answer. Check your connection and try again.",
};

const fetchPart = (part, accept) =>
  fetchText(`/v1/agreements/${encodeURIComponent(agreement)}/audit?part=${part}`, { accept, bearer: token });

/** The number of the part that a `Link` header names for `rel`. */
function partOf(headers, rel) {
  const found = new RegExp(`[?&]part=(\\d+)>; rel="${rel}"`).exec(headers.get("Link") ?? "");
  return found && Number(found[1]);
}

/** Puts the report into this page. Its style comes with it, and is taken out before it is parsed: the policy lets no style element in. */
function adopt(html) {
  const [, before, css, after] = /^(.*?)<style>(.*?)<\/style>(.*)$/s.exec(html) ?? [];
  if (css === undefined) throw new Problem("unreadable-answer");
  const style = new CSSStyleSheet();
  style.replaceSync(css);
  const page = new DOMParser().parseFromString(before + after, "text/html");
  document.adoptedStyleSheets = [style];
  document.title = page.title;
  report.replaceChildren(...page.body.childNodes);
}

async function show(part) {
  notice.textContent = "The report is being fetched.";
  const { text, headers } = await fetchPart(part, "text/html");
  adopt(text);
  shown = part;
  neighbours = { prev: partOf(headers, "prev"), next: partOf(headers, "next") };
  notice.textContent = "It can be read, printed and saved. The form in JSON is the one that can be verified.";
  report.focus();
}

async function save(accept, kind) {
  const { text } = await fetchPart(shown, accept);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: accept }));
  const isWhole = !neighbours.prev && !neighbours.next;
  link.download = `${agreement}-audit${isWhole ? "" : `-${shown}`}.${kind}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** What can be done now. */
function offer() {
  byId("parts").hidden = !neighbours.prev && !neighbours.next;
  byId("actions").hidden = shown === 0;
  byId("previous").disabled = !neighbours.prev;
  byId("next").disabled = !neighbours.next;
}

function explain(error) {
  if (!(error instanceof Problem)) console.error(error);
  notice.textContent = SENTENCES[error.slug] ?? error.body?.detail ?? "Something went wrong. Please try again.";
}

async function attempt(work) {
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  try {
    await work();
  } catch (error) {
    explain(error);
  } finally {
    for (const button of document.querySelectorAll("button")) button.disabled = false;
    offer();
  }
}

const open = () => attempt(() => (token ? show(1) : Promise.reject(new Problem("unauthorized"))));

byId("previous").addEventListener("click", () => attempt(() => show(neighbours.prev)));
byId("next").addEventListener("click", () => attempt(() => show(neighbours.next)));
byId("print").addEventListener("click", () => print());
byId("save-json").addEventListener("click", () => attempt(() => save("application/json", "json")));
byId("save-csv").addEventListener("click", () => attempt(() => save("text/csv", "csv")));
// Another link pasted into this tab changes the address and loads nothing.
addEventListener("hashchange", () => {
  takeToken();
  open();
});
takeToken();
open();
