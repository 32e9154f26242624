"""The plane: labels against brute force, samplers against areas, streams of random numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from weightdecay.hysteresis import tasks

STREAMS = ("initial weights", "phase A", "phase B", "probe", "student", "random cells", "scrambled",
           "shuffle", "measure")  # fmt: skip
CELLS = list(itertools.product(range(-3, 3), repeat=2))


def anywhere(n: int = 400) -> Tensor:
    """Points of the square, in float64, so that what is floored here is floored there."""
    return tasks.domain(n, torch.Generator().manual_seed(0)).double()


def lattice(step: float = 0.1) -> Tensor:
    """Points (N, 2) that fill the square evenly, none on a wall, symmetric about both axes."""
    line = torch.arange(-3 + step / 2, 3, step, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def share(kept: Tensor) -> float:
    return float(kept.double().mean())


# ------------------------------------------------------------------------------- random numbers


def test_a_stream_repeats_for_its_seed_and_no_two_streams_are_alike() -> None:
    """20 seeds x every stream of the part: the first draws are the same again, and all distinct."""
    first = {
        (seed, stream): float(torch.rand(1, generator=tasks.generator(seed, stream)))
        for seed in range(20)
        for stream in STREAMS
    }
    assert len(set(first.values())) == len(first)
    again = float(torch.rand(1, generator=tasks.generator(7, "probe")))
    assert again == first[7, "probe"]


REGIONS: dict[str, tuple[Callable[[int, torch.Generator], Tensor], float, float]] = {
    "domain": (tasks.domain, 0.0, math.inf),
    "donut": (tasks.donut, 1.5, 3.5),
    "blind disc": (tasks.blind_disc, 0.0, 1.5),
    "inside the outer radius": (tasks.inside_outer_radius, 0.0, 3.5),
}


@pytest.mark.parametrize("name", REGIONS)
def test_a_sampler_fills_its_region_evenly_and_nothing_else(name: str) -> None:
    """All points lie inside, and the number in each quarter ring is that of its area."""
    sample, low, high = REGIONS[name]
    n = 20_000
    x = sample(n, torch.Generator().manual_seed(1))
    assert x.shape == (n, 2)
    assert x.dtype == torch.float32
    r = x.norm(dim=1)
    assert float(x.abs().max()) <= 3
    assert float(r.min()) >= low
    assert float(r.max()) <= high
    grid = lattice(0.01)
    grid = grid[(grid.norm(dim=1) > low) & (grid.norm(dim=1) < high)]
    for inner, outer in itertools.pairwise((0.0, 0.8, 1.5, 2.5, 3.0, 3.5, 5.0)):
        wanted = share((grid.norm(dim=1) > inner) & (grid.norm(dim=1) < outer) & (grid[:, 0] > 0))
        found = share((r > inner) & (r < outer) & (x[:, 0] > 0))
        # Five standard errors, and the lattice's own coarseness.
        assert found == pytest.approx(wanted, abs=5 * math.sqrt(wanted / n) + 1e-3)


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("n", [1, 17])
def test_a_sampler_gives_as_many_points_as_asked_for_and_the_same_ones_again(
    name: str, n: int
) -> None:
    """Rejected points are made up for, however few are wanted."""
    sample = REGIONS[name][0]
    x = sample(n, tasks.generator(3, "probe"))
    assert x.shape == (n, 2)
    assert torch.equal(x, sample(n, tasks.generator(3, "probe")))
    assert not torch.equal(x, sample(n, tasks.generator(4, "probe")))


# --------------------------------------------------------------------------------------- labels


def test_checkerboard_and_saddle_are_the_articles_formulas() -> None:
    """Point by point in plain Python, below zero too, where flooring is not truncation."""
    x = anywhere()
    for (a, b), label, z in zip(
        x.tolist(), tasks.checkerboard(x).flatten(), tasks.saddle(x).flatten(), strict=True
    ):
        assert float(label) == ((math.floor(a) + math.floor(b)) % 2 == 0)
        assert float(z) == pytest.approx((a**2 - b**2) / 5)


@pytest.mark.parametrize("name", [*tasks.IMPRINTS, *tasks.ADAPTATIONS])
def test_labels_keep_shape_and_dtype_and_replicas_do_not_mix(name: str) -> None:
    """(R, N, 2) gives (R, N, 1), each replica's labels being those of its points alone."""
    labels = {**tasks.IMPRINTS, **tasks.ADAPTATIONS}[name]
    x = anywhere(60).view(3, 20, 2)
    y = labels(x, 5)
    assert y.shape == (3, 20, 1)
    assert y.dtype == torch.float64
    assert labels(x.float(), 5).dtype == torch.float32
    assert torch.equal(y[1], labels(x[1], 5))


