// Which part of a matrix is on a canvas: entries to pixels and back. Pure arithmetic.

// So many entries a side are looked at together at most: a few megabytes.
const MOST = 1024;
const LARGEST_ENTRY = 64;
// Of an entry: a division must not bring in the next one.
const ROUNDING = 1e-6;

export class Viewport {
  /** A matrix of rows x cols entries on a canvas of width x height pixels (of CSS). */
  constructor(rows, cols, width, height) {
    this.rows = rows;
    this.cols = cols;
    this.resize(width, height);
    this.whole();
  }

  get fit() {
    return Math.min(this.width / this.cols, this.height / this.rows);
  }

  get smallest() {
    return Math.max(this.fit, Math.max(this.width, this.height) / MOST);
  }

  /** Whether all of the matrix is in sight. */
  get all() {
    return this.scale <= this.fit * 1.0001;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    if (this.scale) this.#settle();
  }

  /** As much as may be seen at once, from the top left corner. */
  whole() {
    this.scale = this.smallest;
    this.left = this.top = 0;
    this.#settle();
  }

  /** Larger by `factor`, with the entry under a pixel staying where it is. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const before = { col: this.left + x / this.scale, row: this.top + y / this.scale };
    this.scale *= factor;
    this.#settle();
    this.left = before.col - x / this.scale;
    this.top = before.row - y / this.scale;
    this.#settle();
  }

  pan(x, y) {
    this.left += x / this.scale;
    this.top += y / this.scale;
    this.#settle();
  }

  centre(row, col) {
    this.left = col - this.width / this.scale / 2;
    this.top = row - this.height / this.scale / 2;
    this.#settle();
  }

  /** Moves as little as it takes to have an entry in sight. */
  reveal(row, col) {
    const wide = this.width / this.scale;
    const tall = this.height / this.scale;
    this.left = Math.min(Math.max(this.left, col + 1 - wide), col);
    this.top = Math.min(Math.max(this.top, row + 1 - tall), row);
    this.#settle();
  }

  /** The entry under a pixel, null outside of the matrix. */
  entry(x, y) {
    const row = Math.floor(this.top + y / this.scale);
    const col = Math.floor(this.left + x / this.scale);
    return row >= 0 && col >= 0 && row < this.rows && col < this.cols ? { row, col } : null;
  }

  /** Rows and columns in sight. */
  get span() {
    return {
      top: Math.max(0, Math.floor(this.top)),
      left: Math.max(0, Math.floor(this.left)),
      bottom: Math.min(this.rows, Math.ceil(this.top + this.height / this.scale - ROUNDING)),
      right: Math.min(this.cols, Math.ceil(this.left + this.width / this.scale - ROUNDING)),
    };
  }

  #settle() {
    const largest = Math.max(LARGEST_ENTRY, this.smallest);
    this.scale = Math.min(largest, Math.max(this.smallest, this.scale));
    this.left = settled(this.left, this.cols, this.width / this.scale);
    this.top = settled(this.top, this.rows, this.height / this.scale);
  }
}

function settled(start, size, seen) {
  if (seen >= size) return (size - seen) / 2; // smaller than the canvas: in the middle
  return Math.min(Math.max(0, start), size - seen);
}
