// Drives the sign-in page of a running local stack as a person would, in Debian's Chromium:
//   node sign-in.mjs <base-url> <account> <username> <password> <screenshot-dir>
// The user must have a phone, and SMS switched on; "newcomer", of the same password, must have no factor yet. Waits are for conditions; nothing sleeps.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const DESKTOP = { width: 1100, height: 800 };
const PHONE = { width: 320, height: 640 };
const THUMB = 44;
const PATIENCE_MS = 15_000;

const [base, account, username, password, screenshots] = process.argv.slice(2);
if (!screenshots) {
  console.error("usage: node sign-in.mjs <base-url> <account> <username> <password> <screenshot-dir>");
  process.exit(2);
}

let passed = 0;
let pictures = 0;
const complaints = [];

function check(claim, holds, found = "") {
  if (!holds) throw new Error(`${claim}${found === "" ? "" : `; found: ${JSON.stringify(found)}`}`);
  passed += 1;
  console.log(`ok ${passed} ${claim}`);
}

// --- What the browser itself complains of -------------------------------------------------------------------

/** Chromium logs each refused request as an error; the refusals that this script provokes are expected. */
const EXPECTED_REFUSALS = ["/v1/login", "/v1/codes/verify", "/v1/factors/sms/confirm"];

function isExpected(message) {
  const { pathname } = new URL(message.location().url || base, base);
  const refused = (status) => new RegExp(`^Failed to load resource: .*\\b${status}\\b`).test(message.text());
  return (refused(401) && EXPECTED_REFUSALS.includes(pathname)) || (refused(429) && pathname === "/v1/login") || (refused(400) && pathname === "/v1/factors/sms");
}

function listen(page) {
  page.on("console", (message) => {
    if (message.type() === "error" && !isExpected(message)) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) complaints.push(`left the origin: ${request.url()}`);
  });
}

/** A violation that CSP merely reports would not be an error on the console. */
function reportViolations() {
  document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
  });
}

// --- Looking at a step --------------------------------------------------------------------------------------

async function waitForHeading(page, name) {
  await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
}

async function waitForAlert(page, words) {
  const alert = page.getByRole("alert").filter({ hasText: words });
  await alert.waitFor();
  return alert.textContent();
}

/** One step on a phone, in the dark and on a desktop: pictures of all three, and what must hold of each step. */
async function inspect(page, step) {
  const number = String((pictures += 1)).padStart(2, "0");
  const shoot = (kind) =>
    page.screenshot({ path: join(screenshots, `${number}-${step}-${kind}.png`), fullPage: true, animations: "disabled" });

  await page.setViewportSize(PHONE);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(`${step}: nothing to scroll sideways at ${PHONE.width} px`, overflow <= 0, overflow);
  const small = await page.evaluate(smallTargets, THUMB);
  check(`${step}: every target is ${THUMB} px high or more`, small.length === 0, small);
  await shoot("phone");

  await page.setViewportSize(DESKTOP);
  await shoot("desktop");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot("dark");
  await page.emulateMedia({ colorScheme: null });

  const nameless = await page.evaluate(namelessFields);
  check(`${step}: every field has a label`, nameless.length === 0, nameless);
  const headings = await page.locator("h1").count();
  check(`${step}: there is one h1`, headings === 1, headings);
}

function smallTargets(least) {
  return [...document.querySelectorAll("main button, main input")]
    .filter((target) => target.checkVisibility() && target.getBoundingClientRect().height < least)
    .map((target) => target.id || target.textContent.trim());
}

function namelessFields() {
  return [...document.querySelectorAll("input")]
    .filter((field) => field.checkVisibility() && field.labels.length === 0)
    .map((field) => field.id);
}

async function checkHeadingHasFocus(page, step) {
  await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  check(`${step}: focus is on the heading`, true);
}

// --- The keyboard -------------------------------------------------------------------------------------------

