"""What the outputs look like in a plane, at the decay where the article looked: t-SNE and PCA.

``just hysteresis-embedding`` reads the weights that the scan and the audit left in
``_build/runs`` and writes ``results.csv``, ``points.json`` and ``manifest.json`` to
``experiments/hysteresis-embedding``. 240 runs of t-SNE; some 10 minutes on one thread.

The article shows one t-SNE of each arm and reads off it: the control is a smooth line, the
imprinted network has clear clusters (H7). A picture of one seed at one perplexity proves nothing,
so both words are turned into numbers, for 20 seeds:

``line``        share of the variance of a point and its 10 nearest neighbors that lies along their
                own first direction, mean over points: near 1 on a line, however it bends
``silhouette``  of k-means, the best of k = 2 to 8 (Rousseeuw 1987): high where clusters are clear
``gap``         longest edge of the minimum spanning tree with 5% of the points on either side,
                over its median edge: large where empty space parts the points
``neighbors``   how often the 10 nearest neighbors of a point have its checkerboard label, by
                majority
``label``       silhouette of the two labels of the checkerboard themselves
``first``       share of the outputs' variance along their first principal component; of the
                features, so the same in every plane

How H7 is judged was fixed before any of these numbers was looked at. In the plane ``tsne-30``
(scikit-learn's perplexity unless told otherwise), paired over seeds, with intervals off zero:

1. clusters clearer after imprinting than in the control: ``silhouette`` is larger;
2. control nearer to one line: ``line`` is larger in the control.

What held is confounded if it holds just as well for ``norm_matched``, which has learned nothing.
The other columns and planes are for reading, not for judging.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from weightdecay import plan, results, runs
from weightdecay.hysteresis import probe, protocol, scan, tasks, teacher
from weightdecay.hysteresis.records import EXPERIMENTS, PEAK
from weightdecay.plan import Row

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[Any]]

COMMAND = "just hysteresis-embedding"
FOLDER = EXPERIMENTS / "hysteresis-embedding"
POINTS = "points.json"
COORDINATES = "coordinates"
"""The arm without a network: what the same plane makes of the points themselves."""
ARMS = {
    "fresh": "hysteresis-scan",
    "imprint": "hysteresis-scan",
    "norm_matched": "hysteresis-audit",
}
SEEDS = tuple(range(20))
PERPLEXITIES = (10, 30, 100)
PLANES = (*(f"tsne-{p}" for p in PERPLEXITIES), "pca")
JUDGED = "tsne-30"
SIZE = 400
"""Points of the article's probe in a plane; all thousand take three times as long."""
DRAWN_SEEDS, DRAWN = (0, 1, 2), 300
"""What points.json keeps."""
NEIGHBORS = 10
CLUSTERS = range(2, 9)
ASIDE = 0.05


def weights(parent: Path = plan.RUNS) -> dict[tuple[str, int], Path]:
    """(arm, seed) to the file with the weights after phase B, at the article's peak.

    Raises:
        RunError: naming the first run that is not finished, and what trains it.
    """
    found = {}
    for arm, name in ARMS.items():
        usual = {"arm": arm, "weight_decay": PEAK}
        for job in plan.jobs(EXPERIMENTS / name, scan.TASK, parent=parent):
            wanted = scan.check({**usual, "seed": job.seed}, name)
            if job.config != wanted or job.seed not in SEEDS:
                continue
            path = job.directory / scan.WEIGHTS
            if not path.exists():
                command = results.command(EXPERIMENTS / name)
                raise runs.RunError(f"{path}: missing ({arm}, seed {job.seed}); {command} makes it")
            found[arm, job.seed] = path
    return found


def features(path: Path | None, seed: int) -> Array:
    """(SIZE, 20) outputs of head B at the first points of the article's probe; without a file the
    points themselves, (SIZE, 2)."""
    x = probe.points(seed).fit[:SIZE]
    if path is None:
        return x.double().numpy()
    flat = protocol.read_weights(path, "end")
    return teacher.features(flat, x)["outputs"].double().numpy()


def labels(seed: int) -> Array:
    """(SIZE,) of the checkerboard, 0 or 1, at the same points."""
    return tasks.checkerboard(probe.points(seed).fit[:SIZE]).squeeze(1).long().numpy()


def planes(x: Array, seed: int) -> dict[str, Array]:
    """Each of PLANES to the points (N, 2) in it.

    Args:
        x: features (N, d). Their size as a whole does not matter, their shape does, so nothing is
            standardized: t-SNE and PCA see what the article's did.
    """
    x = x - x.mean(0)
    x = x / x.std()
    found = {}
    for perplexity in PERPLEXITIES:
        tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
        found[f"tsne-{perplexity}"] = tsne.fit_transform(x).astype(float)
    return {**found, "pca": PCA(2, svd_solver="full").fit_transform(x)}


