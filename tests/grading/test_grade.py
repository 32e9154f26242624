"""The parts of the grader that need no sandbox: messages, submissions, sheets, the gradebook."""

from __future__ import annotations

import csv
import json
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.grading import tiny
from tests.grading.handed_in import OPEN, RIGHT, SHRINK, WHICH, hand_in
from weightdecay.grading import gradesheet, wire
from weightdecay.grading.gradebook import Gradebook
from weightdecay.grading.learner import clean, learners_error
from weightdecay.grading.serve import RAISED, RETURNED, serve
from weightdecay.grading.submissions import find
from weightdecay.runs import Json, RunError

# Messages


def there_and_back(value: Any) -> Any:
    return wire.unpack(*wire.pack(value))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_plain_data_comes_back_the_same(value: Any) -> None:
    """Types and values, NaN and nesting included; repr tells 1 from 1.0 and a list from a tuple."""
    assert repr(there_and_back(value)) == repr(value)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).T,
        torch.tensor(2.5, dtype=torch.bfloat16),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
        torch.nn.Parameter(torch.ones(2, dtype=torch.float64)),
        torch.ones(3, requires_grad=True) * 2,
    ],
)
def test_tensors_come_back_the_same(tensor: torch.Tensor) -> None:
    again, twice = there_and_back([tensor, tensor[:1] if tensor.ndim else tensor])
    assert type(again) is torch.Tensor
    assert again.dtype == tensor.dtype
    assert torch.equal(again, tensor)
    assert twice.numel() <= tensor.numel()


def test_arrays_come_back_the_same() -> None:
    array = np.arange(6.0).reshape(2, 3)[:, ::-1]
    again, scalar = there_and_back((array, np.float32(0.5)))
    np.testing.assert_array_equal(again, array)
    assert type(scalar) is np.float32
    assert scalar == 0.5


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 1, np.array(["a"]), b"bytes", 1j])
def test_what_is_not_plain_data_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        wire.pack(value)


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="4 MiB in lists"):
        wire.pack("x" * (5 << 20))
    with pytest.raises(ValueError, match="64 MiB in tensors"):
        wire.pack(torch.zeros(65 << 20, dtype=torch.int8))


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_forged_message_is_refused_or_plain_data(structure: bytes, data: bytes) -> None:
    try:
        value = wire.unpack(structure, data)
    except wire.BrokenMessageError:
        return
    assert wire.pack(value)


@pytest.mark.parametrize(
    "structure",
    [
        b'{"tensor": "0"}',
        b'{"tensor": 0, "array": 1}',
        b'{"dict": [[[1], 2]]}',
        b'{"dict": [1]}',
        b'{"no": 1}',
        b"[" * 100_000,
        b'{"tuple": 5}',
        b"1" * 5000,
    ],
)
def test_a_structure_that_pack_would_not_write_is_refused(structure: bytes) -> None:
    with pytest.raises(wire.BrokenMessageError):
        wire.unpack(structure, b"")


def test_a_message_is_bounded_and_has_a_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.HEADER.pack(2**63, 0))
        with pytest.raises(wire.BrokenMessageError, match="announces"):
            wire.receive(ours, time.monotonic() + 5)
        theirs.sendall(wire.HEADER.pack(10, 0) + b"half")
        with pytest.raises(TimeoutError):
            wire.receive(ours, time.monotonic() + 0.05)
        theirs.close()
        with pytest.raises(EOFError):
            wire.receive(ours, time.monotonic() + 5)


def test_the_server_calls_functions_and_reports_what_they_raise(tmp_path: Path) -> None:
    """In this process: what goes over the socket, without notebook and sandbox."""
    import pickle

    def stub() -> None:
        raise NotImplementedError("your turn")

    def wrong(x: float) -> None:
        raise KeyError(x)

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    names = {"double": lambda x: 2 * x, "stub": stub, "wrong": wrong, "number": 3}
    exports = ["double", "stub", "wrong", "number", "missing"]
    threading.Thread(target=serve, args=(names, str(tmp_path / "s"), exports)).start()
    with listening, listening.accept()[0] as connection:
        assert json.loads(wire.receive(connection)[0]) == ["double", "stub", "wrong"]

        def ask(name: str, *args: Any) -> tuple[bytes, bytes]:
            wire.send(connection, pickle.dumps((name, args, {})))
            return wire.receive(connection, time.monotonic() + 10)

        structure, data = ask("double", torch.ones(2))
        assert structure[:1] == RETURNED
        assert wire.unpack(structure[1:], data).tolist() == [2.0, 2.0]
        for name, args, kind, missing in (
            ("stub", (), "NotImplementedError", True),
            ("wrong", (1,), "KeyError", False),
            ("double", (), "TypeError", False),
        ):
            structure, _ = ask(name, *args)
            assert structure[:1] == RAISED
            said = json.loads(structure[1:])
            assert (said["raised"], said["not_implemented"]) == (kind, missing)


