"""What the front page computes: how long the course takes, and one claim beside what was measured.

A small Sphinx extension. The figure is drawn as SVG inside the page, in the page's own text color,
so that it reads on light and dark alike and asks for no file.

    ```{course-length}
    ```
    ```{front-figure}
    ```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from course_map import FromTheCourse, counted, totals
from docutils import nodes
from exercise_cards import parsed
from sphinx.util.docutils import SphinxDirective

from weightdecay import claims, figures
from weightdecay.claims import Record, Verdict
from weightdecay.runs import RunError

CLAIM = "H1"  # two curves, claimed and measured at the same settings
ARMS = {  # color and mark of each: told apart without color, too
    "imprint": (figures.BLUE, "circle", "learned the task before"),
    "control": (figures.ORANGE, "rect", "never saw it"),
}
WIDTH, HEIGHT = 520, 290
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 28, 42  # margins round the axes
LOW, HIGH = 0.5, 1.0  # chance and perfection


def curves(record: Record) -> dict[str, list[tuple[str, float, float]]]:
    """Setting, claimed and measured value along each arm's curve.

    Raises:
        RunError: if a curve is missing, or a point of it was not measured.
    """
    found: dict[str, list[tuple[str, float, float]]] = {arm: [] for arm in ARMS}
    for name, claimed in record.claimed.items():
        arm, _, setting = name.partition(" at ")
        measured = (record.measured or {}).get(name)
        if arm not in found or not setting or measured is None:
            raise RunError(f"{record.id}: {name}: expected 'ARM at SETTING', claimed and measured")
        found[arm].append((setting, claimed, measured))
    if len({tuple(setting for setting, *_ in points) for points in found.values()}) != 1:
        raise RunError(f"{record.id}: the curves have different settings")
    return found


def verdicts(records: Sequence[Record]) -> str:
    """How many claims have which verdict, in words."""
    counts = Counter(r.verdict for r in records)
    each = ", ".join(f"{counts[v]} {v}" for v in Verdict if counts[v])
    return f"{counted(len(records), 'claim')}: {each}"


def svg(record: Record) -> str:
    """Accuracy over the strength of decay: open marks are claimed, filled ones measured."""
    found, wide, high = curves(record), WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    settings = [setting for setting, *_ in found["control"]]

    def x(k: int) -> float:
        return LEFT + (k + 0.5) * wide / len(settings)

    def y(value: float) -> float:
        return TOP + (HIGH - value) / (HIGH - LOW) * high

    parts = [
        _text(0, 14, "accuracy on the task", "start"),
        _text(LEFT + wide / 2, HEIGHT - 6, "weight decay while another task is learned", "middle"),
    ]
    for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        parts.append(f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y(value) + 4, f"{value:.1f}", "end"))
    parts += [_text(x(k), HEIGHT - 24, setting, "middle") for k, setting in enumerate(settings)]
    for number, (arm, points) in enumerate(found.items()):
        color, mark, _ = ARMS[arm]
        at = [x(k) + 10 * number - 5 for k in range(len(points))]
        line = "L".join(f"{c:.1f} {y(m):.1f}" for c, (_, _, m) in zip(at, points, strict=True))
        parts.append(f'<g stroke="{color}" fill="{color}"><path class="line" d="M{line}"/>')
        for c, (setting, claimed, measured) in zip(at, points, strict=True):
            if bounds := (record.interval or {}).get(f"{arm} at {setting}"):
                low, high_end = (f"{y(bound):.1f}" for bound in bounds)
                parts.append(f'<path class="bar" d="M{c:.1f} {low}V{high_end}"/>')
            parts.append(_mark(mark, c, y(measured), 3.2, "full"))
            parts.append(_mark(mark, c, y(claimed), 6.5, "open"))
        parts.append("</g>")
    start = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words(record))}">'
    return f"{start}{''.join(parts)}</svg>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(shape: str, x: float, y: float, radius: float, kind: str) -> str:
    if shape == "rect":
        corner, side = f'x="{x - radius:.1f}" y="{y - radius:.1f}"', f"{2 * radius:.1f}"
        return f'<rect class="{kind}" {corner} width="{side}" height="{side}"/>'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def words(record: Record) -> str:
    """What the figure shows, for whoever does not see it: the ends of each curve."""
    told = []
    for arm, points in curves(record).items():
        ends = " and ".join(
            f"{measured:.2f} at weight decay {setting} (claimed {claimed:.2f})"
            for setting, claimed, measured in (points[0], points[-1])
        )
        far = max(abs(measured - claimed) for _, claimed, measured in points)
        told.append(f"Networks that {ARMS[arm][2]}: {ends}; at most {far:.2f} apart")
    return f"Accuracy on a task over weight decay. {'. '.join(told)}."


def legend() -> str:
    """The key, as HTML."""
    entries = []
    for color, shape, told in ARMS.values():
        sample = f'<g fill="{color}">{_mark(shape, 8, 8, 5, "full")}</g>'
        entries.append(f'<svg viewBox="0 0 16 16" aria-hidden="true">{sample}</svg>{told}')
    entries.append("open: claimed, filled: measured")
    return "".join(f"<span>{entry}</span>" for entry in entries)


def figure(record: Record, records: Sequence[Record]) -> str:
    """Figure, key and caption.

    Raises:
        RunError: if the caption no longer follows from the ledger.
    """
    if not record.held or not all(record.held.values()):
        raise RunError(f"{record.id}: the front page says that everything it asserts held")
    return (
        f'<figure class="front-figure">{svg(record)}<p class="front-key">{legend()}</p>'
        f"<figcaption>Claim {record.id}, <em>{escape(str(record.verdict))}</em>: under decay, "
        f"networks that {ARMS['imprint'][2]} keep more of it. Open marks are what "
        f"the {escape(record.source)} says; filled ones, with 95% intervals, come from "
        f"{record.n} runs each of ours. Whether the network <em>remembers</em> is another "
        f'question: <a href="claims.html">the ledger</a> has {escape(verdicts(records))}.'
        "</figcaption></figure>"
    )


class FrontFigure(SphinxDirective):
    """The figure; made again when the ledger changes."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(claims.LEDGER))
        try:
            records = claims.read()
            record = next(r for r in records if r.id == CLAIM)
            return [nodes.raw("", figure(record, records), format="html")]
        except RunError as e:
            raise self.error(str(e)) from e


class CourseLength(FromTheCourse):
    """All chapters and exercises with their hours."""

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        return parsed(self, f"**How long.** {totals(chapters)}")


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("front-figure", FrontFigure)
    app.add_directive("course-length", CourseLength)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
