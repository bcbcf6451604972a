// The factors: how each is offered and asked for, and the codes that were sent.

import { call, randomKey } from "./api.js";
import { element } from "./page.js";
import { session } from "./session.js";

/** How each factor is offered and asked for. `sends`: a message must be sent before there is a code to enter. */
export const FACTORS = {
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

/** Bullets are read out one by one; the last characters are what a person recognises. */
export function destinationText(method, destination) {
  const text = document.createDocumentFragment();
  const spoken = method === "sms" ? `your number ending in ${destination.slice(-2)}` : destination.replace(/[•*]+/g, " … ");
  text.append(element("bdi", { "aria-hidden": "true" }, destination), element("span", { class: "visually-hidden" }, spoken));
  return text;
}

/** Whether a code was sent this way so recently that another could not be asked for anyway. */
export function stillGood(method) {
  const sent = session.sends.get(method);
  return sent !== undefined && Date.now() < sent.resendAt;
}

export async function sendCode(method) {
  const body = { challenge: session.challenge, method };
  remember(method, await sendOnce(method, (idempotencyKey) => call("POST", "/v1/codes", { body, idempotencyKey })));
}

export function remember(method, answer) {
  session.sends.set(method, {
    destination: answer.destination,
    reference: answer.reference,
    codeLength: answer.code_length,
    resendAt: Date.now() + answer.resend_in * 1000,
    expiresAt: Date.now() + answer.expires_in * 1000,
  });
}

/** Asking again after a lost answer carries the same key, so that one wish never sends two messages. */
export async function sendOnce(wish, send) {
  if (session.unsettledSend?.wish !== wish) session.unsettledSend = { wish, key: randomKey() };
  const answer = await send(session.unsettledSend.key).catch(settleSend);
  session.unsettledSend = null;
  return answer;
}

/** After these it is not known whether the message went. */
const UNSETTLED = new Set(["unreachable", "unreadable-answer", "unexplained", "internal-error", "busy", "idempotency-conflict"]);

function settleSend(problem) {
  if (!UNSETTLED.has(problem.slug)) session.unsettledSend = null;
  throw problem;
}
