"""Imprint and adapt: what is paired, what is kept, what is refused, and the loss-scale identities.

The phases run at a few steps on a few points here; `test_plain.py` has them at full length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from weightdecay import rules
from weightdecay.hysteresis import audit, config, protocol, tasks, teacher
from weightdecay.hysteresis.config import PROTOCOL, Config
from weightdecay.hysteresis.protocol import adapt
from weightdecay.runs import Json, RunError
from weightdecay.versioned import parse

FULL = protocol.IMPRINT_STEPS


@pytest.fixture(autouse=True)
def short_phase_a(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", 3)


def run(**changes: Any) -> Config:
    values = {"seed": 0, "arm": "fresh", "weight_decay": 1e-3, "steps": 4, "points": 64, **changes}
    return Config.model_validate(values)


# ---------------------------------------------------------------------------------------- config


def test_the_defaults_are_the_articles_script() -> None:
    """Coupled L2, saddle, blind disc, 800 full-batch steps on 5000 points."""
    c = parse(config.Config, {"seed": 0, "arm": "imprint", "weight_decay": 1e-3}, "x")
    assert (c.rule, c.task, c.blind, c.loss_scale, c.steps, c.points) == (
        "adam_l2", "saddle", True, 1.0, 800, 5000,
    )  # fmt: skip
    assert (FULL, protocol.IMPRINT_LR, protocol.ADAPT_LR) == (300, 1e-2, 1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight_decay": -1e-3}, ["weight_decay = -0.001", "greater than or equal to 0"]),
        ({"weight_decay": float("nan")}, ["weight_decay = nan", "finite"]),
        ({"weight_decay": float("inf")}, ["weight_decay = inf", "finite"]),
        ({"arm": "control"}, ["arm = 'control'", "'fresh', 'imprint', 'norm_matched'"]),
        ({"rule": "sgd"}, ["rule = 'sgd'", "adam_l2"]),
        ({"task": "donut"}, ["task = 'donut'", "saddle"]),
        ({"loss_scale": 0.0}, ["loss_scale = 0.0", "greater than 0"]),
        ({"steps": -1}, ["steps = -1"]),
        ({"points": 0}, ["points = 0"]),
        ({"seed": -1}, ["seed = -1"]),
        ({"decay": 1e-3}, ["unknown key decay", "weight_decay"]),
        ({"protocol": PROTOCOL + 1}, [f"protocol = {PROTOCOL + 1}", f"should be {PROTOCOL}"]),
    ],
)
def test_a_bad_value_gets_one_line_with_file_key_value_and_what_is_accepted(
    change: Json, words: list[str]
) -> None:
    """Nothing is trained under settings that make no sense."""
    good: Json = {"seed": 0, "arm": "fresh", "weight_decay": 1e-3}
    parse(config.Config, good, "there.yaml")
    with pytest.raises(RunError) as e:
        parse(config.Config, {**good, **change}, "there.yaml")
    message = str(e.value)
    assert "\n" not in message
    for word in ["there.yaml", *words]:
        assert word in message


def test_a_missing_key_is_named() -> None:
    """As no seed or arm is meant by default."""
    with pytest.raises(RunError, match=r"there\.yaml: arm is missing"):
        parse(config.Config, {"seed": 0, "weight_decay": 0.0}, "there.yaml")


# --------------------------------------------------------------------------------------- pairing


Call = tuple[Tensor, Tensor, Tensor, teacher.Fit]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every phase that is trained: weights, points, targets, settings."""
    calls: list[Call] = []
    real = teacher.fit

    def spy(flat: Tensor, x: Tensor, y: Tensor, phase: teacher.Fit) -> tuple[Tensor, Tensor]:
        calls.append((flat.clone(), x, y, phase))
        return real(flat, x, y, phase)

    monkeypatch.setattr(teacher, "fit", spy)
    return calls


