"""The probes find what is there, do not find what is not, and are not scored on what they saw."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from weightdecay.hysteresis import probe, tasks, teacher

Read = dict[str, dict[str, Tensor]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tenth of the points."""
    monkeypatch.setattr(probe, "POINTS", 200)
    monkeypatch.setattr(probe, "TEST_POINTS", 400)
    probe.points.cache_clear()
    yield
    probe.points.cache_clear()


def noise(seed: int, dimensions: int = 20) -> Read:
    """Features of one network that have nothing to do with the points."""
    rng = torch.Generator().manual_seed(seed)
    drawn = probe.points(seed)
    return {
        part: {
            name: torch.randn(1, len(getattr(drawn, part)), dimensions, generator=rng)
            for name in ("outputs", "core")
        }
        for part in probe.PARTS
    }


def together(*found: Read) -> Read:
    """Several networks, one a seed."""
    return {
        part: {name: torch.cat([r[part][name] for r in found]) for name in found[0][part]}
        for part in probe.PARTS
    }


def planted(read: Read, seed: int, size: float, name: str = "outputs") -> Read:
    """The checkerboard's label added to one feature: 0 or `size`."""
    found = {part: dict(read[part]) for part in probe.PARTS}
    for part in probe.PARTS:
        x = read[part][name].clone()
        x[0, :, 3] += size * tasks.checkerboard(getattr(probe.points(seed), part)).squeeze(1)
        found[part][name] = x
    return found


def best_guess(seed: int) -> float:
    """Accuracy on the random cells of who knows of a point its checkerboard label alone."""
    x = probe.points(seed).test
    board, cells = tasks.checkerboard(x) > 0.5, tasks.random_cells(x, seed) > 0.5
    ones = [float((cells & side).double().mean()) for side in (board, ~board)]
    zeros = [float((~cells & side).double().mean()) for side in (board, ~board)]
    return sum(map(max, ones, zeros))


# ----------------------------------------------------------------------------------------- points


def test_no_point_is_both_fitted_and_scored() -> None:
    """1000 to fit, 1000 to choose, 4000 to score, all in the blind disc, none twice; a seed's own,
    and the same each time."""
    found = probe.points(3)
    parts = [found.fit, found.choose, found.test]
    assert [len(x) for x in parts] == [1000, 1000, 4000]
    every = {tuple(p) for x in parts for p in x.tolist()}
    assert len(every) == 6000
    assert max(math.hypot(*p) for p in every) < 1.5
    assert not every & {tuple(p) for p in probe.points(4).fit.tolist()}
    probe.points.cache_clear()
    assert torch.equal(found.test, probe.points(3).test)


@pytest.mark.usefixtures("small")
def test_readings_are_each_networks_features_at_its_seeds_points() -> None:
    """Two networks: the second's test features are those of its own weights at its own points."""
    flat = torch.stack([teacher.initial(0), teacher.initial(1)])
    read = probe.readings(flat, [0, 1])
    wanted = teacher.features(flat[1], probe.points(1).test)
    torch.testing.assert_close(read["test"]["outputs"][1], wanted["outputs"])
    torch.testing.assert_close(read["test"]["core"][1], wanted["core"])
    assert torch.equal(read["test"]["coordinates"][1], probe.points(1).test)


# ------------------------------------------------------------------------------ the article's probe


@pytest.mark.usefixtures("small")
def test_the_articles_dead_rule_puts_a_constant_where_a_measurement_was() -> None:
    """Outputs with a spread below 0.001 count as 0.5, whatever is in them; just above they count
    as measured. What was measured stands beside it in both cases."""
    seed = 2
    signal = planted(noise(seed), seed, 5.0)
    spread = float(signal["fit"]["outputs"].std())
    rows = []
    for std in (0.9e-3, 1.1e-3):
        scaled = {p: {"outputs": std / spread * signal[p]["outputs"]} for p in probe.PARTS}
        rows += probe.article(scaled, [seed])
    dead, alive = rows
    assert dead["outputs/std"] == pytest.approx(0.9e-3, rel=1e-4)
    assert dead["article"] == 0.5
    assert dead["article/no rule"] != 0.5
    assert alive["article"] == alive["article/no rule"]


