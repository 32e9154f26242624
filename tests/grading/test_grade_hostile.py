"""Hostile submissions, all in one folder with honest ones: each gets its line, nobody else suffers.

They are graded once, by the command's own function, in the real sandbox.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.grading import tiny
from tests.grading.handed_in import OPEN, POSSIBLE, RIGHT, SHRINK, WHICH, hand_in
from weightdecay import decay
from weightdecay.grading.grade import grade
from weightdecay.grading.sandbox import Limits
from weightdecay.runs import Json

pytestmark = pytest.mark.slow

LIMITS = Limits(
    cell_seconds=15, notebook_seconds=60, call_seconds=10, checks_seconds=120, memory=1 << 30
)


def shrink(body: str) -> tuple[str, ...]:
    """A submission whose `shrink` does this; `which` is right."""
    return (
        OPEN,
        "def shrink(w, lr, lam):\n" + "\n".join("    " + x for x in body.split("\n")),
        WHICH,
    )


def before(cell: str) -> tuple[str, ...]:
    """This cell, between the first and the right functions."""
    return (OPEN, dedent(cell), SHRINK, WHICH)


def after(cell: str) -> tuple[str, ...]:
    """The right functions, then this cell."""
    return (OPEN, SHRINK, WHICH, dedent(cell))


PATCHES = """
import builtins, numpy, pytest, torch
import weightdecay.grading as g
from weightdecay.grading import check, outcome, expect, wire, serve
yes = lambda *a, **k: True
torch.allclose = torch.equal = numpy.allclose = numpy.array_equal = yes
pytest.raises = pytest.main = pytest.approx = yes
g.expect = expect.expect = expect._difference = lambda *a, **k: None
outcome.Report.points = property(lambda self: 99)
check.run_checks = yes
serve._failure = wire.pack = yes
"""

CODE = {
    "honest-first": RIGHT,
    "zz-honest-last": RIGHT,
    # Time
    "loops-in-a-cell": after("while True: pass"),
    "loops-and-does-not-listen": before(
        """
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True: pass
        """
    ),
    "loops-in-a-function": shrink("while True: pass"),
    # Memory, processes, files
    "eats-memory-in-a-cell": after("x = bytearray(1 << 40)\nprint('survived')"),
    "eats-memory-in-a-function": shrink("x = []\nwhile True: x.append(bytearray(1 << 20))"),
    "eats-memory-in-children": before(
        """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                x = bytearray(600 << 20)
                time.sleep(60)
        time.sleep(60)
        """
    ),
    "fork-bomb": before("import os\nwhile True: os.fork()"),
    "fork-bomb-in-a-function": shrink("import os\nwhile True: os.fork()"),
    "writes-a-huge-file": after(
        """
        with open("huge", "wb") as f:
            for _ in range(1000): f.write(bytes(1 << 20))
        """
    ),
    # Ending the process
    "exits": after("exit()"),
    "sys-exits": after("import sys; sys.exit(0)"),
    "os-exits": before("import os; os._exit(0)"),
    "sys-exits-in-a-function": shrink("import sys\nsys.exit(0)"),
    "os-exits-in-a-function": shrink("import os\nos._exit(0)"),
    "kills-its-parent": before("import os; os.kill(os.getppid(), 9)"),
    "kills-everything": shrink("import os\nos.kill(-1, 9)\nos.kill(os.getpid(), 9)"),
    "at-exit": (OPEN, "import atexit, os\natexit.register(os._exit, 0)", WHICH),
    # Replacing what checks
    "patches-everything": (
        OPEN,
        PATCHES,
        WHICH,
        "def shrink(w, lr, lam):\n    return w",
    ),
    "is-a-server-of-its-own": (
        OPEN,
        """
import glob, json, socket, struct, sys
path = glob.glob("/tmp/wd-*/seen/grader.sock")[0]
s = socket.socket(socket.AF_UNIX); s.connect(path)
hello = json.dumps(["shrink", "which", "points", 7]).encode()
s.sendall(struct.pack(">QQ", len(hello), 0) + hello)
import threading
def serve():
    while s.recv(1 << 20):
        evil = b"=" + b"[" * 100000
        s.sendall(struct.pack(">QQ", len(evil), 0) + evil)
threading.Thread(target=serve, daemon=True).start()
""",
    ),
    "announces-too-much": (
        OPEN,
        """
