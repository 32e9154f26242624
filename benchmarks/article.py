"""The hysteresis article's experiment as plainly as torch allows: one run after the other.

    python benchmarks/article.py

It trains 20 seeds of both arms at the decay of the article's peak and writes
``experiments/hysteresis-plain``. It is what our protocol has to agree with
(tests/hysteresis/test_plain.py) and is timed against (``just bench hysteresis-scan``), so it shares
no code with `weightdecay.hysteresis`. As in the article, every run draws its own weights and
points, the arms are not paired, and phase A is done anew for each run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from weightdecay import runs

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "hysteresis-plain"
SEEDS, WEIGHT_DECAY, ARMS = range(20), 1e-3, ("fresh", "imprint")
POINTS, PROBE_POINTS = 5000, 1000
IMPRINT_STEPS, ADAPT_STEPS, PROBE_STEPS = 300, 800, 300


class Teacher(nn.Module):
    """A core and two heads; of head B's 20 outputs the mean is fitted."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.Sequential(
            nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 32)
        )
        self.head_a, self.head_b = nn.Linear(32, 1), nn.Linear(32, 20)


def square(n: int) -> Tensor:
    """(n, 2) points, uniform in [-3, 3]^2."""
    return 6 * torch.rand(n, 2) - 3


def between(n: int, low: float, high: float) -> Tensor:
    """(n, 2) points of the square at a distance between low and high from the origin."""
    kept: list[Tensor] = []
    while sum(map(len, kept)) < n:
        x = square(n)
        r = x.norm(dim=1)
        kept.append(x[(low < r) & (r < high)])
    return torch.cat(kept)[:n]


def parity(x: Tensor) -> Tensor:
    """(n, 1): 1 where the cell's two integer coordinates add up to an even number."""
    return (x.floor().sum(1, keepdim=True).remainder(2) == 0).float()


def saddle(x: Tensor) -> Tensor:
    """(n, 1)."""
    return (x[:, :1].square() - x[:, 1:].square()) / 5


def descend(net: nn.Module, loss: Callable[[], Tensor], steps: int, lr: float, l2: float) -> None:
    """Full-batch steps of torch's Adam, whose ``weight_decay`` is an L2 penalty."""
    adam = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=l2)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        adam.step()


def imprint(teacher: Teacher, x: Tensor, steps: int = IMPRINT_STEPS) -> None:
    """Phase A: classify the cells, in the whole square."""
    y, bce = parity(x).to(x), nn.BCELoss()
    head = nn.Sequential(teacher.core, teacher.head_a, nn.Sigmoid())
    descend(teacher, lambda: bce(head(x), y), steps, 0.01, 0.0)


def adapt(teacher: Teacher, x: Tensor, decay: float, steps: int = ADAPT_STEPS) -> None:
    """Phase B: fit the mean output to the saddle, under decay."""
    y, mse = saddle(x), nn.MSELoss()
    head = nn.Sequential(teacher.core, teacher.head_b)
    descend(teacher, lambda: mse(head(x).mean(1, True), y), steps, 0.001, decay)


def probe(teacher: Teacher, x: Tensor) -> float:
    """What a student reads off the outputs at x, scored on the points it learned from."""
    with torch.no_grad():
        outputs = teacher.head_b(teacher.core(x))
    if outputs.std() < 0.001:
        return 0.5
    y, bce = parity(x), nn.BCELoss()
    student = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
    descend(student, lambda: bce(student(outputs), y), PROBE_STEPS, 0.01, 0.0)
    with torch.no_grad():
        return float(((student(outputs) > 0.5) == y).float().mean())


def run(arm: str, decay: float) -> float:
    """One network of the article, from torch's global random numbers to its accuracy."""
    teacher = Teacher()
    if arm == "imprint":
        imprint(teacher, square(POINTS))
    adapt(teacher, between(POINTS, 1.5, 3.5), decay)
    return probe(teacher, between(PROBE_POINTS, 0.0, 1.5))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    manifest = {"command": "python benchmarks/article.py", "weight_decay": WEIGHT_DECAY}
    manifest |= runs.environment()
    rows = ["seed,arm,article"]
    for seed in SEEDS:
        torch.manual_seed(seed)  # the article sets none; its arms, too, draw one after the other
        rows += [f"{seed},{arm},{run(arm, WEIGHT_DECAY):.6g}" for arm in ARMS]
        print(*rows[-2:], flush=True)
    runs.write_text(FOLDER / "results.csv", "\n".join([*rows, ""]))
    runs.write_json(FOLDER / "manifest.json", {**manifest, "ended": runs.now()})
