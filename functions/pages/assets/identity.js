// Signed in: what the portal is told.

import { Problem, call } from "./api.js";
import { announce, byId, element, lede, show, showProgress } from "./page.js";
import { renew, session, startOver } from "./session.js";
import { clockTime } from "./waits.js";

const ASSURANCE = {
  "two-factor": "Password and a second factor",
  "two-factor-email": "Password and a code by e-mail",
  "allowlisted-network": "Password, from a network your organisation trusts",
  "single-factor": "Password alone",
};

const ASSURANCE_BY_LINK = {
  "two-factor": "A mailed link and a second factor",
  "single-factor": "A mailed link and a code to the same mailbox",
};

const PROOFS = { pwd: "password", otp: "one-time code", sms: "text message", kba: "knowledge questions", mfa: "two factors" };

const KINDS = { internal: "Staff", external: "External partner" };

export function welcome({ access_token: token, expires_in: expiresIn }) {
  const claims = claimsOf(token);
  renew();
  if (claims.kind === "recipient") {
    admit(claims);
    return;
  }
  session.token = token;
  showIdentity(claims);
  fetchName(session);
  forgetWhenExpired(session, expiresIn);
}

/** A recipient is nobody's user: there is no name to be asked for, and the agreement is what they came for. */
function admit({ acr }) {
  const byLinkAlone = acr === "single-factor";
  show("verified", byLinkAlone ? { title: "The agreement is open to you", lede: "Nothing more is asked of you." } : {});
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
    claim("Proved by", assurance(acr, amr), { code: acr }),
    claim("Methods", amr.map((proof) => PROOFS[proof] ?? proof).join(", "), { code: amr.join(" ") }),
    claim("Valid until", clockTime(exp * 1000)),
  );
  show("identity", { lede: "This is what your organisation’s portal is told about you." });
  // One proof is not two lines signed, though nothing more is asked for.
  showProgress(amr.includes("mfa") ? 2 : 1, null);
}

function assurance(acr, amr) {
  const words = amr.includes("pwd") ? ASSURANCE : ASSURANCE_BY_LINK;
  return words[acr] ?? acr;
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

export function signOut() {
  startOver();
  lede.textContent = "You have signed out.";
}
