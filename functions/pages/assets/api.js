// Talking to the API: an answer, or a `Problem`.

const ANSWER_TIMEOUT_MS = 20_000;

/** What the gateway answers by itself names no problem: it lets so many requests a second through, and does not say when to come again. */
const GATEWAY_REFUSALS = new Set([429, 503]);
const GATEWAY_WAIT_S = 2;

export class Problem extends Error {
  constructor(slug, { body = {}, retryAfter = null } = {}) {
    super(slug);
    this.slug = slug;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

export async function call(method, path, { body, bearer, idempotencyKey, empty = false } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (body) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (idempotencyKey) headers["Idempotency-Key"] = `"${idempotencyKey}"`;
  const response = await reach(path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw refusal(response, answer ?? {});
  if (answer === null && !empty) throw new Problem("unreadable-answer");
  return answer;
}

/** What is shown or saved as it is sent. */
export async function fetchText(path, { accept, bearer }) {
  const headers = { Accept: `${accept}, application/problem+json`, Authorization: `Bearer ${bearer}` };
  const response = await reach(path, { headers });
  if (!response.ok) throw refusal(response, (await response.json().catch(() => null)) ?? {});
  return { text: await response.text(), headers: response.headers };
}

async function reach(path, request) {
  try {
    return await fetch(path, {
      ...request,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch {
    throw new Problem("unreachable");
  }
}

function refusal(response, body) {
  const named = /\/problems\/([a-z0-9-]+)$/.exec(body.type ?? "")?.[1];
  const busy = !named && GATEWAY_REFUSALS.has(response.status);
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  const otherwise = busy ? GATEWAY_WAIT_S : null;
  return new Problem(named ?? (busy ? "busy" : "unexplained"), { body, retryAfter: seconds > 0 ? seconds : otherwise });
}

/** Not `crypto.randomUUID`, which browsers withhold from a page that came by plain http. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
