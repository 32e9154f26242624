"""Blind diagnosis: train a run whose cause is sealed, look at its dashboard, guess, reveal.

``just blind-run``, then ``just reveal blind-heron --guess mask``. What a sealed run does not say
and how is in `sealing`. Revealed, it becomes an ordinary run: config and metrics get back what was
withheld.
"""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import dataclass
from pathlib import Path

from weightdecay import runs
from weightdecay.decay import cumulative_dose
from weightdecay.minitrain import causes, dashboard, recipe, sealing, signatures
from weightdecay.minitrain.causes import CAUSES
from weightdecay.runs import DASHBOARD, MANIFEST, METRICS, RESULTS, Json, RunError

PREFIX, TALLY, REVEALED = "blind-", "blind-tally.json", "revealed"
ANIMALS = tuple(
    """badger beaver bison bittern crane curlew dingo dormouse eagle egret ermine falcon ferret
    gannet gecko gibbon grouse hare heron hoopoe ibex ibis jackal kestrel kite lapwing lark lemur
    linnet lynx marmot marten merlin moose newt otter owl pika plover puffin quail raven robin
    sable shrew siskin stoat stork swift tapir teal thrush toad trout vole weasel wren zebra
    """.split()  # noqa: SIM905  (a list of sixty quoted words reads worse)
)


@dataclass(frozen=True)
class Verdict:
    """What a reveal tells: the cause, the score so far, and why, with this run's numbers."""

    cause: str
    guess: str
    right: int
    reveals: int
    because: list[str]

    @property
    def right_now(self) -> bool:
        return self.cause == self.guess


def choose(parent: Path = recipe.EXPERIMENTS) -> tuple[Path, str, int]:
    """Directory, seal and seed of the next blind run: one that is not finished, or a new one.

    Raises:
        RunError: if every name is taken or an unfinished run cannot be read.
    """
    for path in sorted(parent.glob(f"{PREFIX}*/{MANIFEST}")):
        manifest = runs.read_json(path)
        if sealing.KEY in manifest and not (path.parent / DASHBOARD).exists():
            return path.parent, sealing.read(path), int(manifest["seed"])
    free = [a for a in ANIMALS if not (parent / f"{PREFIX}{a}").exists()]
    if not free:
        raise RunError(f"{parent}: every name for a blind run is taken; remove some of {PREFIX}*")
    seed = secrets.randbelow(2**31)
    return parent / f"{PREFIX}{random.SystemRandom().choice(free)}", sealing.new(), seed


def train(directory: Path, seal: str, seed: int, *, quiet: bool = False) -> Path:
    """Train a sealed run to its end and write its dashboard; the page.

    Raises:
        RunError: if the directory cannot be trained in, e.g. because another process does.
    """
    from weightdecay.minitrain import loop  # torch is imported only to train

    if (directory / RESULTS).exists():  # killed between the two
        run = runs.load(directory)
    else:
        config = causes.config(sealing.cause(seal), seed)
        run = loop.train(config, directory, quiet=quiet, seal=seal)
    return dashboard.write([run], directory / DASHBOARD)


def find(name: str, parent: Path = recipe.EXPERIMENTS) -> Path:
    """The directory of a blind run that is finished and still sealed.

    Raises:
        RunError: for any other name, saying what there is.
    """
    directory = parent / Path(name).name
    present = sorted(p.parent.name for p in parent.glob(f"{PREFIX}*/{MANIFEST}"))
    if directory.name not in present:
        known = f"there are {', '.join(present)}" if present else "just blind-run trains one"
        raise RunError(f"{name}: no blind run of that name; {known}")
    manifest = runs.read_json(directory / MANIFEST)
    if told := manifest.get(REVEALED):
        raise RunError(
            f"{directory.name}: revealed already: {told['cause']}, your guess was {told['guess']}"
        )
    if not (directory / DASHBOARD).exists():
        raise RunError(f"{directory.name}: not finished; just blind-run goes on with it")
    return directory


def reveal(name: str, guess: str, parent: Path = recipe.EXPERIMENTS) -> Verdict:
    """Tell the cause of a blind run, count the guess, and make it an ordinary run.

    Raises:
        RunError: for a guess that is none of `CAUSES`, or a run that cannot be revealed; then
            nothing is counted.
    """
    if guess not in CAUSES:
        raise RunError(f"--guess = {guess}; accepted: {', '.join(CAUSES)}")
    directory = find(name, parent)
    run = runs.load(directory)
    seal = sealing.read(directory / MANIFEST)
    cause = sealing.cause(seal)
    because = _because(run, cause)
    tally = parent / TALLY
    told = _read_tally(tally)
    # By seal, so that a reveal that was killed half-way and is made again counts once.
    told[seal] = {"run": directory.name, "cause": cause, "guess": guess}
    runs.write_json(tally, told)
    _unseal(run, cause, guess)
    dashboard.write([runs.load(directory)], directory / DASHBOARD)
    right = sum(t["cause"] == t["guess"] for t in told.values())
    return Verdict(cause, guess, right, len(told), because)


def _because(run: runs.Run, cause: str) -> list[str]:
    """The panel that gives the cause away and what it shows in this run, a line each."""
    lines = []
    for name, rung in signatures.RUNGS.items():
        if cause not in (name, "healthy"):
            continue
        found = rung(run)
        panel = f'Panel "{signatures.PANELS[name]}"'
        verdict = "" if cause == "healthy" else f" Rung {found.number}: {found.verdict}."
        says = f"not {name}: " if cause == "healthy" else ""
        lines.append(f"{panel}: {says}{' '.join(found.evidence)}{verdict}")
    return lines


def _read_tally(path: Path) -> dict[str, dict[str, str]]:
    """Seal to run, cause and guess of every reveal so far."""
    if not path.exists():
        return {}
    told = runs.read_json(path)
    if not all(isinstance(t, dict) and {"cause", "guess"} <= t.keys() for t in told.values()):
        raise RunError(f"{path}: not a tally; remove it to count anew")
    return told


def _unseal(run: runs.Run, cause: str, guess: str) -> None:
    """Write what was withheld; the manifest last, so that a killed reveal can be made again."""
    from weightdecay.minitrain.build import learning_rates

    config = causes.config(cause, int(run.manifest["seed"]))
    rates = learning_rates(config)
    doses = cumulative_dose(rates, config.optimizer.weight_decay)

    def whole(record: Json) -> Json:
        step = record["step"]
        rate = float(f"{rates[step - 1]:.7g}") if step else 0.0  # digits as the loop writes them
        return {**record, "learning_rate": rate, "dose": float(f"{doses[step]:.7g}")}

    records, _ = runs.read_metrics(run.path / METRICS)
    lines = (json.dumps(whole(r) if r["kind"] == "eval" else r) for r in records)
    runs.write_text(run.path / METRICS, "".join(f"{line}\n" for line in lines))
    results = runs.read_json(run.path / RESULTS)
    runs.write_json(run.path / RESULTS, {**results, "final": whole(results["final"])})
    runs.write_yaml(run.path / runs.CONFIG, config.model_dump())
    manifest = {k: v for k, v in run.manifest.items() if k != sealing.KEY}
    told = {"cause": cause, "guess": guess, "at": runs.now()}
    runs.write_json(run.path / MANIFEST, {**manifest, REVEALED: told})
