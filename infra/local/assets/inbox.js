// The local stack's inbox: asks for what was sent every two seconds and shows it, newest first.

const POLL_MS = 2000;

const byId = (id) => document.getElementById(id);
const list = byId("messages");

/** What is on the page, as it came. The outbox only grows until it is emptied, so a poll that agrees so far adds the rest. */
let shown = [];

// --- Polling ------------------------------------------------------------------------------------------------

async function poll() {
  try {
    reconcile(await call("GET", "/_local/outbox"));
    tell("trouble", "");
  } catch {
    tell("trouble", "The local stack does not answer. Is it still running? This page keeps trying.");
  }
}

/** The next poll waits for this one, so that a slow answer never overtakes a newer one. */
async function keepPolling() {
  await poll();
  setTimeout(keepPolling, POLL_MS);
}

async function call(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}`);
  return response.status === 204 ? null : response.json().catch(() => null);
}

/** Live regions speak at each write, so an unchanged text is not written again. */
function tell(id, words) {
  if (byId(id).textContent !== words) byId(id).textContent = words;
}

// --- The list -----------------------------------------------------------------------------------------------

function reconcile(outbox) {
  const first = byId("nothing").hidden && shown.length === 0;
  if (!continues(outbox)) clear();
  const fresh = outbox.slice(shown.length);
  for (const message of fresh) list.prepend(messageItem(message, !first));
  shown = outbox;
  byId("nothing").hidden = outbox.length > 0;
  if (fresh.length && !first) tell("status", `${fresh.length} new, ${outbox.length} in all.`);
}

function continues(outbox) {
  return shown.every((message, index) => sameMessage(message, outbox[index]));
}

function sameMessage(one, other) {
  return other !== undefined && one.at === other.at && one.to === other.to && one.text === other.text;
}

function clear() {
  list.replaceChildren();
  shown = [];
}

function messageItem(message, isNew) {
  const item = byId("message-template").content.cloneNode(true);
  const article = item.querySelector("article");
  article.classList.add(message.channel);
  article.classList.toggle("new", isNew);
  item.querySelector("use").setAttribute("href", `#icon-${message.channel}`);
  item.querySelector(".message-title").textContent = message.subject ?? "Text message";
  item.querySelector(".message-route").textContent = route(message);
  dressTime(item.querySelector("time"), message.at);
  item.querySelector(".message-text").append(...withLinks(message.text));
  offerCode(item.querySelector(".copy"), message.text);
  if (message.html) offerHtml(article, message.html);
  return item;
}

function route({ from, to }) {
  return from ? `${from} → ${to}` : `to ${to}`;
}

function dressTime(time, at) {
  const moment = new Date(at);
  time.dateTime = at;
  time.title = moment.toLocaleString();
  time.textContent = moment.toLocaleTimeString();
}

/** The text, with what is a web address up to the next white space made a link. */
function withLinks(text) {
  return text.split(/(https?:\/\/\S+)/).map((part, index) => (index % 2 ? link(part) : part));
}

function link(address) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.textContent = address;
  return anchor;
}

// --- Codes --------------------------------------------------------------------------------------------------

/** The last run of six or eight digits; not a run inside a word, such as a link's token. */
function codeIn(text) {
  return text.match(/(?<![\w-])(?:[0-9]{8}|[0-9]{6})(?![\w-])/g)?.at(-1);
}

function offerCode(button, text) {
  const code = codeIn(text);
  if (!code) return;
  button.querySelector(".copy-code").textContent = code;
  button.hidden = false;
  button.addEventListener("click", () => copy(button, code));
}

async function copy(button, code) {
  const verb = button.querySelector(".copy-verb");
  try {
    await navigator.clipboard.writeText(code);
    verb.textContent = "Copied";
    tell("status", `Code ${code} copied.`);
    setTimeout(() => (verb.textContent = "Copy code"), 2000);
  } catch {
    // Without a clipboard (the page came by plain http from another machine), the code is marked to be copied by hand.
    getSelection().selectAllChildren(button.querySelector(".copy-code"));
  }
}

// --- Mail as HTML -------------------------------------------------------------------------------------------

function offerHtml(article, html) {
  const toggle = article.querySelector(".toggle");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const asHtml = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(asHtml));
    article.querySelector(".message-text").hidden = asHtml;
    const frame = article.querySelector(".message-html");
    frame.hidden = !asHtml;
    if (asHtml && !frame.hasChildNodes()) frame.append(sandboxed(html));
  });
}

/** A mail's HTML is somebody else's page: an empty sandbox lets it run, submit and open nothing. */
function sandboxed(html) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "");
  frame.title = "The mail as HTML";
  frame.srcdoc = html;
  return frame;
}

// --- Controls -----------------------------------------------------------------------------------------------

async function emptyOutbox() {
  await call("DELETE", "/_local/outbox");
  await poll();
  tell("status", "The inbox is empty.");
}

async function advanceClock() {
  const seconds = byId("seconds").valueAsNumber;
  if (!Number.isInteger(seconds) || seconds < 1) {
    tell("clock-result", "Enter a whole number of seconds, one or more.");
    byId("seconds").focus();
    return;
  }
  await call("POST", "/_local/clock", { advance: seconds });
  tell("clock-result", `${new Date().toLocaleTimeString()}: the service’s clock went forward by ${seconds} s.`);
}

function reporting(work) {
  return async (event) => {
    event.preventDefault();
    await work().catch((error) => tell("trouble", `That did not work: ${error.message}.`));
  };
}

byId("empty").addEventListener("click", reporting(emptyOutbox));
byId("clock").addEventListener("submit", reporting(advanceClock));
keepPolling();
