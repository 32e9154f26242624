"""The ledger of claims: ``just claims`` checks it, ``just claims --write`` brings it up to date.

``claims.yml`` holds one record a claim. Its first keys are written by people: what a source says,
in our words. The last ones, `measured`, `interval`, `held`, `n` and `verdict`, are computed from
results files by the module named in `measure` and never typed. A claim without such a module is
"not measured yet".

A claimed value counts as *reproduced* if the measured mean is within 10 % of it or if the 95 %
interval over seeds covers it. A claim is *direction only* if its sizes fail and yet everything it
asserts without a number held: paired differences with the asserted sign and an interval that
excludes zero. Otherwise it is *not reproduced*.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from weightdecay import runs
from weightdecay.runs import Json, RunError
from weightdecay.stats import Estimate, mean_interval

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "claims.yml"
BOOK = ROOT / "book"
TOLERANCE = 0.10
COMPUTED = ("measured", "interval", "held", "n", "verdict")


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    DIRECTION = "direction only"
    NOT_REPRODUCED = "not reproduced"
    CONFOUNDED = "confounded"
    NOT_TESTABLE = "not testable at this scale"
    NOT_MEASURED = "not measured yet"


class Record(BaseModel):
    """One claim as it stands in the ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Annotated[str, Field(pattern=r"^[BCHP][1-9][0-9]?$")]
    source: str
    statement: str
    claimed: dict[str, float]
    measure: Annotated[str, Field(pattern=r"^weightdecay(\.\w+)+$")] | None
    command: str | None
    chapter: str | None
    measured: dict[str, float | None] | None = None
    """Means over seeds: first the claimed quantities, then what `held` speaks of."""
    interval: dict[str, tuple[float, float] | None] | None = None
    """Their 95 % intervals."""
    held: dict[str, bool] | None = None
    """What the claim asserts without a number, and whether it is so."""
    n: int | None = None
    verdict: Verdict = Verdict.NOT_MEASURED


@dataclass(frozen=True)
class Quantity:
    """One number of a claim: what it is, the value claimed (if any) and the measured one."""

    name: str
    claimed: float | None
    estimate: Estimate

    @property
    def agrees(self) -> bool:
        """Within 10 % of the claimed value, or covered by the interval."""
        if self.claimed is None:
            return True
        e = self.estimate
        close = abs(e.mean - self.claimed) <= TOLERANCE * abs(self.claimed)
        return close or e.low <= self.claimed <= e.high


@dataclass(frozen=True)
class Direction:
    """Something that a claim asserts without a number: what, whether it held, and the evidence."""

    words: str
    held: bool
    estimate: Estimate | None
    """None where there is nothing to estimate, such as the step of a difference that never came."""


@dataclass
class Claim:
    """A claim with what was measured for it."""

    id: str
    statement: str
    claimed: dict[str, float]
    quantities: list[Quantity] = field(default_factory=list)
    directions: list[Direction] = field(default_factory=list)
    testable: bool = True
    """False if the effect that the claim speaks of is not there to look at."""
    confounded: str | None = None
    """The control that the claim's explanation does not survive, if there is one."""

    @property
    def verdict(self) -> Verdict:
        if not self.testable:
            return Verdict.NOT_TESTABLE
        directions = bool(self.directions) and all(d.held for d in self.directions)
        sizes = all(q.agrees for q in self.quantities)
        came_back = sizes and (directions or not self.directions)
        numbers = any(q.claimed is not None for q in self.quantities)
        if self.confounded and (came_back or directions):
            return Verdict.CONFOUNDED
        if came_back:
            return Verdict.REPRODUCED
        return Verdict.DIRECTION if directions and numbers else Verdict.NOT_REPRODUCED

    def add(self, name: str, values: Sequence[float]) -> Estimate:
        """Measure one quantity over seeds."""
        estimate = mean_interval(values)
        self.quantities.append(Quantity(name, self.claimed.get(name), estimate))
        return estimate

    def direction(self, words: str, differences: Sequence[float], sign: int) -> None:
        """Does a paired difference have this sign, with an interval that excludes zero?"""
        e = mean_interval(differences)
        self.directions.append(Direction(words, e.low > 0 if sign > 0 else e.high < 0, e))

    def computed(self) -> Json:
        """The computed keys of its record."""
        found = [(q.name, q.estimate) for q in self.quantities]
        found += [(d.words, d.estimate) for d in self.directions if d.estimate]
        return {
            "measured": {name: _round(e.mean) for name, e in found},
            "interval": {name: [_round(e.low), _round(e.high)] for name, e in found},
            "held": {d.words: d.held for d in self.directions},
            "n": min((e.n for _, e in found), default=None),
            "verdict": str(self.verdict),
        }


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 4096
    yaml.default_flow_style = None
    return yaml


