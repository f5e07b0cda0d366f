// Eigenvalues of a symmetric matrix: Householder's tridiagonal form, then the implicit QL algorithm
// with Wilkinson's shift (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3).

const SWEEPS = 60;

/** The eigenvalues, largest first, of n x n numbers in C order; of K its symmetric part. */
export function eigenvalues(matrix, n) {
  const { diagonal, beside } = tridiagonal(matrix, n);
  return ql(diagonal, beside, n).sort((a, b) => b - a);
}

function tridiagonal(matrix, n) {
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) a[i * n + j] = (matrix[i * n + j] + matrix[j * n + i]) / 2;
  }
  const beside = new Float64Array(n);
  const v = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 1; k += 1) {
    let norm = 0;
    for (let i = k + 1; i < n; i += 1) {
      v[i] = a[i * n + k];
      norm += v[i] * v[i];
    }
    norm = Math.sqrt(norm);
    const alpha = v[k + 1] > 0 ? -norm : norm;
    beside[k] = alpha;
    v[k + 1] -= alpha;
    let square = 0;
    for (let i = k + 1; i < n; i += 1) square += v[i] * v[i];
    if (square === 0) continue;
    // A := A - v w^T - w v^T with p = 2 A v / (v, v), w = p - (p, v) / (v, v) v.
    let overlap = 0;
    for (let i = k + 1; i < n; i += 1) {
      let sum = 0;
      for (let j = k + 1; j < n; j += 1) sum += a[i * n + j] * v[j];
      p[i] = (2 * sum) / square;
      overlap += p[i] * v[i];
    }
    for (let i = k + 1; i < n; i += 1) p[i] -= (overlap / square) * v[i];
    for (let i = k + 1; i < n; i += 1) {
      for (let j = k + 1; j < n; j += 1) a[i * n + j] -= v[i] * p[j] + p[i] * v[j];
    }
  }
  return { diagonal: Float64Array.from({ length: n }, (_, i) => a[i * n + i]), beside };
}

function ql(d, e, n) {
  for (let low = 0; low < n; low += 1) {
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      let end = low;
      while (end < n - 1 && Math.abs(e[end]) > Number.EPSILON * (Math.abs(d[end]) + Math.abs(d[end + 1]))) {
        end += 1;
      }
      if (end === low) break;
      step(d, e, low, end);
    }
  }
  return d;
}

/** One implicit step on the unreduced part from `low` to `end`. */
function step(d, e, low, end) {
  let g = (d[low + 1] - d[low]) / (2 * e[low]);
  let r = Math.hypot(g, 1);
  g = d[end] - d[low] + e[low] / (g + (g >= 0 ? r : -r));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = end - 1; i >= low; i -= 1) {
    const f = sine * e[i];
    const b = cosine * e[i];
    r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= shift;
      e[end] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - shift;
    r = (d[i] - g) * sine + 2 * cosine * b;
    shift = sine * r;
    d[i + 1] = g + shift;
    g = cosine * r - b;
  }
  d[low] -= shift;
  e[low] = g;
  e[end] = 0;
}
