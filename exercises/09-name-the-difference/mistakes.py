"""Wrong answers to 09-name-the-difference that learners give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from weightdecay.grading import Mistake

Nested = dict[str, Any]
Evals = list[dict[str, Any]]
Differences = dict[str, list[Any]]
COUNTS = (
    "data_sha256",
    "initial_weights_sha256",
    "batch_order_sha256",
    "versions.torch",
    "threads",
)

CONFIG = """\
seed: 42
optimizer:
  name: adamw
  learning_rate: {rate}
  weight_decay: {decay}
{last}
"""


def probe_config_differences(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Sections one deep; if these are right, a section in a section."""
    rates, decays = rng.uniform(0.001, 0.01, 2).tolist(), rng.uniform(0.1, 1, 2).tolist()
    a = CONFIG.format(rate=rates[0], decay=decays[0], last="  clip_norm: 1.0")
    b = CONFIG.format(rate=rates[1], decay=decays[1], last="steps: 2000").replace("42", "43")
    found = f(a, b)
    if found != compare(flat(parse(a)), flat(parse(b))):
        return found
    deep = [yaml_of("data", "split", "share", share) for share in rng.uniform(0, 1, 2)]
    return f(*deep)


def yaml_of(*path: Any) -> str:
    """Each name a section of the one before; the last is a value."""
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(path[:-1])]
    return "\n".join(lines) + f" {path[-1]}\n"


