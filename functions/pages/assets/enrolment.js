// Setting up an authenticator app at the first sign-in.

import { call } from "./api.js";
import { enterCode } from "./code.js";
import { byId, code, element, requireFilled, show } from "./page.js";
import { session } from "./session.js";

export function explainEnrolment({ challenge }) {
  session.challenge = challenge;
  session.methods = [{ method: "totp" }];
  show("enrolment");
}

export async function enrolApp() {
  const app = await call("POST", "/v1/factors/totp", { body: { challenge: session.challenge } });
  session.enrolment = app.factor;
  enterCode("totp");
  // As an image, the picture can do nothing but be seen.
  byId("qr").src = `data:image/svg+xml,${encodeURIComponent(app.qr_svg)}`;
  byId("app-secret").textContent = app.secret.match(/.{1,4}/g).join(" ");
  byId("app-setup").hidden = false;
}

/** Confirms the app; `proceed` goes on once the recovery codes are saved. */
export async function confirmApp(proceed) {
  const value = code.value.trim();
  requireFilled({ "/code": { value: value.length === 6 ? value : "", words: "The code has 6 digits." } });
  const body = { challenge: session.challenge, factor: session.enrolment, code: value };
  const confirmed = await call("POST", "/v1/factors/totp/confirm", { body });
  forgetKey();
  byId("recovery-codes").replaceChildren(...confirmed.recovery_codes.map((text) => element("li", {}, text)));
  byId("saved").onclick = () => {
    byId("recovery-codes").replaceChildren();
    proceed(confirmed.authenticated);
  };
  show("recovery");
}

/** The key is on the page only while it is needed. */
function forgetKey() {
  session.enrolment = null;
  byId("app-setup").hidden = true;
  byId("qr").removeAttribute("src");
  byId("app-secret").textContent = "";
}
