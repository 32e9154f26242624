"""Run directories for tests: constructed ones with chosen numbers, and really trained short ones.

A constructed run has every key of a trained one (`test_recipe.py` compares them) and moves in a
straight line from the numbers of an untrained model to those asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from weightdecay import runs
from weightdecay.minitrain import corpus
from weightdecay.minitrain.config import Config, parse
from weightdecay.minitrain.metrics import GROUPS
from weightdecay.runs import Json, Run

NORMS = {"embedding": 1.28, "qk": 2.56, "vo": 2.58, "mlp": 5.15, "gains": 17.9}
BLOCK = ("q", "k", "v", "o", "mlp_in", "mlp_out")
MATRICES = ("embedding", *(f"block{i}.{name}" for i in (0, 1) for name in BLOCK))
ACCURACIES = [
    f"accuracy/{split}/{name}"
    for split in ("train", "val")
    for name in ("regular", "irregular", *corpus.TENSES)
]
LOSSES = ("loss", "loss_features", "loss_form")
HASH = "b414a2efa88ce994b63dfb1f98e6c0eb4d33eb90b4fa9e8e7f690f9192cb32d6"


def _start() -> Json:
    """The numbers of an untrained model."""
    return {
        **{f"{split}_{loss}": 4.15 for loss in LOSSES for split in ("train", "val")},
        **{f"gap{part}": 0.0 for part in ("", "_features", "_form")},
        **dict.fromkeys(ACCURACIES, 0.0),
        **{f"norm/{k}": v for k, v in NORMS.items()},
        **{f"growth/{k}": 1.0 for k in GROUPS},
        **{f"spectral/{name}": 0.3 for name in MATRICES},
    }


def _end(decay: float) -> Json:
    """The numbers of a model that learned."""
    return {
        "train_loss": 0.2,
        "train_loss_features": 1.2,
        "train_loss_form": 0.01,
        "val_loss": 0.6,
        "val_loss_features": 3.5,
        "val_loss_form": 0.1,
        "gap": 0.4,
        "gap_features": 0.31,
        "gap_form": 0.09,
        **{k: 1.0 if "train" in k else 0.8 for k in ACCURACIES},
        **{f"norm/{k}": 2 * v for k, v in NORMS.items()},
        **{f"growth/{k}": 1.1 for k in GROUPS},
        **{f"spectral/{name}": 1.5 for name in MATRICES},
        "dose": 3.3 * decay,
    }


def _sha256(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def nested(changes: Mapping[str, Any], base: Json) -> Json:
    """`base` with dotted keys replaced."""
    copy: Json = json.loads(json.dumps(base))
    for key, value in changes.items():
        *sections, name = key.split(".")
        at = copy
        for section in sections:
            at = at[section]
        at[name] = value
    return copy


def config(decay: float = 0.1, **changes: Any) -> Config:
    """A recipe of 200 steps; further keys are dotted, given as ``**{"model.d_ff": 128}``."""
    base = {
        "seed": 42,
        "optimizer": {"weight_decay": decay, "warmup_steps": 5},
        "model": {},
        "training": {"steps": 200, "eval_every": 50},
    }
    return parse(nested(changes, base), "test")


def construct(
    directory: Path,
    decay: float = 0.1,
    final: Mapping[str, float | None] = {},
    *,
    changes: Mapping[str, Any] = {},
    manifest: Mapping[str, Any] = {},
    wrong: int | Sequence[int] = 12,
    stop: int | None = None,
    diverged: bool = False,
) -> Path:
    """Write a run that ends with the numbers in `final`; the directory.

    `changes` and `manifest` replace dotted keys of the config and the manifest, `wrong` says which
    validation cells (or how many, from the first) the model gets wrong, `stop` leaves the run
    unfinished after that step, and `diverged` makes its last evaluation one without numbers.
    """
    checked = config(decay, **changes)
    t, o = checked.training, checked.optimizer
    facts = {
        "experiment": "18-break-weight-decay",
        "seed": checked.seed,
        "data_sha256": HASH,
        "initial_weights_sha256": _sha256(checked.seed, checked.model.model_dump()),
        "batch_order_sha256": _sha256(checked.seed, t.batch_size, t.steps),
        "parameters": 103680,
        "entropy_floor": 0.196,
        "baselines": {
            "unigram": {"train": 3.228, "val": 3.192},
            "trigram": {"train": 1.815, "val": 1.935},
        },
        "versions": {"weightdecay": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu"},
        "git_commit": None,
        "host": {"machine": "x86_64", "system": "Linux", "cpus": 2},
        "threads": 1,
        "started": "2026-01-01T00:00:00+00:00",
        "ended": None if stop is not None else "2026-01-01T00:00:30+00:00",
        **({} if stop is not None else {"resumed": False}),
    }
    assert not runs.prepare(directory, checked.model_dump(), nested(manifest, facts))
    start, end = _start(), {**_end(decay), **final}
    records: list[Json] = []
    for step in range(0, (t.steps if stop is None else stop) + 1, 10):
        share = step / t.steps
        if step:
            norm = 1 - 0.9 * share
            records.append(
                {"kind": "step", "step": step, "batch_loss": 4 - 3 * share, "grad_norm": norm}
            )
        if step % t.eval_every and step != t.steps:
            continue
        lost = diverged and step == t.steps
        values = {
            k: None if lost or v is None else start.get(k, 0.0) * (1 - share) + v * share
            for k, v in end.items()
        }
        after = {
            **{f"calibration/{k}": 1.1 for k in ("embedding", "all")},
            **{f"update/{k}": 0.01 for k in GROUPS},
        }
        records.append(
            {
                "kind": "eval",
                "step": step,
                "epoch": step * t.batch_size / 240,
                "learning_rate": o.learning_rate,
                "grad_norm": 1 - 0.9 * share if step else None,
                "steps_per_second": 50.0 if step else None,
                **values,
                **(after if step else {}),
            }
        )
    lines = "".join(json.dumps(r) + "\n" for r in records)
    (directory / runs.METRICS).write_text(lines, "utf-8")
    if stop is None:
        runs.write_json(directory / runs.RESULTS, _results(records[-1], wrong, diverged))
    return directory


def _results(record: Json, wrong: int | Sequence[int], diverged: bool) -> Json:
    cells = corpus.split("val")
    numbers = range(wrong) if isinstance(wrong, int) else wrong
    return {
        "final": {k: v for k, v in record.items() if k not in ("kind", "steps_per_second")},
        "diverged_at": record["step"] if diverged else None,
        "mistakes": [
            {
                "lemma": s.lemma,
                "tense": s.tense,
                "person": s.person,
                "split": s.split,
                "expected": s.text,
                "written": "x",
            }
            for s in (cells[i] for i in numbers)
        ],
    }


def run(directory: Path, decay: float = 0.1, **options: Any) -> Run:
    """A constructed run, read back."""
    return runs.load(construct(directory, decay, **options))


SHORT = """\
seed: 42
model: {d_model: 16, n_head: 2, n_layer: 1, d_ff: 32}
optimizer: {learning_rate: 0.01, warmup_steps: 5}
training: {steps: 40, batch_size: 8, eval_every: 10, checkpoint_every: 20}
"""
_trained: list[Path] = []


def trained_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Control and break of the `SHORT` recipe, really trained, once for all test files."""
    if not _trained:
        from weightdecay.minitrain import config as config_file
        from weightdecay.minitrain import loop

        parent = tmp_path_factory.mktemp("trained")
        recipe = parent / "short.yaml"
        recipe.write_text(SHORT, "utf-8")
        for name, decay in (("18-control", 0.1), ("18-break-wd0", 0.0)):
            checked = config_file.read(recipe, optimizer={"weight_decay": decay})
            _trained.append(loop.train(checked, parent / name, quiet=True).path)
    control, broken = _trained
    return control, broken
