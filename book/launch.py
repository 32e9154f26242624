"""Where the notebooks of the course can be opened: the repository's address, Binder, Colab.

The address is nowhere typed: it is that of the workflow that builds, or of this clone. A build that
has neither makes pages without these links.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "notebooks"  # of the site, and of the branch
BRANCH = "notebooks"  # what a release writes: see .github/workflows/publish.yml
ADDRESS = re.compile(r"github\.com[:/](?P<name>[\w.-]+/[\w.-]+?)(\.git)?/?$")


def repository(root: Path = ROOT) -> str:
    """``OWNER/NAME`` on GitHub, or nothing."""
    if named := os.environ.get("GITHUB_REPOSITORY"):
        return named
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    found = ADDRESS.search(told)
    return found["name"] if found else ""


def binder(repo: str, path: str) -> str:
    """The link that opens a notebook, named by its path below the folder."""
    return f"https://mybinder.org/v2/gh/{repo}/{BRANCH}?urlpath=lab/tree/{FOLDER}/{path}"


def colab(repo: str, path: str) -> str:
    """As for Binder."""
    return f"https://colab.research.google.com/github/{repo}/blob/{BRANCH}/{FOLDER}/{path}"


def chapter_file(chapter: str) -> str:
    return f"{chapter}.ipynb"


def exercise_file(name: str) -> str:
    return f"exercises/{name}.ipynb"
