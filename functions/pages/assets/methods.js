// Choosing a factor.

import { Problem } from "./api.js";
import { enterCode } from "./code.js";
import { FACTORS, destinationText, sendCode, stillGood } from "./factors.js";
import { byId, show } from "./page.js";
import { attempt } from "./problems.js";
import { session } from "./session.js";

export function offerMethods({ challenge, methods }) {
  session.challenge = challenge;
  session.methods = methods.filter(({ method }) => Object.hasOwn(FACTORS, method));
  if (session.methods.length === 0) throw new Problem("unsupported-step");
  chooseMethod();
}

export function chooseMethod() {
  byId("method-list").replaceChildren(...session.methods.map(methodButton));
  show("methods");
}

function methodButton({ method, destination }) {
  const factor = FACTORS[method];
  const item = byId("method-template").content.cloneNode(true);
  const button = item.querySelector("button");
  item.querySelector("use").setAttribute("href", `#icon-${method}`);
  item.querySelector(".method-title").textContent = stillGood(method) ? "Enter the code you were sent" : factor.title;
  item.querySelector(".method-detail").append(destination ? destinationText(method, destination) : (factor.detail ?? ""));
  button.addEventListener("click", () => attempt(button, () => takeMethod(method)));
  return item;
}

async function takeMethod(method) {
  if (FACTORS[method].sends && !stillGood(method)) await sendCode(method);
  enterCode(method);
}
