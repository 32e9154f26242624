"""Wrong answers to 01-ridge-shrinkage that learners give."""

from typing import Any

import numpy as np
import torch

from weightdecay.grading import Mistake


def probe_share(f: Any, rng: np.random.Generator) -> Any:
    sigma = torch.from_numpy(rng.uniform(0.3, 3, 6))
    return [f(sigma, float(rng.uniform(0.2, 3))) for _ in range(3)]


def probe_lam_of_mse(f: Any, rng: np.random.Generator) -> Any:
    return [f(float(rng.uniform(0.1, 2)), int(rng.integers(5, 100))) for _ in range(4)]


PROBES = {
    "ridge_share": probe_share,
    "stopped_share": probe_share,
    "lam_of_mse": probe_lam_of_mse,
}

MISTAKES = [
    Mistake("ridge-plain-sigma", "ridge_share", lambda s, lam: s / (s + lam)),
    Mistake("ridge-lambda-twice", "ridge_share", lambda s, lam: s**2 / (s**2 + 2 * lam)),
    Mistake("ridge-lambda-squared", "ridge_share", lambda s, lam: s**2 / (s**2 + lam**2)),
    Mistake("ridge-share-taken", "ridge_share", lambda s, lam: lam / (s**2 + lam)),
    Mistake("ridge-not-a-share", "ridge_share", lambda s, lam: s / (s**2 + lam)),
    Mistake("stopped-plain-sigma", "stopped_share", lambda s, t: 1 - torch.exp(-t * s)),
    Mistake("stopped-still-missing", "stopped_share", lambda s, t: torch.exp(-t * s**2)),
    Mistake("stopped-as-ridge", "stopped_share", lambda s, t: s**2 * t / (s**2 * t + 1)),
    Mistake("mse-forgets-n", "lam_of_mse", lambda weight_decay, n: weight_decay),
    Mistake("mse-forgets-half", "lam_of_mse", lambda weight_decay, n: n * weight_decay),
    Mistake("mse-upside-down", "lam_of_mse", lambda weight_decay, n: 2 * weight_decay / n),
    Mistake("mse-upside-down", "lam_of_mse", lambda weight_decay, n: weight_decay / n),
]
