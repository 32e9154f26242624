"""Every chapter and exercise as a notebook that opens anywhere: in Jupyter, on Binder, in Colab.

A small Sphinx extension. After the build, ``notebooks/`` of the site holds one .ipynb a chapter,
in plain Markdown and without outputs, and one an exercise. Their first cell finds the course: in a
copy of it, or on a machine that has none by fetching it. Each page offers its notebook; where the
repository's address is known, Binder and Colab open it, too.

A release puts the same folder, with the course around it, on the branch `notebooks`, which is what
Binder and Colab open: see `.github/workflows/publish.yml`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from launch import BRANCH, FOLDER, ROOT, binder, chapter_file, colab, exercise_file
from packaging.requirements import Requirement
from plain_markdown import Facts, bibliography, plain
from progress import chapters

from weightdecay.grading.load import EXERCISE_NOTEBOOK, Exercise, all_exercises
from weightdecay.runs import write_text

# An application, and what every notebook server brings: a running kernel must not change it.
THEIRS = {"jupyterlab", "ipykernel", "ipython"}
# The first cell. It imports nothing that is not in Python's library.
START = """\
# Finds the course. Where there is none, on Colab for example, it is fetched: some minutes, once.
import importlib.util, os, subprocess, sys
from pathlib import Path

if importlib.util.find_spec("weightdecay") is None:
    home = Path.home() / "weight-decay-measured"
    {fetch}
    sys.path.insert(0, str(home / "src"))
    os.environ["PYTHONPATH"] = str(home / "src")

import weightdecay
place = Path(weightdecay.__file__).parents[2] / "{folder}"
if place.is_dir():  # not where it is graded
    os.chdir(place)"""
FETCH = """\
clone = ["git", "clone", "--quiet", "--depth=1", "--branch={branch}", "{url}", home]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", home]
    if not home.exists():
        subprocess.run(clone, check=True)
    subprocess.run([*install, {packages}], check=True)"""
ABSENT = """\
raise SystemExit("weightdecay is not installed: open this notebook in a copy of the course")"""


# ------------------------------------------------------------------------------- what they hold


def packages() -> list[str]:
    """What the notebooks need beside the library's own dependencies."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    names = {Requirement(line).name for line in extras["exercises"]} - THEIRS
    return sorted({*names, "myst-nb"})  # the chapters `glue` their numbers


def start(repo: str, folder: str) -> str:
    """The first cell of a notebook whose place is a folder of the course."""
    fetch = ABSENT
    if repo:
        names = ", ".join(json.dumps(name) for name in packages())
        url = f"https://github.com/{repo}"
        fetch = FETCH.format(branch=BRANCH, url=url, packages=names)
    return START.format(fetch=fetch, folder=folder)


def chapter_notebook(executed: Any, facts: Facts, repo: str) -> Any:
    """A chapter as a plain notebook without outputs.

    Args:
        executed: The chapter as a notebook, with the text as its author wrote it.
        facts: Of the chapter; the numbers of its figures and equations are put there.

    Raises:
        RunError: for text that has no plain form.
    """
    shown = [(cell, _figure(cell)) for cell in executed.cells]
    texts = [str(cell.source) for cell in executed.cells if cell.cell_type == "markdown"]
    facts.number(texts, [f["name"] for _, f in shown if "name" in f])
    cells = [nbformat.v4.new_code_cell(start(repo, f"book/{facts.chapter.rpartition('/')[0]}"))]
    for cell, figure in shown:
        if cell.cell_type == "markdown":
            cells.append(nbformat.v4.new_markdown_cell(plain(str(cell.source), facts)))
            continue
        if cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(cell.source))
        if "caption" in figure:
            number = facts.labels.get(figure.get("name", ""), "Figure")
            caption = plain(figure["caption"], facts)
            cells.append(nbformat.v4.new_markdown_cell(f"*{number}.* {caption}"))
    return _notebook(cells)


def _figure(cell: Any) -> dict[str, str]:
    found = cell.metadata.get("mystnb", {}).get("figure", {})
    return dict(found)


def exercise_notebook(exercise: Exercise, repo: str) -> Any:
    """The learner's notebook with the first cell in front."""
    notebook: Any = nbformat.read(exercise.folder / EXERCISE_NOTEBOOK, as_version=4)
    first = nbformat.v4.new_code_cell(start(repo, f"exercises/{exercise.id}"))
    return _notebook([first, *notebook.cells], notebook.metadata)


def _notebook(cells: Sequence[Any], metadata: Any = None) -> Any:
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:03d}"  # the same text gives the same file
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    known = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=list(cells), metadata=metadata or known)


# ------------------------------------------------------------------------------------ the build


def _write(app: Any, error: Exception | None) -> None:
    """All notebooks into the site."""
    if error or app.builder.name != "html":
        return
    target, executed = Path(app.outdir) / FOLDER, Path(app.outdir).parent / "jupyter_execute"
    titles = {name: node.astext() for name, node in app.env.titles.items()}
    cited = bibliography(Path(app.srcdir) / "references.bib")
    repo = app.config.launch_repository
    made: dict[str, Any] = {}
    for chapter in chapters(Path(app.srcdir)):
        source = executed / f"{chapter}.ipynb"
        if source.exists():
            facts = Facts(chapter, _glued(executed / f"{chapter}.glue.json"), titles, cited)
            read: Any = nbformat.read(source, as_version=4)
            made[chapter_file(chapter)] = chapter_notebook(read, facts, repo)
    for exercise in all_exercises():
        made[exercise_file(exercise.id)] = exercise_notebook(exercise, repo)
    for name, notebook in made.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(target / name, str(nbformat.writes(notebook)))


def _glued(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    values = json.loads(path.read_text("utf-8"))
    return {k: str(v["data"]["text/plain"]) for k, v in values.items() if "text/plain" in v["data"]}


def _buttons(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    """The notebook among the downloads of a chapter; Binder and Colab, where they can open it."""
    if doctree is None or pagename not in chapters(Path(app.srcdir)):
        return
    groups, name, repo = (
        context["header_buttons"],
        chapter_file(pagename),
        app.config.launch_repository,
    )
    here = context["pathto"](f"{FOLDER}/{name}", 1)
    downloads = next(g for g in groups if g.get("label") == "download-buttons")
    downloads["buttons"].insert(0, _link(".ipynb", here, "Download as a notebook", "fas fa-book"))
    if repo:
        opened = [
            _link("Binder", binder(repo, name), "Open on Binder", "fas fa-rocket"),
            _link("Colab", colab(repo, name), "Open in Colab", "fas fa-rocket"),
        ]
        told = "Open this chapter as a notebook"
        groups.insert(0, {"type": "group", "tooltip": told, "icon": "fas fa-rocket",
                          "buttons": opened, "label": "launch-buttons"})  # fmt: skip


def _link(text: str, url: str, tooltip: str, icon: str) -> dict[str, str]:
    return {"type": "link", "text": text, "url": url, "tooltip": tooltip, "icon": icon}


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", _write)
    app.connect("html-page-context", _buttons, priority=900)  # after the theme's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
