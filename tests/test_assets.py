"""When does the book run its chapters again? What it hashes, and where the cache then lies."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import assets
import pytest

ROOT = Path(__file__).resolve().parent.parent

FILES = {
    "constraints.txt": "torch==2",
    "claims.yml": "[]",
    "benchmarks/replicas.json": "{}",
    "benchmarks/replicas.py": "",
    "src/weightdecay/decay.py": "LAMBDA = 0.1",
    "src/weightdecay/minitrain/loop.py": "",
    "book/theory/dose.md": "# Dose",
    "experiments/dose/sweep.yaml": "seeds: 2",
    "experiments/dose/results.csv": "seed\n0\n",
    "experiments/dose/manifest.json": "{}",
    "experiments/dose/points.json": "[]",
    "experiments/dose/reference/evals.csv": "",
    "experiments/large/tiny.yaml": "size: tiny",
    "experiments/18-control/config.yaml": "seed: 0",
    "experiments/18-control/reference/log.jsonl": "",
    "experiments/mine/config.yaml": "seed: 0",
    "experiments/mine/manifest.json": "{}",
}
# The cache itself looks at the text of a chapter, and no chapter reads a reader's own runs.
RUNS_NOTHING_AGAIN = {
    "benchmarks/replicas.py",
    "book/theory/dose.md",
    "experiments/dose/manifest.json",
    "experiments/mine/config.yaml",
    "experiments/mine/manifest.json",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Where a build of a small course keeps its executed chapters."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    monkeypatch.setattr(assets, "THEME", tmp_path / "book" / "theory")
    monkeypatch.setattr(assets, "fill", lambda: None)
    monkeypatch.setenv("WEIGHTDECAY_ASSETS", "")  # put back at the end

    def build() -> Path:
        config = SimpleNamespace(html_context={}, nb_execution_cache_path="")
        assets._prepare(None, config)
        at = Path(config.nb_execution_cache_path)
        at.mkdir(parents=True, exist_ok=True)
        return at

    return build


def test_nothing_changed_nothing_runs_again(cache: Callable[[], Path]) -> None:
    assert cache() == cache()


@pytest.mark.parametrize("name", FILES)
def test_a_change_runs_the_chapters_again_where_they_read_it(
    name: str, cache: Callable[[], Path], tmp_path: Path
) -> None:
    before = cache()
    (tmp_path / name).write_text(FILES[name] + "\n# changed\n")
    assert (cache() == before) == (name in RUNS_NOTHING_AGAIN)


def test_another_title_is_one_in_the_ledger(cache: Callable[[], Path], tmp_path: Path) -> None:
    before = cache()
    (tmp_path / "book" / "theory" / "dose.md").write_text("# Timescale")
    assert cache() != before


def test_a_module_more_or_of_another_name_is_a_change(
    cache: Callable[[], Path], tmp_path: Path
) -> None:
    before = cache()
    module = tmp_path / "src" / "weightdecay" / "decay.py"
    module.with_name("shrink.py").write_bytes(module.read_bytes())
    more = cache()
    module.unlink()
    assert len({before, more, cache()}) == 3


def test_what_python_compiled_is_none(cache: Callable[[], Path], tmp_path: Path) -> None:
    before = cache()
    compiled = tmp_path / "src" / "weightdecay" / "__pycache__"
    compiled.mkdir()
    (compiled / "decay.cpython-311.pyc").write_bytes(b"\0")
    assert cache() == before


def test_old_numbers_are_thrown_away(cache: Callable[[], Path], tmp_path: Path) -> None:
    before = cache()
    (before / "global.db").write_text("")
    (tmp_path / "src" / "weightdecay" / "decay.py").write_text("LAMBDA = 1.0")
    after = cache()
    assert after != before
    assert not before.exists()
    assert after.exists()


def test_the_key_of_this_course_sees_its_library() -> None:
    seen = set(assets.inputs())
    library = Path(assets.__file__).resolve().parent.parent / "src" / "weightdecay"
    assert set(library.rglob("*.py")) <= seen
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "experiments"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    results = {ROOT / name for name in tracked if not name.endswith("manifest.json")}
    assert results
    assert results <= seen
