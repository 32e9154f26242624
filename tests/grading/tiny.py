"""A made-up exercise, with two functions and two mistakes, written where a test wants it."""

from __future__ import annotations

from pathlib import Path

ID = "01-tiny"

SOURCE = '''---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
exercise:
  title: Shrink a weight
  minutes: 5
  difficulty: 1
  importance: 2
  points: 6
  chapter: theory/shrinkage
  exports: [shrink, which]
---

# Shrink a weight

One step of weight decay without a gradient.

```{code-cell} ipython3
import numpy as np
```

```{code-cell} ipython3
def shrink(w, lr, lam):
    """The weight after one step."""
    # BEGIN SOLUTION one line
    return (1 - lr * lam) * w
    # END SOLUTION


def which() -> str:
    # BEGIN SOLUTION
    return "decoupled"
    # END SOLUTION
```

`check()` says how it went; `hint()` helps.

```{code-cell} ipython3
check()
```

```{code-cell} ipython3
:tags: [solution]
# NBVAL_CHECK_OUTPUT
print(shrink(1.0, 0.5, 0.5))
```

+++ {"tags": ["explanation"]}

Decay multiplies the weight by $1 - \\eta\\lambda$.
'''

CHECKS = '''import numpy as np
import pytest

from weightdecay.grading import expect


@pytest.mark.points(2)
def test_shrinks(shrink, rng):
    """one step leaves (1 - lr·λ)·w"""
    w = rng.normal(size=3)
    expect(shrink(w, 0.1, 0.5), w - 0.05 * w, inputs={"w": w, "lr": 0.1, "λ": 0.5})


@pytest.mark.points(1)
def test_keeps_without_decay(shrink):
    """λ = 0 changes nothing"""
    expect(shrink(np.ones(2), 0.1, 0.0), np.ones(2), what="the weight")


@pytest.mark.points(1)
def test_names_it(which):
    """AdamW is decoupled"""
    assert which() == "decoupled"


@pytest.mark.points(2)
@pytest.mark.hidden
def test_shrinks_negative_weights(shrink):
    """a negative weight shrinks, too"""
    expect(shrink(-2.0, 0.5, 0.5), -1.5)
'''

MISTAKES = """from weightdecay.grading import Mistake


def probe_shrink(f, rng):
    w = rng.normal(size=4)
    return [f(w, 0.1, 0.5), f(w, 0.2, 0.1)]


PROBES = {"shrink": probe_shrink, "which": lambda f, rng: f()}
MISTAKES = [
    Mistake("no-lr", "shrink", lambda w, lr, lam: (1 - lam) * w),
    Mistake("coupled", "which", lambda: "coupled"),
]
"""

HINTS = """start:
  says: Nothing here matches a mistake we know.
  hints:
    - What does one step do to a weight without gradient?
    - It multiplies it.
    - The factor is one minus the product of rate and decay.
no-lr:
  says: Your decay is not multiplied by the learning rate.
  hints: [mild help, medium help, direct help]
coupled:
  says: You say that AdamW is coupled.
  hints: [mild, medium, direct]
"""

FILES = {
    "source.md": SOURCE,
    "checks.py": CHECKS,
    "mistakes.py": MISTAKES,
    "hints.yml": HINTS,
}


def write(exercises: Path, name: str = ID, **changed: str) -> Path:
    """Write the exercise into this folder; `changed` gives a file by its stem another text."""
    folder = exercises / name
    folder.mkdir(parents=True)
    for file, text in FILES.items():
        (folder / file).write_text(changed.get(file.split(".")[0], text), encoding="utf-8")
    return folder
