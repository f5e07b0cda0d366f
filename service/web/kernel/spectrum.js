// How a kernel can be factorised: its eigenvalues, and what the service says of them.

import { optional, patient } from "../calls/api.js";
import { chart } from "../elements/chart.js";
import { h, problemNote, scrolling } from "../elements/dom.js";
import { eigenvalues } from "./eigenvalues.js";
import { label } from "./kernel_view.js";
import { value } from "../elements/words.js";

// Up to here the matrices are small enough to be fetched whole and solved in the browser.
const LARGEST = 384;
const ROWS = [
  ["largest_eigenvalue", "largest eigenvalue"],
  ["smallest_eigenvalue", "smallest eigenvalue"],
  ["condition_number", "condition number"],
  ["mean_diagonal", "mean of the diagonal"],
  ["asymmetry", "asymmetry, of the largest entry"],
  ["suggested_jitter", "suggested jitter, absolute"],
];

/** The card of a job that has succeeded, filled as answers come; `signal` ends its requests. */
export function spectrum(job, signal) {
  const picture = h("div", { class: "plot" }, h("p", { class: "faint" }, "Looking at the eigenvalues…"));
  const figures = h("div", {}, h("p", { class: "faint" }, "Asking the service for diagnostics…"));
  const card = h("section", { class: "card", "aria-labelledby": "spectrum-title" },
    h("h2", { id: "spectrum-title" }, "Spectrum"), picture, figures);
  const small = job.symmetric && job.n1 <= LARGEST;
  fill(picture, signal, () => (small ? ownChart(job, signal) : preview(job, signal)));
  fill(figures, signal, () => diagnostics(job, signal));
  return card;
}

async function fill(place, signal, make) {
  try {
    place.replaceChildren(await make());
  } catch (error) {
    if (!signal.aborted) place.replaceChildren(problemNote(error));
  }
}

async function ownChart(job, signal) {
  const wide = job.dtype === "float64";
  const series = [];
  for (const name of job.outputs) {
    const response = await patient(`${job.links[name]}?dtype=${wide ? "f8" : "f4"}`, {
      headers: { Accept: "application/octet-stream" }, signal,
    });
    const content = await response.arrayBuffer();
    const matrix = wide ? new Float64Array(content) : new Float32Array(content);
    series.push({ name, values: eigenvalues(matrix, job.n1) });
  }
  const largest = Math.max(...series.map(({ values }) => values[0]));
  const rounding = wide ? Number.EPSILON : 2 ** -23;
  return h("div", {},
    h("div", { class: "keys", "aria-hidden": "true" }, series.map(({ name }, index) =>
      h("span", { class: `key series-${index}` }, label(name)))),
    chart({
      series, log: true, across: "eigenvalue, largest first",
      label: `eigenvalues of ${series.map(({ name, values }) => `${label(name)}, from ${value(values[0])} to ${value(values.at(-1))}`).join("; ")}`,
      level: { value: largest * rounding, label: `rounding of ${job.dtype}` },
    }),
    series.map((each) => lost(each, rounding, job.method)).filter(Boolean)
      .map((words) => h("p", { class: "warning" }, words)));
}

/**
 * What to say of eigenvalues that are not positive, null where all are: those of a matrix of n rows
 * are known to n times the rounding of the largest.
 */
export function lost({ name, values }, rounding, method) {
  const count = values.filter((each) => each <= 0).length;
  if (!count) return null;
  const smallest = values.at(-1);
  const words = `${label(name)}: ${count} not positive`;
  if (smallest >= -values.length * rounding * values[0]) return `${words}, within rounding; not drawn.`;
  const closer = method.tolerance ? `, or a tolerance below ${value(method.tolerance)}` : "";
  return `${words}, down to ${value(smallest)}, which is more than rounding; not drawn. The suggested jitter makes up for it${closer}.`;
}

/** The service's own picture, for matrices that are too large or not square. */
async function preview(job, signal) {
  const response = await optional(job.links.preview, { signal });
  if (!response) {
    return h("p", { class: "faint" }, job.symmetric
      ? `This service draws no previews, and ${job.n1} rows are more than this page solves by itself (${LARGEST}).`
      : "The two sides differ, so there are no eigenvalues; this service draws no previews.");
  }
  const address = URL.createObjectURL(await response.blob());
  signal.addEventListener("abort", () => URL.revokeObjectURL(address), { once: true });
  return h("img", { src: address, alt: "heatmap and spectrum, drawn by the service" });
}

async function diagnostics(job, signal) {
  const response = await optional(job.links.diagnostics, { signal });
  if (!response) return h("p", { class: "faint" }, "This service has no diagnostics.");
  const { results } = await response.json();
  const names = Object.keys(results);
  const known = ROWS.filter(([field]) => names.some((name) => results[name][field] != null));
  const checked = names.filter((name) => results[name].spot_check);
  return scrolling("table of diagnostics", h("table", { class: "figuretable" },
    h("thead", {}, h("tr", {}, h("td"), names.map((name) => h("th", { scope: "col" }, label(name))))),
    h("tbody", {},
      known.map(([field, words]) => h("tr", {}, h("th", { scope: "row" }, words),
        names.map((name) => h("td", {}, value(results[name][field]))))),
      checked.length
        ? h("tr", {}, h("th", { scope: "row" }, "largest error of entries redone in float64"),
          names.map((name) => h("td", {}, value(results[name].spot_check?.largest_relative_error))))
        : null)));
}
