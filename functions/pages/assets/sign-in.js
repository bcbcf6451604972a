// The sign-in page. One step is shown at a time; what is known of the sign-in lives in `session` and nowhere
// else, so that closing or reloading the page forgets the challenge and the token with it.

const byId = (id) => document.getElementById(id);

const heading = byId("heading");
const lede = byId("lede");
const alertRegion = byId("alert");
const statusRegion = byId("status");
const account = byId("account");
const username = byId("username");
const password = byId("password");
const code = byId("code");

/** `proved`: how many of the two lines above the heading are signed. */
const STEPS = {
  credentials: { title: "Sign in", lede: "Use the username and password from your organisation.", proved: 0 },
  methods: { title: "Confirm it’s you", lede: "Your password is right. Now choose how to prove it’s really you.", proved: 1 },
  "code-entry": { title: "Enter the code", proved: 1 },
  enrolment: { title: "One more thing to set up", lede: "Your password is right, but you cannot sign in with it alone.", proved: 1 },
  identity: { title: "You’re signed in", proved: 2 },
};

/** How each factor is offered and asked for. `sends`: a message must be sent before there is a code to enter. */
const FACTORS = {
  sms: { sends: true, title: "Text me", resent: "We have texted you a new code.", label: "Code from the message" },
  email: { sends: true, title: "E-mail me a code", resent: "We have e-mailed you a new code.", label: "Code from the e-mail" },
  totp: {
    title: "Enter a code from your app",
    detail: "Your authenticator app shows it",
    lede: "Open your authenticator app and enter the code that it shows for this organisation.",
    label: "Code from your app",
    codeLength: 6,
  },
  recovery_code: {
    title: "Use a recovery code",
    detail: "One of the codes that you saved",
    lede: "Enter one of the recovery codes that you saved. Each works once.",
    label: "Recovery code",
  },
};

let session = freshSession();

/** `sends` remembers, by method, what was sent: coming back to a method need not cost another message. */
function freshSession() {
  return { challenge: null, methods: [], method: null, sends: new Map(), unsettledSend: null, token: null };
}

// --- Talking to the API -------------------------------------------------------------------------------------

const ANSWER_TIMEOUT_MS = 20_000;

