"""What is measured of a run once phase B is over: probes, norms, and how the tasks are done."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightdecay.hysteresis import probe, tasks, teacher
from weightdecay.hysteresis.audit import IMPRINTED
from weightdecay.hysteresis.config import Config
from weightdecay.hysteresis.protocol import Adapted
from weightdecay.runs import Json

POINTS = 4000
MATRICES = ("core.0.weight", "core.2.weight", "core.4.weight", "head_b.weight")


def measure(configs: Sequence[Config], adapted: Adapted) -> list[Json]:
    """The numbers of each run, by their columns."""
    seeds = [c.seed for c in configs]
    read = probe.readings(adapted.end, seeds)
    probes = [
        probe.article(read, seeds),
        probe.audit(read, seeds, coordinates=configs[0].steps == 0),
        probe.geometry(read, "outputs"),
        probe.geometry(read, "core"),
    ]
    rows: list[Json] = []
    for i, config in enumerate(configs):
        one = Adapted(adapted.start[i], adapted.end[i], adapted.loss[i])
        row: Json = {}
        for part in [*(found[i] for found in probes), _network(config, one)]:
            row |= part
        rows.append(row)
    return rows


def _network(config: Config, run: Adapted) -> dict[str, float]:
    """Of one network (P,): losses, norms, and the old head where the arm has one."""
    rng = tasks.generator(config.seed, "measure")
    target = tasks.ADAPTATIONS[config.task]
    found = {"loss": float(run.loss)}
    for name, sample in (("donut", tasks.donut), ("disc", tasks.blind_disc)):
        x = sample(POINTS, rng).to(run.end)
        y = teacher.features(run.end, x)["outputs"].mean(-1, keepdim=True)
        found[f"loss/{name}"] = float(((y - target(x, config.seed)) ** 2).mean())
    fitted = teacher.TRAINED["head_b"]
    found |= {
        "norm/start": float(run.start[fitted].norm()),
        "norm/end": float(run.end[fitted].norm()),
    }
    start, end = teacher.tensors(run.start), teacher.tensors(run.end)
    for name in MATRICES:
        found[f"norm/start/{name}"] = float(start[name].norm())
        found[f"norm/end/{name}"] = float(end[name].norm())
    if (imprinted := IMPRINTED.get(config.arm)) is not None:
        labels = tasks.IMPRINTS[imprinted]
        for name, sample in (("square", tasks.domain), ("disc", tasks.blind_disc)):
            x = sample(POINTS, rng).to(run.end)
            y = labels(x, config.seed) > 0.5
            for when, flat in (("start", run.start), ("end", run.end)):
                found[f"head A/{name}/{when}"] = _accuracy(flat, x, y)
    return found


def _accuracy(flat: Tensor, x: Tensor, y: Tensor) -> float:
    logit = teacher.features(flat, x)["logit"]
    return float(((logit > 0) == y).to(torch.float64).mean())
