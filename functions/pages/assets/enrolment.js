// Setting up a second factor at the first sign-in: an authenticator app, or a phone that codes are texted to.

import { call } from "./api.js";
import { enterCode } from "./code.js";
import { remember, sendOnce, stillGood } from "./factors.js";
import { chooseMethod } from "./methods.js";
import { byId, code, element, phone, requireFilled, show } from "./page.js";
import { session } from "./session.js";

export function explainEnrolment({ challenge, methods }) {
  session.challenge = challenge;
  session.methods = methods;
  const offered = (wanted) => methods.some(({ method }) => method === wanted);
  byId("enrol-app").hidden = !offered("totp");
  byId("enrol-phone").hidden = !offered("sms");
  show("enrolment");
}

export async function enrolApp() {
  const app = await call("POST", "/v1/factors/totp", { body: { challenge: session.challenge } });
  session.enrolment = { factor: app.factor, confirm: confirmApp };
  enterCode("totp");
  // As an image, the picture can do nothing but be seen.
  byId("qr").src = `data:image/svg+xml,${encodeURIComponent(app.qr_svg)}`;
  byId("app-secret").textContent = app.secret.match(/.{1,4}/g).join(" ");
  byId("app-setup").hidden = false;
}

export async function enrolPhone() {
  // People write numbers with spaces, hyphens and brackets.
  const number = phone.value.replace(/[\s().\u2010-\u2015-]/g, "");
  const words = "Begin with + and the country code, such as +1 for the United States.";
  requireFilled({ "/phone": { value: number.startsWith("+") ? number : "", words } });
  // Coming back to a number need not cost another message.
  if (session.texted?.number === number && stillGood("sms")) session.enrolment = session.texted.enrolment;
  else await textPhone(number);
  enterCode("sms");
}

/** The code of a phone is asked for where the phone was, and not with the codes of a sign-in. */
async function textPhone(number) {
  const body = { challenge: session.challenge, phone: number };
  const send = (idempotencyKey) => call("POST", "/v1/factors/sms", { body, idempotencyKey });
  const answer = await sendOnce(`sms ${number}`, send);
  remember("sms", answer);
  session.enrolment = { factor: answer.factor, confirm: confirmPhone, resend: () => textPhone(number) };
  session.texted = { number, enrolment: session.enrolment };
}

/** Confirms what is being set up; `proceed` goes on with the sign-in. */
export async function confirmEnrolment(proceed) {
  const { maxLength: length } = code;
  const value = code.value.trim();
  requireFilled({ "/code": { value: value.length === length ? value : "", words: `The code has ${length} digits.` } });
  await session.enrolment.confirm({ challenge: session.challenge, factor: session.enrolment.factor, code: value }, proceed);
}

/** The sign-in goes on once the recovery codes are saved. */
async function confirmApp(body, proceed) {
  const confirmed = await call("POST", "/v1/factors/totp/confirm", { body });
  forgetKey();
  byId("recovery-codes").replaceChildren(...confirmed.recovery_codes.map((text) => element("li", {}, text)));
  byId("saved").onclick = () => {
    byId("recovery-codes").replaceChildren();
    proceed(confirmed.authenticated);
  };
  show("recovery");
}

async function confirmPhone(body, proceed) {
  const confirmed = await call("POST", "/v1/factors/sms/confirm", { body });
  session.enrolment = null;
  proceed(confirmed.authenticated);
}

/** Another way than the one that a code is asked for: to prove oneself, or to be set up. */
export function anotherWay() {
  if (!session.enrolment) return chooseMethod();
  forgetKey();
  show("enrolment");
}

/** The key is on the page only while it is needed. */
function forgetKey() {
  session.enrolment = null;
  byId("app-setup").hidden = true;
  byId("qr").removeAttribute("src");
  byId("app-secret").textContent = "";
}
