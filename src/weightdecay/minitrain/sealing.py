"""The seal on a blind run: its cause is in the directory and nothing there says it at a glance.

The seal is a random number in the manifest; a digest of it chooses the cause. So the answer takes
no other place, has the same length whatever it is, and lies there from the first moment. This keeps
it from a reader who looks around, from nobody who means to find it out: whoever has this file, the
checkpoint or the weights can.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from weightdecay.minitrain.causes import CAUSES
from weightdecay.runs import Json, Run, RunError, read_json

KEY = "sealed"  # of the manifest; as a value it stands for what a sealed config does not say
WITHHELD = ("learning_rate", "dose")  # of the metrics: they draw the config


def new() -> str:
    """A seal over a cause chosen at random."""
    return secrets.token_hex(16)


def read(manifest: Path) -> str:
    """The seal in a manifest.

    Raises:
        RunError: if there is none or it is not one.
    """
    seal = read_json(manifest).get(KEY)
    if not isinstance(seal, str) or not re.fullmatch("[0-9a-f]{32}", seal):
        raise RunError(f"{manifest}: {KEY} = {seal!r}; accepted: 32 hexadecimal digits")
    return seal


def cause(seal: str) -> str:
    """The cause under a seal. Every seal lies on the order of `CAUSES`: it must not change."""
    digest = hashlib.sha256(f"blind {seal}".encode()).digest()
    return list(CAUSES)[int.from_bytes(digest, "big") % len(CAUSES)]


def written(config: Json, manifest: Json, seal: str | None) -> tuple[Json, Json]:
    """Config and manifest as they are written into a run: without a seal as they are."""
    if seal is None:
        return config, manifest
    hidden = {
        **config,
        "failure": KEY,
        "optimizer": {**config["optimizer"], "weight_decay": KEY},
    }
    # The hash of the initial weights could be looked up in another run of this seed.
    rest = {k: v for k, v in manifest.items() if k != "initial_weights_sha256"}
    return hidden, {**rest, KEY: seal}


def is_sealed(run: Run) -> bool:
    """Whether a run's cause has not been revealed yet."""
    return KEY in run.manifest


def record(whole: Json) -> Json:
    """A record of the metrics as it is written into a sealed run."""
    return {k: v for k, v in whole.items() if k not in WITHHELD}