def test_the_shifted_checkerboard_agrees_with_the_checkerboard_on_one_half() -> None:
    """Exactly, in the square and in the blind disc: one is no help with the other."""
    x = lattice()
    agrees = tasks.shifted_checkerboard(x) == tasks.checkerboard(x)
    assert share(agrees) == 0.5
    assert share(agrees[x.norm(dim=1) < 1.5]) == 0.5
    moved = x + torch.tensor([0.5, 0.0], dtype=x.dtype)
    assert torch.equal(tasks.shifted_checkerboard(x), tasks.checkerboard(moved))


def test_the_smooth_task_is_balanced_has_no_walls_and_half_agrees_with_the_checkerboard() -> None:
    """A probability whose slope is at most pi / 6 and whose mean is one half."""
    x = lattice()
    y = tasks.smooth(x).flatten()
    assert float(y.min()) >= 0
    assert float(y.max()) <= 1
    assert float(y.mean()) == pytest.approx(0.5)
    assert share((y > 0.5) == (tasks.checkerboard(x).flatten() > 0.5)) == 0.5
    for step in ([1e-3, 0.0], [0.0, 1e-3]):
        moved = tasks.smooth(x + torch.tensor(step, dtype=x.dtype)).flatten()
        assert float((moved - y).abs().max()) <= math.pi / 6 * 1e-3 + 1e-12
    assert float(tasks.smooth(torch.tensor([[1.5, 0.0]]))) == pytest.approx(1.0)


def cell_values(labels: tasks.Labels, seed: int, per_unit: int) -> Tensor:
    """The value of each cell (cells, cells), read at its middle."""
    middle = (torch.arange(6 * per_unit) + 0.5) / per_unit - 3
    return labels(torch.cartesian_prod(middle, middle), seed).view(6 * per_unit, -1)


@pytest.mark.parametrize(("labels", "per_unit"), [(tasks.random_cells, 1), (tasks.scrambled, 2)])
def test_a_cell_has_one_value(labels: tasks.Labels, per_unit: int) -> None:
    """Any point has the value of the middle of its cell; the edges of the square belong to it."""
    x, values = anywhere(), cell_values(labels, 4, per_unit)
    for (a, b), y in zip(x.tolist(), labels(x, 4).flatten(), strict=True):
        row, column = (math.floor((c + 3) * per_unit) for c in (a, b))
        assert float(y) == pytest.approx(float(values[row, column]))
    corners = torch.tensor([[-3.0, -3.0], [3.0, 3.0]])
    assert labels(corners, 4).flatten().tolist() == [values[0, 0], values[-1, -1]]


def test_random_cells_balance_every_ring_and_differ_by_seed() -> None:
    """4, 12 and 20 cells: half of each ring is 1, so that no ring gives its label away."""
    for seed in range(20):
        values = cell_values(tasks.random_cells, seed, 1)
        assert set(values.flatten().tolist()) == {0.0, 1.0}
        assert float(values[2:4, 2:4].sum()) == 2
        assert float(values[1:5, 1:5].sum()) == 2 + 6
        assert float(values.sum()) == 2 + 6 + 10
    drawn = {tuple(cell_values(tasks.random_cells, s, 1).flatten().tolist()) for s in range(20)}
    assert len(drawn) == 20


def test_random_cells_favour_no_cell_and_have_nothing_to_do_with_the_checkerboard() -> None:
    """Over 400 seeds every cell is 1 half of the time, and half agree with the checkerboard."""
    seeds = 400
    values = torch.stack([cell_values(tasks.random_cells, s, 1) for s in range(seeds)])
    rate = values.mean(0)
    assert float((rate - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(seeds)
    agrees = values == cell_values(tasks.checkerboard, 0, 1)
    assert share(agrees) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(36 * seeds))


def test_scrambled_is_as_wide_as_the_saddle_and_its_neighbours_are_unrelated() -> None:
    """Standard deviation 0.759 = sqrt(2 (81/5 - 9)) / 5, that of the saddle on the square."""
    width = math.sqrt(2 * (81 / 5 - 9)) / 5
    assert float(tasks.saddle(lattice()).std()) == pytest.approx(width, rel=1e-2)
    seeds = 100
    values = torch.stack([cell_values(tasks.scrambled, s, 2) for s in range(seeds)]).double()
    n = values.numel()
    assert float(values.std()) == pytest.approx(width, abs=5 * width / math.sqrt(2 * n))
    assert float(values.mean()) == pytest.approx(0, abs=5 * width / math.sqrt(n))
    beside = (values[:, 1:] * values[:, :-1]).mean() / width**2
    assert float(beside) == pytest.approx(0, abs=5 / math.sqrt(n))