def test_an_error_is_made_anew_from_its_name() -> None:
    assert isinstance(learners_error("ValueError", "x"), ValueError)
    assert str(learners_error("KeyError", "'a'")) == "'a'"
    for name in ("UnicodeDecodeError", "MyError", "AssertionError", "SystemExit", "print", "a b"):
        error = learners_error(name, "text")
        assert str(error) == "text"
        assert not isinstance(error, AssertionError | SystemExit)
    assert type(learners_error("MyError", "")).__name__ == "MyError"


def test_untrusted_text_is_cleaned() -> None:
    assert clean("a\x1b[31mb\ud800\0\n\tλ") == "a[31mb?\n\tλ"
    assert len(clean("x" * 10**6)) < 10_000


# Submissions


@pytest.fixture
def exercises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "exercises"
    tiny.write(folder)
    tiny.write(folder, "02-other")
    monkeypatch.setenv("WEIGHTDECAY_EXERCISES", str(folder))
    return folder


@pytest.mark.usefixtures("exercises")
def test_a_learner_is_a_file_or_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "handed in"
    hand_in(folder / "ada.ipynb", *RIGHT)
    hand_in(folder / "bob" / "exercise.ipynb", *RIGHT)
    hand_in(folder / "bob" / "02-other.ipynb", SHRINK)
    hand_in(folder / "bob" / ".ipynb_checkpoints" / "exercise.ipynb", *RIGHT)
    (folder / ".DS_Store").write_text("")
    found = [(s.learner, s.exercise, s.problem) for s in find([folder])]
    assert found == [("ada", tiny.ID, ""), ("bob", tiny.ID, ""), ("bob", "02-other", "")]
    alone = find([folder / "bob" / "exercise.ipynb", folder / "ada.ipynb"])
    assert [s.learner for s in alone] == ["ada", "bob"]


@pytest.mark.usefixtures("exercises")
def test_the_exercise_is_named_by_the_cell_or_else_by_the_file(tmp_path: Path) -> None:
    hand_in(tmp_path / "h" / "ada-02-other.ipynb", SHRINK)
    hand_in(tmp_path / "h" / "bob-02-other.ipynb", "# my notes", OPEN)
    hand_in(tmp_path / "h" / "cy.ipynb", SHRINK)
    assert [s.exercise for s in find([tmp_path / "h"])] == ["02-other", tiny.ID, None]


@pytest.mark.usefixtures("exercises")
def test_two_notebooks_of_a_learner_for_one_exercise_are_not_chosen_between(tmp_path: Path) -> None:
    hand_in(tmp_path / "h" / "ada" / "a.ipynb", *RIGHT)
    hand_in(tmp_path / "h" / "ada" / "b.ipynb", OPEN, WHICH)
    hand_in(tmp_path / "h" / "bob.ipynb", *RIGHT)
    first, second, third = find([tmp_path / "h"])
    assert first.problem == second.problem == f"2 notebooks for {tiny.ID}; leave the one to grade"
    assert first.notebook is None
    assert third.notebook is not None


@pytest.mark.usefixtures("exercises")
def test_a_folder_of_a_learner_that_links_out_is_not_followed(tmp_path: Path) -> None:
    elsewhere = hand_in(tmp_path / "elsewhere" / "x.ipynb", *RIGHT)
    (tmp_path / "h" / "ada").mkdir(parents=True)
    (tmp_path / "h" / "ada" / "x.ipynb").symlink_to(elsewhere)
    (tmp_path / "h" / "bob").symlink_to(elsewhere.parent)
    assert [s.problem for s in find([tmp_path / "h"])] == [
        "a link out of the folder; not followed"
    ] * 2


@pytest.mark.usefixtures("exercises")
def test_only_code_without_outputs_goes_on(tmp_path: Path) -> None:
    path = hand_in(tmp_path / "ada.ipynb", *RIGHT)
    book = json.loads(path.read_text())
    book["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "secret"}]
    book["cells"].insert(0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "text"})
    path.write_text(json.dumps(book))
    (only,) = find([path])
    assert only.notebook is not None
    assert [c["source"] for c in json.loads(only.notebook)["cells"]] == [
        c.splitlines(keepends=True) for c in RIGHT
    ]
    assert "secret" not in only.notebook


def test_a_path_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nobody\.ipynb: no such file or folder"):
        find([tmp_path / "nobody.ipynb"])


# Sheets


