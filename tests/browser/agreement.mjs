// Drives an agreement from the sale of transactions to its report, as sender, recipient and lawyer would, in Debian's Chromium:
//   node agreement.mjs <base-url> <provider-url> <operator-key> <screenshot-dir>
// The recipient's part is done by keyboard alone, in the provider's own page in its frame. Waits are for conditions; nothing sleeps.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DESKTOP, PHONE, Service, check, complain, heading, openLink, perform, shoot, tabTo } from "./stage.mjs";

/** What is typed in the frame, and must never be seen by the service. */
const ADDRESS = "4711 Canary Wharf Road, Springfield";
const DIGITS = "7391";
const SENDER = "sales@alder.example";
const SCOPES = ["settings:write", "agreements:write", "audit:read", "quota:read"];

const [base, provider, operatorKey, screenshots] = process.argv.slice(2);
if (!screenshots) {
  console.error("usage: node agreement.mjs <base-url> <provider-url> <operator-key> <screenshot-dir>");
  process.exit(2);
}
const service = new Service(base, operatorKey);
let key = "";

// --- The back end -------------------------------------------------------------------------------------------

async function buy(transactions) {
  const known = await service.organisation(SCOPES);
  key = known.key;
  const body = { account: known.account, transactions };
  await service.ask("POST", "/v1/quota/topups", { body, key: operatorKey, headers: { "Idempotency-Key": '"order-1"' } });
  const kba = { enabled: true, max_attempts: 2, on_view_after_signing: true };
  await service.ask("PATCH", "/v1/settings", { body: { kba }, key });
}

function send(title, ...recipients) {
  const body = { title, sender: { email: SENDER, name: "Robin Alder" }, recipients };
  return service.ask("POST", "/v1/agreements", { body, key, headers: { "Idempotency-Key": `"${title.replaceAll(" ", "-")}"` } });
}

const complete = (sent, place) =>
  service.ask("POST", `/v1/agreements/${sent.id}/recipients/${sent.recipients[place].id}/complete`, { key });

const agreement = ({ id }) => service.ask("GET", `/v1/agreements/${id}`, { key });

const quota = () => service.ask("GET", "/v1/quota", { key });

// --- The recipient ------------------------------------------------------------------------------------------

const alertSays = (page, words) => page.getByRole("alert").filter({ hasText: words }).first().waitFor();

async function press(page, selector, frame) {
  await tabTo(page, selector, frame);
  await page.keyboard.press("Enter");
}

async function open(page, to) {
  const response = await openLink(page, await service.lastLink(to));
  await press(page, "#open-link");
  return response;
}

/** The provider's page, once it stands in the frame at the step of `title`. */
async function questionFrame(page, title) {
  await heading(page, "Answer a few questions");
  const handle = await page.waitForSelector("#kba-frame");
  const frame = await handle.contentFrame();
  await frame.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
  check(`“${title}” is asked on the provider's own origin`, new URL(frame.url()).origin === provider, frame.url());
  return frame;
}

/** Says who one is; with no `name`, the sender has said it. */
async function identify(page, { name, address = ADDRESS }) {
  const frame = await questionFrame(page, "Who are you?");
  await frame.locator("#look-up:enabled").waitFor();
  if (name) {
    await tabTo(page, "#name", frame);
    await page.keyboard.type(name);
  }
  await tabTo(page, "#address", frame);
  await page.keyboard.type(address);
  await tabTo(page, "#digits", frame);
  await page.keyboard.type(DIGITS);
  return frame;
}

/** Answers every question as the records say, or beside it, with the arrows of the keyboard. */
async function answer(page, frame, { right }) {
  await frame.getByRole("heading", { level: 1, name: "A few questions about you", exact: true }).waitFor();
  const records = await frame.locator("#records li").allTextContents();
  for (const [question, record] of records.entries()) {
    const choices = await frame.locator(`#list fieldset:nth-of-type(${question + 1}) label`).allTextContents();
    const place = (choices.indexOf(record) + (right ? 0 : 1)) % choices.length;
    await tabTo(page, `[name="q${question}"]`, frame);
    await page.keyboard.press("Space");
    for (let steps = 0; steps < place; steps += 1) await page.keyboard.press("ArrowDown");
  }
  return records.length;
}

async function pass(page, who) {
  const frame = await identify(page, who);
  await press(page, "#look-up", frame);
  await answer(page, frame, { right: true });
  await press(page, "#answer", frame);
  await heading(page, "You’ve been verified");
}

