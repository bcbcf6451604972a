// Drives the page that mailed links lead to, of a running local stack, as a person would, in Debian's Chromium:
//   node link.mjs <base-url> <operator-key> <screenshot-dir>
// A sign-in by link, a first app with a portal behind it, and a forgotten password. Waits are for conditions; nothing sleeps.

import { createHmac } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const PATIENCE_MS = 15_000;
const PASSWORD = "correct horse battery";
const NEW_PASSWORD = "another horse battery";

const [base, operatorKey, screenshots] = process.argv.slice(2);
if (!screenshots) {
  console.error("usage: node link.mjs <base-url> <operator-key> <screenshot-dir>");
  process.exit(2);
}

let passed = 0;
const complaints = [];

function check(claim, holds, found = "") {
  if (!holds) throw new Error(`${claim}${found === "" ? "" : `; found: ${JSON.stringify(found)}`}`);
  passed += 1;
  console.log(`ok ${passed} ${claim}`);
}

// --- The organisation's back end ----------------------------------------------------------------------------

async function api(method, path, body, key) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

async function organisation() {
  const account = await api("POST", "/v1/accounts", { name: "Alder & Pine", plan: "business" }, operatorKey);
  const scopes = ["users:write", "settings:write", "links:write", "tokens:redeem"];
  const made = await api("POST", `/v1/accounts/${account.id}/api-keys`, { name: "browser", scopes }, operatorKey);
  // A portal of our own, so that nothing leaves this machine.
  const portal = `${base}/health?portal=1`;
  await api("PATCH", "/v1/settings", { links: { redirect_uris: [portal] } }, made.key);
  return { account: account.id, key: made.key, portal };
}

function person(key, username, more) {
  const user = { username, kind: "external", password: PASSWORD, email: `${username}@example.com`, ...more };
  return api("POST", "/v1/users", user, key);
}

async function lastMessage(channel, pattern) {
  const messages = await api("GET", "/_local/outbox");
  return messages.filter((message) => message.channel === channel && pattern.test(message.text)).at(-1).text.match(pattern)[1];
}

const lastLink = () => lastMessage("email", /(http\S*\/link#\S+)/);
const lastCode = () => lastMessage("sms", /#(\d+)$/);

/** RFC 6238, as an app computes it. */
function appCode(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(step).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

// --- The page -----------------------------------------------------------------------------------------------

/** A link that is spent is refused on purpose, and the portal of this test has no icon. */
const isExpected = (message) => /^Failed to load resource: .*\b(410|404)\b/.test(message.text());

function listen(page) {
  page.on("console", (message) => {
    if (message.type() === "error" && !isExpected(message)) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== base) complaints.push(`left the origin: ${request.url()}`);
    if (url.search.includes("lnk_")) complaints.push("a link's token was sent in an address");
  });
}

const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

async function openPage(page, link) {
  await page.goto("about:blank");
  await page.goto(link);
  await heading(page, "Continue with your link");
  check("the token has left the address", new URL(page.url()).hash === "");
}

async function shoot(page, step) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(`${step}: nothing to scroll sideways`, overflow <= 0, overflow);
  const focused = await page.evaluate(() => document.activeElement?.tagName);
  check(`${step}: focus is where it is to be read from`, focused !== "BODY" || step === "opening", focused);
  await page.screenshot({ path: join(screenshots, `link-${step}.png`), fullPage: true, animations: "disabled" });
}

async function proveByText(page) {
  await heading(page, "Confirm it’s you");
  await page.locator(".method").first().click();
  await heading(page, "Enter the code");
  await page.fill("#code", await lastCode());
  await page.click("#confirm");
}

async function signInByLink(page, { key }) {
  const ann = await person(key, "ann", { phone: "+12025550123" });
  await api("POST", "/v1/links", { user: ann.id }, key);
  const link = await lastLink();
  await openPage(page, link);
  await shoot(page, "opening");
  await page.click("#open-link");
  await proveByText(page);
  await heading(page, "You’re signed in");
  await shoot(page, "signed-in");
  check("the page tells how it was proved", (await page.textContent("#claims")).includes("A mailed link and a second factor"));
  await openPage(page, link);
  await page.click("#open-link");
  await page.getByRole("alert").filter({ hasText: "has been used" }).waitFor();
  check("a link that is spent says so", true);
}

async function firstApp(page, { key, portal }) {
  const rosa = await person(key, "rosa");
  await api("POST", "/v1/links", { user: rosa.id, redirect_uri: portal }, key);
  await openPage(page, await lastLink());
  await page.click("#open-link");
  await heading(page, "One more thing to set up");
  await page.click("#enrol");
  await heading(page, "Enter the code");
  await page.waitForFunction(() => document.getElementById("qr").naturalWidth > 0);
  await shoot(page, "app");
  await page.fill("#code", appCode((await page.textContent("#app-secret")).replaceAll(" ", "")));
  await page.click("#confirm");
  await heading(page, "Save your recovery codes");
  check("there are ten recovery codes", (await page.locator("#recovery-codes li").count()) === 10);
  await shoot(page, "recovery");
  await page.click("#saved");
  await page.waitForURL((url) => url.searchParams.has("code"));
  const landed = new URL(page.url());
  check("the portal keeps its own query", landed.searchParams.get("portal") === "1");
  const token = await api("POST", "/v1/tokens", { code: landed.searchParams.get("code") }, key);
  check("its back end gets the token", token.status === "authenticated" && token.acr === "two-factor", token.acr);
}

async function forgottenPassword(page, { account }) {
  await page.goto(`${base}/?account=${account}`);
  await heading(page, "Sign in");
  await page.fill("#username", "ann");
  await page.click("#forget");
  await heading(page, "Check your mail");
  await shoot(page, "forgotten");
  await openPage(page, await lastLink());
  await page.click("#open-link");
  await proveByText(page);
  await heading(page, "Set a new password");
  await page.fill("#password", "short");
  await page.click("#set-password");
  await page.locator("#password-error").waitFor();
  await shoot(page, "new-password");
  await page.fill("#password", NEW_PASSWORD);
  await page.click("#set-password");
  await heading(page, "Your new password is set");
  await shoot(page, "password-set");
  const login = await api("POST", "/v1/login", { account, username: "ann", password: NEW_PASSWORD });
  check("the new password is right", login.status === "second_factor_required", login.status);
}

await mkdir(screenshots, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
try {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
  page.setDefaultTimeout(PATIENCE_MS);
  listen(page);
  const known = await organisation();
  await signInByLink(page, known);
  await firstApp(page, known);
  await forgottenPassword(page, known);
  check("the browser had nothing to complain of", complaints.length === 0, complaints);
  console.log(`${passed} passed`);
} finally {
  await browser.close();
}
