// What a request would take, as the service estimates it before anything is made.

import { h } from "../elements/dom.js";
import { bytes, count, plural, seconds, shape } from "../elements/words.js";

/** Elements for one job. */
export function figures(estimate) {
  const { tiles, seconds: time } = estimate;
  const facts = [
    ["Result", shape(estimate.shape), bytes(estimate.bytes.results)],
    ["Tiles", count(tiles.total), tiles.cached ? `${count(tiles.cached)} cached` : "none cached"],
    ["Time", time ? seconds(time.p50) : "–", timeNote(estimate)],
    ["Workers", String(estimate.workers), estimate.workers === 1 ? "tile at once" : "tiles at once"],
  ];
  return [
    h("div", { class: "figures" }, facts.map(([label, figure, note]) =>
      h("div", {}, h("span", {}, label), h("b", {}, figure), h("small", {}, note)))),
    ...remarks(estimate),
  ];
}

/** Elements for the kernels that a prediction is made of: {role: estimate}. */
export function kernelTable(estimates) {
  const rows = Object.entries(estimates);
  const notes = rows.flatMap(([, estimate]) => remarks(estimate));
  const alike = new Map(notes.map((note) => [note.textContent, note])); // both warn of one network
  return [
    h("table", { class: "figuretable" },
      h("thead", {}, h("tr", {}, h("td"), ["shape", "tiles", "time"].map((name) =>
        h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(([role, { shape: sizes, tiles, seconds: time, ...rest }]) =>
        h("tr", {}, h("th", { scope: "row" }, role), h("td", {}, shape(sizes)),
          h("td", {}, plural(tiles.total, "tile"), tiles.cached ? `, ${count(tiles.cached)}\u00a0cached` : ""),
          h("td", {}, time ? seconds(time.p50) : timeNote({ tiles, seconds: time, ...rest })))))),
    ...alike.values(),
  ];
}

/** An element that says why a request would not be taken. */
export function refusalNote(detail) {
  return h("div", { class: "note bad", role: "alert" }, h("strong", {}, "Would be refused"), h("p", {}, detail));
}

function remarks(estimate) {
  const { refusal, warnings } = estimate;
  return [
    ...(refusal ? [refusalNote(refusal.detail)] : []),
    ...warnings.map((text) => h("p", { class: "warning" }, text)),
  ];
}

function timeNote({ seconds: time, uncalibrated, workers, tiles }) {
  if (tiles.to_compute === 0) return "all there already";
  if (time) return `90 %: ${seconds(time.p90)}`;
  if (!workers) return "no worker is here";
  return uncalibrated ? "nothing measured yet" : "not known";
}