/** Presses Tab until `selector` has the focus; a keyboard that cannot get there is a failure, not a hang. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 12; presses += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${selector}`);
}

async function typeOver(page, selector, text) {
  await tabTo(page, selector);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

// --- The messages -------------------------------------------------------------------------------------------

async function newestText(reference) {
  const response = await fetch(new URL("/_local/outbox", base));
  const outbox = await response.json();
  const message = outbox.findLast(({ channel, text }) => channel === "sms" && text.includes(reference));
  if (!message) throw new Error(`no text message with reference ${reference} among ${outbox.length} in the outbox`);
  return message;
}

function codeIn(text) {
  return text.match(/(?<![0-9])[0-9]{6}(?![0-9])/g).at(-1);
}

function otherThan(code) {
  return code.slice(0, -1) + ((Number(code.at(-1)) + 1) % 10);
}

// --- The flow -----------------------------------------------------------------------------------------------

async function openPage(page) {
  const response = await page.goto(new URL(`/?account=${encodeURIComponent(account)}`, base).href);
  const policy = response.headers()["content-security-policy"] ?? "";
  check("the page comes with a strict Content-Security-Policy", policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
  await waitForHeading(page, "Sign in");
  check("the organisation of the address is taken and tucked away", !(await page.locator("#account").isVisible()));
  await inspect(page, "sign-in");
}

/** The gateway's own refusal names no problem, and does not say how long to wait. */
async function comeWithACrowd(page) {
  const refusal = { status: 429, contentType: "application/json", body: '{"message":"Too Many Requests"}' };
  await page.route("**/v1/login", (route) => route.fulfill(refusal), { times: 1 });
  await typeOver(page, "#username", username);
  await typeOver(page, "#password", password);
  await page.keyboard.press("Enter");
  await waitForAlert(page, /Too many people/);
  check("who is turned away by the gateway has to wait a moment", await page.locator("#continue").isDisabled());
  await page.locator("#continue:enabled").waitFor();
  check("and is still told why when the moment is over", await page.getByRole("alert").filter({ hasText: "Too many people" }).isVisible());
  await inspect(page, "crowd");
}

async function refuseWrongPassword(page) {
  await typeOver(page, "#username", username);
  await typeOver(page, "#password", `${password}-not`);
  await page.keyboard.press("Enter");
  const words = await waitForAlert(page, /password is not right/);
  check("a wrong password shows an alert", words !== "");
  const invalid = await page.locator("#password").getAttribute("aria-invalid");
  check("the alert marks the field and gives it the focus", invalid === "true" && (await page.evaluate(() => document.activeElement.id)) === "password");
  await inspect(page, "wrong-password");
}

async function acceptRightPassword(page) {
  await typeOver(page, "#password", password);
  await page.keyboard.press("Enter");
  await waitForHeading(page, "Confirm it’s you");
  check("the first step works by keyboard alone", true);
  await checkHeadingHasFocus(page, "methods");
  await inspect(page, "methods");
}

async function askForText(page) {
  await page.getByRole("button", { name: /^Text me/ }).click();
  await waitForHeading(page, "Enter the code");
  await checkHeadingHasFocus(page, "code");
  const reference = (await page.locator("#reference-value").textContent()).trim();
  check("the page shows a reference of four letters", /^[A-Z]{4}$/.test(reference), reference);
  const message = await newestText(reference);
  check("the message carries the same reference", message.text.includes(reference));
  const field = await page.locator("#code").evaluate(({ autocomplete, inputMode, maxLength }) => ({ autocomplete, inputMode, maxLength }));
  check(
    "there is one field, which phones know how to fill",
    field.autocomplete === "one-time-code" && field.inputMode === "numeric" && field.maxLength === 6 && (await page.locator("input:visible").count()) === 1,
    field,
  );
  check("another code can be asked for only later", await page.locator("#resend").isDisabled());
  await inspect(page, "code");
  return codeIn(message.text);
}

async function refuseWrongCode(page, code) {
  await page.locator("#code").fill(otherThan(code));
  await page.keyboard.press("Enter");
  const words = await waitForAlert(page, /not right/);
  check("a wrong code tells how many tries are left", /\b[1-9] (try|tries) left/.test(words), words);
  await inspect(page, "wrong-code");
}

async function acceptPastedCode(page, code) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(base).origin });
  const spaced = `${code.slice(0, 3)} ${code.slice(3)}`;
  await page.evaluate((text) => navigator.clipboard.writeText(text), spaced);
  await page.locator("#code").focus();
  await page.keyboard.press("Control+V");
  const value = await page.locator("#code").inputValue();
  check("a code pasted with a space in it arrives whole", value === code, value);
  await page.keyboard.press("Enter");
  await waitForHeading(page, "You’re signed in");
  await checkHeadingHasFocus(page, "identity");
}

async function seeWhoItIs(page) {
  await page.locator("#claim-username", { hasText: username }).waitFor();
  check("the page names the user", true);
  const claims = await page.locator("#claims").innerText();
  check("the page names the organisation", claims.includes(account), claims);
  check("the page tells that two factors were proved", /\btwo-factor\b/.test(claims) && /\bmfa\b/.test(claims), claims);
  const kept = await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length);
  check("nothing of the sign-in is stored in the browser", kept === 0, kept);
  await inspect(page, "identity");
}

async function seeInbox(context, code) {
  const page = await context.newPage();
  await page.goto(new URL("/_local/", base).href);
  await page.locator(".message", { hasText: code }).first().waitFor();
  check("the inbox shows the message", true);
  const copied = page.locator(".message").first().getByRole("button", { name: "Copy code" });
  check("the inbox offers the code to be copied", (await copied.innerText()).includes(code));
  await inspect(page, "inbox");
  await page.close();
}