def test_every_arm_of_a_seed_has_the_same_fresh_weights_and_the_same_points(
    fits: list[Call],
) -> None:
    """So that the difference of two arms is paired: phase A starts from the control's weights, and
    phase B sees one set of points whatever the arm, the decay or the rule."""
    for arm in audit.STARTS:
        adapt([run(arm=arm, seed=6)])
    adapt([run(seed=6, weight_decay=0.3, rule="adamw", loss_scale=3.0)])
    first = [c for c in fits if c[3].head == "head_a"]
    second = [c for c in fits if c[3].head == "head_b"]
    assert len(second) == len(audit.STARTS) + 1
    assert all(torch.equal(c[0][0], teacher.initial(6)) for c in first)
    assert all(torch.equal(c[1], first[0][1]) for c in first)
    assert all(torch.equal(c[1], second[0][1]) for c in second)
    assert torch.equal(second[0][0][0], teacher.initial(6))


def test_the_phases_are_fitted_as_the_article_fits_them(fits: list[Call]) -> None:
    """Phase A: labels of the whole square, no decay. Phase B: the saddle outside of the disc."""
    adapt([run(arm="imprint", points=500)])
    (_, x_a, y_a, a), (_, x_b, y_b, b) = fits
    assert (a.head, a.lr, a.rule, a.weight_decay.tolist()) == ("head_a", 1e-2, rules.adam_l2, [0])
    assert torch.equal(y_a, tasks.checkerboard(x_a))
    assert bool((x_a.norm(dim=-1) < 1.5).any())
    assert (b.head, b.lr, b.steps) == ("head_b", 1e-3, 4)
    assert b.weight_decay.tolist() == pytest.approx([1e-3])
    assert torch.equal(y_b, tasks.saddle(x_b))
    assert float(x_b.norm(dim=-1).min()) > 1.5
    assert float(x_b.norm(dim=-1).max()) < 3.5


def test_the_disc_that_is_not_blind_and_the_scrambled_task_change_phase_b_only(
    fits: list[Call],
) -> None:
    """Points inside the disc, still none beyond the outer radius; other targets."""
    adapt([run(blind=False, points=500)])
    adapt([run(task="scrambled", points=500)])
    (_, seen, _, _), (_, x, y, _) = fits
    assert bool((seen.norm(dim=-1) < 1.5).any())
    assert float(seen.norm(dim=-1).max()) < 3.5
    assert torch.equal(y[0], tasks.scrambled(x[0], 0))


def test_runs_trained_together_end_where_each_ends_alone(tmp_path: Path) -> None:
    """Seeds (one twice), decays and scales of the loss mixed in one call."""
    configs = [
        run(arm="imprint", seed=s, weight_decay=w, loss_scale=c)
        for s, w, c in [(4, 0.5, 1.0), (1, 0.0, 2.0), (4, 0.0, 1.0)]
    ]
    together = adapt(configs)
    for i, one in enumerate(configs):
        alone = adapt([one])
        torch.testing.assert_close(together.start[i], alone.start[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(together.end[i], alone.end[0], rtol=0, atol=1e-5)
        assert float(together.loss[i]) == pytest.approx(float(alone.loss[0]), rel=1e-5)
    assert float((together.end[0] - together.end[2]).abs().max()) > 1e-4


@pytest.mark.parametrize(
    "change",
    [{"arm": "imprint"}, {"rule": "adamw"}, {"task": "scrambled"}, {"blind": False}, {"steps": 5},
     {"points": 65}],
)  # fmt: skip
def test_runs_that_are_not_alike_are_refused(change: Json) -> None:
    """Replicas share one program; a config must not be trained as its neighbor's."""
    with pytest.raises(ValueError, match="seed, weight_decay and loss_scale only"):
        adapt([run(), run(seed=1, **change)])


def test_a_start_without_steps_is_given_back() -> None:
    """0 steps: what the probes then read is the start itself."""
    found = adapt([run(arm="imprint", steps=0)])
    assert torch.equal(found.start, found.end)
    assert found.loss.isnan().all()


# -------------------------------------------------------------------------------- kept imprints


Imprint = Callable[[Sequence[int], str, int, str], Tensor]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], str]]:
    """Seeds and task of every phase A that is trained."""
    calls: list[tuple[list[int], str]] = []
    real = protocol.imprint

    def spy(seeds: Sequence[int], task: str, points: int, device: str = "cpu") -> Tensor:
        calls.append((list(seeds), task))
        return real(seeds, task, points, device)

    monkeypatch.setattr(protocol, "imprint", spy)
    return calls


