// The page: its parts, the one step of it that is shown, what is said on it, and the fields that are marked as wrong.

import { Problem } from "./api.js";

export const byId = (id) => document.getElementById(id);

const heading = byId("heading");
export const lede = byId("lede");
export const alertRegion = byId("alert");
const statusRegion = byId("status");
export const account = byId("account");
export const username = byId("username");
export const password = byId("password");
export const code = byId("code");
export const phone = byId("phone");

/** The step that this page begins with: there is a password to give, or a link to open. */
export const FIRST = byId("credentials") ? "credentials" : "opening";

/** `proved`: how many of the two lines above the heading are signed. */
const STEPS = {
  credentials: { title: "Sign in", lede: "Use the username and password from your organisation.", proved: 0 },
  opening: { title: "Continue with your link", lede: "You opened a link that was mailed to you.", proved: 0 },
  methods: { title: "Confirm it’s you", lede: "Now choose how to prove it’s really you.", proved: 1 },
  "code-entry": { title: "Enter the code", proved: 1 },
  enrolment: { title: "One more thing to set up", lede: "You cannot sign in with this alone.", proved: 1 },
  recovery: { title: "Save your recovery codes", lede: "Each lets you in once when your app is not at hand. They are shown only now.", proved: 2 },
  "new-password": { title: "Set a new password", lede: "It takes the place of the one that was forgotten.", proved: 2 },
  "password-set": { title: "Your new password is set", lede: "Sign in with it from now on.", proved: 2 },
  forgotten: { title: "Check your mail", proved: 0 },
  kba: { title: "Answer a few questions", proved: 1 },
  "kba-over": { title: "You have not been verified yet", proved: 1 },
  "kba-ended": { title: "You could not be verified", proved: 1 },
  verified: { title: "You’ve been verified", lede: "The agreement is open to you.", proved: 2 },
  leaving: { title: "You’re signed in", proved: 2 },
  identity: { title: "You’re signed in", proved: 2 },
};

/** `more` takes the place of what the step says by itself. */
export function show(name, more = {}) {
  const step = { ...STEPS[name], ...more };
  for (const id of Object.keys(STEPS)) if (byId(id)) byId(id).hidden = id !== name;
  heading.textContent = step.title;
  document.title = `${step.title} · Countersign`;
  lede.replaceChildren(step.lede ?? "");
  if (name === FIRST) nameSecondProof("Code");
  showProgress(step.proved);
  clearProblem();
  announce("");
  heading.focus();
}

export function showProgress(proved, current = proved) {
  byId("card").dataset.proved = proved;
  for (const [index, line] of [...byId("progress").children].entries()) {
    if (index === current) line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
  }
}

/** What the second of the two lines stands for; what is said of codes at the foot is out of place with anything else. */
export function nameSecondProof(words) {
  const second = byId("progress").lastElementChild;
  second.hidden = words === null;
  second.textContent = words;
  byId("foot").hidden = words !== "Code";
}

/** For screen readers alone: what others see happen on the page. */
export function announce(words) {
  statusRegion.textContent = words;
}

/** Elements and text from parts, with nothing parsed as HTML on the way. */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- The alert ----------------------------------------------------------------------------------------------

export function showAlert(words, instance) {
  const content = byId("alert-template").content.cloneNode(true);
  content.querySelector(".alert-text").textContent = words;
  content.querySelector(".alert-instance").textContent = instance ? `Reference for support: ${instance}` : "";
  alertRegion.replaceChildren(content);
}

export function clearProblem() {
  alertRegion.replaceChildren();
  for (const input of Object.values(FIELDS)) unmark(input);
}

// --- Marking fields -----------------------------------------------------------------------------------------

/** Those that this page has, by the service's pointers. */
export const FIELDS = Object.fromEntries(
  Object.entries({ "/account": account, "/username": username, "/password": password, "/code": code, "/phone": phone }).filter(([, input]) => input),
);

export const namesAField = (errors) => errors?.some(({ pointer }) => Object.hasOwn(FIELDS, pointer)) ?? false;

/** A refusal of what was typed is about a field too, even where the service names none. */
export function fieldErrors({ slug, body }) {
  if (slug === "invalid-credentials") return [{ pointer: "/password" }];
  if (slug === "code-invalid" || slug === "code-superseded") return [{ pointer: "/code" }];
  return body.errors ?? [];
}

/** Marks the named fields that are on this page and returns the first. */
export function markFields(errors) {
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

export function unmark(input) {
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
export function requireFilled(fields) {
  const errors = Object.entries(fields)
    .filter(([, { value }]) => value === "")
    .map(([pointer, { words }]) => ({ pointer, detail: words }));
  if (errors.length) throw new Problem("invalid-request", { body: { errors } });
}

export function showAccountField() {
  byId("organisation").hidden = true;
  byId("account-field").hidden = false;
}
