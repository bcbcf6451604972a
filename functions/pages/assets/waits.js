// Buttons that have to wait, and spans of time in words.

import { announce } from "./page.js";

const holds = new Map();

/**
 * Keeps `button` off until a moment in time and counts down inside it. The ticking text is in no live region:
 * aloud, what the person may do then is told once a minute, at thirty seconds, and when the time has come.
 */
export function hold(button, untilMs, permission, whenOver = () => {}) {
  release(button);
  const tick = () => {
    const seconds = Math.ceil((untilMs - Date.now()) / 1000);
    if (seconds <= 0) {
      release(button);
      announce(`${permission} now.`);
      whenOver();
      return;
    }
    button.querySelector(".hold").textContent = `in ${shortSpan(seconds)}`;
    if (seconds % 60 === 0 || seconds === 30) announce(`${permission} in ${spokenSpan(seconds)}.`);
  };
  button.disabled = true;
  holds.set(button, setInterval(tick, 1000));
  tick();
}

export function release(button) {
  if (!holds.has(button)) return;
  clearInterval(holds.get(button));
  holds.delete(button);
  button.querySelector(".hold").textContent = "";
  button.disabled = false;
}

export function releaseAll() {
  for (const button of [...holds.keys()]) release(button);
}

export const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function spokenSpan(seconds) {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function shortSpan(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
