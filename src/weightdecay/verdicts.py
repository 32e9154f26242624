"""What a claim's verdict is: quantities, directions, and the rules between them.

A claimed value counts as *reproduced* if the measured mean is within 10% of it or if the 95%
interval over seeds covers it. A claim is *direction only* if its sizes fail and yet everything it
asserts without a number held: paired differences with the asserted sign and an interval that
excludes zero. Otherwise it is *not reproduced*. A claimed value that nothing measures has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from weightdecay.runs import Json
from weightdecay.stats import Estimate, mean_interval

TOLERANCE = 0.10


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    DIRECTION = "direction only"
    NOT_REPRODUCED = "not reproduced"
    CONFOUNDED = "confounded"
    NOT_TESTABLE = "not testable at this scale"
    NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class Quantity:
    """One number of a claim: what it is, the value claimed (if any) and the measured one."""

    name: str
    claimed: float | None
    estimate: Estimate

    @property
    def agrees(self) -> bool:
        """Within 10% of the claimed value, or covered by the interval."""
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
        if not self.directions and all(q.claimed is None for q in self.quantities):
            return Verdict.NOT_MEASURED  # nothing that it asserts is
        directions = bool(self.directions) and all(d.held for d in self.directions)
        sizes = not self.unmeasured and all(q.agrees for q in self.quantities)
        came_back = sizes and (directions or not self.directions)
        if self.confounded and (came_back or directions):
            return Verdict.CONFOUNDED
        if came_back:
            return Verdict.REPRODUCED
        return Verdict.DIRECTION if directions and self.claimed else Verdict.NOT_REPRODUCED

    @property
    def unmeasured(self) -> list[str]:
        """Claimed values that no quantity takes up."""
        names = {q.name for q in self.quantities}
        return [name for name in self.claimed if name not in names]

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
        reason = {"confounded_by": self.confounded} if self.verdict is Verdict.CONFOUNDED else {}
        return {
            "measured": {name: _round(e.mean) for name, e in found},
            "interval": {name: [_round(e.low), _round(e.high)] for name, e in found},
            "held": {d.words: d.held for d in self.directions},
            "n": min((e.n for _, e in found), default=None),
            **reason,
            "verdict": str(self.verdict),
        }


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def number(value: float, sign: str = "") -> str:
    """Three significant digits, whole numbers whole, with a minus sign and not a hyphen."""
    whole = abs(value) >= 100 or float(value).is_integer()
    text = f"{value + 0.0:{sign}.0f}" if whole else f"{value:{sign}#.3g}".rstrip(".")
    return "\N{MINUS SIGN}" + text[1:] if text.startswith("-") else text


def digits(e: Estimate, sign: str = "") -> str:
    """Mean and interval, the latter in one piece; without it where it has no width."""
    if e.low == e.high:
        return number(e.mean)
    low, high = number(e.low, sign), number(e.high, sign)
    return f"{number(e.mean, sign)} [{low},\N{NO-BREAK SPACE}{high}]"


def markdown(found: Sequence[Claim]) -> str:
    """Each claim with its verdict, and under it what was claimed and what was measured."""
    lines = []
    for claim in found:
        lines += [f"**{claim.id}: {claim.verdict}.** {claim.statement}", ""]
        if claim.verdict is Verdict.CONFOUNDED:
            lines += [f"*Confounded by:* {claim.confounded}.", ""]
        lines += ["| | claimed | measured [95% interval] |", "|---|---|---|"]
        for q in claim.quantities:
            claimed = "" if q.claimed is None else f"{q.claimed:g}"
            mark = "" if q.claimed is None else "\N{NO-BREAK SPACE}" + "✗✓"[q.agrees]
            lines.append(f"| {_cell(q.name)} | {claimed} | {digits(q.estimate)}{mark} |")
        for name in claim.unmeasured:
            lines.append(f"| {_cell(name)} | {claim.claimed[name]:g} | not measured |")
        for d in claim.directions:
            mark = ("✓" if d.held else "✗") if claim.testable else "–"
            evidence = digits(d.estimate, "+") if d.estimate else "at no step to the end"
            lines.append(f"| {_cell(d.words)} | yes | {evidence}\N{NO-BREAK SPACE}{mark} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
