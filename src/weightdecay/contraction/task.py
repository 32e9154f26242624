"""The experiment as a task of `weightdecay.sweep`: ``just sweep experiments/contraction-jacobian``.

A run is one problem, seed and decay. It trains a decayed network and those that it is compared
with, each a row of the table, told by ``arm``:

``loss_matched``  without decay, stopped when its training loss has first come down to where the
                  decayed network ends; where it never does (``reached`` is false), its end
``norm_matched``  without decay, its matrices rescaled at the end to the decayed network's norms
``norm_held``     without decay, but after each step every matrix is rescaled to the norm that it
                  has after that step in the decayed network
``l2_init``       decayed as much, but toward the initial weights
``own``           the decayed network; without decay there is this one only
"""

from __future__ import annotations

from pathlib import Path

from weightdecay import runs, versioned
from weightdecay.contraction.config import PROTOCOL, Config
from weightdecay.plan import Row, Task
from weightdecay.runs import Json

NAME = "contraction"


def check(config: Json, source: str) -> Json:
    """The full config."""
    return versioned.parse(Config, config, source).model_dump()


def train(values: Json, directory: Path) -> None:
    """One run. It takes seconds, so an unfinished one starts again."""
    config = versioned.parse(Config, values, str(directory))
    manifest = {**runs.environment(), "device": "cpu"}
    runs.prepare(directory, config.model_dump(), manifest, force=True)
    versioned.finish(directory, PROTOCOL, {"rows": compared(config)})


def compared(config: Config) -> list[Row]:
    """The rows of a run."""
    from weightdecay.contraction import problems  # torch is imported in the worker only
    from weightdecay.contraction import train as training
    from weightdecay.contraction.measure import measure
    from weightdecay.decay import cumulative_dose

    seed, decay = config.seed, config.weight_decay
    problem = problems.make(config.problem, seed)
    norms: list[list[float]] = []  # after each step
    own, steps = training.train(
        problem, seed, decay, after=lambda m: norms.append(training.matrix_norms(m))
    )
    models = {"own": (own, steps)}
    if decay:
        target = training.train_loss(own, problem)
        undecayed, _ = training.train(problem, seed, 0.0)
        held = iter(norms)
        models = {
            "loss_matched": training.train(problem, seed, 0.0, until=target),
            "norm_matched": (training.norm_matched(undecayed, own), steps),
            "norm_held": training.train(
                problem, seed, 0.0, after=lambda m: training.hold(m, next(held))
            ),
            "l2_init": training.train(problem, seed, decay, to_init=True),
            **models,  # last, as `just reproduce` compares the last row
        }
    doses = {arm: decay if arm in ("own", "l2_init") else 0.0 for arm in models}
    found: list[Row] = []
    for arm, (model, taken) in models.items():
        dose = cumulative_dose(training.rates(steps), doses[arm])[-1]
        row: Row = {"arm": arm, "dose": dose, "steps": taken}
        row |= measure(model, problem, config.problem, seed)
        if arm == "loss_matched":
            row["reached"] = training.train_loss(model, problem) <= target
        found.append(row)
    return found


def rows(directory: Path) -> list[Row]:
    """One row an arm, that of the decayed network last."""
    table: list[Row] = versioned.finished(directory, PROTOCOL)["rows"]
    return table


TASK = Task(check, train, rows)
