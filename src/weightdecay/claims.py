"""The ledger of claims: ``just claims`` checks it, ``just claims --write`` brings it up to date.

``claims.yml`` holds one record a claim. Its first keys are written by people: what a source says,
in our words. The last ones, from `measured` to `verdict`, are computed from results files by the
module named in `measure` and never typed. A claim without such a module is "not measured yet".
`weightdecay.verdicts` has the rules.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from weightdecay import runs
from weightdecay.runs import Json, RunError
from weightdecay.verdicts import Claim, Direction, Quantity, Verdict, digits, markdown

__all__ = ["Claim", "Direction", "Quantity", "Record", "Verdict", "digits", "markdown", "measured"]

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "claims.yml"
BOOK = ROOT / "book"
COMPUTED = ("measured", "interval", "held", "n", "confounded_by", "verdict")


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
    """Their 95% intervals."""
    held: dict[str, bool] | None = None
    """What the claim asserts without a number, and whether it is so."""
    n: int | None = None
    confounded_by: str | None = None
    """The control that its explanation does not survive, where the verdict is confounded."""
    verdict: Verdict = Verdict.NOT_MEASURED


def _plain(path: Path) -> list[Json]:
    try:
        records = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except (YAMLError, ValueError, RecursionError) as e:  # as in `runs.read_yaml`
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
    """The claim measured from results files; None if nothing measures it yet.

    Raises:
        RunError: if its module cannot, or gives one name to two things.
    """
    if record.measure is None:
        return None
    claim = Claim(record.id, record.statement, record.claimed)
    try:
        importlib.import_module(record.measure).measure(claim)
    except (ImportError, AttributeError, KeyError, ValueError) as e:
        # A module that is not there or does not know the claim; results that are not numbers.
        found = f"{type(e).__name__}: {e}"
        raise RunError(f"{record.id}: measure = {record.measure} cannot; {found}") from e
    names = [q.name for q in claim.quantities] + [d.words for d in claim.directions]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RunError(f"{record.id}: {record.measure} measures {min(twice)} twice")
    return claim


def measured(part: str, path: Path = LEDGER) -> dict[str, Claim]:
    """Id to claim, measured, for the claims of a part: ``measured("B")``."""
    found = {r.id: measure(r) for r in read(path) if r.id.startswith(part)}
    return {name: claim for name, claim in found.items() if claim}


def _fresh(record: Record) -> Json:
    """The computed keys as the results give them now."""
    claim = measure(record)
    return claim.computed() if claim else {"verdict": str(Verdict.NOT_MEASURED)}


def differences(path: Path = LEDGER) -> list[str]:
    """A sentence for each committed value or verdict that does not follow from results files."""
    found = []
    for record in read(path):
        fresh, committed = _fresh(record), record.model_dump(mode="json")
        for key in COMPUTED:
            if committed.get(key) != fresh.get(key):
                found.append(
                    f"{record.id}: {key} is {committed.get(key)}, the results give {fresh.get(key)}"
                )
    return found


def write(path: Path = LEDGER) -> None:
    """Put what the results give into the ledger.

    Only the lines of computed keys change, and those only in records that no longer follow from the
    results: everything else, comments on lines of their own included, stays byte for byte.
    """
    fresh = {record.id: _fresh(record) for record in read(path)}
    text = path.read_text("utf-8")
    lines = io.StringIO(text).readlines()  # YAML's idea of a line here, str.splitlines has others
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    records = YAML().load(text)  # this one knows the line of each key
    for record in records:
        if record.fa.flow_style() or next(iter(record)) != "id" or record.lc.data["id"][1] != 2:
            raise RunError(f"{path}: {record['id']}: expected `- id: …` first, a key a line")
    ends = [record.lc.line for record in records[1:]] + [len(lines)]
    for record, end in reversed(list(zip(records, ends, strict=True))):
        now = fresh[record["id"]]
        if {key: record[key] for key in COMPUTED if key in record} != now:
            lines[record.lc.line : end] = _replaced(record, lines, end, now)
    runs.write_text(path, "".join(lines))


def _replaced(record: Any, lines: list[str], end: int, now: Json) -> list[str]:
    """A record's lines with its computed keys taken out and the new ones behind the others."""
    starts = {key: position[0] for key, position in record.lc.data.items()}
    order = sorted(starts, key=lambda key: starts[key])
    stops = dict(zip(order, [*(starts[key] for key in order[1:]), end], strict=True))
    kept: list[str] = []
    after: list[str] = []
    for key in order:
        block = lines[starts[key] : stops[key]]
        last = max(i for i, line in enumerate(block) if not _is_remark(line))
        kept += [] if key in COMPUTED else block[: last + 1]
        remarks = [line for line in block[0 if key in COMPUTED else last + 1 :] if _is_remark(line)]
        (after if key in COMPUTED or key == order[-1] else kept).extend(remarks)
    return [*kept, *(f"  {line}\n" for line in _dumped(now).splitlines()), *after]


def _is_remark(line: str) -> bool:
    """An empty line, or a comment on a line of its own."""
    return not line.strip() or line.lstrip().startswith("#")


class _Representer(RoundTripRepresenter):
    """Writes null as such; to leave it out would look like something forgotten."""


_Representer.add_representer(
    type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _dumped(computed: Json) -> str:
    yaml: Any = YAML()
    yaml.Representer = _Representer
    yaml.width = 4096
    yaml.default_flow_style = None
    keys = CommentedMap(computed)
    keys.fa.set_block_style()
    out = io.StringIO()
    yaml.dump(keys, out)
    return out.getvalue()


_STEMS = r"not\s+reproduced|reproduced|direction\s+only|confounded|not\s+testable|not\s+measured"
_ID = r"[BCHP][1-9][0-9]?"
_SENTENCE = re.compile(
    rf"\b({_ID}(?:(?:,? and |, ){_ID})*)"  # B2, or B2, B3 and B4
    r"\s*[:,–—(|]?\s*"
    r"(?:(?:is|was|are|were|comes? out|came out)(?: as)?\s+(?:(?:both|all)\s+)?)?"
    rf"((?i:{_STEMS}))\b"
)


def sentences(book: Path = BOOK, path: Path = LEDGER) -> Iterator[str]:
    """A sentence for each place in the book that gives a claim another verdict than the ledger."""
    verdicts = {record.id: record.verdict for record in read(path)}
    for chapter in sorted(book.rglob("*.md")):
        # Without emphasis; the lines stay, and a sentence may run over the end of one.
        text = re.sub(r"[*_`]", "", chapter.read_text("utf-8"))
        for match in _SENTENCE.finditer(text):
            place = f"{chapter}: line {text.count(chr(10), 0, match.start()) + 1}"
            said = " ".join(match[2].lower().split())
            for name in re.findall(_ID, match[1]):
                if name not in verdicts:
                    yield f"{place}: {name} is not in the ledger"
                elif not verdicts[name].startswith(said):
                    yield f"{place}: {name} is said to be {said}, the ledger has {verdicts[name]}"
