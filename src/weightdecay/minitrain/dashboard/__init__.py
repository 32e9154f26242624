"""The dashboard: runs as one self-contained page, or as panels inside a chapter.

`write` makes ``dashboard.html`` (one run) and ``dashboard-compare.html`` (two or more). Python says
what is drawn (`panels`), `dashboard.js` draws it with Plotly and reacts to the controls.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from weightdecay.interactive import ASSETS_VARIABLE, asset, plotly_script
from weightdecay.minitrain import differences
from weightdecay.minitrain.dashboard.panels import Page, build
from weightdecay.minitrain.dashboard.tables import config_rows, final_table
from weightdecay.minitrain.ladder import Report
from weightdecay.runs import Run, write_text

HERE = Path(__file__).parent

_environment = Environment(
    loader=PackageLoader("weightdecay.minitrain", "dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _own(name: str) -> Markup:
    """One of our files, trusted."""
    return Markup((HERE / name).read_text("utf-8"))


def _scripts() -> list[Markup]:
    return [plotly_script(), asset("common.js"), _own("dashboard.js")]


def _styles() -> Markup:
    return asset("interactive.css") + _own("dashboard.css")


def render(runs: Sequence[Run], report: Report | None = None) -> str:
    """The whole page as HTML. Whatever comes from a run directory is escaped."""
    return _environment.get_template("page.html").render(
        title="Runs compared" if len(runs) > 1 else f"Run {runs[0].name}",
        runs=runs,
        sentence=differences.sentence(runs) if len(runs) > 1 else "",
        config=config_rows(runs),
        problems=[p for run in runs for p in run.problems],
        final=final_table(runs),
        report=report,
        page=build(runs),
        css=_styles(),
        scripts=_scripts(),
    )


def write(runs: Sequence[Run], path: Path, report: Report | None = None) -> Path:
    """Write the page atomically; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(runs, report))
    return path


def fragment(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Some panels as HTML for a chapter.

    On the built site the scripts come from the site's shared folder; in a live notebook, where
    there is none, they are part of the output.

    Raises:
        KeyError: for a panel that does not exist.
    """
    page = build(runs)
    known = {panel["id"]: panel for panel in page["panels"]}
    chosen: Page = {**page, "panels": [known[name] for name in names]}
    assets = os.environ.get(ASSETS_VARIABLE)
    return _environment.get_template("fragment.html").render(
        page=chosen,
        assets=assets,
        css="" if assets else _styles(),
        scripts=() if assets else _scripts(),
    )