def _plain(path: Path) -> list[Json]:
    try:
        records = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except YAMLError as e:
        raise RunError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise RunError(f"{path}: expected a list of records")
    return records


def read(path: Path = LEDGER) -> list[Record]:
    """Every record, checked.

    Raises:
        RunError: for a broken file, or a record with a wrong key or value or an id used twice.
    """
    records = []
    for number, plain in enumerate(_plain(path), 1):
        try:
            records.append(Record.model_validate(plain))
        except ValidationError as e:
            first = e.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            name = plain.get("id", f"record {number}")
            raise RunError(f"{path}: {name}: {key} = {first['input']!r}; {first['msg']}") from None
    ids = [r.id for r in records]
    if twice := {i for i in ids if ids.count(i) > 1}:
        raise RunError(f"{path}: id {', '.join(sorted(twice))} is used twice")
    return records


def measure(record: Record) -> Claim | None:
    """The claim measured from results files; None if nothing measures it yet."""
    if record.measure is None:
        return None
    claim = Claim(record.id, record.statement, record.claimed)
    importlib.import_module(record.measure).measure(claim)
    return claim


def measured(part: str, path: Path = LEDGER) -> dict[str, Claim]:
    """Id to claim, measured, for the claims of a part: ``measured("B")``."""
    found = {r.id: measure(r) for r in read(path) if r.id.startswith(part)}
    return {name: claim for name, claim in found.items() if claim}


def differences(path: Path = LEDGER) -> list[str]:
    """A sentence for each committed value or verdict that does not follow from results files."""
    found = []
    for record in read(path):
        claim = measure(record)
        fresh = claim.computed() if claim else {"verdict": str(Verdict.NOT_MEASURED)}
        for key in COMPUTED:
            committed, now = record.model_dump(mode="json").get(key), fresh.get(key)
            if committed != now:
                found.append(f"{record.id}: {key} is {committed}, the results give {now}")
    return found


def write(path: Path = LEDGER) -> None:
    """Put what the results give into the ledger; comments and what people wrote stay."""
    claims = {record.id: measure(record) for record in read(path)}
    yaml = _yaml()
    records = yaml.load(path.read_text("utf-8"))
    for record in records:
        claim = claims[record["id"]]
        for key in COMPUTED:
            record.pop(key, None)
        record.update(claim.computed() if claim else {"verdict": str(Verdict.NOT_MEASURED)})
    out = io.StringIO()
    yaml.dump(records, out)
    runs.write_text(path, out.getvalue())


_VERDICTS = "|".join(sorted((re.escape(v) for v in Verdict), key=len, reverse=True))
_SENTENCE = re.compile(rf"\b([BCHP][1-9][0-9]?)(?:\s+(?:is|was)|:|,)?\s+\**({_VERDICTS})\b")


def sentences(book: Path = BOOK, path: Path = LEDGER) -> Iterator[str]:
    """A sentence for each place in the book that gives a claim another verdict than the ledger."""
    verdicts = {record.id: record.verdict for record in read(path)}
    for chapter in sorted(book.rglob("*.md")):
        for number, line in enumerate(chapter.read_text("utf-8").splitlines(), 1):
            for name, said in _SENTENCE.findall(line):
                if name not in verdicts:
                    yield f"{chapter}: line {number}: {name} is not in the ledger"
                elif said != verdicts[name]:
                    yield (
                        f"{chapter}: line {number}: {name} is said to be {said}, "
                        f"the ledger has {verdicts[name]}"
                    )


def digits(e: Estimate, sign: str = "") -> str:
    """Mean and interval with three significant digits, whole numbers whole."""
    if e.low == e.high:
        return f"{e.mean:g}"
    numbers = [
        f"{v:{sign}.0f}" if abs(v) >= 100 else f"{v:{sign}.3g}" for v in (e.mean, e.low, e.high)
    ]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def markdown(found: Sequence[Claim]) -> str:
    """Each claim with its verdict, and under it what was claimed and what was measured."""
    lines = []
    for claim in found:
        lines += [f"**{claim.id}: {claim.verdict}.** {claim.statement}", ""]
        lines += ["| | claimed | measured [95 % interval] |", "|---|---|---|"]
        for q in claim.quantities:
            claimed = "" if q.claimed is None else f"{q.claimed:g}"
            mark = "" if q.claimed is None else " ✓" if q.agrees else " ✗"
            lines.append(f"| {q.name} | {claimed} | {digits(q.estimate)}{mark} |")
        for d in claim.directions:
            mark = ("✓" if d.held else "✗") if claim.testable else "–"
            evidence = digits(d.estimate, "+") if d.estimate else "at no step to the end"
            lines.append(f"| {d.words} | yes | {evidence} {mark} |")
        lines.append("")
    return "\n".join(lines)
