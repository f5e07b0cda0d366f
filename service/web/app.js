// The page: which view is shown, the key, and whether the service is ready.

import { key, setKey, whenKeyIsWanted } from "./calls/api.js";
import { Compose } from "./compose/compose.js";
import { Job } from "./kernel/job.js";
import { Jobs } from "./jobs.js";

const HEALTH = 15_000;
const main = document.getElementById("main");
const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const keyButton = document.getElementById("key-button");
const health = document.getElementById("health");

let view = null;
let composing = null;

function show(hash) {
  location.hash = hash;
}

/** The view of an address; a job that is being written is kept while others are looked at. */
function viewOf(hash) {
  const job = /^#\/jobs\/([\w-]+)$/.exec(hash);
  if (job) return new Job(show, job[1]);
  if (hash === "#/jobs") return new Jobs();
  composing ??= new Compose(show);
  return composing;
}

function route({ first = false } = {}) {
  const { hash } = location;
  view?.leave();
  view = viewOf(hash);
  main.replaceChildren(view.element);
  view.enter?.();
  document.title = `${view.title} · gramd`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === hash || (link.hash === "#/" && view === composing)
      || (link.hash === "#/jobs" && view instanceof Job);
    if (here) link.setAttribute("aria-current", "page");
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
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && field.value.trim() !== "";
      if (given) setKey(field.value.trim());
      if (dialog.returnValue === "forget") setKey("");
      field.value = "";
      showKey();
      resolve(given);
    }, { once: true });
  });
}

async function look() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const ready = response.ok;
    health.className = ready ? "health good" : "health bad";
    health.textContent = ready ? "ready" : "not ready";
    health.title = ready ? "stores and workers are there" : (await response.json()).detail;
  } catch {
    health.className = "health bad";
    health.textContent = "not reached";
    health.title = "the service does not answer";
  }
}

keyButton.addEventListener("click", async () => {
  if (!(await askForKey("Sent with every request from this tab, to this service alone."))) return;
  route();
  composing?.network.check();
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