import glob, socket, struct
s = socket.socket(socket.AF_UNIX); s.connect(glob.glob("/tmp/wd-*/seen/grader.sock")[0])
s.sendall(struct.pack(">QQ", 2**63, 2**63))
""",
    ),
    # Answers
    "returns-a-liar": shrink(
        "class Liar:\n    def __eq__(self, other): return True\n"
        "    __class__ = float\nreturn Liar()"
    ),
    "returns-an-evil-pickle": shrink(
        "class Evil:\n    def __reduce__(self): import os; return os.abort, ()\nreturn Evil()"
    ),
    "returns-a-huge-list": shrink("return [0.0] * 10**7"),
    "returns-a-huge-tensor": shrink("import torch\nreturn torch.zeros(1 << 27, dtype=torch.int8)"),
    "returns-a-deep-list": shrink("x = []\nfor _ in range(10**5): x = [x]\nreturn x"),
    "returns-a-huge-number": shrink("return 10 ** 10000"),
    "returns-nan": shrink('return w * float("nan")'),
    "returns-a-generator": shrink("return (x for x in [w])"),
    "returns-half-a-surrogate": (OPEN, SHRINK, 'def which():\n    return "\\ud800"'),
    "wrong-arity": (OPEN, "def shrink(w): return w", "def which(x, y, z): return x"),
    "raises-on-str": shrink(
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E('<b>')"
    ),
    "asserts": shrink("assert False, 'I say so'"),
    # Prints
    "prints-a-megabyte": (
        *RIGHT[:2],
        "def which():\n    print('y' * 10**6)\n    return 'decoupled'",
        "print('x' * 10**6)",
    ),
    "prints-for-ever": after("while True: print('x' * 1000)"),
    "prints-html": after("print('<script>alert(1)</script>')\nraise ValueError('<img src=x>')"),
    # Out of the sandbox
    "reads": None,
    "network": None,
    "writes": None,
    # Cells
    "stub-only": (OPEN, "def shrink(w, lr, lam):\n    raise NotImplementedError('your turn')"),
    "lacks-cells": (OPEN,),
    "syntax-error": (OPEN, "def shrink(w, lr, lam:", WHICH),
}  # fmt: skip


class Setting:
    """The folders, and a server on this machine that no submission may reach."""

    def __init__(self, root: Path) -> None:
        self.exercises = root / "exercises"
        self.submissions = root / "submissions"
        self.out = root / "out"
        self.marker = root / "marker"
        self.visits = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                self.server.accept()
            except OSError:
                return
            self.visits += 1

    def code(self, name: str) -> tuple[str, ...]:
        port = self.server.getsockname()[1]
        package = Path(decay.__file__).parent
        if name == "reads":
            return after(
                f"""
                import os, pathlib, weightdecay
                here = pathlib.Path(weightdecay.__file__).resolve()
                roots = [*here.parents[:3], {str(package.parents[1])!r}, {str(self.exercises)!r},
                         {str(self.submissions)!r}, {str(self.out)!r}, {str(Path.home())!r},
                         "/root", "/home", "/tmp", "/var", ".", ".."]
                names = {{"checks.py", "mistakes.py", "hints.yml", "source.md", ".git",
                         "honest-first.ipynb", "gradebook.sqlite", "grades.csv"}}
                found = []
                for root in roots:
                    for r, d, files in os.walk(root):
                        d[:] = [x for x in d if x not in (".venv", "skeleton")]
                        found += [os.path.join(r, f) for f in files + d if f in names]
                print("found", found, sorted(os.environ)[:3], os.listdir("/"))
                """
            )
        if name == "network":
            return after(
                f"""
                import socket
                for address in [("127.0.0.1", {port}), ("1.1.1.1", 53), ("localhost", {port})]:
                    try:
                        socket.create_connection(address, timeout=3); print("reached", address)
                    except OSError as e:
                        print("refused", type(e).__name__)
                """
            )
        return after(
            f"""
            import pathlib, weightdecay
            for path in [weightdecay.__file__, {str(package / "decay.py")!r}, {str(self.marker)!r},
                         {str(self.exercises / tiny.ID / "checks.py")!r}, "/usr/evil", "/dev/evil",
                         "/evil", {str(self.submissions / "honest-first.ipynb")!r}]:
                try:
                    pathlib.Path(path).write_text("evil"); print("wrote", path)
                except OSError as e:
                    print("no", type(e).__name__)
            """
        )


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    s = Setting(tmp_path_factory.mktemp("hostile"))
    tiny.write(s.exercises)
    for name, cells in CODE.items():
        hand_in(s.submissions / f"{name}.ipynb", *(cells or s.code(name)))
    folder = s.submissions
    (folder / "text.ipynb").write_text("dear teacher")
    (folder / "empty.ipynb").write_text("")
    (folder / "json.ipynb").write_text('{"nbformat": 4, "cells": 3}')
    (folder / "list.ipynb").write_text("[" * 100_000)
    (folder / "utf16.ipynb").write_bytes("{}".encode("utf-16"))
    (folder / "folder.ipynb").mkdir()
    (folder / "nothing-inside").mkdir()
    (folder / "essay.docx").write_bytes(b"PK")
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    (folder / "dangling.ipynb").symlink_to(folder / "not there.ipynb")
    os.mkfifo(folder / "pipe.ipynb")
    hand_in(folder / "no-code.ipynb")
    hand_in(folder / "which-exercise.ipynb", SHRINK)
    hand_in(folder / "other-exercise.ipynb", 'open_exercise("99-none")')
    hand_in(folder / "in-a-folder" / "deeper" / "mine.ipynb", *RIGHT)
    hand_in(folder / "twice" / "a.ipynb", *RIGHT)
    hand_in(folder / "twice" / "b.ipynb", *RIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTDECAY_EXERCISES", str(s.exercises))
        yield s
    s.server.close()


@pytest.fixture(scope="module")
def records(setting: Setting) -> dict[str, Json]:
    return {r["learner"]: r for r in grade([setting.submissions], setting.out, limits=LIMITS)}


def outcomes(record: Json) -> list[str]:
    """Of the four checks: three of shrink, one hidden; the third is of which."""
    return [c["outcome"] for c in record["checks"]]


def errors(record: Json) -> str:
    return "\n".join(c["error"] for c in record["cells"] if c["error"])


def printed(record: Json) -> str:
    return "\n".join(c["output"] for c in record["cells"])


RAISED = ["raised", "raised", "passed", "raised"]


def test_everyone_else_is_graded_all_the_same(records: dict[str, Json], setting: Setting) -> None:
    assert len(records) == len(list(setting.submissions.iterdir()))
    for learner in ("honest-first", "zz-honest-last", "in-a-folder"):
        assert records[learner]["points"] == POSSIBLE
        assert not records[learner]["problem"]
        assert not errors(records[learner])


@pytest.mark.parametrize(
    ("learner", "line"),
    [
        ("loops-in-a-cell", "ran longer than 15 s and was interrupted"),
        ("eats-memory-in-a-cell", "MemoryError"),
        ("writes-a-huge-file", "OSError: [Errno 27] File too large"),
        ("exits", ""),
        ("sys-exits", "SystemExit: 0"),
        ("os-exits", "ended the process it ran in; it was left out"),
        ("prints-a-megabyte", ""),
        ("prints-html", "ValueError: <img src=x>"),
        ("reads", ""),
        ("network", ""),
        ("writes", ""),
    ],
)
def test_a_bad_cell_has_its_line_and_what_is_there_is_graded(
    records: dict[str, Json], learner: str, line: str
) -> None:
    record = records[learner]
    assert record["points"] == POSSIBLE, record
    assert line in errors(record)
    assert bool(errors(record)) == bool(line)


@pytest.mark.parametrize(
    ("learner", "line"),
    [
        ("loops-and-does-not-listen", "the notebook ran longer than 60 s"),
        ("eats-memory-in-children", "used more than 1 GiB of memory"),
        ("fork-bomb", " processes"),
        ("kills-its-parent", "the notebook ended the process it ran in"),
    ],
)
def test_a_notebook_that_cannot_be_run_gets_a_line_and_zero(
    records: dict[str, Json], learner: str, line: str
) -> None:
    record = records[learner]
    assert line in record["problem"]
    assert (record["points"], record["possible"]) == (0, POSSIBLE)
    assert outcomes(record) == ["not attempted"] * 4


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ("loops-in-a-function", "TimeoutError: shrink did not return within 10 s"),
        ("eats-memory-in-a-function", "MemoryError"),
        ("sys-exits-in-a-function", "SystemExit: 0"),
        ("os-exits-in-a-function", "RuntimeError: shrink ended the process it ran in"),
        ("kills-everything", "RuntimeError: shrink ended the process it ran in"),
        ("fork-bomb-in-a-function", "RuntimeError: shrink"),
        ("returns-a-liar", "TypeError: returned Liar; a check accepts None, bool"),
        ("returns-an-evil-pickle", "TypeError: returned Evil; a check accepts None, bool"),
        ("returns-a-huge-list", "ValueError: returned more than a check accepts: 4 MiB"),
        ("returns-a-huge-tensor", "ValueError: returned more than a check accepts: 4 MiB"),
        ("returns-a-deep-list", "RecursionError"),
        ("returns-a-huge-number", "ValueError"),
        ("returns-a-generator", "TypeError: returned generator"),
        ("raises-on-str", "E:\nline 4 of the cell, in shrink: raise E("),
        ("asserts", "AssertionError: I say so\nline 2 of the cell, in shrink: assert"),
    ],
)
def test_a_bad_function_is_raised_and_the_other_one_counts(
    records: dict[str, Json], learner: str, message: str
) -> None:
    record = records[learner]
    assert outcomes(record) == RAISED, record
    assert record["points"] == 1
    assert record["checks"][0]["message"].startswith(message)


def test_no_patch_in_the_learners_process_moves_the_verdict(records: dict[str, Json]) -> None:
    record = records["patches-everything"]
    assert not errors(record)  # all of it was patched
    assert outcomes(record) == ["failed", "passed", "passed", "failed"]  # w is right for λ = 0
    assert (record["points"], record["possible"]) == (2, POSSIBLE)


@pytest.mark.parametrize("learner", ["is-a-server-of-its-own", "announces-too-much"])
def test_a_forged_server_earns_nothing(records: dict[str, Json], learner: str) -> None:
    assert records[learner]["points"] == 0
    assert len(records[learner]["checks"]) == 4


def test_wrong_answers_are_failed(records: dict[str, Json]) -> None:
    assert outcomes(records["returns-nan"]) == ["failed", "failed", "passed", "failed"]
    assert "NaN" in records["returns-nan"]["checks"][0]["message"]
    assert outcomes(records["returns-half-a-surrogate"])[2] == "failed"
    assert outcomes(records["wrong-arity"]) == ["raised"] * 4
    assert "positional argument" in records["wrong-arity"]["checks"][0]["message"]


def test_what_is_missing_is_not_attempted(records: dict[str, Json]) -> None:
    none = ["not attempted"] * 4
    assert outcomes(records["stub-only"]) == none
    assert outcomes(records["lacks-cells"]) == none
    assert outcomes(records["at-exit"]) == [*none[:2], "passed", none[3]]
    assert outcomes(records["syntax-error"]) == [*none[:2], "passed", none[3]]
    assert "SyntaxError" in errors(records["syntax-error"])


def test_nothing_of_the_grader_can_be_read(records: dict[str, Json]) -> None:
    assert "found []" in printed(records["reads"])


def test_no_network(records: dict[str, Json], setting: Setting) -> None:
    assert printed(records["network"]).count("refused") == 3
    assert setting.visits == 0


def test_nothing_is_written(records: dict[str, Json], setting: Setting) -> None:
    assert printed(records["writes"]).count("no ") == 8
    assert not setting.marker.exists()
    assert (setting.exercises / tiny.ID / "checks.py").read_text() == tiny.CHECKS
    assert Path(decay.__file__).read_text() != "evil"


@pytest.mark.parametrize(
    ("learner", "line"),
    [
        ("text", "not a notebook"),
        ("empty", "not a notebook"),
        ("json", "not a notebook"),
        ("list", "not a notebook"),
        ("utf16", "not UTF-8 text"),
        ("folder", "a folder, expected a notebook"),
        ("nothing-inside", "no notebook (*.ipynb) in this folder"),
        ("essay", "its name does not end in .ipynb"),
        ("link", "a link out of the folder"),
        ("dangling", "not a file, expected a notebook"),
        ("pipe", "not a file, expected a notebook"),
        ("no-code", "has no code cells"),
        ("which-exercise", "no name tells the exercise"),
        ("other-exercise", "opens the exercise '99-none', which there is not"),
    ],
)
def test_what_is_no_notebook_has_a_line(records: dict[str, Json], learner: str, line: str) -> None:
    assert line in records[learner]["problem"]
    assert records[learner]["points"] == 0


def test_reports_stay_small_and_escaped(records: dict[str, Json], setting: Setting) -> None:
    for page in (setting.out / "reports").iterdir():
        assert page.stat().st_size < 100_000, page
    html = (setting.out / "reports" / "prints-html.html").read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "<img" not in html
    assert "y" * 100 not in (setting.out / "reports" / "prints-a-megabyte.html").read_text()
    result = json.loads((setting.out / "results" / "honest-first.json").read_text())
    assert result["score"] == POSSIBLE
    assert records["prints-for-ever"]["points"] in (0, POSSIBLE)  # by what the machine can hold
    assert errors(records["prints-for-ever"]) or records["prints-for-ever"]["problem"]
