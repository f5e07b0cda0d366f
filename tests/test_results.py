"""The scripts behind docs/results.md run at a small size, on made-up data of the same form."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.results import cifar, computed, digits, imdb, learning, splits, uci
from benchmarks.workloads import Data
from kernels.matrix import kernel_matrix
from kernels.predict.leave_one_out import score

RNG = np.random.default_rng


def rows_of(printed: str) -> dict[str, list[str]]:
    """The tables that were printed: first cell to the others."""
    lines = [line.strip("| \n").split(" | ") for line in printed.splitlines() if "|" in line]
    return {first: rest for first, *rest in lines if not set(first) <= {"-", "|"}}


def first_number(cell: str) -> float:
    found = re.match(r"-?[\d.]+", cell)
    assert found is not None, cell
    return float(found[0])


def test_digits(capsys: pytest.CaptureFixture[str]) -> None:
    digits.main(["--examples", "160", "--splits", "2"])
    rows = rows_of(capsys.readouterr().out)
    assert {*digits.FAMILIES, *digits.peers()} < set(rows)
    # Forty digits after 120: guessing gets 90 % wrong.
    assert all(first_number(rows[name][0]) < 20 for name in digits.FAMILIES)


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty reviews of 20 words: 0 to 9 are bad and 10 to 19 good, as their first channel knows."""
    monkeypatch.setattr("benchmarks.imdb.LONGEST", 24)
    rng, n = RNG(0), 40
    label = np.arange(n) % 2
    ids = np.concatenate([rng.integers(0, 10, 20) + 10 * kind for kind in label])
    vectors = rng.normal(size=(20, 4)) * 0.3
    vectors[:, 0] += np.repeat([-1, 1], 10)
    path = tmp_path / "imdb.npz"
    offsets, train = np.arange(0, 20 * n + 1, 20), np.arange(n) < n // 2
    np.savez(path, ids=ids, offsets=offsets, embeddings=vectors, label=label, is_train=train)
    return path