@pytest.mark.usefixtures("small")
def test_the_articles_score_is_in_sample_and_the_fresh_one_is_not() -> None:
    """On noise the student learns its points by heart, and knows nothing about others."""
    read = together(*(noise(s) for s in (0, 1, 2)))
    rows = probe.article(read, [0, 1, 2])
    assert min(r["article"] for r in rows) > 0.8
    mean = sum(r["article/fresh"] for r in rows) / 3
    assert mean == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(3 * 400))


def test_the_students_are_torchs_own_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two students at once, one with L2, against a module, Adam and the BCE of a sigmoid each."""
    monkeypatch.setattr(probe, "STEPS", 5)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 30, 20, generator=rng, dtype=torch.float64)
    y = (torch.rand(2, 30, 1, generator=rng) > 0.5).double()
    found = probe.students(x, y, [4, 9], [0.0, 0.3])
    monkeypatch.setattr(probe, "STEPS", 0)
    start = probe.students(x, y, [4, 9], [0.0, 0.3])
    for i, l2 in enumerate((0.0, 0.3)):
        model = start.model(i)
        adam = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=l2)
        for _ in range(5):
            loss = nn.functional.binary_cross_entropy(model(x[i]).sigmoid(), y[i])
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        for a, b in zip(found.model(i).parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    sizes = [tuple(p.shape) for p in found.model(0).parameters()]
    assert sizes == [(64, 20), (64,), (1, 64), (1,)]
    a, b = (next(start.model(i).parameters()) for i in range(2))
    assert not torch.equal(a, b)


def test_hits_are_the_share_of_right_signs() -> None:
    """Counted by hand: logits above 0 are label 1."""
    x = torch.randn(2, 50, 20, generator=torch.Generator().manual_seed(0))
    y = (torch.rand(2, 50, 1, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    trained = probe.students(x[:, :1], y[:, :1], [0, 1], [0.0, 0.0])
    for i, found in enumerate(probe.hits(trained, x, y)):
        with torch.no_grad():
            logits = trained.model(i)(x[i]).flatten().tolist()
        right = [(a > 0) == (b == 1) for a, b in zip(logits, y[i].flatten().tolist(), strict=True)]
        assert found == pytest.approx(sum(right) / 50)


# --------------------------------------------------------------------------------------- the audit


@pytest.mark.usefixtures("small")
def test_a_planted_checkerboard_is_found_and_noise_is_not() -> None:
    """Linear and MLP: near 1 where the label lies in one feature, at chance elsewhere, which is in
    the other features of the same network and under the control's labels."""
    seeds = [0, 1]
    read = together(*(planted(noise(s), s, 8.0) for s in seeds))
    rows = probe.audit(read, seeds, coordinates=False)
    chance = 5 * 0.5 / math.sqrt(400 * len(seeds))

    def mean(column: str) -> float:
        return sum(r[column] for r in rows) / len(rows)

    for kind in ("linear", "mlp"):
        assert mean(f"{kind}/outputs/checkerboard") > 0.98
        assert mean(f"{kind}/core/checkerboard") == pytest.approx(0.5, abs=chance)
        # All that the planted label tells of the control's.
        ceiling = sum(best_guess(s) for s in seeds) / len(seeds)
        assert mean(f"{kind}/outputs/random_cells") <= ceiling + chance
    assert mean("mlp/whitened/checkerboard") > 0.98