async function signOut(page) {
  await page.getByRole("button", { name: "Sign out" }).click();
  await waitForHeading(page, "Sign in");
  check("signing out leads back to the start", (await page.locator("#claims").isVisible()) === false);
  check("the password is gone from its field", (await page.locator("#password").inputValue()) === "");
}

async function askForOrganisation(page) {
  await page.goto(new URL("/", base).href);
  await page.getByLabel("Organisation").waitFor();
  await page.getByRole("button", { name: "Continue" }).click();
  await waitForAlert(page, /check what is marked/);
  const focused = await page.evaluate(() => document.activeElement.id);
  check("without an organisation in the address the page asks for it", focused === "account", focused);
  await inspect(page, "organisation");
}

/** A first sign-in: a phone is set up, and proved by the code that was texted there. */
async function setUpPhone(page) {
  await page.goto(new URL(`/?account=${encodeURIComponent(account)}`, base).href);
  await waitForHeading(page, "Sign in");
  await typeOver(page, "#username", "newcomer");
  await typeOver(page, "#password", password);
  await page.keyboard.press("Enter");
  await waitForHeading(page, "One more thing to set up");
  await checkHeadingHasFocus(page, "enrolment");
  check("an app and a phone are offered", (await page.locator("#enrol").isVisible()) && (await page.locator("#text-me").isVisible()));
  await inspect(page, "enrolment");
  await typeOver(page, "#phone", "202 555 0199");
  await page.keyboard.press("Enter");
  await waitForAlert(page, /check what is marked/);
  check("a number without its country is marked", (await page.locator("#phone").getAttribute("aria-invalid")) === "true");
  await typeOver(page, "#phone", "+1 (800) 234-5678");
  await page.keyboard.press("Enter");
  await page.locator("#phone-error", { hasText: "mobile number" }).waitFor();
  check("a number that is no mobile's is refused with the reason", true);
  await inspect(page, "wrong-number");
  await typeOver(page, "#phone", "+1 (202) 555-0199");
  await page.keyboard.press("Enter");
  await waitForHeading(page, "Enter the code");
  const reference = (await page.locator("#reference-value").textContent()).trim();
  const message = await newestText(reference);
  check("the code went to the number that was typed", message.to === "+12025550199", message.to);
  check("there is no app's key beside it", !(await page.locator("#app-setup").isVisible()));
  await inspect(page, "phone-code");
  await page.locator("#another-way").click();
  await waitForHeading(page, "One more thing to set up");
  check("another way leads back to what can be set up", await page.locator("#enrol").isVisible());
  await page.locator("#text-me").click();
  await waitForHeading(page, "Enter the code");
  check("and back to the code that was sent", (await page.locator("#reference-value").textContent()).trim() === reference);
  const code = codeIn(message.text);
  await page.locator("#code").fill(otherThan(code));
  await page.keyboard.press("Enter");
  await waitForAlert(page, /not right/);
  await page.locator("#code").fill(code);
  await page.keyboard.press("Enter");
  await waitForHeading(page, "You’re signed in");
  const claims = await page.locator("#claims").innerText();
  check("the first sign-in is completed by it", /\btwo-factor\b/.test(claims), claims);
}

async function run(context) {
  await context.addInitScript(reportViolations);
  context.on("page", listen);
  const page = await context.newPage();
  try {
    await openPage(page);
    await comeWithACrowd(page);
    await refuseWrongPassword(page);
    await acceptRightPassword(page);
    const code = await askForText(page);
    await refuseWrongCode(page, code);
    await acceptPastedCode(page, code);
    await seeWhoItIs(page);
    await seeInbox(context, code);
    await signOut(page);
    await setUpPhone(page);
    await askForOrganisation(page);
    check("the browser had nothing to complain of", complaints.length === 0, complaints);
  } catch (error) {
    await page.screenshot({ path: join(screenshots, "failure.png"), fullPage: true }).catch(() => {});
    const alert = await page.getByRole("alert").textContent({ timeout: 1000 }).catch(() => "");
    throw alert.trim() ? new Error(`${error.message}\nThe page said: ${alert.trim()}`) : error;
  }
}

await mkdir(screenshots, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
try {
  const context = await browser.newContext({ viewport: DESKTOP, locale: "en-GB" });
  context.setDefaultTimeout(PATIENCE_MS);
  await run(context);
  console.log(`${passed} passed, 0 failed`);
} catch (error) {
  console.error(`FAILED after ${passed} checks: ${error.message}`);
  for (const complaint of complaints) console.error(`  the browser said: ${complaint}`);
  console.log(`${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
