// What the stories in the browser share: the organisation's back end, a page that is listened to, and what must hold of each step.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const PATIENCE_MS = 15_000;
export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1100, height: 800 };

let passed = 0;
const complaints = [];

export function check(claim, holds, found = "") {
  if (!holds) throw new Error(`${claim}${found === "" ? "" : `; found: ${JSON.stringify(found)}`}`);
  passed += 1;
  console.log(`ok ${passed} ${claim}`);
}

export function complain(words) {
  complaints.push(words);
}

// --- The organisation's back end ----------------------------------------------------------------------------

/** The service at `base`, as a back end asks it. */
export class Service {
  constructor(base, operatorKey) {
    this.base = base;
    this.operatorKey = operatorKey;
  }

  async ask(method, path, { body, key, headers = {} } = {}) {
    const all = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }), ...headers };
    const response = await fetch(this.base + path, { method, headers: all, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (response.headers.get("Content-Type") ?? "").includes("json") ? JSON.parse(text) : text;
  }

  /** A new account on a plan that has everything, and a key of its back end. */
  async organisation(scopes) {
    const key = this.operatorKey;
    const account = await this.ask("POST", "/v1/accounts", { body: { name: "Alder & Pine", plan: "business" }, key });
    const wanted = { name: "browser", scopes };
    const made = await this.ask("POST", `/v1/accounts/${account.id}/api-keys`, { body: wanted, key });
    return { account: account.id, key: made.key };
  }

  messages() {
    return this.ask("GET", "/_local/outbox");
  }

  /** What `pattern` finds in the last message that has it. */
  async lastMessage(channel, pattern, to = null) {
    const messages = await this.messages();
    const fits = (message) => message.channel === channel && (!to || message.to === to) && pattern.test(message.text);
    const found = messages.filter(fits).at(-1);
    if (!found) throw new Error(`no ${channel} with ${pattern} among ${messages.length} messages`);
    return found.text.match(pattern)[1];
  }

  lastLink(to) {
    return this.lastMessage("email", /(http\S*\/link#\S+)/, to);
  }

  lastCode() {
    return this.lastMessage("sms", /#(\d+)$/);
  }
}

// --- The page -----------------------------------------------------------------------------------------------

/** A violation that CSP merely reports would not be an error on the console. It runs in frames, too. */
function reportViolations() {
  document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
  });
}

/** Listens to a page. `origins`: where it may go; `expected`: the refusals that a story provokes, by their status. */
function listen(page, { origins, expected }) {
  const isExpected = (text) => /^Failed to load resource/.test(text) && expected.test(text);
  page.on("console", (message) => {
    if (message.type() === "error" && !isExpected(message.text())) complain(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complain(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && !origins.includes(url.origin)) complain(`left the origin: ${request.url()}`);
    if (url.search.includes("lnk_")) complain("a link's token was sent in an address");
  });
}

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

export async function openLink(page, link) {
  await page.goto("about:blank");
  const response = await page.goto(link);
  await heading(page, "Continue with your link");
  check("the token has left the address", new URL(page.url()).hash === "");
  return response;
}

/** A picture of a step, and what must hold of each. */
export async function shoot(page, screenshots, name) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(`${name}: nothing to scroll sideways`, overflow <= 0, overflow);
  for (const frame of page.frames()) {
    const within = await frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(`${name}: nor within a frame`, within <= 0, within);
    const nameless = await frame.evaluate(() =>
      [...document.querySelectorAll("input")].filter((field) => field.checkVisibility() && field.labels.length === 0).map(({ id }) => id),
    );
    check(`${name}: every field has a label`, nameless.length === 0, nameless);
  }
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true, animations: "disabled" });
}

/** Presses Tab until `selector` in `frame` has the focus; a keyboard that cannot get there is a failure, not a hang. */
export async function tabTo(page, selector, frame = page.mainFrame(), most = 40) {
  const isThere = (wanted) => document.hasFocus() && (document.activeElement?.matches(wanted) ?? false);
  for (let presses = 0; presses < most; presses += 1) {
    if (await frame.evaluate(isThere, selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${selector}`);
}

/** Runs a story on a page of its own, and prints how many checks passed. */
export async function perform({ screenshots, viewport = PHONE, ...listening }, story) {
  await mkdir(screenshots, { recursive: true });
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  const context = await browser.newContext({ viewport, locale: "en-GB" });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(reportViolations);
  const page = await context.newPage();
  listen(page, listening);
  try {
    await story(page, browser);
    check("the browser had nothing to complain of", complaints.length === 0, complaints);
    console.log(`${passed} passed, 0 failed`);
  } catch (error) {
    await page.screenshot({ path: join(screenshots, "failure.png"), fullPage: true }).catch(() => {});
    const alert = await page.getByRole("alert").first().textContent({ timeout: 1000 }).catch(() => "");
    console.error(`FAILED after ${passed} checks: ${error.message}${alert.trim() && `\nThe page said: ${alert.trim()}`}`);
    for (const complaint of complaints) console.error(`  the browser said: ${complaint}`);
    console.log(`${passed} passed, 1 failed`);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