def record(learner: str, **changed: Any) -> Json:
    checks = [
        {"name": "test_a", "claim": "a <b> claim", "points": 2, "hidden": False,
         "outcome": "passed", "message": ""},
        {"name": "test_secret", "claim": "a secret claim", "points": 3, "hidden": True,
         "outcome": "failed", "message": "observed: secret"},
        {"name": "test_c", "claim": "another", "points": 1, "hidden": False,
         "outcome": "raised", "message": "ValueError: <script>"},
    ]  # fmt: skip
    made = {
        "learner": learner, "exercise": tiny.ID, "title": "Shrink", "file": "x.ipynb",
        "notebook_sha256": "ab" * 32, "checks_sha256": "cd" * 32, "time": "2026-01-01T00:00:00",
        "seconds": 1.5, "isolated": True, "problem": "", "points": 2, "possible": 6, "seed": 1,
        "checks": checks, "cells": [],
        "symptoms": [{"name": "no-lr", "export": "shrink", "says": "no rate in it"}],
    }  # fmt: skip
    return made | changed


def test_a_hidden_check_has_points_and_no_name(tmp_path: Path) -> None:
    gradesheet.write([record("ada")], tmp_path)
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert "secret" not in path.read_text(), path
    html = (tmp_path / "reports" / "ada.html").read_text()
    assert "hidden check" in html
    assert "0 of 3" in " ".join(html.split())
    assert "ValueError: &lt;script&gt;" in html
    assert "no rate in it" in html


def test_results_are_gradescopes(tmp_path: Path) -> None:
    """Scores of the tests add up to the score, and each lies between 0 and its maximum."""
    gradesheet.write([record("ada"), record("ada", exercise="02-other")], tmp_path)
    result = json.loads((tmp_path / "results.json").read_text())
    assert result == json.loads((tmp_path / "results" / "ada.json").read_text())
    assert result["score"] == sum(t["score"] for t in result["tests"]) == 4
    assert sum(t["max_score"] for t in result["tests"]) == 12
    assert {t["status"] for t in result["tests"]} == {"passed", "failed"}
    assert {t["visibility"] for t in result["tests"]} == {"visible"}
    assert {t["name"].split(":")[0] for t in result["tests"]} == {tiny.ID, "02-other"}


def test_of_several_learners_there_is_an_index(tmp_path: Path) -> None:
    gradesheet.write([record("Ada"), record("ada"), record("b/c")], tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())["learners"]
    assert [e["learner"] for e in index] == ["Ada", "ada", "b/c"]
    assert len({e["report"].casefold() for e in index}) == 3  # also where case does not count
    for entry in index:
        assert (tmp_path / entry["report"]).is_file()
        assert (tmp_path / entry["results"]).is_file()
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx", "ok"])
def test_no_cell_of_the_table_is_a_formula(tmp_path: Path, name: str) -> None:
    gradesheet.write([record(name, problem=name)], tmp_path)
    with (tmp_path / "grades.csv").open(newline="") as f:
        (row,) = csv.DictReader(f)
    assert row["learner"].removeprefix("'") == row["problem"].removeprefix("'") == name
    assert not any(value.startswith(gradesheet.FORMULA) for value in row.values())
    assert (row["points"], row["passed"], row["failed"], row["raised"]) == ("2", "1", "1", "1")


@pytest.mark.parametrize("name", ["..", "<b>", "a" * 300, "é λ", "\\xff", "-rf", "a/../../b", "?"])
def test_every_name_gets_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    gradesheet.write([record(name)], tmp_path)
    (page,) = (tmp_path / "reports").iterdir()
    assert "<b>" not in page.read_text()


def test_without_a_sandbox_every_sheet_says_so(tmp_path: Path) -> None:
    gradesheet.write([record("ada", isolated=False)], tmp_path)
    assert gradesheet.UNGUARDED in (tmp_path / "reports" / "ada.html").read_text()
    assert gradesheet.UNGUARDED in json.loads((tmp_path / "results.json").read_text())["output"]
    with (tmp_path / "grades.csv").open(newline="") as f:
        assert next(csv.DictReader(f))["sandbox"] == "no"


# Gradebook


def test_the_gradebook_keeps_every_attempt(tmp_path: Path) -> None:
    path = tmp_path / "g.sqlite"
    with Gradebook(path) as book:
        assert book.latest("ada", tiny.ID) is None
        book.add(record("ada", points=1))
        book.add(record("ada", points=2))
        book.add(record("bob"))
        assert book.latest("ada", tiny.ID) == record("ada", points=2)
    with sqlite3.connect(path) as db:
        assert db.execute("select learner, points from attempts order by id").fetchall() == [
            ("ada", 1), ("ada", 2), ("bob", 2),
        ]  # fmt: skip
        hidden = db.execute("select name, outcome from outcomes where hidden").fetchall()
        assert hidden == [("test_secret", "failed")] * 3


def test_a_file_that_is_no_gradebook_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "g.sqlite"
    path.write_text("something else entirely, of some length" * 100)
    with pytest.raises(RunError, match="not a gradebook"):
        Gradebook(path)
    assert path.read_text().startswith("something else")
