// The password, and whose organisation it is for.

import { call } from "./api.js";
import { account, byId, password, requireFilled, show, showAccountField, username } from "./page.js";

export async function logIn() {
  const request = { account: account.value.trim(), username: username.value.trim(), password: password.value };
  requireFilled({
    "/account": { value: request.account, words: "Enter your organisation’s account id." },
    "/username": { value: request.username, words: "Enter your username." },
    "/password": { value: request.password, words: "Enter your password." },
  });
  const answer = await call("POST", "/v1/login", { body: request });
  password.value = "";
  revealPassword(false);
  return answer;
}

/** Whether there is such a user is not told: what is shown is the same for everybody. */
export async function forget() {
  const request = { account: account.value.trim(), username: username.value.trim() };
  requireFilled({
    "/account": { value: request.account, words: "Enter your organisation’s account id." },
    "/username": { value: request.username, words: "Enter your username." },
  });
  await call("POST", "/v1/password/forgotten", { body: request });
  show("forgotten", { lede: "If there is such a user with a mail address, a link to a new password is on its way there." });
}

/** The link that brought the person here may name the organisation; then there is nothing to type or to see. */
export function takeAccountFromAddress() {
  const given = new URLSearchParams(location.search).get("account") ?? "";
  // Only what looks like an id is shown: the address is anybody's to write.
  if (!/^acc_[\w-]{1,80}$/.test(given)) return;
  account.value = given;
  byId("organisation-id").textContent = given;
  byId("organisation").hidden = false;
  byId("account-field").hidden = true;
}

export function changeOrganisation() {
  showAccountField();
  account.focus();
  account.select();
}

export function revealPassword(revealed) {
  password.type = revealed ? "text" : "password";
  byId("reveal-verb").textContent = revealed ? "Hide" : "Show";
}
