"""Refresh constraints.txt: ``just update-constraints``.

pip resolves the project with every extra of ``pyproject.toml``, as in an empty environment and
without installing anything; what came out becomes the pins. A bound that must hold (a version that
misbehaves) belongs into ``pyproject.toml``, where pip reads it. The comments on top stay, and so
does a comment above or behind a pin, as long as the pin does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from weightdecay.runs import write_text

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s#;]+)(?P<behind>\s+#.*)?")
# What justw and the justfile install beside the project.
BESIDE = ("rust-just",)


class PinError(Exception):
    """One line for the reader."""


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    above: tuple[str, ...] = ()
    behind: str = ""

    @property
    def line(self) -> str:
        return f"{self.name}=={self.version}{self.behind}"


def parse(text: str) -> tuple[list[str], dict[str, Pin]]:
    """The comments on top, and the pins under their canonical names."""
    top: list[str] = []
    pins: dict[str, Pin] = {}
    above: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            (above if pins else top).append(line)
            continue
        match = PIN.fullmatch(line.rstrip())
        if not match:
            raise PinError(
                f"constraints.txt, line {number}: {line!r} is no pin; wanted NAME==VERSION"
            )
        pin = Pin(match["name"], match["version"], tuple(above), match["behind"] or "")
        pins[canonicalize_name(pin.name)] = pin
        above = []
    return top, pins


def refresh(text: str, fresh: Mapping[str, str]) -> tuple[str, list[str]]:
    """The new file, and one line for everything that differs from the old one."""
    top, old = parse(text)
    new: dict[str, Pin] = {}
    for name, version in fresh.items():
        key: str = canonicalize_name(name)
        public = version.split("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        new[key] = replace(old[key], version=public) if key in old else Pin(name, public)
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            changes.append(f"removed {old[key].name} {old[key].version}")
        elif key not in old:
            changes.append(f"added   {new[key].name} {new[key].version}")
        elif old[key].version != new[key].version:
            changes.append(f"changed {old[key].name} {old[key].version} -> {new[key].version}")
    lines = list(top)
    for pin in sorted(new.values(), key=lambda pin: pin.line.lower()):
        lines += [*pin.above, pin.line]
    return "\n".join(lines) + "\n", changes


def resolve(root: Path) -> dict[str, str]:
    """What pip would install for the project and all its extras, the project left out."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"])
    if not oldest:
        raise PinError(
            f"pyproject.toml: requires-python is {project['requires-python']!r}, not >=X.Y"
        )
    if sys.version_info[:2] != tuple(map(int, oldest.groups())):
        raise PinError(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}; the pins have to suit "
            f"the oldest that the project promises: resolve with Python {'.'.join(oldest.groups())}"
        )
    extras = ",".join(project["optional-dependencies"])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        pip += ["--dry-run", "--ignore-installed", "--report", str(report)]
        if subprocess.run([*pip, f"{root}[{extras}]", *BESIDE], check=False).returncode:
            raise PinError("pip found no set of versions that fits together; constraints.txt stays")
        packages = [entry["metadata"] for entry in json.loads(report.read_text("utf-8"))["install"]]
    mine = canonicalize_name(project["name"])
    return {p["name"]: p["version"] for p in packages if canonicalize_name(p["name"]) != mine}


def update(root: Path, resolver: Callable[[Path], Mapping[str, str]] = resolve) -> list[str]:
    """Write what the resolver found, if it differs; what changed, a line each."""
    path = root / "constraints.txt"
    before = path.read_text("utf-8")
    after, changes = refresh(before, resolver(root))
    if after != before:
        write_text(path, after)
    return changes


def main() -> int:
    try:
        changes = update(ROOT)
    except PinError as error:
        print(f"update-constraints: {error}", file=sys.stderr)
        return 1
    print("\n".join(changes) or "constraints.txt is up to date")
    if changes:
        print(f"{len(changes)} pins differ. Now `./justw ci`: only versions that pass stay.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
