// The sign-in page. One step is shown at a time; here the steps are put together.

import { Problem } from "./api.js";
import { confirmCode, pasteCode, resendCode, tidyTyped, typeIntoCode } from "./code.js";
import { changeOrganisation, forget, logIn, revealPassword, takeAccountFromAddress } from "./credentials.js";
import { anotherWay, confirmEnrolment, enrolApp, enrolPhone, explainEnrolment } from "./enrolment.js";
import { signOut, welcome } from "./identity.js";
import { offerMethods } from "./methods.js";
import { FIELDS, account, byId, code, password, unmark, username } from "./page.js";
import { attempt } from "./problems.js";
import { session, startOver } from "./session.js";
import { release } from "./waits.js";

/** Every answer of a sign-in, finished or not, says by `status` what comes next. */
function proceed(answer) {
  const next = { authenticated: welcome, second_factor_required: offerMethods, enrolment_required: explainEnrolment };
  if (!Object.hasOwn(next, answer.status)) throw new Problem("unsupported-step");
  next[answer.status](answer);
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

takeAccountFromAddress();
onSubmit(byId("credentials"), byId("continue"), async () => proceed(await logIn()));
onSubmit(byId("code-entry"), byId("confirm"), async () => (session.enrolment ? confirmEnrolment(proceed) : proceed(await confirmCode())));
onSubmit(byId("enrol-app"), byId("enrol"), enrolApp);
onSubmit(byId("enrol-phone"), byId("text-me"), enrolPhone);
onPress(byId("forget"), forget);
onPress(byId("resend"), resendCode);
onPress(byId("another-way"), anotherWay);
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
byId("enrol").disabled = false;
byId("text-me").disabled = false;
