"""What differs between runs: the config's keys, and what a manifest says behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.minitrain.factory import run
from weightdecay.minitrain import differences

EQUAL = "The runs have the same configuration, data, initial weights and batch order."


def test_equal_runs_are_said_to_be_equal(tmp_path: Path) -> None:
    pair = [run(tmp_path / "a"), run(tmp_path / "b")]
    assert differences.sentence(pair) == EQUAL
    assert differences.table(pair) == {}
    assert differences.hidden(pair) == []


def test_one_key_is_named_with_both_values_in_the_order_of_the_runs(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", 0.1), run(tmp_path / "b", 0.0)
    one = "The runs differ in exactly one key: optimizer.weight_decay "
    assert differences.sentence([a, b]) == one + "0.1 → 0.0."
    assert differences.sentence([b, a]) == one + "0.0 → 0.1."
    assert differences.table([a, b]) == {"optimizer.weight_decay": [0.1, 0.0]}


def test_several_keys_are_a_warning_that_names_every_one(tmp_path: Path) -> None:
    a = run(tmp_path / "a", 0.1)
    b = run(tmp_path / "b", 0.0, changes={"seed": 43, "training.batch_size": 16})
    sentence = differences.sentence([a, b])
    assert sentence.startswith("Warning: the runs differ in 3 things: ")
    for part in ("seed 42 → 43", "optimizer.weight_decay 0.1 → 0.0", "batch_size 32 → 16"):
        assert part in sentence


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [
        ("data_sha256", "0" * 64, "tokeniser, sentences or split"),
        ("versions.torch", "2.12.0", "torch version"),
        ("threads", 2, "number of threads"),
        ("initial_weights_sha256", "0" * 64, "initial weights"),
        ("batch_order_sha256", "0" * 64, "batch order"),
    ],
)
def test_a_difference_that_no_key_explains_is_a_warning(
    tmp_path: Path, fact: str, value: Any, words: str
) -> None:
    a, b = run(tmp_path / "a", 0.1), run(tmp_path / "b", 0.0, manifest={fact: value})
    assert differences.hidden([a, b]) == [words]
    assert differences.sentence([a, b]) == (
        f"Warning: the runs differ in 2 things: optimizer.weight_decay 0.1 → 0.0; {words}."
    )
    alone = run(tmp_path / "c", 0.1, manifest={fact: value})
    assert differences.sentence([a, alone]) == (f"Warning: the runs differ in 1 thing: {words}.")


def test_a_difference_that_a_key_explains_is_not_counted_twice(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    seed = run(tmp_path / "seed", changes={"seed": 43})
    wide = run(tmp_path / "wide", changes={"model.d_ff": 128})
    batch = run(tmp_path / "batch", changes={"training.batch_size": 16})
    for other, key in ((seed, "seed"), (wide, "model.d_ff"), (batch, "training.batch_size")):
        assert a.manifest != other.manifest
        assert differences.hidden([a, other]) == []
        assert f"exactly one key: {key} " in differences.sentence([a, other])


def test_code_version_machine_and_times_are_not_counted(tmp_path: Path) -> None:
    facts = {"git_commit": "f" * 40, "host.cpus": 64, "started": "2027-01-01T00:00:00+00:00"}
    pair = [run(tmp_path / "a"), run(tmp_path / "b", manifest=facts)]
    assert differences.sentence(pair) == EQUAL


def test_more_than_two_runs_are_compared_at_once(tmp_path: Path) -> None:
    several = [run(tmp_path / f"wd{decay}", decay) for decay in (0.1, 0.0, 0.5)]
    assert differences.sentence(several).endswith("optimizer.weight_decay 0.1 → 0.0 → 0.5.")
    again = run(tmp_path / "again", 0.1)
    assert differences.sentence([*several, again]) == differences.sentence(several)
    assert differences.sentence([several[0], again, several[1]]).endswith("0.1 → 0.0.")


def test_a_key_that_one_run_lacks_is_not_set(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    b.config["optimizer"]["nesterov"] = True
    assert differences.sentence([a, b]).endswith("optimizer.nesterov not set → True.")


def test_flatten_gives_every_leaf_its_dotted_key() -> None:
    value = {"a": 1, "b": {"c": {"d": 2}, "e": [3]}}
    assert list(differences.flatten(value)) == [("a", 1), ("b.c.d", 2), ("b.e", [3])]