def first(x: Array) -> float:
    """Share of the variance of features (N, d) along their first principal component."""
    s = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    return float(s[0] / s.sum())


def describe(z: Array, y: Array) -> dict[str, float]:
    """The measures of a plane: points (N, 2) with labels (N,)."""
    distances = squareform(pdist(z))
    order = np.argsort(distances, axis=1)[:, : NEIGHBORS + 1]  # a point is nearest to itself
    around = z[order] - z[order].mean(1, keepdims=True)
    spread = np.linalg.svd(around, compute_uv=False) ** 2  # (N, 2)
    votes = y[order[:, 1:]].mean(1)
    said = np.where(votes == 0.5, y[order[:, 1]], votes > 0.5)  # a tie goes to the nearest
    return {
        "line": float((spread[:, 0] / spread.sum(1)).mean()),
        "silhouette": max(
            float(silhouette_score(z, KMeans(k, n_init=4, random_state=0).fit_predict(z)))
            for k in CLUSTERS
        ),
        "gap": gap(distances),
        "neighbors": float((said == y).mean()),
        "label": float(silhouette_score(z, y)),
    }


def gap(distances: Array) -> float:
    """Longest edge of the minimum spanning tree that parts ASIDE of the points from the others,
    over the median edge; 0 if every edge cuts off fewer.

    Args:
        distances: (N, N).
    """
    tree = minimum_spanning_tree(distances).tocoo()
    order = np.argsort(-tree.data)
    median = float(np.median(tree.data))
    for edge in order:
        cut = tree.copy()
        cut.data[edge] = 0
        cut.eliminate_zeros()
        sizes = np.bincount(connected_components(cut, directed=False)[1])
        if sizes.min() >= ASIDE * len(distances):
            return float(tree.data[edge]) / median
    return 0.0


def embed(path: Path | None, seed: int) -> tuple[list[Row], dict[str, Array]]:
    """Rows of the table for one network or, without a file, for the coordinates; and its planes."""
    x, y = features(path, seed), labels(seed)
    found = planes(x, seed)
    share = first(x)
    return [
        {"plane": p, "seed": seed, **describe(z, y), "first": share} for p, z in found.items()
    ], found


def write(folder: Path = FOLDER, parent: Path = plan.RUNS) -> Path:
    """Table, points to draw and manifest; the table's path.

    Raises:
        RunError: if a run is missing.
    """
    found = weights(parent)
    manifest = {"command": COMMAND, **runs.environment()}
    rows: list[Row] = []
    drawn: dict[str, list[list[float]]] = {}
    for arm in (*ARMS, COORDINATES):
        for seed in SEEDS:
            told, at = embed(found.get((arm, seed)), seed)
            rows += [{"arm": arm, **row} for row in told]
            if seed in DRAWN_SEEDS:
                drawn |= {f"{arm} {seed} {p}": _rounded(z[:DRAWN]) for p, z in at.items()}
        print(f"{arm}: {len(SEEDS)} seeds", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    runs.write_text(folder / results.TABLE, out.getvalue())
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in drawn.items())
    runs.write_text(folder / POINTS, f"{{\n{lines}\n}}\n")
    runs.write_json(folder / runs.MANIFEST, {**manifest, "ended": runs.now()})
    return folder / results.TABLE


def _rounded(z: Array) -> list[list[float]]:
    """x and y of a plane, centered and within ±1, to three digits."""
    z = z - z.mean(0)
    scaled: list[list[float]] = (z / np.abs(z).max()).round(3).T.tolist()
    return scaled


# ------------------------------------------------------------------------------------- read back


@functools.cache
def _table(folder: Path) -> results.Table:
    if not (folder / results.TABLE).exists():
        raise runs.RunError(f"{folder / results.TABLE}: missing; {COMMAND} makes it")
    return results.read(folder)


def values(column: str, arm: str, plane: str = JUDGED, folder: Path = FOLDER) -> list[float]:
    """A measure over the seeds, in order, so that arms pair.

    Raises:
        RunError: if the table is missing or has no such arm, plane or column.
    """
    rows = _table(folder).where({"arm": arm, "plane": plane})
    return [float(v) for v in rows.final(column)]


def points(arm: str, seed: int, plane: str, folder: Path = FOLDER) -> Array:
    """(DRAWN, 2) points to draw, within ±1; in the order of `labels` and of the probe's points.

    Raises:
        RunError: if the file is missing or broken, or does not hold this plane.
    """
    found = runs.read_json(folder / POINTS)
    key = f"{arm} {seed} {plane}"
    if key not in found:
        raise runs.RunError(f"{folder / POINTS}: no points {key}; it has {', '.join(found)}")
    return np.array(found[key]).T


def main(arguments: Sequence[str] = ()) -> None:
    """Write the results, or say in one line what is missing."""
    torch.set_num_threads(1)
    try:
        print(write())
    except runs.RunError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
