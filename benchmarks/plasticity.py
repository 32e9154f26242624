"""Plasticity's pretraining against the plainest loop of the same model, and its cached sampling
against reading the whole text again for each token: ``just bench plasticity-pretrain``."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Sequence
from itertools import cycle, islice

import torch
from side_by_side import CORES, TORCH_THREADS, record, seconds, workers

from weightdecay.plasticity import pretrain, sampling
from weightdecay.plasticity.config import CONTEXT, Pretrain, Size
from weightdecay.plasticity.downstream import examples
from weightdecay.plasticity.evaluate import SAMPLES
from weightdecay.plasticity.language import sample
from weightdecay.plasticity.task import SAMPLED

SIZES: tuple[Size, ...] = ("100k", "400k", "1.6m")
DECAY = 0.1
TARGET = 1 / 1.5
ENDLESS = 10**9


def plain_loop(size: Size) -> Callable[[int], float]:
    """Takes steps of the plainest loop; returns the last loss.

    The model, its initial weights, batch size, learning rates and clipping are ours; documents are
    drawn for one step at a time. Its AdamW is
    torch's default, on a CPU one parameter after the other.
    """
    config = Pretrain(seed=0, weight_decay=DECAY, size=size)
    model = pretrain.build(config)
    optimizer = torch.optim.AdamW(model.parameters(), betas=pretrain.BETAS, weight_decay=DECAY)
    rates = enumerate(cycle(pretrain.learning_rates(config)))

    def advance(steps: int) -> float:
        for done, rate in islice(rates, steps):
            drawn = sample(config.batch_size, CONTEXT, [config.seed, done])
            loss = pretrain.loss_of(model, torch.from_numpy(drawn.tokens))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), pretrain.CLIP_NORM)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            last = loss.item()
        return last

    return advance


def our_loop(size: Size, seed: int) -> Callable[[int], float]:
    """Takes steps as `pretrain.train` does; returns their mean loss."""
    config = Pretrain(seed=seed, weight_decay=DECAY, size=size)
    model = pretrain.build(config)
    optimizer = pretrain.optimizer(model, DECAY, config.learning_rate)
    steps_of = zip(pretrain.batches(config, 0, ENDLESS), cycle(pretrain.learning_rates(config)))

    def advance(steps: int) -> float:
        total = torch.zeros(())
        for _ in range(steps):
            ids, rate = next(steps_of)
            loss = pretrain.loss_of(model, ids)
            pretrain.step(model, optimizer, loss, rate)
            total += loss.detach()
        return float(total) / steps

    return advance


@functools.cache
def loop_here(size: Size, seed: int) -> Callable[[int], float]:
    """This process's run, which goes on from call to call."""
    return our_loop(size, seed)


def advance_here(size: Size, seed: int, steps: int) -> float:
    return loop_here(size, seed)(steps)


def bench_pretrain(rounds: int, steps: int = pretrain.CHUNK, sizes: Sequence[Size] = SIZES) -> None:
    """Time for a token. Plainly: one model on torch's default threads. Ours: as a sweep trains, a
    model for each core, in a process of one thread; the tokens of all of them count.

    Rounds are as long as the documents drawn at once last, so that each has its share of drawing.
    Starting, the measures midway and the files are not counted.
    """
    pools = workers()
    tokens: dict[str, dict[Size, float]] = {"plain": {}, "ours": {}}  # a second
    for size in sizes:
        plainly = plain_loop(size)

        def ours(n: int, size: Size = size) -> None:
            futures = [pool.submit(advance_here, size, seed, n) for seed, pool in enumerate(pools)]
            losses = [future.result() for future in futures]
            assert all(map(math.isfinite, losses)), losses

        torch.set_num_threads(TORCH_THREADS)
        plainly(3)
        ours(steps)  # warm up, to the end of a chunk
        times: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            times["plain"].append(seconds(functools.partial(plainly, steps)))
            times["ours"].append(seconds(functools.partial(ours, steps)) / CORES)
        for way, taken in times.items():
            tokens[way][size] = 16 * CONTEXT * steps / statistics.median(taken)
        record(
            "plasticity-pretrain" + ("" if size == SIZES[0] else f"-{size}"),
            [a / b for a, b in zip(times["ours"], times["plain"], strict=True)],
            TARGET,
            f"{size} parameters, tokens a second: {tokens['ours'][size]:.0f} in {CORES} processes, "
            f"plain {tokens['plain'][size]:.0f} on {TORCH_THREADS} threads.",
        )
    for pool in pools:
        pool.shutdown()
    if len(sizes) > 1:
        small, large = (_parameters(size) for size in (sizes[0], sizes[-1]))
        growth = {
            way: math.log(t[sizes[0]] / t[sizes[-1]]) / math.log(large / small)
            for way, t in tokens.items()
        }
        print(
            f"plasticity-pretrain: from {small} to {large} parameters the time for a token grows "
            f"as their number to the power {growth['ours']:.2f}, plain {growth['plain']:.2f}"
        )


def _parameters(size: Size) -> int:
    model = pretrain.build(Pretrain(seed=0, weight_decay=DECAY, size=size))
    return sum(p.numel() for p in model.parameters())


def bench_sampling(rounds: int) -> None:
    """Solutions to the task of chains as a fine-tuned model of the main size is asked for them, on
    one thread: with keys and values cached, against reading the text again for each token."""
    torch.set_num_threads(1)
    model = pretrain.build(Pretrain(seed=0, weight_decay=DECAY))
    asked = examples("chains", "test", SAMPLED, 0)
    length = statistics.mode(len(e.prompt) for e in asked)  # a batch has prompts of one length
    rows = [sampling.prompt_ids(e) for e in asked if len(e.prompt) == length]
    prompts = torch.tensor(rows).repeat_interleave(SAMPLES, 0)
    new = max(len(e.response) for e in asked)

    def drawn(*, cache: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return sampling.generate(model, prompts, new, 1.0, generator, cache=cache)

    ways = {cache: functools.partial(drawn, cache=cache) for cache in (True, False)}
    for way in ways.values():
        way()  # warm up
    times = [{cache: seconds(way) for cache, way in ways.items()} for _ in range(rounds)]
    rate = {
        cache: new * len(prompts) / statistics.median(t[cache] for t in times) for cache in ways
    }
    record(
        "plasticity-sampling",
        [t[True] / t[False] for t in times],
        None,
        f"{len(prompts)} prompts of {prompts.shape[1]} tokens, {new} new ones; tokens a second: "
        f"{rate[True]:.0f} with the cache, {rate[False]:.0f} without.",
    )
