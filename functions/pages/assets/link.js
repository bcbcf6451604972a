// The page that mailed links lead to. The link's token stands behind the `#`, which no server and no log sees; nothing happens with
// it before somebody presses the button, and pressing it uses nothing up.

import { Problem, call } from "./api.js";
import { confirmCode, pasteCode, resendCode, tidyTyped, typeIntoCode } from "./code.js";
import { revealPassword } from "./credentials.js";
import { anotherWay, confirmEnrolment, enrolApp, enrolPhone, explainEnrolment } from "./enrolment.js";
import { signOut, welcome } from "./identity.js";
import { askQuestions, askQuestionsAgain, forgetQuestions } from "./kba.js";
import { offerMethods } from "./methods.js";
import { FIELDS, byId, code, nameSecondProof, password, requireFilled, show, unmark } from "./page.js";
import { attempt } from "./problems.js";
import { session, startOver } from "./session.js";

let token = "";

/** Takes the token out of the address, so that neither the history nor a glance at the screen has it. */
function takeToken() {
  const given = location.hash.slice(1);
  if (!given) return;
  token = given;
  history.replaceState(null, "", location.pathname);
}

async function openLink() {
  if (!token) throw new Problem("link-unknown");
  return call("POST", "/v1/links/redeem", { body: { token } });
}

function proceed(answer) {
  const next = {
    authenticated: welcome,
    second_factor_required: offerMethods,
    enrolment_required: explainEnrolment,
    new_password_required: askForPassword,
    identity_verification_required: askQuestions,
    redirect: leave,
  };
  if (!Object.hasOwn(next, answer.status)) throw new Problem("unsupported-step");
  const second = { identity_verification_required: "Questions", authenticated: session.challenge ? "Code" : null };
  nameSecondProof(Object.hasOwn(second, answer.status) ? second[answer.status] : "Code");
  return next[answer.status](answer);
}

/** On to the portal, with a code that its back end exchanges: the token itself never comes here. */
function leave({ redirect_uri: address }) {
  const target = new URL(address);
  if (target.protocol !== "https:" && target.protocol !== "http:") throw new Problem("unreadable-answer");
  byId("onward").href = target.href;
  show("leaving", { lede: `You are being taken to ${target.host}.` });
  location.replace(target.href);
}

function askForPassword({ challenge }) {
  session.challenge = challenge;
  show("new-password");
}

async function setPassword() {
  const value = password.value;
  requireFilled({ "/password": { value: [...value.normalize("NFKC")].length >= 8 ? value : "", words: "At least 8 characters." } });
  await call("POST", "/v1/password", { body: { challenge: session.challenge, password: value }, empty: true });
  password.value = "";
  revealPassword(false);
  show("password-set");
}

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

takeToken();
// Another link pasted into this tab changes the address and loads nothing.
addEventListener("hashchange", () => {
  takeToken();
  forgetQuestions();
  startOver();
});
onPress(byId("open-link"), async () => proceed(await openLink()));
onSubmit(byId("code-entry"), byId("confirm"), async () => (session.enrolment ? confirmEnrolment(proceed) : proceed(await confirmCode())));
onSubmit(byId("enrol-app"), byId("enrol"), enrolApp);
onSubmit(byId("enrol-phone"), byId("text-me"), enrolPhone);
onSubmit(byId("new-password"), byId("set-password"), setPassword);
onPress(byId("resend"), resendCode);
onPress(byId("another-way"), anotherWay);
onPress(byId("kba-again"), askQuestionsAgain);
onPress(byId("sign-out"), signOut);
for (const button of document.querySelectorAll("[data-start-over]")) onPress(button, () => startOver());
byId("reveal").addEventListener("click", () => revealPassword(password.type === "password"));
for (const input of Object.values(FIELDS)) input.addEventListener("input", () => unmark(input));
code.addEventListener("input", tidyTyped);
document.addEventListener("paste", pasteCode);
document.addEventListener("keydown", typeIntoCode);
for (const id of ["open-link", "confirm", "enrol", "text-me"]) byId(id).disabled = false;