@pytest.mark.usefixtures("small")
def test_a_small_signal_is_read_after_whitening() -> None:
    """The label in a direction ten thousand times smaller than another, both in all features: the
    article's probe misses it, the MLP on whitened outputs does not."""
    seed = 1
    direction = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(5))).Q
    sizes = torch.full((20,), 1e-4)
    sizes[0] = 1.0
    signal = planted(
        {p: {"outputs": 0.1 * t["outputs"]} for p, t in noise(seed).items()}, seed, 1.0
    )
    read = {
        part: {"outputs": (t["outputs"] * sizes) @ direction, "core": t["outputs"]}
        for part, t in signal.items()
    }
    (row,) = probe.audit(read, [seed], coordinates=False)
    (blind,) = probe.article(read, [seed])
    assert blind["article/fresh"] < 0.75
    assert row["mlp/whitened/checkerboard"] > 0.95


@pytest.mark.usefixtures("small")
def test_raw_coordinates_are_a_ceiling_for_mlps_and_none_for_lines() -> None:
    """An MLP reads a checkerboard off the coordinates; no line cuts it."""
    seeds = [0, 1]
    read = probe.readings(torch.stack([teacher.initial(s) for s in seeds]), seeds)
    for row in probe.audit(read, seeds, coordinates=True):
        assert row["mlp/coordinates/checkerboard"] > 0.85
        assert row["linear/coordinates/checkerboard"] < 0.65


@pytest.mark.usefixtures("small")
def test_the_columns_are_every_probe_under_both_labels_and_the_whitened_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no raw coordinates where they are not asked for."""
    monkeypatch.setattr(probe, "STEPS", 1)
    (row,) = probe.audit(noise(0), [0], coordinates=False)
    names = itertools.product(("linear", "mlp"), ("outputs", "core"), probe.LABELS)
    assert set(row) == {"/".join(n) for n in names} | {"mlp/whitened/checkerboard"}


@pytest.mark.usefixtures("small")
def test_the_linear_probe_is_scikit_learns_with_c_chosen_apart() -> None:
    """Features of different sizes standardized on the points to fit; C by the points to choose;
    the score by the points to score: assembled here from scikit-learn's own parts."""
    seed = 4
    read = planted(noise(seed), seed, 1.0)
    sizes = torch.logspace(-3, 3, 20)
    read = {p: {name: 7 + sizes * t for name, t in read[p].items()} for p in probe.PARTS}
    (row,) = probe.audit(read, [seed], coordinates=False)
    x = {p: read[p]["outputs"][0].double().numpy() for p in probe.PARTS}
    y = {p: tasks.checkerboard(getattr(probe.points(seed), p)).numpy().ravel() for p in probe.PARTS}
    scaler = StandardScaler().fit(x["fit"])
    scores = []
    for c in probe.LINEAR_C:
        model = LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(x["fit"]), y["fit"])
        apart, final = (model.score(scaler.transform(x[p]), y[p]) for p in ("choose", "test"))
        scores.append((apart, final))
    best = max(scores, key=lambda pair: pair[0])[1]
    assert 0.55 < best < 0.95  # neither trivial nor chance
    # One point in 400 may lie on the line, as float32 and float64 standardize.
    assert row["linear/outputs/checkerboard"] == pytest.approx(best, abs=1.1 / 400)


