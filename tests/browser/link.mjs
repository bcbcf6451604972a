// Drives the page that mailed links lead to, of a running local stack, as a person would, in Debian's Chromium:
//   node link.mjs <base-url> <operator-key> <screenshot-dir>
// A sign-in by link, a first app with a portal behind it, and a forgotten password. Waits are for conditions; nothing sleeps.

import { createHmac } from "node:crypto";
import { Service, check, heading, openLink, perform, shoot as picture } from "./stage.mjs";

const PASSWORD = "correct horse battery";
const NEW_PASSWORD = "another horse battery";

const [base, operatorKey, screenshots] = process.argv.slice(2);
if (!screenshots) {
  console.error("usage: node link.mjs <base-url> <operator-key> <screenshot-dir>");
  process.exit(2);
}
const service = new Service(base, operatorKey);
const api = (method, path, body, key) => service.ask(method, path, { body, key });

// --- The organisation's back end ----------------------------------------------------------------------------

async function organisation() {
  const known = await service.organisation(["users:write", "settings:write", "links:write", "tokens:redeem"]);
  // A portal of our own, so that nothing leaves this machine.
  const portal = `${base}/health?portal=1`;
  await api("PATCH", "/v1/settings", { links: { redirect_uris: [portal] } }, known.key);
  return { ...known, portal };
}

function person(key, username, more) {
  const user = { username, kind: "external", password: PASSWORD, email: `${username}@example.com`, ...more };
  return api("POST", "/v1/users", user, key);
}

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

async function shoot(page, step) {
  await picture(page, screenshots, `link-${step}`);
  const focused = await page.evaluate(() => document.activeElement?.tagName);
  check(`${step}: focus is where it is to be read from`, focused !== "BODY" || step === "opening", focused);
}

async function proveByText(page) {
  await heading(page, "Confirm it’s you");
  await page.locator(".method").first().click();
  await heading(page, "Enter the code");
  await page.fill("#code", await service.lastCode());
  await page.click("#confirm");
}

async function signInByLink(page, { key }) {
  const ann = await person(key, "ann", { phone: "+12025550123" });
  await api("POST", "/v1/links", { user: ann.id }, key);
  const link = await service.lastLink();
  await openLink(page, link);
  await shoot(page, "opening");
  await page.click("#open-link");
  await proveByText(page);
  await heading(page, "You’re signed in");
  await shoot(page, "signed-in");
  check("the page tells how it was proved", (await page.textContent("#claims")).includes("A mailed link and a second factor"));
  await openLink(page, link);
  await page.click("#open-link");
  await page.getByRole("alert").filter({ hasText: "has been used" }).waitFor();
  check("a link that is spent says so", true);
}

async function firstApp(page, { key, portal }) {
  const rosa = await person(key, "rosa");
  await api("POST", "/v1/links", { user: rosa.id, redirect_uri: portal }, key);
  await openLink(page, await service.lastLink());
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
  await openLink(page, await service.lastLink());
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

// A link that is spent is refused on purpose, and the portal of this test has no icon.
await perform({ screenshots, origins: [base], expected: /\b(410|404)\b/ }, async (page) => {
  const known = await organisation();
  await signInByLink(page, known);
  await firstApp(page, known);
  await forgottenPassword(page, known);
});
