// The page: which view is shown, the key, and whether the service is ready.

import { key, setKey, whenKeyIsWanted } from "./calls/api.js";
import { KernelComposition } from "./compose/kernel.js";
import { PredictionComposition } from "./compose/prediction.js";
import { Jobs } from "./jobs.js";
import { Job } from "./kernel/job.js";
import { Prediction } from "./prediction/prediction.js";

const HEALTH = 15_000;
const main = document.getElementById("main");
const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const keyButton = document.getElementById("key-button");
const health = document.getElementById("health");

// What is being written, kept while other views are looked at.
const COMPOSITIONS = { "#/": KernelComposition, "#/predict": PredictionComposition };
const begun = {};
// What was sent, each at an address of its own.
const SENT = { jobs: Job, predictions: Prediction };
let view = null;

function show(hash) {
  location.hash = hash;
}

/** The view of an address, and the link of the navigation that leads to its like. */
function viewOf(hash) {
  const sent = /^#\/(jobs|predictions)(?:\/([\w-]+))?$/.exec(hash);
  if (sent) {
    const [, kind, id] = sent;
    return [id ? new SENT[kind](show, id) : new Jobs(kind === "jobs" ? "kernels" : kind), "#/jobs"];
  }
  const place = hash in COMPOSITIONS ? hash : "#/";
  begun[place] ??= new COMPOSITIONS[place](show);
  return [begun[place], place];
}

function route({ first = false } = {}) {
  view?.leave();
  const [next, place] = viewOf(location.hash);
  view = next;
  main.replaceChildren(view.element);
  view.enter?.();
  document.title = `${view.title} · gramd`;
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (first) return;
  window.scrollTo(0, 0);
  view.element.querySelector("h1").focus({ preventScroll: true });
}

function showKey() {
  keyButton.textContent = key() ? "API key: set" : "API key";
}

/** Opens the dialog; answers whether a key was given. */
function askForKey(reason) {
  document.getElementById("key-reason").textContent = reason;
  field.value = key();
  document.getElementById("forget-key").hidden = !key();
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const before = key();
      const given = dialog.returnValue === "use" && field.value.trim() !== "";
      if (given) setKey(field.value.trim());
      if (dialog.returnValue === "forget") setKey("");
      field.value = "";
      showKey();
      if (key() !== before) for (const { arrays } of Object.values(begun)) arrays.forget();
      resolve(given);
    }, { once: true });
  });
}

/** What failed for want of a key, or of a service, need not fail any more. */
function again() {
  if (!Object.values(begun).includes(view)) route({ first: true });
  for (const composition of Object.values(begun)) composition.network.check();
}

async function look() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const ready = response.ok;
    const back = ready && health.classList.contains("bad");
    health.className = ready ? "health good" : "health bad";
    health.textContent = ready ? "ready" : "not ready";
    health.title = ready ? "stores and workers are there" : (await response.json()).detail;
    if (back) again();
  } catch {
    health.className = "health bad";
    health.textContent = "not reached";
    health.title = "the service does not answer";
  }
}

keyButton.addEventListener("click", async () => {
  if (!(await askForKey("Sent with every request from this tab, to this service alone."))) return;
  again();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // what stands behind the # is the view
  main.focus();
});
whenKeyIsWanted(() => askForKey(key() ? "The service does not know this key." : "This service asks for a key."));
window.addEventListener("hashchange", () => route());
showKey();
route({ first: true });
look();
setInterval(look, HEALTH);
