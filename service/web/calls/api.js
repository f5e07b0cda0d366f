// Calls of /v1: the key, problem documents, and answers.

const KEY = "gramd.key";
const ATTEMPTS = 30;
const LATER = new Set([409, 429, 503]); // with a Retry-After: not finished, too many, made again
let askForKey = async () => false;
let asking = null;
let declined = false;

/** A problem document (RFC 9457) that came instead of an answer. */
export class ApiProblem extends Error {
  constructor(problem, response) {
    super(problem.detail ?? `${response.status} ${response.statusText}`);
    this.problem = problem;
    this.status = response.status;
    this.retryAfter = Number(response.headers.get("Retry-After") ?? 0);
  }
}

/** The service did not answer at all. */
export class Unreached extends Error {}

/** Who to turn to when the service asks for a key; answers whether there is a new one. */
export function whenKeyIsWanted(handler) {
  askForKey = handler;
}

export function key() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Kept until the tab is closed, and sent to this service alone. */
export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
  declined = false;
}

async function newKey(used) {
  if (key() !== used) return true; // another call has asked meanwhile
  if (declined) return false;
  asking ??= askForKey().finally(() => {
    asking = null;
  });
  const given = await asking;
  declined = !given;
  return given;
}

/**
 * The response of a call, which is of a 2xx status or 304.
 * Throws ApiProblem for any other, and Unreached when the service cannot be reached.
 */
export async function call(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const used = key();
  const sent = new Headers(headers);
  if (used) sent.set("Authorization", `Bearer ${used}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  const content = json !== undefined ? JSON.stringify(json) : body;
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body: content, signal, cache: "no-cache" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreached("the service cannot be reached; is it running? This page looks again by itself");
  }
  if (response.ok || response.status === 304) return response;
  if (response.status === 401 && (await newKey(used))) {
    return call(path, { method, json, body, headers, signal });
  }
  const type = response.headers.get("Content-Type") ?? "";
  const problem = type.includes("json") ? await response.json() : {};
  throw new ApiProblem(problem, response);
}

/** The JSON of an answer. */
export async function read(path, options) {
  return (await call(path, options)).json();
}

/** A name for a POST (Idempotency-Key), so that sending it twice makes one resource. */
export function requestName() {
  // crypto.randomUUID is there in secure contexts only, and a service may be plain HTTP.
  const bits = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bits, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Waits, unless `signal` is aborted first. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** The answer of a route that may have to work for it first: asked again when the service says so. */
export async function patient(path, { headers = {}, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(path, { headers: { Prefer: "wait=20", ...headers }, signal });
    } catch (error) {
      const later = LATER.has(error.status) && error.retryAfter;
      if (!later || attempt === ATTEMPTS) throw error;
      await pause(1000 * error.retryAfter, signal);
    }
  }
}

/** The same of a route that not every service has: null where it is not there. */
export async function optional(path, options) {
  try {
    return await patient(path, options);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** Saves a file; with a key it has to be fetched first, since links send none. */
export async function download(path, name) {
  if (key()) await save(await patient(path), name);
  else follow(path, name);
}

/** Saves the body of an answer. */
export async function save(response, name) {
  const address = URL.createObjectURL(await response.blob());
  follow(address, name);
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function follow(address, name) {
  const link = document.createElement("a");
  link.download = name;
  link.href = address;
  link.click();
}