async function seeFrameIsGuarded(page, response) {
  const policy = response.headers()["content-security-policy"] ?? "";
  const frames = policy.split(";").find((part) => part.trim().startsWith("frame-src"))?.trim();
  check("the page may frame the provider, and nobody else", frames === `frame-src ${provider}`, policy);
  check("its policy is strict otherwise", policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
  const title = await page.locator("#kba-frame").getAttribute("title");
  check("the frame is named for who cannot see it", title !== "", title);
}

async function signByQuestions(page) {
  const sent = await send("Lease of Pine Street 12", { email: "ann@example.com", name: "Ann Miller", country: "US", authentication: "kba" });
  check("sending reserves a transaction", (await quota()).reserved === 1);
  await service.ask("POST", "/_local/faults", { body: { service: "provider", mode: "refused", count: 10 } });
  await open(page, "ann@example.com");
  await alertSays(page, "provider cannot be reached");
  await service.ask("POST", "/_local/faults", { body: {} });
  const response = await open(page, "ann@example.com");
  const frame = await questionFrame(page, "Who are you?");
  await seeFrameIsGuarded(page, response);
  check("the name is the sender's to give", (await frame.textContent("#fixed-name")) === "Ann Miller");
  await shoot(page, screenshots, "agreement-who");
  await press(page, "#look-up", frame);
  await frame.getByRole("alert").filter({ hasText: "your address" }).waitFor();
  await identify(page, {});
  await press(page, "#look-up", frame);
  check("three questions are asked", (await answer(page, frame, { right: true })) === 3);
  await shoot(page, screenshots, "agreement-questions");
  await page.setViewportSize(DESKTOP);
  await shoot(page, screenshots, "agreement-questions-desktop");
  await page.setViewportSize(PHONE);
  await press(page, "#answer", frame);
  await heading(page, "You’ve been verified");
  await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  await shoot(page, screenshots, "agreement-verified");
  check("the pass is paid for, once", (await quota()).consumed === 1);
  check("the agreement waits for the signature", (await agreement(sent)).recipients[0].status === "verified");
  return sent;
}

async function viewAgain(page, sent) {
  await open(page, "ann@example.com");
  await pass(page, {});
  check("opening it again asks again, and costs nothing", (await quota()).consumed === 1);
  check("the last signature completes it", (await complete(sent, 0)).status === "completed");
  await open(page, "ann@example.com");
  await pass(page, {});
  await shoot(page, screenshots, "agreement-viewed");
  check("viewing what is signed asks again", (await quota()).consumed === 1);
}

async function failUntilCancelled(page) {
  const ben = { email: "ben@example.com", country: "US", authentication: "kba" };
  const cara = { email: "cara@example.com", name: "Cara Stone", country: "US", authentication: "kba" };
  const sent = await send("Lease of Alder Lane 3", ben, cara);
  await open(page, ben.email);
  await press(page, "#look-up", await identify(page, { name: "Ben Ward", address: "1 Nowhere" }));
  await heading(page, "You have not been verified yet");
  await alertSays(page, "counts as no attempt");
  await shoot(page, screenshots, "agreement-not-located");

  await press(page, "#kba-again");
  await press(page, "#look-up", await identify(page, { name: "Ben Ward" }));
  const asked = await questionFrame(page, "A few questions about you");
  await asked.locator("#list fieldset").first().waitFor();
  await service.ask("POST", "/_local/clock", { body: { advance: 120 } });
  await alertSays(page, "not answered in time. You have 1 attempt left");
  check("not answering in time is an attempt", (await agreement(sent)).recipients[0].status === "pending");
  await shoot(page, screenshots, "agreement-timed-out");

  await service.ask("DELETE", "/_local/outbox");
  await press(page, "#kba-again");
  const frame = await identify(page, { name: "Ben Ward" });
  await press(page, "#look-up", frame);
  await answer(page, frame, { right: false });
  await press(page, "#answer", frame);
  await heading(page, "You could not be verified");
  await alertSays(page, "The agreement has been cancelled");
  await shoot(page, screenshots, "agreement-cancelled");
  check("there is nothing more to press", (await page.locator("main button:visible").count()) === 0);
  const mails = await service.messages();
  check("the sender alone is told", mails.length === 1 && mails[0].to === SENDER, mails.map(({ to }) => to));
  check("and told who it was", mails[0].text.includes("ben@example.com"), mails[0].text);
  const ended = await agreement(sent);
  check("the agreement is cancelled, and one recipient has failed", ended.status === "cancelled" && ended.recipients[0].status === "failed");
  const { reserved, consumed } = await quota();
  check("what the other had reserved is free again", reserved === 0 && consumed === 2, { reserved, consumed });
  return sent;
}

async function refuseClosed(page) {
  await service.ask("DELETE", "/_local/outbox");
  const sent = await send("Lease of Oak Way 9", { email: "dan@example.com", country: "US", authentication: "kba" });
  await service.ask("POST", `/v1/agreements/${sent.id}/cancel`, { body: { reason: "Sent by mistake." }, key });
  await open(page, "dan@example.com");
  await alertSays(page, "This agreement is closed");
  await shoot(page, screenshots, "agreement-closed");
}

async function signByText(page) {
  await send("Lease of Elm Court 1", { email: "eve@example.com", phone: "+12025550177", authentication: "sms" });
  await open(page, "eve@example.com");
  await heading(page, "Confirm it’s you");
  await press(page, ".method");
  await heading(page, "Enter the code");
  await tabTo(page, "#code");
  await page.keyboard.type(await service.lastCode());
  await page.keyboard.press("Enter");
  await heading(page, "You’ve been verified");
  await shoot(page, screenshots, "agreement-by-text");
}

async function openByLinkAlone(page) {
  await send("Notice of Elm Court 1", { email: "finn@example.com", authentication: "none" });
  await open(page, "finn@example.com");
  await heading(page, "The agreement is open to you");
  await shoot(page, screenshots, "agreement-by-link");
}

// --- The lawyer ---------------------------------------------------------------------------------------------

async function readReport(browser, sent, name, ...sentences) {
  const context = await browser.newContext({ viewport: DESKTOP, extraHTTPHeaders: { Authorization: `Bearer ${key}` } });
  const page = await context.newPage();
  page.on("console", (message) => complain(`console of the report: ${message.text()}`));
  const response = await page.goto(`${base}/v1/agreements/${sent.id}/audit`);
  check(`${name}: a browser is given a page`, (response.headers()["content-type"] ?? "").startsWith("text/html"));
  const text = await page.locator("body").innerText();
  for (const sentence of sentences) check(`${name}: it says “${sentence}”`, text.includes(sentence), text);
  check(`${name}: it holds nothing of what was typed in the frame`, !text.includes("Canary") && !text.includes(DIGITS));
  await shoot(page, screenshots, name);
  await page.setViewportSize(PHONE);
  await shoot(page, screenshots, `${name}-phone`);
  const pdf = await page.pdf({ format: "A4", path: join(screenshots, `${name}.pdf`) });
  check(`${name}: it can be printed`, pdf.length > 1000);
  await context.close();
}

/** Somebody without a key is handed a link: it opens the report in the browser, is in no address, and is over after five minutes. */
async function readByLink(page, sent, other) {
  const { url, expires_in: life } = await service.ask("POST", `/v1/agreements/${sent.id}/audit/links`, { key });
  const token = new URL(url).hash.slice(1);
  check("a link to a report is good for five minutes", life === 300, life);
  const asked = [];
  const listen = (request) => asked.push(request);
  page.on("request", listen);
  await page.goto("about:blank");
  const response = await page.goto(url);
  await heading(page, "Lease of Pine Street 12");
  check("the token has left the address", new URL(page.url()).hash === "", page.url());
  check("the token is sent in no address", asked.every((request) => !request.url().includes(token) && !(request.postData() ?? "").includes(token)));
  page.off("request", listen);
  const policy = response.headers()["content-security-policy"];
  check("the page runs our own scripts alone", policy.includes("script-src 'self';") && policy.includes("style-src 'self';") && !policy.includes("unsafe"), policy);
  const text = await page.locator("main").innerText();
  for (const said of ["Completed", "Ann Miller", "A link was made that opens this report", "Signature"]) check(`by a link it says “${said}”`, text.includes(said), text);
  const family = await page.evaluate(() => getComputedStyle(document.querySelector("h1")).fontFamily);
  check("the report has its own style", family.startsWith("Georgia"), family);
  check("the report has the focus", await page.evaluate(() => document.activeElement.id === "report"));
  check("one part has no way to others", await page.locator("#parts").isHidden());
  await shoot(page, screenshots, "report-by-link-phone");
  await page.setViewportSize(DESKTOP);
  await shoot(page, screenshots, "report-by-link");
  await page.emulateMedia({ media: "print" });
  check("what can be pressed is not printed", await page.locator("#print").isHidden());
  await page.emulateMedia({ media: "screen" });
  await page.setViewportSize(PHONE);
  await saveReport(page, sent);
  await openAnotherReport(page, url, other);
  await service.ask("POST", "/_local/clock", { body: { advance: 300 } });
  await page.goto("about:blank");
  await page.goto(url);
  await page.getByRole("status").filter({ hasText: "This link is over" }).waitFor();
  await shoot(page, screenshots, "report-link-over");
  await page.reload();
  await page.getByRole("status").filter({ hasText: "This link is over, or not complete" }).waitFor();
  check("without its token the page shows nothing", (await page.locator("main").innerText()) === "");
}

/** A report that is had in parts: each link that is made is an entry of it. */
async function readParts(page) {
  const sent = await send("Lease of Long Lane 1", { email: "gail@example.com", authentication: "none" });
  let url = "";
  for (let made = 0; made < 2500; made += 1) ({ url } = await service.ask("POST", `/v1/agreements/${sent.id}/audit/links`, { key }));
  await page.goto("about:blank");
  await page.goto(url);
  await page.getByText("Part 1 of 2: entries 1 to 2500 of 2501", { exact: true }).waitFor();
  check("before the first part there is none", await page.locator("#previous").isDisabled());
  await press(page, "#next");
  await page.getByText("Part 2 of 2: entries 2501 to 2501 of 2501", { exact: true }).waitFor();
  check("after the last part there is none", await page.locator("#next").isDisabled());
  check("the last part has its entry", (await page.locator("main li").count()) === 1);
  await shoot(page, screenshots, "report-part-by-link");
  const coming = page.waitForEvent("download");
  await press(page, "#save-json");
  const name = (await coming).suggestedFilename();
  check("a part is saved as one", name === `${sent.id}-audit-2.json`, name);
  await press(page, "#previous");
  await page.getByText("Part 1 of 2", { exact: false }).first().waitFor();
}

/** What is saved is the report, in the form that was asked for. */
async function saveReport(page, sent) {
  for (const [button, accept, kind] of [["#save-json", "application/json", "json"], ["#save-csv", "text/csv", "csv"]]) {
    const coming = page.waitForEvent("download");
    await press(page, button);
    const download = await coming;
    check(`the ${kind} is called after the agreement`, download.suggestedFilename() === `${sent.id}-audit.${kind}`, download.suggestedFilename());
    const saved = await readFile(await download.path(), "utf8");
    const direct = await service.ask("GET", `/v1/agreements/${sent.id}/audit`, { key, headers: { Accept: accept } });
    const signed = kind === "json" ? JSON.parse(saved).head === direct.head : saved.includes(sent.id) && saved.startsWith("record,");
    check(`the ${kind} is the report`, signed, saved.slice(0, 200));
  }
}

/** The token of one report in the address of another opens nothing. */
async function openAnotherReport(page, url, other) {
  await page.goto("about:blank");
  await page.goto(url.replace(/agr_[a-z0-9]+/, other.id));
  await page.getByRole("status").filter({ hasText: "This link opens another report" }).waitFor();
  check("the other report is not shown", (await page.locator("main").innerText()) === "");
}

/** What is typed in the frame is sent to the provider, and to nobody else. */
function watchForCanaries(page) {
  page.on("request", (request) => {
    const sent = `${request.url()} ${request.postData() ?? ""}`;
    const ours = new URL(request.url(), base).origin === base;
    if (ours && (sent.includes("Canary") || sent.includes(DIGITS))) complain(`the service was sent ${sent}`);
  });
}

await perform({ screenshots, origins: [base, provider], expected: /\b(401|403|410|503)\b/ }, async (page, browser) => {
  watchForCanaries(page);
  await buy(10);
  const signed = await signByQuestions(page);
  await viewAgain(page, signed);
  const cancelled = await failUntilCancelled(page);
  await refuseClosed(page);
  await signByText(page);
  await openByLinkAlone(page);
  await readReport(browser, signed, "report-completed", "Completed", "Ann Miller", "tok_");
  await readReport(browser, cancelled, "report-cancelled", "Cancelled", "ben@example.com", "did not pass");
  await readParts(page);
  await readByLink(page, signed, cancelled);
});
