// One kernel job: how far it is, what came of it, and more rows for it.

import { follow, hasEnded } from "../calls/events.js";
import { Following } from "../elements/following.js";
import { h } from "../elements/dom.js";
import { count, plural, seconds, shape } from "../elements/words.js";
import { Extension } from "./extension.js";
import { KernelView } from "./kernel_view.js";
import { spectrum } from "./spectrum.js";

// How often a picture may ask again for rows that were not finished.
const GLANCE = 1000;

export class Job extends Following {
  constructor(show, id) {
    super(show, { noun: "Job", id, path: "/v1/kernels", list: "#/jobs" });
    this.run();
  }

  leave() {
    super.leave();
    this.kernel?.close();
  }

  follow(signal) {
    return follow(this.record, (progress) => this.update(progress), signal);
  }

  progress() {
    const { state, tiles_done: done, tiles_total: total, eta_s: eta } = this.record;
    const ahead = eta && !hasEnded(state) ? `, about ${seconds(eta)} to go` : "";
    return { done, total, words: `${count(done)} of ${plural(total, "tile")}${ahead}` };
  }

  facts() {
    const { record } = this;
    return [
      ["Shape", shape(record.shape)],
      ["Kernels", record.outputs.map((name) => name.toUpperCase()).join(", ")],
      ["Numbers", `${record.dtype}, ${record.exactness}`],
      ["Method", record.method.type.replace("_", " ")],
      ["Continues", record.extends && h("a", { href: `#/jobs/${record.extends}` }, h("code", {}, record.extends))],
      ["From the cache", record.tiles_reused ? plural(record.tiles_reused, "tile") : null],
    ];
  }

  /** Shows the kernel as soon as there is something to see, and all else when it is whole. */
  look() {
    const { record } = this;
    const { state, form } = record;
    if (!this.kernel && record.tiles_done && state !== "expired") {
      this.kernel = new KernelView(record);
      this.results.prepend(this.kernel.element);
    }
    const now = performance.now();
    if (this.kernel && (hasEnded(state) || now - (this.glanced ?? 0) > GLANCE)) {
      this.glanced = now;
      this.kernel.progress(record);
    }
    if (state !== "succeeded" || this.whole) return;
    this.whole = true;
    if (form === "matrix") this.results.append(spectrum(record, this.leaving.signal));
    this.element.append(new Extension(record, this.show).element);
  }
}
