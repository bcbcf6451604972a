// What is known of the sign-in. It lives here and nowhere else, so that closing or reloading the page forgets the challenge
// and the token with it.

import { FIRST, alertRegion, show, showAlert } from "./page.js";
import { releaseAll } from "./waits.js";

export let session = fresh();

/**
 * `sends` remembers, by method, what was sent: coming back to a method need not cost another message. `enrolment` is what is being set up,
 * and `texted` the phone, of those, that has a code.
 */
function fresh() {
  return {
    challenge: null, methods: [], method: null, sends: new Map(), unsettledSend: null, enrolment: null, texted: null, token: null,
  };
}

/** Forgets what was known. */
export function renew() {
  releaseAll();
  session = fresh();
}

export function startOver(why) {
  renew();
  show(FIRST);
  if (!why) return;
  showAlert(why);
  alertRegion.focus();
}