def probe_manifest_differences(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    def manifest(**more: Any) -> str:
        return json.dumps(
            {
                "seed": int(rng.integers(1000)),
                "initial_weights_sha256": rng.bytes(8).hex(),
                "versions": {"torch": rng.bytes(2).hex(), "python": rng.bytes(2).hex()},
                "started": rng.bytes(4).hex(),
                **more,
            }
        )

    return f(manifest(), manifest(threads=1))


def probe_parting_step(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Three pairs: a spike first; b below a; evaluated at different steps."""
    steps = range(10, 110, 10)
    a = rng.uniform(1, 4, 10) + 10 * np.arange(10)  # far from every other position
    signs = (1, -1)
    shift = np.array([0.3, 2.0, 0.3, 1.5, 0.2, 0.1, 1.2, 2.5, 1.4, 1.3])

    def evals(values: Iterable[float], which: Iterable[int]) -> Evals:
        return [{"step": s, "loss": v} for s, v in zip(which, values, strict=True)]

    runs = [(evals(a, steps), evals(a + sign * shift, steps)) for sign in signs]
    pairs = [*runs, (runs[0][0][1::2], runs[0][1][:9])]
    answers = [f(*pair, "loss", 1.0) for pair in pairs]
    if answers != [70, 70, 80]:  # where they do part
        return answers
    # A fourth pair, in halves: as far apart as the threshold, and then further.
    level, away = (evals(values, steps[:4]) for values in ([3.0] * 4, [3.0, 4.0, 4.5, 4.5]))
    return f(level, away, "loss", 1.0)


def parse(text: str) -> Nested:
    value: Nested = YAML(typ="safe", pure=True).load(text)
    return value


def flat(value: Nested, prefix: str = "") -> Nested:
    found: Nested = {}
    for key, item in value.items():
        inside = isinstance(item, dict)
        found |= flat(item, f"{prefix}{key}.") if inside else {prefix + key: item}
    return found


def last_section(value: Nested, prefix: str = "") -> Nested:
    """The sections further out are lost on the way in."""
    found: Nested = {}
    for key, item in value.items():
        inside = isinstance(item, dict)
        found |= last_section(item, f"{key}.") if inside else {prefix + key: item}
    return found


def one_deep(value: Nested) -> Nested:
    """A section in a section stays a dict."""
    found: Nested = {}
    for key, item in value.items():
        inside = isinstance(item, dict)
        found |= {f"{key}.{k}": v for k, v in item.items()} if inside else {key: item}
    return found


def short(value: Nested) -> Nested:
    """Leaves under their last name, whatever section they stand in."""
    return {key.rpartition(".")[2]: item for key, item in flat(value).items()}


def no_sections(value: Nested) -> Nested:
    return {k: v for k, v in value.items() if not isinstance(v, dict)}


def compare(a: Nested, b: Nested, missing: Any = "not set") -> Differences:
    keys = list(dict.fromkeys([*a, *b]))
    return {k: [a.get(k, missing), b.get(k, missing)] for k in keys if a.get(k) != b.get(k)}


def common(a: Nested, b: Nested) -> Differences:
    return {k: [a[k], b[k]] for k in a if k in b and a[k] != b[k]}


def only_of_a(a: Nested, b: Nested) -> Differences:
    return {k: [a[k], b.get(k, "not set")] for k in a if a[k] != b.get(k)}


def none_for_missing(a: Nested, b: Nested) -> Differences:
    return compare(a, b, None)


def of(view: Callable[[Nested], Nested], how: Callable[..., Differences] = compare) -> Any:
    return lambda a, b: how(view(parse(a)), view(parse(b)))


def leaf_lines(text: str) -> Nested:
    """Lines as they stand: no section, every value a string."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def all_lines(text: str) -> Nested:
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def of_lines(view: Callable[[str], Nested], how: Callable[..., Differences] = compare) -> Any:
    return lambda a, b: how(view(a), view(b))


def line_by_line(a: str, b: str) -> Differences:
    lines = [(x, y) for x, y in zip(a.splitlines(), b.splitlines(), strict=False) if x != y]
    return {x.partition(":")[0].strip(): [x.strip(), y.strip()] for x, y in lines}


def numbered_lines(a: str, b: str) -> Differences:
    lines = [(x, y) for x, y in zip(a.splitlines(), b.splitlines(), strict=False) if x != y]
    return {
        x.partition(":")[0].strip(): [x.partition(":")[2].strip(), y.partition(":")[2].strip()]
        for x, y in lines
    }


def counting(how: Callable[..., Differences], view: Callable[[Nested], Nested] = flat) -> Any:
    def manifest_differences(a: str, b: str) -> Differences:
        found = how(view(parse(a)), view(parse(b)))
        return {k: v for k, v in found.items() if k in COUNTS}

    return manifest_differences


def but(*left_out: str) -> Callable[[str, str], Differences]:
    """Everything that differs except some facts."""

    def manifest_differences(a: str, b: str) -> Differences:
        found = compare(flat(parse(a)), flat(parse(b)))
        return {k: v for k, v in found.items() if k not in left_out}

    return manifest_differences


def with_seed(a: str, b: str) -> Differences:
    found = compare(flat(parse(a)), flat(parse(b)))
    return {k: v for k, v in found.items() if k in (*COUNTS, "seed")}


def by_step(a: Evals, b: Evals, metric: str) -> list[tuple[int, float]]:
    """(step, value of a less that of b) at the common steps."""
    values = {e["step"]: e[metric] for e in b}
    return [(e["step"], e[metric] - values[e["step"]]) for e in a if e["step"] in values]


def by_position(a: Evals, b: Evals, metric: str) -> list[tuple[int, float]]:
    pairs = zip(a, b, strict=False)
    return [(x["step"], x[metric] - y[metric]) for x, y in pairs]


def stays(pairs: list[tuple[int, float]], apart: Callable[[float], bool]) -> int | None:
    parted = None
    for step, distance in reversed(pairs):
        if not apart(distance):
            break
        parted = step
    return parted


def first_crossing(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return next((s for s, d in by_step(a, b, metric) if abs(d) > threshold), None)


def first_crossing_by_position(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return next((s for s, d in by_position(a, b, metric) if abs(d) > threshold), None)


def largest(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return max(by_step(a, b, metric), key=lambda pair: abs(pair[1]))[0]


def signed(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return stays(by_step(a, b, metric), lambda d: d > threshold)


def signed_other(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return stays(by_step(a, b, metric), lambda d: -d > threshold)


def position(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return stays(by_position(a, b, metric), lambda d: abs(d) > threshold)


def index(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    pairs = by_step(a, b, metric)
    step = stays(pairs, lambda d: abs(d) > threshold)
    return None if step is None else [s for s, _ in pairs].index(step)


def at_threshold(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    return stays(by_step(a, b, metric), lambda d: abs(d) >= threshold)


def last_together(a: Evals, b: Evals, metric: str, threshold: float) -> int | None:
    near = [s for s, d in by_step(a, b, metric) if abs(d) <= threshold]
    return near[-1] if near else None


PROBES = {
    "config_differences": probe_config_differences,
    "manifest_differences": probe_manifest_differences,
    "parting_step": probe_parting_step,
}
MISTAKES = [
    Mistake("lines", "config_differences", line_by_line),
    Mistake("lines", "config_differences", numbered_lines),
    Mistake("lines", "config_differences", of_lines(leaf_lines)),
    Mistake("lines", "config_differences", of_lines(all_lines)),
    Mistake("lines", "config_differences", of_lines(leaf_lines, common)),
    Mistake("lines", "config_differences", of_lines(leaf_lines, only_of_a)),
    Mistake("top-level", "config_differences", of(dict)),
    Mistake("top-level", "config_differences", of(dict, common)),
    Mistake("top-level", "config_differences", of(dict, only_of_a)),
    Mistake("sections-skipped", "config_differences", of(no_sections)),
    Mistake("sections-skipped", "config_differences", of(no_sections, common)),
    Mistake("name-without-section", "config_differences", of(short)),
    Mistake("one-level-only", "config_differences", of(last_section)),
    Mistake("one-level-only", "config_differences", of(one_deep)),
    Mistake("missing-is-equal", "config_differences", of(flat, common)),
    Mistake("missing-is-equal", "config_differences", of(flat, only_of_a)),
    Mistake("missing-is-none", "config_differences", of(flat, none_for_missing)),
    Mistake("missing-is-equal", "manifest_differences", counting(common)),
    Mistake("missing-is-equal", "manifest_differences", counting(only_of_a)),
    Mistake("missing-is-none", "manifest_differences", counting(none_for_missing)),
    Mistake("sections-skipped", "manifest_differences", counting(compare, no_sections)),
    Mistake("everything", "manifest_differences", but()),
    Mistake("everything", "manifest_differences", but("started")),
    Mistake("everything", "manifest_differences", but("started", "seed")),
    Mistake("everything", "manifest_differences", with_seed),
    Mistake("first-crossing", "parting_step", first_crossing),
    Mistake("first-crossing", "parting_step", first_crossing_by_position),
    Mistake("largest", "parting_step", largest),
    Mistake("signed", "parting_step", signed),
    Mistake("signed", "parting_step", signed_other),
    Mistake("by-position", "parting_step", position),
    Mistake("index", "parting_step", index),
    Mistake("last-together", "parting_step", last_together),
    Mistake("at-threshold", "parting_step", at_threshold),
]
