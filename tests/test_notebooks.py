"""The notebooks that readers take away: plain text, whole code, and a first cell that finds the
course or fetches it; and the links that open them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import exercise_cards
import launch
import nbformat
import notebooks
import pytest
from nbclient import NotebookClient
from plain_markdown import Facts, bibliography, plain
from progress import chapters

from weightdecay.grading.load import all_exercises
from weightdecay.runs import RunError

ROOT = Path(__file__).resolve().parent.parent
CITED = bibliography(ROOT / "book" / "references.bib")


@pytest.fixture
def facts() -> Facts:
    titles = {"theory/dose": "Timescale and dose", "break/lab": "The lab", "claims": "Claims"}
    glued = {"share": "0.12345", "verdict": "'reproduced'"}
    found = Facts("theory/dose", glued, titles, CITED)
    found.number(["$$\na\n$$ (eq-a)\n\n$$\nb\n$$ (eq-b)"], ["fig-a"])
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{glue:text}`share:.2f` of it is {glue:text}`verdict`", "0.12 of it is reproduced"),
        ("see {eq}`eq-b` and {numref}`fig-a`", "see (2) and Figure 1"),
        ("$$\nb\n$$ (eq-b)", "$$\nb\n\\tag{2}\n$$"),
        ("the {term}`dose`, {term}`doses <dose>`", "the *dose*, *doses*"),
        ("{doc}`/break/lab`, {doc}`it <dose>`", "[The lab](../break/lab.ipynb), [it](dose.ipynb)"),
        ("[a](../break/lab.md#x) [b](../glossary.md)",
         "[a](../break/lab.ipynb) [b](../../book/glossary.md)"),
        ("(here)=\n# Title\n\n{lang=es .resumen}\n**En español.**", "# Title\n\n**En español.**"),
        ("```{admonition} Mind\n:class: warning\nText.\n\nMore.\n```",
         "> **Mind**\n>\n> Text.\n>\n> More."),
        ("````{dropdown} A\none\n```{dropdown} B\ntwo\n```\n````",
         "<details><summary>A</summary>\n\none\n<details><summary>B</summary>\n\ntwo\n\n</details>"
         "\n\n</details>"),
        ("{cite:t}`loshchilov2019`",
         "[Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101)"),
    ],
)  # fmt: skip
def test_each_form_has_its_plain_one(text: str, expected: str, facts: Facts) -> None:
    assert plain(text, facts) == expected


def test_code_blocks_stay_as_they_are(facts: Facts) -> None:
    text = "```bash\n./justw test\n```"
    assert plain(text, facts) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{glue:text}`gone`", "nothing is glued as gone"),
        ("{cite:p}`gone`", "no entry gone"),
        ("{doc}`gone`", "no page theory/gone"),
        ("{kbd}`x`", r"\{kbd\}: a notebook has no such role"),
        ("```{video} x\n```", r"\{video\}: a notebook has no such directive"),
    ],
)
def test_what_has_no_plain_form_is_one_line(text: str, says: str, facts: Facts) -> None:
    with pytest.raises(RunError, match=f"^theory/dose: .*{says}") as e:
        plain(text, facts)
    assert "\n" not in str(e.value)


def test_a_chapter_keeps_its_code_and_names_its_figures(facts: Facts) -> None:
    figure = {"mystnb": {"figure": {"name": "fig-a", "caption": "What {term}`dose` does."}}}
    code = nbformat.v4.new_code_cell("x = 1", outputs=[], metadata=figure)
    code.outputs = [nbformat.v4.new_output("stream", text="a lot")]
    executed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), code])
    made = notebooks.chapter_notebook(executed, facts, "")
    nbformat.validate(made)
    assert [c.source for c in made.cells[1:]] == ["# T", "x = 1", "*Figure 1.* What *dose* does."]
    assert [c.outputs for c in made.cells if c.cell_type == "code"] == [[], []]
    again = notebooks.chapter_notebook(executed, facts, "")
    assert nbformat.writes(again) == nbformat.writes(made)


def run_start(
    monkeypatch: pytest.MonkeyPatch, home: Path, repo: str, installed: bool
) -> list[list[str]]:
    """Run a first cell, with git and pip replaced; the commands it gave."""
    said: list[list[str]] = []

    def fake_run(command: list[Any], *, check: bool) -> None:
        said.append([str(word) for word in command])
        if command[0] == "git":
            (home / "weight-decay-measured").symlink_to(ROOT)

    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(subprocess, "run", fake_run)
    if not installed:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with contextlib.chdir(home):
        exec(notebooks.start(repo, "book/theory"), {})
        assert Path.cwd() == ROOT / "book" / "theory"
    return said


def test_the_first_cell_does_nothing_in_a_copy_of_the_course(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run_start(monkeypatch, tmp_path, "owner/course", installed=True) == []


def test_the_first_cell_fetches_and_installs_the_course_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone, install = run_start(monkeypatch, tmp_path, "owner/course", installed=False)
    home = str(tmp_path / "weight-decay-measured")
    assert clone[0] == "git"
    assert clone[-2:] == ["https://github.com/owner/course", home]
    assert f"--branch={launch.BRANCH}" in clone
    assert install[1:4] == ["-m", "pip", "install"]
    assert home in install
    # What `check()` and the chapters import; a kernel that runs keeps its own server.
    assert {"jupytext", "nbclient", "myst-nb"} <= set(install)
    assert not notebooks.THEIRS & set(install)
    assert sys.path[0] == os.environ["PYTHONPATH"] == f"{home}/src"


def test_without_an_address_the_first_cell_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="open this notebook in a copy of the course"):
        run_start(monkeypatch, tmp_path, "", installed=False)


def test_every_exercise_can_be_taken_away() -> None:
    for exercise in all_exercises():
        made = notebooks.exercise_notebook(exercise, "owner/course")
        nbformat.validate(made)
        assert f'parents[2] / "exercises/{exercise.id}"' in made.cells[0].source
        assert "open_exercise" in made.cells[1].source


@pytest.mark.site
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["theory/shrinkage", "break/how-much", "hysteresis/reproduction", "practice/choosing",
     "exercises/01-ridge-shrinkage", "exercises/25-kl-drift"],
)  # fmt: skip
def test_what_a_page_offers_runs_in_an_empty_folder(name: str, tmp_path: Path) -> None:
    folder = ROOT / "_build" / "html" / "notebooks"
    notebook: Any = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    if name.startswith("exercises/"):  # up to what the reader has to write
        notebook.cells = notebook.cells[:3]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any(cell.get("execution_count") for cell in notebook.cells)


# ------------------------------------------------------------------------------------- the links


@pytest.mark.parametrize("repo", ["", "owner/course"])
def test_a_chapter_has_a_button_for_each_place_that_can_open_it(repo: str) -> None:
    name = chapters()[0]
    app = SimpleNamespace(srcdir=ROOT / "book", config=SimpleNamespace(launch_repository=repo))
    downloads: dict[str, Any] = {"label": "download-buttons", "buttons": []}
    context: dict[str, Any] = {"header_buttons": [downloads], "pathto": lambda path, _: path}
    notebooks._buttons(app, name, "", context, object())
    assert [b["url"] for b in downloads["buttons"]] == [f"notebooks/{name}.ipynb"]
    opened = [b["url"] for g in context["header_buttons"][:-1] for b in g["buttons"]]
    file = f"{name}.ipynb"
    assert opened == ([launch.binder(repo, file), launch.colab(repo, file)] if repo else [])


def test_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert launch.repository(tmp_path) == ""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    add = ["git", "-C", str(tmp_path), "remote"]
    subprocess.run([*add, "add", "origin", "git@github.com:owner/a.course.git"], check=True)
    assert launch.repository(tmp_path) == "owner/a.course"
    subprocess.run([*add, "set-url", "origin", "https://elsewhere.example/x/y"], check=True)
    assert launch.repository(tmp_path) == ""
    monkeypatch.setenv("GITHUB_REPOSITORY", "other/course")
    assert launch.repository(tmp_path) == "other/course"


def test_a_card_links_binder_and_colab_only_where_the_address_is_known() -> None:
    exercise = all_exercises()[0]
    file = f"notebooks/notebooks/exercises/{exercise.id}.ipynb"
    card = exercise_cards.card(exercise, "..", "owner/course")
    assert f"(https://colab.research.google.com/github/owner/course/blob/{file})" in card
    where = f"notebooks?urlpath=lab/tree/notebooks/exercises/{exercise.id}.ipynb"
    assert f"(https://mybinder.org/v2/gh/owner/course/{where})" in card
    assert "Colab" not in exercise_cards.card(exercise, "..")


def test_every_exercise_links_its_chapter() -> None:
    for exercise in all_exercises():
        text = "\n".join(cell.text for cell in exercise.cells)
        assert f"../../book/{exercise.chapter}.md" in text, exercise.id


def test_every_chapter_that_has_exercises_shows_all_their_cards() -> None:
    for exercise in all_exercises():
        text = (ROOT / "book" / f"{exercise.chapter}.md").read_text("utf-8")
        assert f"{{graded-exercise}} {exercise.id}" in text, exercise.id
