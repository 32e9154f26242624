"""The measures of a plane tell lines, patches and clusters apart, and the committed ones follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weightdecay import results, runs
from weightdecay.hysteresis import embedding, probe
from weightdecay.hysteresis.embedding import Array

rng = np.random.default_rng(0)
N = 300
turns = rng.uniform(0, 2 * np.pi, N)
LINE = np.stack([turns, np.sin(turns)], 1) + 0.001 * rng.normal(size=(N, 2))
PATCH = rng.uniform(-1, 1, (N, 2))
GROUP = rng.integers(0, 4, N)
CLUSTERS = np.array([[0, 0], [4, 0], [0, 4], [4, 4]])[GROUP] + 0.3 * rng.normal(size=(N, 2))
PARITY: Array = GROUP % 2


def test_a_bent_line_is_one_and_a_patch_or_a_cluster_is_not() -> None:
    line, patch, clusters = (embedding.describe(z, PARITY)["line"] for z in (LINE, PATCH, CLUSTERS))
    assert line > 0.99
    assert patch < 0.8
    assert clusters < 0.8


def test_clusters_are_clearer_than_a_line_or_a_patch_by_both_measures() -> None:
    line, patch, clusters = (embedding.describe(z, PARITY) for z in (LINE, PATCH, CLUSTERS))
    for measure in ("silhouette", "gap"):
        assert clusters[measure] > 1.25 * max(line[measure], patch[measure])


def test_labels_that_lie_together_are_found_and_random_ones_are_not() -> None:
    together = embedding.describe(CLUSTERS, PARITY)
    apart = embedding.describe(CLUSTERS, rng.integers(0, 2, N))
    assert together["neighbors"] == 1
    assert 0.4 < apart["neighbors"] < 0.65
    assert together["label"] > 0.2 > 0.05 > abs(apart["label"])


def test_the_own_label_of_a_point_has_no_vote() -> None:
    # Of eleven points one has the other label: ten neighbors outvote it, and it is said wrong.
    z, y = rng.normal(size=(11, 2)), np.array([1] + [0] * 10)
    distances = np.linalg.norm(z[:, None] - z, axis=2)
    assert embedding.gap(distances) >= 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "CLUSTERS", range(2, 3))
        assert embedding.describe(z, y)["neighbors"] == pytest.approx(10 / 11)


def test_size_place_and_direction_do_not_matter() -> None:
    c, s = np.cos(1.0), np.sin(1.0)
    moved = 7 * CLUSTERS @ np.array([[c, -s], [s, c]]) + 3
    assert embedding.describe(moved, PARITY) == pytest.approx(embedding.describe(CLUSTERS, PARITY))


def test_gap_is_that_between_groups_and_no_stray_point_makes_one() -> None:
    x = np.concatenate([np.arange(30.0), 39 + np.arange(30.0)])
    assert embedding.gap(np.abs(x[:, None] - x)) == pytest.approx(10)
    stray = np.append(np.arange(59.0), 1000)
    assert embedding.gap(np.abs(stray[:, None] - stray)) == pytest.approx(1)


def test_first_is_the_share_of_the_first_component() -> None:
    x = np.array([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    assert embedding.first(x + 5) == pytest.approx(0.9)


def test_planes_do_not_depend_on_the_size_of_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PERPLEXITIES", (5,))
    x = rng.normal(size=(40, 6))
    small, large = embedding.planes(x, 0), embedding.planes(1024 * x, 0)
    assert set(small) == {"tsne-5", "pca"}
    for name, z in small.items():
        np.testing.assert_allclose(z, large[name], rtol=1e-6, atol=1e-9)


def test_a_missing_run_is_told_with_what_trains_it(tmp_path: Path) -> None:
    with pytest.raises(runs.RunError, match=r"missing \(fresh, seed 0\); just sweep experiments/"):
        embedding.weights(tmp_path)


# ------------------------------------------------------------------------------ what is committed


def test_committed_table_has_every_arm_plane_and_seed() -> None:
    table = results.read(embedding.FOLDER)
    arms = (*embedding.ARMS, embedding.COORDINATES)
    found = sorted((str(r["arm"]), str(r["plane"]), r["seed"]) for r in table.rows)
    assert found == sorted(
        (a, p, s) for a in arms for p in embedding.PLANES for s in embedding.SEEDS
    )
    assert embedding.values("line", "fresh") == [
        r["line"] for r in table.rows if (r["arm"], r["plane"]) == ("fresh", embedding.JUDGED)
    ]


def test_committed_plane_of_the_coordinates_comes_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "PERPLEXITIES", ())
    ((row,), at) = embedding.embed(None, 1)
    for key in ("line", "silhouette", "gap", "neighbors", "label", "first"):
        committed = embedding.values(key, embedding.COORDINATES, "pca")[1]
        assert committed == pytest.approx(row[key], rel=1e-4), key
    z = embedding.points(embedding.COORDINATES, 1, "pca")
    assert z.shape == (embedding.DRAWN, 2)
    # PCA of points in a plane turns them and no more, so distances are those in the disc.
    x = probe.points(1).fit[: embedding.DRAWN].double().numpy()
    ratio = np.linalg.norm(z[1:] - z[0], axis=1) / np.linalg.norm(x[1:] - x[0], axis=1)
    assert ratio.std() < 0.02 * ratio.mean()
    assert set(at) == {"pca"}


def test_points_that_are_not_kept_are_told() -> None:
    with pytest.raises(runs.RunError, match="no points fresh 19 pca; it has"):
        embedding.points("fresh", 19, "pca")
