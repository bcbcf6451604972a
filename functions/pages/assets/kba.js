// A recipient's questions: the provider's page in a frame, and how it went. What is typed in the frame goes to the provider alone.

import { call } from "./api.js";
import { announce, byId, show, showAlert } from "./page.js";
import { session } from "./session.js";

const LOOK_EVERY_MS = 2000;

let waiting = null;

const WORDS = {
  failed: "The answers did not match the records.",
  timed_out: "The questions were not answered in time.",
  not_locatable: "The records know nobody of that name at that address. This counts as no attempt.",
  provider_error: "The provider could not make the check. This counts as no attempt.",
  expired: "The questions were not begun in time.",
  superseded: "The questions were opened in another window, and go on there.",
};

export async function askQuestions({ challenge }) {
  session.challenge = challenge;
  await askQuestionsAgain();
}

export async function askQuestionsAgain() {
  const opened = await call("POST", "/v1/kba/sessions", { body: { challenge: session.challenge } });
  const page = new URL(opened.iframe_url);
  byId("kba-frame").src = page.href;
  show("kba", { lede: `${page.host} asks you a few questions. What you type there does not reach us.` });
  forgetQuestions();
  waiting = { id: opened.session, origin: page.origin, challenge: session.challenge, timer: null };
  look(waiting);
}

export function forgetQuestions() {
  clearTimeout(waiting?.timer);
  waiting = null;
}

/** What counts is what the provider told the service; the frame's word is a hint to look now. */
addEventListener("message", ({ origin, data }) => {
  if (waiting && origin === waiting.origin && data === "kba-session-over") look(waiting);
});

async function look(asked) {
  clearTimeout(asked.timer);
  let told = null;
  try {
    told = await call("GET", `/v1/kba/sessions/${asked.id}`, { bearer: asked.challenge });
  } catch (error) {
    console.info(error);
  }
  // Another session was opened, or the page has gone on.
  if (asked !== waiting) return;
  clearTimeout(asked.timer);
  if (!told || told.status === "pending") asked.timer = setTimeout(() => look(asked), LOOK_EVERY_MS);
  else conclude(told);
}

function conclude({ status, attempts_left: left, closed }) {
  forgetQuestions();
  byId("kba-frame").removeAttribute("src");
  if (status === "passed") {
    show("verified");
    announce("You have been verified.");
    return;
  }
  // What was closed meanwhile cannot be tried again, whatever became of the questions.
  show(closed ? "kba-ended" : "kba-over");
  const how = closed && status === "expired" ? "" : (WORDS[status] ?? "It did not work.");
  showAlert(`${how} ${closed ? ending(closed, left) : attempts(left)}`.trim());
}

function ending(closed, left) {
  if (closed === "viewing-locked") return "That was the last attempt. Whoever sent the agreement can open it to you again.";
  if (left === 0) return "That was the last attempt. The agreement has been cancelled, and its sender is told.";
  return "The agreement is closed.";
}

function attempts(left) {
  if (!Number.isInteger(left)) return "";
  return left === 1 ? "You have 1 attempt left." : `You have ${left} attempts left.`;
}
