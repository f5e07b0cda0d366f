// The place of one array: a file is chosen or dropped, its header read, and large ones are sent from
// here in parts.

import { NpyMistake, readHeader } from "../calls/npy.js";
import { WHOLE, divisible, store } from "../calls/uploads.js";
import { digestNote, h } from "../elements/dom.js";
import { bytes, shape } from "../elements/words.js";

/** An upload was broken off on purpose. */
export class Paused extends Error {}

export class Slot {
  /**
   * place: {name, title, hint}, `apart` where it never stands in a dataset; onChange() after any change.
   * `mask` is the slot of its mask, where it has one.
   */
  constructor({ name, title, hint, apart }, onChange) {
    this.name = name;
    this.hint = hint;
    this.apart = apart;
    this.onChange = onChange;
    this.state = h("span", { class: "faint", id: `${name}-state` }, hint);
    this.input = h("input", {
      type: "file", accept: ".npy", id: name, "aria-describedby": `${name}-state`,
      onchange: () => {
        if (this.input.files.length) this.#choose(this.input.files[0]);
        this.input.value = "";
      },
    });
    this.removal = h("button", {
      type: "button", class: "quiet", hidden: true, "aria-label": `remove ${name}`,
      onclick: () => {
        this.drop();
        this.onChange();
        this.input.focus();
      },
    }, "Remove");
    this.bar = h("progress", { "aria-label": `parts of ${name} uploaded`, value: 0 });
    this.hold = h("button", { type: "button", class: "small", onclick: () => this.#hold() });
    this.far = h("span", { class: "faint", role: "status" });
    this.complaint = h("span", { class: "complaint", hidden: true });
    this.upload = h("div", { class: "upload", hidden: true }, this.bar, this.far, this.hold);
    this.element = h("div", {
      class: "slot",
      ondragover: (event) => {
        event.preventDefault();
        this.element.classList.add("over");
      },
      ondragleave: () => this.element.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        this.element.classList.remove("over");
        if (event.dataTransfer.files.length) this.#choose(event.dataTransfer.files[0]);
      },
    },
    h("label", { for: name }, h("strong", {}, title), h("span", { class: "choose" }, "choose or drop .npy")),
    this.input, this.state, this.complaint, this.upload, this.removal);
  }

  /** Bytes that every request with this array has to carry: none once it is a dataset. */
  get size() {
    return this.file && !this.dataset ? this.file.size : 0;
  }

  /** Whether it is sent in parts, before the request that needs it. */
  get large() {
    return Boolean(this.file) && !this.apart && this.file.size > WHOLE && divisible(this.#source);
  }

  get #source() {
    return { x: this, mask: this.mask?.file && this.mask };
  }

  async #choose(file) {
    await this.take(file);
    this.onChange();
  }

  /** Takes a file, which may turn out to be no array. */
  async take(file) {
    this.drop();
    try {
      const header = await readHeader(file);
      this.file = file;
      this.header = header;
      this.element.classList.add("full");
      this.removal.hidden = false;
      const order = header.fortran ? ", Fortran order" : "";
      this.state.replaceChildren(
        h("b", {}, file.name), h("span", {}, shape(header.shape)),
        h("span", {}, `${header.dtype}${order}, ${bytes(header.bytes)}`));
    } catch (error) {
      const words = error instanceof NpyMistake ? error.message : "it cannot be read; is it a folder?";
      if (!(error instanceof NpyMistake || error instanceof DOMException)) throw error;
      this.element.classList.add("bad");
      this.state.textContent = `${file.name}: ${words}`;
    }
  }

  /** What a service had to say of the array; null takes it back. */
  complain(words) {
    if (!this.header) return;
    this.element.classList.toggle("bad", words !== null);
    this.complaint.hidden = words === null;
    this.complaint.textContent = words ?? "";
  }

  drop() {
    this.forget();
    this.complain(null);
    this.file = this.header = undefined;
    this.element.classList.remove("full", "bad");
    this.removal.hidden = true;
    this.state.textContent = this.hint;
  }

  /** No dataset stands for it any more: it, or its mask, is another. */
  forget() {
    this.running?.abort();
    this.dataset = this.sending = null;
    this.upload.hidden = true;
  }

  /** Sends it in parts, with its mask where there is one; the id of the dataset. */
  async store() {
    if (this.dataset) return this.dataset;
    this.sending ??= this.#send().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async #send() {
    const running = (this.running = new AbortController());
    this.upload.hidden = this.bar.hidden = this.hold.hidden = false;
    this.hold.textContent = "Pause";
    try {
      const id = await store(this.#source, (there, parts) => {
        this.bar.max = parts;
        this.bar.value = there;
        this.far.textContent = `${there} of ${parts} parts uploaded`;
      }, running.signal);
      this.dataset = id;
      this.bar.hidden = this.hold.hidden = true;
      this.far.replaceChildren("stored as ", digestNote(id));
      return id;
    } catch (error) {
      this.hold.textContent = "Resume";
      if (!running.signal.aborted) {
        this.far.textContent = error.message;
        throw error;
      }
      this.far.textContent += ", paused";
      throw new Paused(`The upload of ${this.name} is paused; it can be resumed above.`);
    }
  }

  #hold() {
    if (this.sending) this.running.abort();
    else this.store().then(this.onChange, () => {}); // what goes wrong stands in `far`
  }
}
