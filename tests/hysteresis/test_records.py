"""Committed results, asked by arm: the right rows in the order of the seeds, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightdecay import results
from weightdecay.hysteresis import records
from weightdecay.runs import RunError

# Rows out of order; the first table leaves out what it has as the article has it.
TABLES = {
    "hysteresis-scan": """arm,weight_decay,seed,article
fresh,0.001,2,0.52
fresh,0.001,0,0.50
fresh,0.001,1,0.51
imprint,0.001,1,0.81
imprint,0.001,0,0.70
imprint,0.001,2,0.92
imprint,0.01,0,0.60
imprint,0.01,1,0.61
""",
    "hysteresis-audit": """arm,weight_decay,rule,blind,steps,seed,article
imprint,1.0,adamw,true,800,0,0.31
imprint,1.0,adamw,true,800,1,0.32
imprint,0.001,adam_l2,false,800,0,0.41
imprint,0.001,adam_l2,false,800,1,0.42
shuffled,0.001,adam_l2,true,800,0,0.21
shuffled,0.001,adam_l2,true,800,1,0.22
shuffled,0.001,adam_l2,true,0,0,0.11
shuffled,0.001,adam_l2,true,0,1,0.12
""",
    "hysteresis-erasers": """arm,weight_decay,steps,seed,article
top_reset,0.0001,800,0,0.71
top_reset,0.0001,800,1,0.72
""",
}


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in TABLES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_text(text)
    monkeypatch.setattr(records, "table", lambda name: results.read(tmp_path / name))


def test_values_are_in_the_order_of_the_seeds() -> None:
    """Whatever the order of the rows: so two arms pair up."""
    assert records.values("article", "fresh") == [0.50, 0.51, 0.52]
    assert records.values("article", "imprint") == [0.70, 0.81, 0.92]


def test_a_key_that_a_table_leaves_out_is_as_the_article_has_it() -> None:
    """The scan's rows are coupled L2, and no one else's: changed runs come from where they are, and
    unchanged ones are not mixed with those of the same arm in the audit."""
    assert records.values("article", "imprint", 0.01) == [0.60, 0.61]
    assert records.values("article", "imprint", 1.0, rule="adamw") == [0.31, 0.32]
    assert records.values("article", "imprint", blind=False) == [0.41, 0.42]
    assert records.values("article", "shuffled") == [0.21, 0.22]
    assert records.values("article", "shuffled", steps=0) == [0.11, 0.12]
    assert records.values("article", "top_reset", 1e-4) == [0.71, 0.72]


def test_a_difference_is_paired_and_has_its_sign() -> None:
    """Arm less the other, seed by seed: 20, 30, 40 points."""
    found = records.difference("article", "imprint", "fresh")
    assert found.n == 3
    assert found.mean == pytest.approx(0.30)
    # Student: 0.3 +- 4.303 * 0.1 / sqrt(3); unpaired it would be wider.
    assert (found.low, found.high) == pytest.approx((0.3 - 0.2484, 0.3 + 0.2484), abs=1e-3)
    back = records.difference("article", "fresh", "imprint")
    assert back.mean == pytest.approx(-0.30)


def test_runs_that_no_experiment_has_are_refused_by_name() -> None:
    """No neighboring setting is taken in their place."""
    with pytest.raises(RunError, match=r"arm = shuffled, weight_decay = 0\.01, rule = adamw"):
        records.values("article", "shuffled", 0.01, rule="adamw")
    with pytest.raises(RunError, match="no experiment of the part has runs"):
        records.values("article", "fresh", loss_scale=10.0)


def test_a_column_that_is_not_there_is_refused_by_name() -> None:
    """With those that are."""
    with pytest.raises(RunError, match="no column accuracy"):
        records.values("accuracy", "fresh")
