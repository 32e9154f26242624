"""``python -m weightdecay.plasticity.scale CONFIG``, under `accelerate launch`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tyro

from weightdecay.plan import ROOT
from weightdecay.plasticity import scale
from weightdecay.plasticity.scale.config import read
from weightdecay.runs import RunError

OUT = ROOT / "_build" / "scale"


def run(
    config: tyro.conf.Positional[Path],
    out: Path | None = None,
    seed: int | None = None,
    weight_decay: float | None = None,
    sft: Path | None = None,
    cost: bool = False,
    force: bool = False,
) -> None:
    """Pretrain one real model, or fine-tune it.

    Args:
        config: The YAML file.
        out: Run directory; without it _build/scale/… by config, weight decay and seed.
        seed: Replaces the config's seed.
        weight_decay: Replaces the config's weight decay.
        sft: Fine-tune the finished model on this file of {"prompt": …, "response": …} lines.
        cost: Only say how many GPU hours the run takes.
        force: Train again where a finished or different run lies.
    """
    checked = read(config, seed=seed, weight_decay=weight_decay)
    name = f"{config.stem}-wd{checked.optimizer.weight_decay:g}-seed{checked.seed}"
    directory = out or OUT / name
    if cost:
        from weightdecay.plasticity.scale import cost as costs

        print(costs.cost(checked, config.stem))
    elif sft:
        from weightdecay.plasticity.scale.sft import fine_tune

        fine_tune(checked, directory, sft, force=force)
    else:
        from weightdecay.plasticity.scale.pretrain import pretrain

        pretrain(checked, directory, force=force)


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 and one line on standard error, of the main process, for a mistake of the user's."""
    try:
        tyro.cli(run, args=arguments, prog="scale", description=scale.__doc__)
    except RunError as e:
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
