"""A config is checked once, and a wrong one is told in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from weightdecay import runs
from weightdecay.contraction.config import Config
from weightdecay.runs import RunError
from weightdecay.versioned import parse

VALUES = {"seed": 3, "problem": "classifier", "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"problem": "mnist"}, r"problem = 'mnist'; .*'regression', 'classifier' or 'autoencoder'"),
        ({"weight_decay": -0.1}, r"weight_decay = -0.1; .*greater than or equal to 0"),
        ({"weight_decay": float("nan")}, r"weight_decay = nan; "),
        ({"weight_decay": float("inf")}, r"weight_decay = inf; .*finite"),
        ({"seed": -1}, r"seed = -1; .*greater than or equal to 0"),
        ({"seed": "a\nb"}, r"seed = 'a\\nb'; .*integer"),
        ({"protocol": 2}, r"protocol = 2; .*1"),
        ({"arm": "own"}, r"unknown key arm; accepted: protocol, seed, problem, weight_decay$"),
    ],
)
def test_a_bad_value_is_one_line_with_key_value_and_accepted(
    changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunError) as e:
        parse(Config, {**VALUES, **changed}, "some.yaml")
    assert re.match(f"some.yaml: {says}", str(e.value)), e.value
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.parametrize("key", VALUES)
def test_a_missing_key_is_named(key: str) -> None:
    values = {k: v for k, v in VALUES.items() if k != key}
    with pytest.raises(RunError, match=f"^some.yaml: {key} is missing$"):
        parse(Config, values, "some.yaml")


def test_the_written_config_is_read_back_as_it_was(tmp_path: Path) -> None:
    full = parse(Config, VALUES, "").model_dump()
    assert full == {"protocol": 1, **VALUES}
    runs.write_yaml(tmp_path / "config.yaml", full)
    assert parse(Config, runs.read_yaml(tmp_path / "config.yaml"), "").model_dump() == full