class Problem extends Error {
  constructor(slug, { body = {}, retryAfter = null } = {}) {
    super(slug);
    this.slug = slug;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

async function call(method, path, { body, bearer, idempotencyKey } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (body) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (idempotencyKey) headers["Idempotency-Key"] = `"${idempotencyKey}"`;
  const response = await reach(path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw refusal(response, answer ?? {});
  if (answer === null) throw new Problem("unreadable-answer");
  return answer;
}

async function reach(path, request) {
  try {
    return await fetch(path, {
      ...request,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch {
    throw new Problem("unreachable");
  }
}

function refusal(response, body) {
  const slug = /\/problems\/([a-z0-9-]+)$/.exec(body.type ?? "")?.[1] ?? "unexplained";
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  return new Problem(slug, { body, retryAfter: seconds > 0 ? seconds : null });
}

/** Not `crypto.randomUUID`, which browsers withhold from a page that came by plain http. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- Showing a step, saying things --------------------------------------------------------------------------

function show(name, { lede: words } = {}) {
  const step = STEPS[name];
  for (const id of Object.keys(STEPS)) byId(id).hidden = id !== name;
  heading.textContent = step.title;
  document.title = `${step.title} · Countersign`;
  lede.replaceChildren(words ?? step.lede ?? "");
  showProgress(step.proved);
  clearProblem();
  announce("");
  heading.focus();
}

function showProgress(proved, current = proved) {
  byId("card").dataset.proved = proved;
  for (const [index, line] of [...byId("progress").children].entries()) {
    if (index === current) line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
  }
}

/** For screen readers alone: what others see happen on the page. */
function announce(words) {
  statusRegion.textContent = words;
}

/** Elements and text from parts, with nothing parsed as HTML on the way. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Bullets are read out one by one; the last characters are what a person recognises. */
function destinationText(method, destination) {
  const text = document.createDocumentFragment();
  const spoken = method === "sms" ? `your number ending in ${destination.slice(-2)}` : destination.replace(/[•*]+/g, " … ");
  text.append(element("bdi", { "aria-hidden": "true" }, destination), element("span", { class: "visually-hidden" }, spoken));
  return text;
}

const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function spokenSpan(seconds) {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function shortSpan(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// --- Buttons that have to wait ------------------------------------------------------------------------------

const holds = new Map();

/**
 * Keeps `button` off until a moment in time and counts down inside it. The ticking text is in no live region:
 * aloud, what the person may do then is told once a minute, at thirty seconds, and when the time has come.
 */
function hold(button, untilMs, permission, whenOver = () => {}) {
  release(button);
  const tick = () => {
    const seconds = Math.ceil((untilMs - Date.now()) / 1000);
    if (seconds <= 0) {
      release(button);
      announce(`${permission} now.`);
      whenOver();
      return;
    }
    button.querySelector(".hold").textContent = `in ${shortSpan(seconds)}`;
    if (seconds % 60 === 0 || seconds === 30) announce(`${permission} in ${spokenSpan(seconds)}.`);
  };
  button.disabled = true;
  holds.set(button, setInterval(tick, 1000));
  tick();
}

function release(button) {
  if (!holds.has(button)) return;
  clearInterval(holds.get(button));
  holds.delete(button);
  button.querySelector(".hold").textContent = "";
  button.disabled = false;
}

function releaseAll() {
  for (const button of [...holds.keys()]) release(button);
}

// --- Doing one thing at a time ------------------------------------------------------------------------------

let busy = false;

/** Runs `work` for a press of `button`; presses meanwhile do nothing, and the button keeps its focus. */
async function attempt(button, work) {
  if (busy) return;
  busy = true;
  clearProblem();
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (error) {
    explain(error instanceof Problem ? error : unforeseen(error), button);
  } finally {
    button.removeAttribute("aria-disabled");
    busy = false;
  }
}

/** A mistake of this page is reported for those who can mend it, and must not leave a person without a word. */
function unforeseen(error) {
  console.error(error);
  return new Problem("unexplained");
}

// --- Problems in plain words --------------------------------------------------------------------------------

/** After these the challenge is of no use any more: the way on is to sign in again. */
const ENDS_THE_CHALLENGE = new Set(["challenge-expired", "challenge-used", "challenge-unknown"]);

const SENTENCES = {
  "invalid-request": ({ body }) => (namesAField(body.errors) ? "Please check what is marked below." : null),
  "invalid-credentials": () => "The username or the password is not right. Check both and try again.",
  "no-usable-factor": () =>
    "Your organisation does not allow any of the ways in which you could confirm it’s you. Please ask its administrator to switch one on, then sign in again.",
  "too-many-attempts": ({ retryAfter }) => `There were too many tries. ${waitOr(retryAfter, "Please try again later.")}`,
  "too-many-sends": ({ retryAfter }) =>
    `Too many codes have been sent. ${waitOr(retryAfter, "Please try again later.")} A code that you already have may still work.`,
  "resend-too-soon": ({ retryAfter }) =>
    `A code is already on its way. ${waitOr(retryAfter, "Please wait a little before you ask for another.")}`,
  "method-not-enabled": () => "Your organisation has switched this way off. Please use another one.",
  "destination-not-allowed": () =>
    "Codes cannot be sent to this destination. Please use another way, or ask your organisation’s administrator to check it.",
  "sender-unavailable": () => "The code could not be sent just now. Nothing is lost: please try again in a moment.",
  "code-invalid": ({ body }) => `That code is not right. ${triesLeft(body.attempts_left)}`,
  "code-superseded": ({ body }) =>
    `That code comes from an earlier message. Please use the newest one${newestReference()}. ${triesLeft(body.attempts_left)}`,
  "code-expired": () => "That code has expired. Please ask for a new one.",
  "challenge-expired": () => "This sign-in took too long and has ended. Please sign in again.",
  "challenge-used": () => "This sign-in has already been completed. Please sign in again.",
  "challenge-unknown": () => "This sign-in is not known any more. Please sign in again.",
  "idempotency-conflict": () => "Your code is still being sent. Please try again in a moment.",
  "unsupported-step": () =>
    "Your organisation asks for a step that this page cannot do. Please use the link in the message you were sent, or ask the organisation’s administrator.",
  "unreadable-answer": () => "The service gave an answer that makes no sense. Please try again in a moment.",
  unreachable: () => "There was no answer. Check your connection and try again.",
};

/** Our words where we know the case, the service's own where we do not. */
function sentence(problem) {
  const known = SENTENCES[problem.slug]?.(problem);
  return known ?? problem.body.detail ?? "Something went wrong. Please try again.";
}

function waitOr(seconds, otherwise) {
  return seconds ? `You can try again in ${spokenSpan(seconds)}.` : otherwise;
}

function triesLeft(count) {
  if (!Number.isInteger(count)) return "Please check it and try again.";
  return count === 1 ? "You have 1 try left." : `You have ${count} tries left.`;
}

function newestReference() {
  const reference = session.sends.get(session.method)?.reference;
  return reference ? `, reference ${reference}` : "";
}

function explain(problem, button) {
  if (ENDS_THE_CHALLENGE.has(problem.slug)) return startOver(sentence(problem));
  if (problem.body.attempts_left === 0) return startOver("There were too many wrong codes. Please sign in again.");
  // Support needs the request's id for what we cannot explain; for an ordinary mistake it would be in the way.
  showAlert(sentence(problem), Object.hasOwn(SENTENCES, problem.slug) ? null : problem.body.instance);
  const marked = markFields(fieldErrors(problem));
  if (problem.retryAfter && button.querySelector(".hold")) {
    const shown = alertRegion.firstElementChild;
    hold(button, Date.now() + problem.retryAfter * 1000, "You can try again", () => {
      if (alertRegion.contains(shown)) clearProblem();
    });
  }
  (marked ?? alertRegion).focus();
  if (marked === code || marked === password) marked.select();
}

function showAlert(words, instance) {
  const content = byId("alert-template").content.cloneNode(true);
  content.querySelector(".alert-text").textContent = words;
  content.querySelector(".alert-instance").textContent = instance ? `Reference for support: ${instance}` : "";
  alertRegion.replaceChildren(content);
}

function clearProblem() {
  alertRegion.replaceChildren();
  for (const input of Object.values(FIELDS)) unmark(input);
}

// --- Marking fields -----------------------------------------------------------------------------------------

const FIELDS = { "/account": account, "/username": username, "/password": password, "/code": code };

const namesAField = (errors) => errors?.some(({ pointer }) => Object.hasOwn(FIELDS, pointer)) ?? false;

/** A refusal of what was typed is about a field too, even where the service names none. */
function fieldErrors({ slug, body }) {
  if (slug === "invalid-credentials") return [{ pointer: "/password" }];
  if (slug === "code-invalid" || slug === "code-superseded") return [{ pointer: "/code" }];
  return body.errors ?? [];
}

/** Marks the named fields that are on this page and returns the first. */
function markFields(errors) {
  const marked = errors.filter(({ pointer }) => Object.hasOwn(FIELDS, pointer));
  for (const { pointer, detail } of marked) mark(FIELDS[pointer], detail);
  return marked.length ? FIELDS[marked[0].pointer] : null;
}

function mark(input, detail) {
  if (input === account) showAccountField();
  input.setAttribute("aria-invalid", "true");
  const message = byId(`${input.id}-error`);
  message.textContent = detail ?? "";
  message.hidden = !detail;
  describeBy(input, detail ? message.id : alertRegion.id);
}

function unmark(input) {
  input.removeAttribute("aria-invalid");
  byId(`${input.id}-error`).hidden = true;
  describeBy(input, null);
}

/** The field's hint, if it has one, and what is wrong with it. */
function describeBy(input, errorId) {
  const ids = [errorId, byId(`${input.id}-hint`)?.id].filter(Boolean);
  if (ids.length) input.setAttribute("aria-describedby", ids.join(" "));
  else input.removeAttribute("aria-describedby");
}

/** What is plainly missing need not travel; it is told in the same way as the service would. */
function requireFilled(fields) {
  const errors = Object.entries(fields)
    .filter(([, { value }]) => value === "")
    .map(([pointer, { words }]) => ({ pointer, detail: words }));
  if (errors.length) throw new Problem("invalid-request", { body: { errors } });
}

// --- Step one: the password ---------------------------------------------------------------------------------

async function logIn() {
  const request = { account: account.value.trim(), username: username.value.trim(), password: password.value };
  requireFilled({
    "/account": { value: request.account, words: "Enter your organisation’s account id." },
    "/username": { value: request.username, words: "Enter your username." },
    "/password": { value: request.password, words: "Enter your password." },
  });
  const answer = await call("POST", "/v1/login", { body: request });
  password.value = "";
  revealPassword(false);
  proceed(answer);
}

/** Every answer of a sign-in, finished or not, says by `status` what comes next. */
function proceed(answer) {
  const next = { authenticated: welcome, second_factor_required: offerMethods, enrolment_required: explainEnrolment };
  if (!Object.hasOwn(next, answer.status)) throw new Problem("unsupported-step");
  next[answer.status](answer);
}

function explainEnrolment() {
  show("enrolment");
}

function startOver(why) {
  releaseAll();
  session = freshSession();
  show("credentials");
  if (!why) return;
  showAlert(why);
  alertRegion.focus();
}

/** The link that brought the person here may name the organisation; then there is nothing to type or to see. */
function takeAccountFromAddress() {
  const given = new URLSearchParams(location.search).get("account") ?? "";
  // Only what looks like an id is shown: the address is anybody's to write.
  if (!/^acc_[\w-]{1,80}$/.test(given)) return;
  account.value = given;
  byId("organisation-id").textContent = given;
  byId("organisation").hidden = false;
  byId("account-field").hidden = true;
}

function showAccountField() {
  byId("organisation").hidden = true;
  byId("account-field").hidden = false;
}

function changeOrganisation() {
  showAccountField();
  account.focus();
  account.select();
}

function revealPassword(revealed) {
  password.type = revealed ? "text" : "password";
  byId("reveal-verb").textContent = revealed ? "Hide" : "Show";
}

// --- Step two: choosing a factor ----------------------------------------------------------------------------

function offerMethods({ challenge, methods }) {
  session.challenge = challenge;
  session.methods = methods.filter(({ method }) => Object.hasOwn(FACTORS, method));
  if (session.methods.length === 0) throw new Problem("unsupported-step");
  chooseMethod();
}

function chooseMethod() {
  byId("method-list").replaceChildren(...session.methods.map(methodButton));
  show("methods");
}

function methodButton({ method, destination }) {
  const factor = FACTORS[method];
  const item = byId("method-template").content.cloneNode(true);
  const button = item.querySelector("button");
  item.querySelector("use").setAttribute("href", `#icon-${method}`);
  item.querySelector(".method-title").textContent = stillGood(method) ? "Enter the code you were sent" : factor.title;
  item.querySelector(".method-detail").append(destination ? destinationText(method, destination) : (factor.detail ?? ""));
  button.addEventListener("click", () => attempt(button, () => takeMethod(method)));
  return item;
}

async function takeMethod(method) {
  if (FACTORS[method].sends && !stillGood(method)) await sendCode(method);
  enterCode(method);
}

/** Whether a code was sent this way so recently that another could not be asked for anyway. */
function stillGood(method) {
  const sent = session.sends.get(method);
  return sent !== undefined && Date.now() < sent.resendAt;
}

async function sendCode(method) {
  const answer = await call("POST", "/v1/codes", {
    body: { challenge: session.challenge, method },
    idempotencyKey: sendKey(method),
  }).catch(settleSend);
  session.unsettledSend = null;
  session.sends.set(method, {
    destination: answer.destination,
    reference: answer.reference,
    codeLength: answer.code_length,
    resendAt: Date.now() + answer.resend_in * 1000,
    expiresAt: Date.now() + answer.expires_in * 1000,
  });
}

/** Asking again after a lost answer carries the same key, so that one wish never sends two messages. */
function sendKey(method) {
  if (session.unsettledSend?.method !== method) session.unsettledSend = { method, key: randomKey() };
  return session.unsettledSend.key;
}

function settleSend(problem) {
  const open = problem.slug === "unreachable" || problem.slug === "unreadable-answer" || problem.slug === "idempotency-conflict";
  if (!open) session.unsettledSend = null;
  throw problem;
}

// --- Step three: entering the code --------------------------------------------------------------------------

function enterCode(method) {
  session.method = method;
  const factor = FACTORS[method];
  const sent = session.sends.get(method);
  dressCodeField(factor.label, sent?.codeLength ?? factor.codeLength ?? null);
  showReference(sent);
  byId("code-hint").textContent = sent ? `It works until ${clockTime(sent.expiresAt)}.` : "";
  byId("another-way").hidden = session.methods.length < 2;
  release(byId("confirm"));
  show("code-entry", { lede: sent ? sentTo(method, sent) : factor.lede });
  offerResend(sent);
}

function sentTo(method, { destination }) {
  const words = document.createDocumentFragment();
  words.append("We sent it to ", element("strong", {}, destinationText(method, destination)), ".");
  return words;
}

/** A length means digits; a recovery code has a form of its own. */
function dressCodeField(label, length) {
  byId("code-label").textContent = label;
  code.value = "";
  code.maxLength = length ?? 64;
  code.inputMode = length ? "numeric" : "text";
  code.autocomplete = length ? "one-time-code" : "off";
  code.classList.toggle("words", !length);
  if (length) code.pattern = `[0-9]{${length}}`;
  else code.removeAttribute("pattern");
}

function showReference(sent) {
  byId("reference").hidden = !sent;
  byId("reference-value").textContent = sent?.reference ?? "";
}

function offerResend(sent) {
  const resend = byId("resend");
  release(resend);
  resend.hidden = !sent;
  if (sent) hold(resend, sent.resendAt, "You can ask for a new code");
}

async function resendCode() {
  await sendCode(session.method);
  enterCode(session.method);
  announce(FACTORS[session.method].resent);
}

async function confirmCode() {
  requireWholeCode();
  const body = { challenge: session.challenge, method: session.method, code: code.value.trim() };
  proceed(await call("POST", "/v1/codes/verify", { body }));
}

/** A code cut short would only cost one of the few tries. */
function requireWholeCode() {
  const value = code.value.trim();
  const whole = !code.pattern || value.length === code.maxLength;
  const words = code.pattern ? `The code has ${code.maxLength} digits.` : "Enter one of your recovery codes.";
  requireFilled({ "/code": { value: whole ? value : "", words } });
}

/**
 * The digits of a typed or pasted text. A whole message may be pasted: then the code is the last run of just
 * that many digits.
 */
function digitsOf(text, length) {
  const plain = text.normalize("NFKC");
  const wholeRun = (from) => from.match(/[0-9]+/g)?.findLast((run) => run.length === length);
  const closedUp = plain.replace(/(?<=[0-9])[ \p{Dash}](?=[0-9])/gu, "");
  return wholeRun(plain) ?? wholeRun(closedUp) ?? plain.replace(/[^0-9]/g, "").slice(0, length);
}

function tidyTyped() {
  if (!code.pattern) return;
  const digits = digitsOf(code.value, code.maxLength);
  if (digits !== code.value) code.value = digits;
}

/** By hand, because the browser would cut "123 456" to `maxlength` before the space is gone. */
function pasteCode(event) {
  if (byId("code-entry").hidden || !code.pattern) return;
  event.preventDefault();
  code.value = digitsOf(event.clipboardData.getData("text"), code.maxLength);
  unmark(code);
  code.focus();
}

/** The step begins at its heading, to be read out; whoever just starts typing means the field. */
function typeIntoCode(event) {
  if (byId("code-entry").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[0-9]$/.test(event.key)) code.focus();
}

// --- Signed in ----------------------------------------------------------------------------------------------

const ASSURANCE = {
  "two-factor": "Password and a second factor",
  "two-factor-email": "Password and a code by e-mail",
  "allowlisted-network": "Password, from a network your organisation trusts",
  "single-factor": "Password alone",
};

const PROOFS = { pwd: "password", otp: "one-time code", sms: "text message", kba: "knowledge questions", mfa: "two factors" };

const KINDS = { internal: "Staff", external: "External partner" };

function welcome({ access_token: token, expires_in: expiresIn }) {
  const claims = claimsOf(token);
  releaseAll();
  session = freshSession();
  session.token = token;
  showIdentity(claims);
  fetchName(session);
  forgetWhenExpired(session, expiresIn);
}

function claimsOf(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Problem("unreadable-answer");
  }
}

function showIdentity({ sub, acct, kind, acr, amr = [], exp }) {
  byId("claims").replaceChildren(
    claim("User", sub, { raw: true, id: "claim-user" }),
    claim("Organisation", acct, { raw: true }),
    claim("Kind", KINDS[kind] ?? kind),
    claim("Proved by", ASSURANCE[acr] ?? acr, { code: acr }),
    claim("Methods", amr.map((proof) => PROOFS[proof] ?? proof).join(", "), { code: amr.join(" ") }),
    claim("Valid until", clockTime(exp * 1000)),
  );
  show("identity", { lede: "This is what your organisation’s portal is told about you." });
  // One proof is not two lines signed, though nothing more is asked for.
  showProgress(amr.includes("mfa") ? 2 : 1, null);
}

/** A line of the list; `code`: the same as the portal reads it. */
function claim(label, value, { raw = false, code: asToken, id } = {}) {
  const meaning = element("dd", id ? { id } : {}, raw ? element("span", { class: "mono" }, value) : value);
  if (asToken) meaning.append(element("span", { class: "raw" }, asToken));
  return element("div", {}, element("dt", {}, label), meaning);
}

/** The token knows no username. If it cannot be had, the id stands for itself. */
async function fetchName(current) {
  const me = await call("GET", "/v1/me", { bearer: current.token }).catch(() => null);
  if (!me?.username || session !== current) return;
  const user = byId("claim-user");
  user.prepend(element("strong", { id: "claim-username" }, me.username), element("br", {}));
  announce(`Signed in as ${me.username}.`);
}

function forgetWhenExpired(current, expiresIn) {
  setTimeout(() => {
    if (session === current) startOver("Your sign-in has expired. Please sign in again.");
  }, expiresIn * 1000);
}

function signOut() {
  startOver();
  lede.textContent = "You have signed out.";
}

// --- Wiring -------------------------------------------------------------------------------------------------

function onSubmit(form, button, work) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // Enter in a field submits past a button that has to wait.
    if (!button.disabled) attempt(button, work);
  });
}

function onPress(button, work) {
  button.addEventListener("click", () => attempt(button, work));
}

takeAccountFromAddress();
onSubmit(byId("credentials"), byId("continue"), logIn);
onSubmit(byId("code-entry"), byId("confirm"), confirmCode);
onPress(byId("resend"), resendCode);
onPress(byId("another-way"), chooseMethod);
onPress(byId("sign-out"), signOut);
for (const button of document.querySelectorAll("[data-start-over]")) onPress(button, () => startOver());
byId("change-organisation").addEventListener("click", changeOrganisation);
byId("reveal").addEventListener("click", () => revealPassword(password.type === "password"));
for (const input of Object.values(FIELDS)) input.addEventListener("input", () => unmark(input));
// The wait after wrong passwords belongs to one username.
for (const input of [account, username]) input.addEventListener("input", () => release(byId("continue")));
code.addEventListener("input", tidyTyped);
document.addEventListener("paste", pasteCode);
document.addEventListener("keydown", typeIntoCode);
byId("continue").disabled = false;
byId("confirm").disabled = false;
