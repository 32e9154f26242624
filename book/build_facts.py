"""The page "Status": on what the book was built, and how its table of run times reads.

A small Sphinx extension with one directive:

    ```{build-facts}
    ```
"""

from __future__ import annotations

import platform
import re
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import psutil
from docutils import nodes
from exercise_cards import parsed
from guides import table
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from weightdecay import plan, runs


def facts() -> dict[str, str]:
    """Of this build and this machine; no name and no path."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": (runs.git_commit() or "unknown")[:12],
        "Python": platform.python_version(),
        "system": f"{platform.system()}, {platform.machine()}",
        "CPU": _cpu(),
        "cores": str(psutil.cpu_count()),
        "RAM": f"{memory:.1f} GiB",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text("utf-8") if info.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    return named[1] if named else platform.processor() or "unknown"


def packages(pyproject: Path = plan.ROOT / "pyproject.toml") -> dict[str, str]:
    """What the library and the book ask for by name, and the version that is installed."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["book"]]
    names = sorted({re.split(r"[<>=!~\[; ]", line)[0] for line in asked}, key=str.lower)
    return {project["name"]: project["version"], **{name: _installed(name) for name in names}}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


class BuildFacts(SphinxDirective):
    """Made again on every build, as no file says when they change."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        text = table(("build", ""), facts().items())
        installed = ((f"`{name}`", number) for name, number in packages().items())
        return parsed(self, f"{text}\n\n{table(('package', 'version'), installed)}")


class SpelledOutcomes(SphinxPostTransform):
    """The outcome in the table of run times as a word: many a font lacks the signs."""

    default_priority = 9  # after the table is made, before its links are resolved
    words: ClassVar = {"✅": "ok", "❌": "failed"}

    def run(self, **_: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if text in self.words:
                text.parent.replace(text, nodes.Text(self.words[text]))


def setup(app: Any) -> dict[str, bool]:
    app.add_post_transform(SpelledOutcomes)
    app.add_directive("build-facts", BuildFacts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
