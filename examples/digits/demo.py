"""Handwritten digits, recognised by an infinitely wide attention network, over HTTP.

Run it with `make demo`. The script is a plain HTTP client: it starts the service as its users
would, uploads 1,797 images of 8 x 8 pixels as sequences of 8 rows, asks for the NNGP and NTK
matrices of the network below, and classifies held-out digits by kernel regression. A second run
finds every tile of the matrices in the service's cache.

Data: Optical Recognition of Handwritten Digits, UCI, CC BY 4.0 (see NOTICE).
"""

import argparse
import io
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from picture import draw_kernels
from service_process import running_service
from tqdm import tqdm

HERE = Path(__file__).resolve().parent

# Two hidden layers with attention between them, in which a row of pixels looks mostly at its
# neighbours: queries and keys carry a positional kernel exp(-|i - j|^2 / 4) besides the content.
# Picked from a few such networks by cross-validation on the training digits alone.
ARCHITECTURE = {
    "layers": [
        {"type": "dense", "w_std": 1.5, "b_std": 0.1},
        {"type": "relu"},
        {
            "type": "attention",
            "mechanism": "softmax",
            "qk_std": 2.0,
            "positional": {"merge": "sum", "decay": {"type": "exponential", "length": 4.0}},
        },
        {"type": "relu"},
        {"type": "flatten"},
        {"type": "dense"},
    ]
}
TRAIN = 1347  # three quarters; the split is the permutation of seed 0
DIAG_REG = 1e-4  # of the mean of the diagonal


def main() -> None:
    """The whole demonstration; it exits with a message when the service reports a problem."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="use a running service instead of starting one")
    parser.add_argument("--data-dir", type=Path, default=Path(".gramd-demo"))
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--examples", type=int, help="only the first so many digits")
    arguments = parser.parse_args()

    digits = np.load(HERE / "digits.npz")
    images = digits["images"][: arguments.examples].astype(np.float32) / 16
    labels = digits["label"][: arguments.examples]

    if arguments.url:
        run(arguments.url, images, labels, arguments.output)
    else:
        with running_service(arguments.data_dir) as url:
            run(url, images, labels, arguments.output)
        print("Stopped the service. `make serve` starts one that stays.")


def run(url: str, images: np.ndarray, labels: np.ndarray, output: Path) -> None:
    """Have the kernels computed at `url`, report on them, and draw `output`/kernel.png."""
    with httpx.Client(base_url=url, timeout=120) as client:
        dataset = upload(client, images)
        print(
            f"Uploaded {len(images)} digits as sequences of 8 rows of 8 pixels: dataset {dataset}"
        )
        started = time.perf_counter()
        job = compute(client, dataset)
        seconds = time.perf_counter() - started
        kernels = {name: fetch(client, job["id"], name) for name in ("nngp", "ntk")}

    n, total, reused = len(images), job["tiles_total"], job["tiles_reused"]
    pairs = n * (n + 1) // 2
    print(f"Two {n} x {n} matrices ({pairs:,} pairs of digits) in {seconds:.1f} s")
    print(f"Tiles: {total - reused} computed, {reused} of {total} reused from the cache")
    if reused == total:
        print("Everything was answered from the cache; `rm -r .gramd-demo` starts afresh.")
    for name, kernel in kernels.items():
        held_out, right = classify(kernel, labels)
        print(f"{name.upper():>5}: {right / held_out:.2%} of {held_out} held-out digits right")
    print(f"Picture: {draw_kernels(kernels, labels, output / 'kernel.png')}")


def upload(client: httpx.Client, images: np.ndarray) -> str:
    """The id of the dataset that holds `images`; the same content gets the same id."""
    body = io.BytesIO()
    np.save(body, images)
    headers = {"Content-Type": "application/x-npy"}
    return answer(client.post("/v1/datasets", content=body.getvalue(), headers=headers))["id"]


def compute(client: httpx.Client, dataset: str) -> dict[str, Any]:
    """The finished job of both kernels of the dataset with itself; shows progress meanwhile."""
    request = {
        "architecture": ARCHITECTURE,
        "x1": {"dataset": dataset},
        "outputs": ["nngp", "ntk"],
        "dtype": "float32",
    }
    job = answer(client.post("/v1/kernels", json=request))
    style = "Computing {percentage:3.0f}% |{bar}| {n_fmt} of {total_fmt} tiles in {elapsed}"
    with tqdm(total=job["tiles_total"], bar_format=style, dynamic_ncols=True) as bar:
        while True:
            bar.update(job["tiles_done"] - bar.n)
            if job["state"] not in ("queued", "running"):
                break
            time.sleep(0.2)
            job = answer(client.get(f"/v1/kernels/{job['id']}"))
    if job["state"] != "succeeded":
        raise SystemExit(f"The job has {job['state']}: {job['error']}")
    return job


def fetch(client: httpx.Client, job: str, name: str) -> np.ndarray:
    """One matrix of a finished job, as float64 of what the service computed in float32."""
    response = client.get(f"/v1/kernels/{job}/{name}")
    if response.is_error:
        answer(response)
    return np.load(io.BytesIO(response.content), allow_pickle=False).astype(np.float64)


def answer(response: httpx.Response) -> dict[str, Any]:
    """The JSON that came, or an end with the problem document's own words."""
    document = response.json()
    if response.is_error:
        where = f" at {document['pointer']}" if document.get("pointer") else ""
        raise SystemExit(f"{response.status_code} {document['title']}{where}: {document['detail']}")
    return document


def classify(kernel: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Held-out digits, and how many of them kernel regression on one-hot targets gets right."""
    order = np.random.default_rng(0).permutation(len(labels))
    cut = len(labels) * TRAIN // 1797
    train, test = order[:cut], order[cut:]
    gram = kernel[np.ix_(train, train)]
    gram[np.diag_indices(cut)] += DIAG_REG * np.trace(gram) / cut
    targets = np.eye(10)[labels[train]] - 0.1
    scores = kernel[np.ix_(test, train)] @ np.linalg.solve(gram, targets)
    return len(test), int((scores.argmax(axis=1) == labels[test]).sum())


if __name__ == "__main__":
    main()