def test_standardising_takes_the_points_to_fit_and_leaves_a_constant_at_zero() -> None:
    """Mean 0 and spread 1 there, the same map elsewhere, and no division by 0."""
    rng = torch.Generator().manual_seed(0)
    read = {p: {"core": 5 + 3 * torch.randn(2, 50, 4, generator=rng)} for p in probe.PARTS}
    for part in probe.PARTS:
        read[part]["core"][..., 2] = 0.25
    found = probe._standardised(read, "core")
    varying = found["fit"][..., [0, 1, 3]]
    torch.testing.assert_close(varying.mean(1), torch.zeros(2, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(varying.std(1), torch.ones(2, 3))
    assert not found["test"][..., 2].any()
    fit, test = read["fit"]["core"][0, :, 0], read["test"]["core"][0, :, 0]
    torch.testing.assert_close(found["test"][0, :, 0], (test - fit.mean()) / fit.std())


def test_whitening_gives_unit_covariance_and_drops_what_is_rounding() -> None:
    """Identity on the points to fit for features of rank 3 in 6 dimensions whose spreads differ
    by a thousand; zeros in the rest; the map is that of the points to fit."""
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(3, 6, generator=rng) * torch.tensor([[1.0], [1e-1], [1e-3]])
    read = {p: {"outputs": 2 + torch.randn(1, 300, 3, generator=rng) @ mix} for p in probe.PARTS}
    found = probe._whitened(read, "outputs")
    covariance = torch.cov(found["fit"][0].T)
    wanted = torch.diag(torch.tensor([1.0, 1, 1, 0, 0, 0]))
    torch.testing.assert_close(covariance, wanted, rtol=0, atol=1e-3)
    assert not found["test"][..., 3:].any()
    # A linear map of the raw features, fitted on one part, holds on the other.
    design = torch.cat([read["fit"]["outputs"][0], torch.ones(300, 1)], 1).double()
    map_ = torch.linalg.lstsq(design, found["fit"][0].double(), driver="gelsd").solution
    other = torch.cat([read["test"]["outputs"][0], torch.ones(300, 1)], 1).double()
    torch.testing.assert_close(other @ map_, found["test"][0].double(), rtol=0, atol=1e-2)


# ---------------------------------------------------------------------------------------- geometry


def cloud(fit: Tensor, test: Tensor, c: Tensor, c_test: Tensor) -> dict[str, float]:
    """`probe.geometry` of one network."""
    read = {
        "fit": {"core": fit[None], "coordinates": c[None]},
        "test": {"core": test[None], "coordinates": c_test[None]},
    }
    (found,) = probe.geometry(read, "core")
    return found


def test_r2_is_one_for_a_linear_map_and_zero_for_noise() -> None:
    """Coordinates through a fixed matrix and a shift; a square of them is no linear map."""
    rng = torch.Generator().manual_seed(0)
    c, c_test = (torch.randn(500, 2, generator=rng) for _ in range(2))
    matrix = torch.randn(2, 8, generator=rng)
    exact = cloud(c @ matrix + 3, c_test @ matrix + 3, c, c_test)["R2/core"]
    assert exact == pytest.approx(1, abs=1e-9)
    x, x_test = (torch.randn(500, 8, generator=rng) for _ in range(2))
    assert cloud(x, x_test, c, c_test)["R2/core"] == pytest.approx(0, abs=0.05)
    assert cloud(c**2, c_test**2, c, c_test)["R2/core"] == pytest.approx(0, abs=0.05)


def test_r2_is_scored_on_points_that_were_not_fitted() -> None:
    """As many features as points fit anything, and predict nothing."""
    rng = torch.Generator().manual_seed(1)
    c, c_test = (torch.randn(60, 2, generator=rng) for _ in range(2))
    fit, test = (torch.randn(60, 80, generator=rng) for _ in range(2))
    assert cloud(fit, test, c, c_test)["R2/core"] < 0


@pytest.mark.parametrize(
    ("spreads", "wanted"),
    [
        ([1.0], 1.0),
        ([1.0, 1, 1, 1], 4.0),
        ([3.0, 1.0], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
        ([1.0, 1.0, 0.0, 0.0], 2.0),
    ],
)
def test_effective_rank_has_its_closed_forms(spreads: list[float], wanted: float) -> None:
    """k equal directions have rank k; 3 : 1 has exp of the entropy of (3/4, 1/4). Neither where
    the cloud lies nor its size counts."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, len(spreads), generator=rng, dtype=torch.float64)
    axes = torch.linalg.qr(x - x.mean(0)).Q  # centered and orthonormal
    turn = torch.linalg.qr(torch.randn(6, 6, generator=rng, dtype=torch.float64)).Q
    features = 40 * (axes * torch.tensor(spreads, dtype=torch.float64)) @ turn[: len(spreads)] + 9
    found = cloud(features, features, x[:, :1], x[:, :1])["dimensions/core"]
    assert found == pytest.approx(wanted, rel=1e-6)
