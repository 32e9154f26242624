"""Checks of 01-ridge-shrinkage: shares against solved regressions and a matrix exponential."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from weightdecay.grading import expect

Share = Callable[[Tensor, float], Tensor]


def regression(rng: np.random.Generator, n: int = 12, k: int = 5) -> tuple[Tensor, ...]:
    """Data X (n, k), its singular values (k,) and directions (k, k), and targets (n,)."""
    left, _ = np.linalg.qr(rng.normal(size=(n, k)))
    right, _ = np.linalg.qr(rng.normal(size=(k, k)))
    sigma = np.exp(rng.uniform(-1.5, 1.0, k))
    y = left @ rng.uniform(0.5, 2.0, k) + rng.normal(size=n)
    arrays = left * sigma @ right.T, sigma, right, y
    return tuple(torch.from_numpy(a) for a in arrays)


def shares(w: Tensor, X: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Measured shares: w over the least-squares solution, along each direction."""
    least_squares = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    measured: Tensor = (directions.T @ w) / (directions.T @ least_squares)
    return measured


def same_dtype(found: object, sigma: Tensor) -> None:
    """The shares have to be of sigma's dtype, which `expect` does not ask."""
    dtype = getattr(found, "dtype", type(found).__name__)
    assert dtype == sigma.dtype, f"sigma is {sigma.dtype}, the shares are {dtype}"


@pytest.mark.points(1)
def test_half_where_sigma_squared_is_lambda(ridge_share: Share, rng: np.random.Generator) -> None:
    """Where σ² = λ, ridge keeps one half, in σ's dtype."""
    root = float(rng.uniform(2, 5))
    for dtype in (torch.float64, torch.float32):
        sigma = torch.tensor([root], dtype=dtype)
        found = ridge_share(sigma, root**2)
        inputs = {"sigma": sigma, "lam": root**2}
        expect(found, torch.tensor([0.5], dtype=dtype), inputs=inputs, what="ridge_share")
        same_dtype(found, sigma)


@pytest.mark.points(2)
def test_ridge_share_is_that_of_the_solved_regression(
    ridge_share: Share, rng: np.random.Generator
) -> None:
    """The shares are those of (XᵀX + λI)⁻¹Xᵀy, solved for a random regression."""
    X, sigma, directions, y = regression(rng)
    lam = float(np.exp(rng.uniform(-2, 2)))
    w = torch.linalg.solve(X.T @ X + lam * torch.eye(5, dtype=X.dtype), X.T @ y)
    expect(
        ridge_share(sigma, lam),
        shares(w, X, y, directions),
        inputs={"sigma": sigma, "lam": lam},
        what="ridge_share",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_without_a_penalty_everything_stays(ridge_share: Share, rng: np.random.Generator) -> None:
    """λ = 0 keeps all of every direction; shape and dtype are those of sigma."""
    for dtype in (torch.float32, torch.float64):
        for k in (0, 1, 7):
            sigma = torch.from_numpy(rng.uniform(0.1, 3, k)).to(dtype)
            found = ridge_share(sigma, 0.0)
            expect(found, torch.ones(k, dtype=dtype), inputs={"sigma": sigma, "lam": 0.0})
            same_dtype(found, sigma)


@pytest.mark.points(2)
def test_stopped_share_is_that_of_gradient_flow(
    stopped_share: Share, rng: np.random.Generator
) -> None:
    """The shares are those of gradient flow (by a matrix exponential), in σ's dtype."""
    X, sigma, directions, y = regression(rng)
    time = float(np.exp(rng.uniform(-1, 1)))
    least_squares = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    w = least_squares - torch.linalg.matrix_exp(-time * X.T @ X) @ least_squares
    expect(
        stopped_share(sigma, time),
        shares(w, X, y, directions),
        inputs={"sigma": sigma, "time": time},
        what="stopped_share",
    )
    for given in (sigma, sigma.float()):
        same_dtype(stopped_share(given, time), given)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_nothing_at_time_zero_and_all_in_the_end(
    stopped_share: Share, rng: np.random.Generator
) -> None:
    """At time 0 nothing is reached, after a very long time everything."""
    for dtype in (torch.float32, torch.float64):
        for k in (0, 6):
            sigma = torch.from_numpy(rng.uniform(0.3, 3, k)).to(dtype)
            first, last = stopped_share(sigma, 0.0), stopped_share(sigma, 1e4)
            expect(first, torch.zeros(k, dtype=dtype), inputs={"sigma": sigma, "time": 0.0})
            expect(last, torch.ones(k, dtype=dtype), inputs={"sigma": sigma, "time": 1e4})
            same_dtype(last, sigma)


@pytest.mark.points(2)
def test_lam_of_mse_gives_the_minimum_of_the_mean(
    lam_of_mse: Callable[[float, int], float], rng: np.random.Generator
) -> None:
    """With your λ, the summed loss has the minimum of nn.MSELoss with weight_decay."""
    n = int(rng.integers(8, 40))
    X, _, _, y = regression(rng, n)
    weight_decay = float(np.exp(rng.uniform(-2, 1)))
    eye = torch.eye(5, dtype=X.dtype)
    of_mean = torch.linalg.solve(2 / n * X.T @ X + weight_decay * eye, 2 / n * X.T @ y)
    # The λ that makes of_mean the minimum of the summed loss: Xᵀ(Xw − y) + λw = 0.
    gradient = X.T @ (X @ of_mean - y)
    lam = -float(gradient @ of_mean / (of_mean @ of_mean))
    expect(
        lam_of_mse(weight_decay, n),
        lam,
        inputs={"weight_decay": weight_decay, "n": n},
        what="lam_of_mse",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_lam_of_mse_grows_with_the_examples(
    lam_of_mse: Callable[[float, int], float], rng: np.random.Generator
) -> None:
    """No decay is no penalty; ten times the examples are ten times the λ; two make them equal."""
    weight_decay = float(rng.uniform(0.01, 1))
    n = int(rng.integers(1, 10**6))
    inputs = {"weight_decay": weight_decay, "n": n}
    expect(lam_of_mse(0.0, n), 0.0, inputs={"weight_decay": 0.0, "n": n}, what="lam_of_mse")
    expect(lam_of_mse(weight_decay, 2), weight_decay, inputs={**inputs, "n": 2}, what="lam_of_mse")
    ratio = lam_of_mse(weight_decay, 10 * n) / lam_of_mse(weight_decay, n)
    expect(ratio, 10.0, inputs=inputs, what="lam_of_mse at 10 n over lam_of_mse at n")
