// Doing one thing at a time, and problems in plain words.

import { Problem } from "./api.js";
import { alertRegion, clearProblem, code, fieldErrors, markFields, namesAField, password, showAlert } from "./page.js";
import { session, startOver } from "./session.js";
import { hold, spokenSpan } from "./waits.js";

let busy = false;

/** Runs `work` for a press of `button`; presses meanwhile do nothing, and the button keeps its focus. */
export async function attempt(button, work) {
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

/** After these the challenge is of no use any more: the way on is to sign in again. */
const ENDS_THE_CHALLENGE = new Set(["challenge-expired", "challenge-used", "challenge-unknown"]);

/** What the service tells a client to wait where no wait ends it. */
const isNoWait = (seconds) => seconds >= 86_400;
const LIFTED_BY =
  "Set a new password by “Forgot your password?”, sign in where you have signed in before, or ask your organisation’s administrator.";

const SENTENCES = {
  "invalid-request": ({ body }) => (namesAField(body.errors) ? "Please check what is marked below." : null),
  "invalid-credentials": () => "The username or the password is not right. Check both and try again.",
  "no-usable-factor": () =>
    "Your organisation does not allow any of the ways in which you could confirm it’s you. Please ask its administrator to switch one on, then sign in again.",
  "too-many-attempts": ({ retryAfter }) =>
    `There were too many tries. ${isNoWait(retryAfter) ? LIFTED_BY : waitOr(retryAfter, "Please try again later.")}`,
  "too-many-sends": ({ retryAfter }) =>
    `Too many codes have been sent. ${waitOr(retryAfter, "Please try again later.")} A code that you already have may still work.`,
  "too-many-changes": ({ retryAfter }) =>
    `This was changed too often today. ${waitOr(retryAfter, "Please try again tomorrow.")}`,
  "last-factor": () => "You could not sign in any more without this one. Please set up another first.",
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
  "challenge-expired": () => "This sign-in took too long and has ended. Please start again.",
  "challenge-used": () => "This sign-in has already been completed. Please start again.",
  "link-unknown": () => "This link is not complete, or not one of ours. Open it again from the mail itself.",
  "link-used": () => "This link has been used. Ask whoever sent it for a new one.",
  "link-expired": () => "This link has expired. Ask whoever sent it for a new one.",
  "challenge-unknown": () => "This sign-in is not known any more. Please start again.",
  "idempotency-conflict": () => "Your code is still being sent. Please try again in a moment.",
  "provider-unavailable": () => "The identity provider cannot be reached just now. Nothing is lost: please try again in a moment.",
  "too-many-sessions": ({ retryAfter }) => `This was tried too often. ${waitOr(retryAfter, "Please try again tomorrow.")}`,
  "agreement-closed": () => "This agreement is closed. Please ask whoever sent it.",
  "viewing-locked": () => "There were too many failed tries. Whoever sent the agreement can open it to you again.",
  "unsupported-step": () =>
    "Your organisation asks for a step that this page cannot do. Please use the link in the message you were sent, or ask the organisation’s administrator.",
  "unreadable-answer": () => "The service gave an answer that makes no sense. Please try again in a moment.",
  busy: () => "Too many people are here at once. Please wait a moment and try again.",
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
  if (problem.body.attempts_left === 0) return startOver("There were too many wrong codes. Please start again.");
  // Support needs the request's id for what we cannot explain; for an ordinary mistake it would be in the way.
  showAlert(sentence(problem), Object.hasOwn(SENTENCES, problem.slug) ? null : problem.body.instance);
  const marked = markFields(fieldErrors(problem));
  if (problem.retryAfter && !isNoWait(problem.retryAfter) && button.querySelector(".hold")) {
    const shown = alertRegion.firstElementChild;
    hold(button, Date.now() + problem.retryAfter * 1000, "You can try again", () => {
      // After two seconds nobody has read it yet: it stays until the next press.
      if (problem.slug !== "busy" && alertRegion.contains(shown)) clearProblem();
    });
  }
  (marked ?? alertRegion).focus();
  if (marked === code || marked === password) marked.select();
}