def test_phase_a_is_done_once_a_seed_and_kept(
    tmp_path: Path, made: list[tuple[list[int], str]]
) -> None:
    """Other decays, rules and arms find it; a new seed costs that seed; the result is the same bit
    for bit as without the folder."""
    first = adapt([run(arm="imprint")], imprints=tmp_path)
    adapt([run(arm="imprint", weight_decay=0.1)], imprints=tmp_path)
    adapt([run(arm="norm_matched", rule="adamw")], imprints=tmp_path)
    assert made == [([0], "checkerboard")]
    adapt([run(arm="imprint", seed=s) for s in (2, 0)], imprints=tmp_path)
    assert made[1:] == [([2], "checkerboard")]
    assert torch.equal(first.end, adapt([run(arm="imprint")]).end)


def test_what_would_change_the_imprint_is_not_read_back(
    tmp_path: Path, made: list[tuple[list[int], str]]
) -> None:
    """Another task or number of points is another file."""
    adapt([run(arm="imprint")], imprints=tmp_path)
    adapt([run(arm="smooth")], imprints=tmp_path)
    adapt([run(arm="imprint", points=65)], imprints=tmp_path)
    assert [task for _, task in made] == ["checkerboard", "smooth", "checkerboard"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_broken_kept_file_is_named_in_one_line_and_left(tmp_path: Path, damage: str) -> None:
    """Never trained on, never overwritten in silence: the line says that deleting it is safe, and
    it is."""
    whole = adapt([run(arm="imprint")], imprints=tmp_path)
    (path,) = tmp_path.iterdir()
    content = {"cut": path.read_bytes()[:200], "empty": b"", "text": b"not weights at all"}[damage]
    path.write_bytes(content)
    with pytest.raises(RunError) as e:
        adapt([run(arm="imprint")], imprints=tmp_path)
    message = str(e.value)
    assert "\n" not in message
    assert str(path) in message
    assert "delete it" in message
    assert path.read_bytes() == content
    path.unlink()
    assert torch.equal(adapt([run(arm="imprint")], imprints=tmp_path).end, whole.end)


def test_phase_a_learns_the_checkerboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its full length, on 500 points: most are classified, as before training they are not."""
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", FULL)
    x = tasks.domain(500, tasks.generator(0, "phase A"))
    wanted = tasks.checkerboard(x) > 0.5

    def accuracy(flat: Tensor) -> float:
        return float(((teacher.features(flat, x)["logit"] > 0) == wanted).double().mean())

    assert accuracy(teacher.initial(0)) < 0.6
    assert accuracy(protocol.imprint([0], "checkerboard", 500)[0]) > 0.8


# ------------------------------------------------------------------------- loss-scale identities


def apart(one: Config, two: Config) -> float:
    """Norm of the difference of where two runs end, as a part of the way that the first went."""
    found = adapt([one, two])
    return float((found.end[0] - found.end[1]).norm() / (found.end[0] - found.start[0]).norm())


def test_adamw_does_not_see_the_scale_of_the_loss() -> None:
    """AdamW(c L, lambda) is AdamW(L, lambda), but for Adam's epsilon; another decay is far off."""
    one = run(rule="adamw", weight_decay=3.0, steps=8)
    assert apart(one, one.model_copy(update={"loss_scale": 10.0})) < 0.02
    assert apart(one, one.model_copy(update={"weight_decay": 0.3})) > 0.2


def test_under_adam_with_l2_a_scaled_loss_divides_the_decay() -> None:
    """Adam(c L, lambda) is Adam(L, lambda / c); with the same lambda it is another run."""
    scaled = run(weight_decay=1.0, loss_scale=10.0, steps=8)
    assert apart(scaled, run(weight_decay=0.1, steps=8)) < 1e-3
    assert apart(scaled, run(weight_decay=1.0, steps=8)) > 0.2
