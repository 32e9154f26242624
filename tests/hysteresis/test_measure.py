"""A row says of each run what its columns promise, whatever the company it was measured in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from weightdecay.hysteresis import audit, measure, probe, protocol, scan, tasks, teacher
from weightdecay.hysteresis.config import PROTOCOL, Config
from weightdecay.hysteresis.protocol import Adapted
from weightdecay.runs import Json, RunError, write_json

HEAD = ("head A/square/start", "head A/square/end", "head A/disc/start", "head A/disc/end")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few points and steps: what is tested here is which number goes where."""
    for name, value in {"POINTS": 60, "TEST_POINTS": 80, "STEPS": 4}.items():
        monkeypatch.setattr(probe, name, value)
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", 2)
    probe.points.cache_clear()
    yield
    probe.points.cache_clear()


def run(**changes: Any) -> Config:
    values = {"seed": 0, "arm": "fresh", "weight_decay": 1e-3, "steps": 3, "points": 64, **changes}
    return Config.model_validate(values)


def rows(*configs: Config) -> tuple[list[Json], Adapted]:
    adapted = protocol.adapt(configs)
    return measure.measure(configs, adapted), adapted


def test_every_arm_has_the_same_columns_but_for_the_head_that_has_learned() -> None:
    """Head A is scored where phase A trained it, on the labels it was trained on, and nowhere
    else."""
    columns = {arm: set(rows(run(arm=arm))[0][0]) for arm in audit.STARTS}
    for arm, found in columns.items():
        assert found - set(HEAD) == columns["fresh"]
        assert found >= set(HEAD) if arm in audit.IMPRINTED else not found & set(HEAD)
    assert columns["fresh"] >= {
        "article", "article/no rule", "article/fresh", "outputs/std", "loss", "loss/donut",
        "loss/disc", "norm/start", "norm/end", "linear/outputs/checkerboard",
        "mlp/core/random_cells", "mlp/whitened/checkerboard", "R2/outputs", "R2/core",
        "dimensions/outputs", "dimensions/core",
    }  # fmt: skip


def test_the_ceiling_is_measured_only_where_nothing_is_trained() -> None:
    """It depends on the seed alone."""
    ceiling = "mlp/coordinates/checkerboard"
    assert ceiling in rows(run(steps=0))[0][0]
    assert ceiling not in rows(run())[0][0]


def test_norms_are_those_of_what_phase_b_fits() -> None:
    """Of the weights as a whole without head A, which the phase neither fits nor decays, and of
    each matrix."""
    (row,), adapted = rows(run(arm="norm_matched", weight_decay=0.5))
    for when, flat in (("start", adapted.start[0]), ("end", adapted.end[0])):
        named = {k: w for k, w in teacher.tensors(flat).items() if "head_a" not in k}
        total = sum(float(w.double().norm()) ** 2 for w in named.values()) ** 0.5
        assert row[f"norm/{when}"] == pytest.approx(total, rel=1e-5)
        for name in ("core.0.weight", "core.2.weight", "core.4.weight", "head_b.weight"):
            assert row[f"norm/{when}/{name}"] == pytest.approx(float(named[name].norm()), rel=1e-5)
    assert row["norm/end"] != row["norm/start"]


def constant(value: float) -> Tensor:
    """(P,) a network whose every output is this, wherever it is asked."""
    flat = torch.zeros(teacher.PARAMETERS)
    named = teacher.tensors(flat)
    named["head_b.bias"].fill_(value)
    named["head_a.bias"].fill_(value)
    return flat


def test_the_losses_are_of_the_mean_output_in_their_regions() -> None:
    """A network that answers 2 is wrong by (2 - z)^2; for z the saddle, whose mean is 0 in both
    regions, that is 4 + the mean of z^2: in the disc 1.5^4 / 150 = 0.034, by its integral."""
    end = constant(2.0)[None]
    (row,) = measure.measure([run(steps=1)], Adapted(end, end, torch.tensor([7.0])))
    assert row["loss"] == 7
    assert row["loss/disc"] == pytest.approx(4 + 1.5**4 / 150, abs=0.06)
    x = tasks.donut(20_000, torch.Generator().manual_seed(9))
    wanted = 4 + float((tasks.saddle(x) ** 2).mean())
    assert row["loss/donut"] == pytest.approx(wanted, abs=0.2)
    (other,) = measure.measure(
        [run(steps=1, task="scrambled")], Adapted(end, end, torch.tensor([7.0]))
    )
    assert other["loss/disc"] > row["loss/disc"] + 0.1


def test_the_old_head_is_scored_at_start_and_end_on_its_own_task() -> None:
    """One that says "always 1" is right on the share of ones: half of the square for the smooth
    task and the checkerboard; "always 0" on the other half."""
    yes, no = constant(1.0)[None], constant(-1.0)[None]
    for arm, task in audit.IMPRINTED.items():
        (row,) = measure.measure([run(arm=arm)], Adapted(yes, no, torch.zeros(1)))
        for region, sample in (("square", tasks.domain), ("disc", tasks.blind_disc)):
            x = sample(20_000, torch.Generator().manual_seed(3))
            ones = float((tasks.IMPRINTS[task](x, 0) > 0.5).double().mean())
            assert row[f"head A/{region}/start"] == pytest.approx(ones, abs=0.04), (arm, region)
            assert row[f"head A/{region}/end"] == pytest.approx(1 - ones, abs=0.04), (arm, region)


def test_a_head_that_has_learned_its_task_is_right_about_that_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The smooth task is easy, and half of its labels are not the checkerboard's."""
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", 100)
    ((row,), _) = rows(run(arm="smooth", points=500, steps=0))
    for name in HEAD:
        assert row[name] > 0.9, name


def test_a_row_belongs_to_its_run_in_any_company() -> None:
    """Three runs together, in two orders: each run's numbers are its own."""
    configs = [
        run(arm="imprint", seed=s, weight_decay=w) for s, w in [(0, 0.0), (1, 0.0), (0, 9.0)]
    ]
    adapted = protocol.adapt(configs)
    found = measure.measure(configs, adapted)
    order = [2, 0, 1]
    turned = Adapted(adapted.start[order], adapted.end[order], adapted.loss[order])
    again = measure.measure([configs[i] for i in order], turned)
    for place, i in enumerate(order):
        assert again[place] == pytest.approx(found[i], rel=1e-3, abs=0.06)
        for exact in ("norm/start", "norm/end", "loss", "loss/disc", "head A/square/end"):
            assert again[place][exact] == pytest.approx(found[i][exact], rel=1e-5)
    assert found[0]["norm/end"] != pytest.approx(found[2]["norm/end"], rel=1e-4)
    assert found[0]["loss/donut"] != pytest.approx(found[1]["loss/donut"], rel=1e-4)


def test_rows_of_another_version_are_refused(tmp_path: Any) -> None:
    """In one line that names the file; those of this version are one row."""
    write_json(tmp_path / "results.json", {"protocol": PROTOCOL, "article": 0.5})
    assert scan.rows(tmp_path) == [{"protocol": PROTOCOL, "article": 0.5}]
    for other in ({"protocol": PROTOCOL + 1}, {}):
        write_json(tmp_path / "results.json", other)
        with pytest.raises(RunError, match=f"expected {PROTOCOL}: .*do not mix") as e:
            scan.rows(tmp_path)
        assert str(tmp_path / "results.json") in str(e.value)
