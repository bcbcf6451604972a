// Entering the code.

import { call } from "./api.js";
import { FACTORS, destinationText, sendCode } from "./factors.js";
import { announce, byId, code, element, requireFilled, show, unmark } from "./page.js";
import { session } from "./session.js";
import { clockTime, hold, release } from "./waits.js";

export function enterCode(method) {
  session.method = method;
  const factor = FACTORS[method];
  const sent = session.sends.get(method);
  dressCodeField(factor.label, sent?.codeLength ?? factor.codeLength ?? null);
  showReference(sent);
  byId("code-hint").textContent = sent ? `It works until ${clockTime(sent.expiresAt)}.` : "";
  byId("app-setup").hidden = !session.enrolment || Boolean(sent);
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

export async function resendCode() {
  await (session.enrolment ? session.enrolment.resend() : sendCode(session.method));
  enterCode(session.method);
  announce(FACTORS[session.method].resent);
}

export async function confirmCode() {
  requireWholeCode();
  const body = { challenge: session.challenge, method: session.method, code: code.value.trim() };
  return call("POST", "/v1/codes/verify", { body });
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

export function tidyTyped() {
  if (!code.pattern) return;
  const digits = digitsOf(code.value, code.maxLength);
  if (digits !== code.value) code.value = digits;
}

/** By hand, because the browser would cut "123 456" to `maxlength` before the space is gone. */
export function pasteCode(event) {
  if (byId("code-entry").hidden || !code.pattern) return;
  event.preventDefault();
  code.value = digitsOf(event.clipboardData.getData("text"), code.maxLength);
  unmark(code);
  code.focus();
}

/** The step begins at its heading, to be read out; whoever just starts typing means the field. */
export function typeIntoCode(event) {
  if (byId("code-entry").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[0-9]$/.test(event.key)) code.focus();
}
