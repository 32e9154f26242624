"""The commands of the blind diagnosis: ``blind-run`` and ``reveal NAME --guess CAUSE``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tyro.conf import Positional

from weightdecay.minitrain.causes import CAUSES


def blind_run() -> None:
    """Train a run whose cause is sealed, or go on with one that is not finished."""
    from weightdecay.minitrain import blind

    directory, seal, seed = blind.choose()
    print(f"{directory.name}: one of {', '.join(CAUSES)}; which one is sealed")
    page = blind.train(directory, seal, seed)
    print(f"{directory.name}: finished; dashboard {os.path.relpath(page)}")
    print(f"When you know: just reveal {directory.name} --guess CAUSE")


def reveal(name: Positional[str], guess: str) -> None:
    """Tell what was wrong with a blind run, and whether you knew.

    Args:
        name: The run's name, such as blind-heron.
        guess: What you think: healthy, no-decay, init, warmup or mask.
    """
    from weightdecay.minitrain import blind

    told = blind.reveal(name, guess)
    run = Path(name).name
    print(f"{run}: {told.cause}: {CAUSES[told.cause]}.")
    score = f"{told.right} of {told.reveals} right so far"
    print(f"Your guess, {told.guess}, is {'right' if told.right_now else 'wrong'}; {score}.")
    for line in told.because:
        print(line)


COMMANDS: dict[str, Callable[..., None]] = {"blind-run": blind_run, "reveal": reveal}
