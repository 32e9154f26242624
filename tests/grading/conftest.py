"""The made-up exercise, and a progress of its own, for every test that asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grading import tiny
from weightdecay.grading.load import Exercise, load


@pytest.fixture
def exercises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of exercises, and a progress file that does not exist yet."""
    monkeypatch.setenv("WEIGHTDECAY_EXERCISES", str(tmp_path / "exercises"))
    monkeypatch.setenv("WEIGHTDECAY_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("WEIGHTDECAY_CHECK_SEED", raising=False)
    monkeypatch.delenv("WEIGHTDECAY_GRADING", raising=False)
    return tmp_path / "exercises"


@pytest.fixture
def exercise(exercises: Path) -> Exercise:
    """The made-up one."""
    tiny.write(exercises)
    return load(tiny.ID)