def test_imdb(reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = reviews.parent / "kept"
    options = ["--n", "20", "--variants", "0", "--splits", "2", "--keep", str(folder)]
    imdb.main([str(reviews), *options])
    printed = capsys.readouterr().out
    rows = rows_of(printed)
    for name in imdb.NETWORKS:
        for output in ("nngp", "ntk"):
            assert first_number(rows[f"{name}, {output}"][0]) > 90
    assert rows[imdb.COUNTS][0] == "100.0 ± 0.0"
    assert "minus conv, dense, pool" in rows
    # Kernels that were kept are found again: the same tables, the same seconds.
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    imdb.main([str(reviews), *options])
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == kept


def test_what_is_written_of_imdb_is_what_is_printed(root: Path) -> None:
    page = (root / "docs" / "results.md").read_text()
    rows = rows_of(page.partition("## Film reviews")[2].partition("## Photographs")[0])
    others = {name: {"nngp": f"{name}, nngp", "ntk": f"{name}, ntk"} for name in imdb.NETWORKS}
    others |= {name: {"nngp": name, "ntk": name} for name in (imdb.VECTORS, imdb.COUNTS)}
    ours = others.pop(imdb.ATTENTION)
    for name, other in others.items():
        written = [first_number(cell) for cell in rows[f"minus {name}"]]
        differences = [
            first_number(rows[ours[output]][column]) - first_number(rows[other[output]][column])
            for output in ("nngp", "ntk")
            for column in (0, 1)
        ]
        # All three were rounded to a tenth.
        np.testing.assert_allclose(written, differences, atol=0.151)


@pytest.mark.slow
def test_variants_of_imdb(reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imdb.variants(str(reviews), 8, 2, None)
    rows = rows_of(capsys.readouterr().out)
    _, *shares = [cells[0] for cells in rows.values()]
    assert len(shares) == 3
    assert all(first_number(share) > 70 for share in shares)


@pytest.mark.slow
def test_cifar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = np.arange(40) % 2
    dark = RNG(0).integers(0, 100, (40, 8, 8, 3))
    path = tmp_path / "cifar.npz"
    np.savez(path, images=(dark + 120 * label[:, None, None, None]).astype(np.uint8), label=label)
    cifar.main([str(path), "--n", "40", "--splits", "2"])
    rows = rows_of(capsys.readouterr().out)
    assert all(first_number(rows[name][0]) > 90 for name in cifar.FAMILIES)
    assert first_number(rows["logistic regression on pixels"][0]) > 90


def test_a_dense_layer_on_patches_is_a_strided_convolution() -> None:
    images = RNG(0).normal(size=(3, 8, 12, 3))
    rest = [{"type": "relu"}, {"type": "global_avg_pool"}, {"type": "dense"}]
    window = [cifar.PATCH] * 2
    conv = {"type": "conv", "window": window, "strides": window, "padding": "valid"}
    strided = kernel_matrix({"layers": [conv, *rest]}, images, dtype="float64")
    patches = cifar.patches(images)
    cut = kernel_matrix({"layers": [{"type": "dense"}, *rest]}, patches, dtype="float64")
    for output in ("nngp", "ntk"):
        np.testing.assert_allclose(cut[output], strided[output], rtol=1e-12)


def test_uci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = RNG(0)
    x = rng.normal(size=(80, 3)) * [1, 10, 100]
    # The noise 0.5 is what no model can undercut: NLL log(0.5) + log(2 pi e) / 2 = 0.726.
    y = 7 + 3 * x[:, 0] + rng.normal(size=80) * 0.5
    path = tmp_path / "uci.npz"
    np.savez(path, made_up_X=np.concatenate([x, x[:9]]), made_up_y=np.concatenate([y, y[:9]]))
    uci.main([str(path), "--splits", "4"])
    rows = rows_of(capsys.readouterr().out)
    assert "made_up: 80 x 3" in rows  # the nine that repeat others are left out
    for model in ("nngp", "ntk", uci.PEER):
        rmse, nll = (first_number(cell) for cell in rows[model][:2])
        assert 0.35 < rmse < 1.0  # the targets' own deviation is 3
        assert 0.4 < nll < 1.5


def test_real_reviews_of_the_maintainers(shared: Path) -> None:
    """The file that docs/results.md was made with has the form that the script expects."""
    path = shared / "data" / "imdb_2000.npz"
    counts = imdb.word_counts(str(path), 50)
    data, _ = imdb.reviews(str(path), 50)
    assert data.mask is not None
    np.testing.assert_array_equal(counts.sum(axis=1), data.mask.sum(axis=1))


def test_scale_and_diag_reg_are_the_best_by_leave_one_out() -> None:
    rng = RNG(0)
    x = rng.normal(size=(60, 2))
    y = 5 * np.sin(x[:, :1]) + rng.normal(size=(60, 1)) * 0.5
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=-1) / 2)
    learnt = learning.learn_density(kernel, y)
    for scale, noise in ((0.8, 1), (1.25, 1), (1, 10**0.5), (1, 10**-0.5), (2, 2), (0.5, 0.5)):
        other = kernel * learnt.scale * scale + np.eye(60) * learnt.factor.diag_reg * noise
        inverse = np.linalg.inv(other)
        worse = score(inverse @ y, np.diagonal(inverse))
        assert worse.log_density < learnt.loo.log_density, (scale, noise)


def test_test_labels_are_not_looked_at() -> None:
    x = RNG(0).normal(size=(30, 3))
    labels = (x[:, 0] > 0).astype(int)
    train, test = next(splits.splits(30, 20, 1))
    assert sorted([*train, *test]) == list(range(30))
    guess, _ = learning.classify(x @ x.T, labels, train, test)
    hidden = labels.copy()
    hidden[test] = 1 - hidden[test]
    np.testing.assert_array_equal(learning.classify(x @ x.T, hidden, train, test)[0], guess)
    assert np.mean(guess == labels[test]) > 0.7


def test_pieces_make_the_whole_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computed, "PIECE", 4)
    data = Data(RNG(0).normal(size=(10, 3)))
    layers = [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]
    made = computed.compute(layers, data, dtype="float64")
    whole = kernel_matrix({"layers": layers}, data.x, dtype="float64")
    for output in ("nngp", "ntk"):
        np.testing.assert_allclose(made.matrices[output], whole[output], rtol=1e-12)
