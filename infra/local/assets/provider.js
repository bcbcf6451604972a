// The provider's page: who somebody is, then the questions, then how it went. What is typed goes to the origin of this page alone.

const byId = (id) => document.getElementById(id);
const base = location.pathname;
let opener = null;
let ticking = null;
let sending = false;

const RESULTS = {
  passed: ["You are who you say", "Thank you. You can go on with the agreement."],
  failed: ["That did not match", "Not enough of the answers match the records."],
  timed_out: ["Time is up", "The questions were not answered in time."],
  not_locatable: ["You were not found", "The records know nobody of this name at this address. This counts as no attempt."],
  provider_error: ["Something went wrong", "The check could not be made. This counts as no attempt."],
};

async function ask(path, body) {
  const request = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(base + path, { ...request, cache: "no-store" });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? "no answer");
  return answer;
}

function show(id, title) {
  for (const part of ["person", "questions", "over"]) byId(part).hidden = part !== id;
  byId("heading").textContent = title;
  byId("alert").hidden = true;
  byId("heading").focus();
}

function complain(words) {
  byId("alert").textContent = words;
  byId("alert").hidden = false;
}

function over(outcome) {
  clearInterval(ticking);
  const [title, words] = RESULTS[outcome] ?? RESULTS.provider_error;
  show("over", title);
  byId("result").textContent = words;
  // A hint to look now; what counts is what the provider tells the service.
  if (opener && parent !== window) parent.postMessage("kba-session-over", opener);
}

function questionPart({ text, choices }, index) {
  const part = document.createElement("fieldset");
  part.append(Object.assign(document.createElement("legend"), { textContent: `${index + 1}. ${text}` }));
  for (const [place, choice] of choices.entries()) {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "radio", name: `q${index}`, value: String(place) }), choice);
    part.append(label);
  }
  return part;
}

function goOn(answer) {
  if (answer.outcome) return over(answer.outcome);
  show("questions", "A few questions about you");
  byId("list").replaceChildren(...answer.questions.map(questionPart));
  byId("records").replaceChildren(
    ...answer.simulation.map((right, index) =>
      Object.assign(document.createElement("li"), { textContent: answer.questions[index].choices[right] })),
  );
  countDown(Date.now() + answer.seconds * 1000);
}

function countDown(untilMs) {
  const tick = () => {
    const left = Math.max(0, Math.ceil((untilMs - Date.now()) / 1000));
    byId("left").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left === 0) {
      clearInterval(ticking);
      send(() => ask("/answers", { answers: [] }));
    }
  };
  ticking = setInterval(tick, 1000);
  tick();
}

async function send(work) {
  if (sending) return;
  sending = true;
  try {
    goOn(await work());
  } catch (error) {
    complain(error.message);
  } finally {
    sending = false;
  }
}

byId("person").addEventListener("submit", (event) => {
  event.preventDefault();
  const [name, address, digits] = ["name", "address", "digits"].map((id) => byId(id).value.trim());
  const fixed = byId("name-field").hidden;
  if ((!fixed && !name) || !address) return complain("Please fill in your name and your address.");
  if (digits && !/^[0-9]{4}$/.test(digits)) return complain("Four digits, or none.");
  return send(() => ask("/person", { ...(!fixed && { name }), address, ...(digits && { ssn4: digits }) }));
});

byId("questions").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = [...byId("list").children].map((part) => part.querySelector("input:checked"));
  if (chosen.some((input) => !input)) return complain("Please answer every question.");
  return send(() => ask("/answers", { answers: chosen.map((input) => Number(input.value)) }));
});

const begun = await ask("/session").catch(() => ({ outcome: "provider_error" }));
opener = begun.opener;
if (begun.outcome) {
  over(begun.outcome);
} else if (begun.name) {
  byId("name-field").hidden = true;
  byId("fixed").hidden = false;
  byId("fixed-name").textContent = begun.name;
}
byId("look-up").disabled = false;
