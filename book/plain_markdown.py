"""MyST to the Markdown that Jupyter and Colab show: what a chapter's text becomes in a notebook.

The book's numbers, citations and references are made while it is built; here they are written out.
Nothing is left that a plain notebook would show as braces.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

from weightdecay.grading.load import EXERCISE_NOTEBOOK, load
from weightdecay.runs import RunError

FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w-]+)\}[ ]*(?P<title>.*)$")
OPTION = re.compile(r"^:[\w-]+:.*$")
ROLE = re.compile(r"\{(?P<role>[a-z]+(?::[a-z]+)?)\}`(?P<body>[^`]+)`", re.S)
NAMED = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.S)
EQUATION = re.compile(r"^\$\$[ ]*\((?P<label>[\w-]+)\)[ ]*$", re.M)
DROPPED = re.compile(r"^(\{[\w.#= -]+\}|\([\w-]+\)=)\n", re.M)  # attributes and targets
LINK = re.compile(r"\]\((?P<path>[\w./-]+)\.md(?P<fragment>#[\w-]*)?\)")


@dataclass
class Facts:
    """What the roles of one chapter stand for."""

    chapter: str
    """Its file below ``book/``."""
    glued: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    """Of all pages of the book, by file."""
    cited: Mapping[str, Entry] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """What to call the equations and figures of this chapter: `number` fills it."""

    def number(self, texts: list[str], figures: list[str]) -> None:
        """Number equations, in the order of the texts, and figures, from 1."""
        equations = [m["label"] for text in texts for m in EQUATION.finditer(text)]
        self.labels.update({label: f"({n})" for n, label in enumerate(equations, 1)})
        self.labels.update({name: f"Figure {n}" for n, name in enumerate(figures, 1)})


def bibliography(path: Path) -> dict[str, Entry]:
    """The entries of a BibTeX file by key."""
    return dict(parse_file(str(path)).entries)


def plain(text: str, facts: Facts) -> str:
    """One cell of a chapter in plain Markdown.

    Raises:
        RunError: for a role, a directive or a name that it does not know.
    """
    text = DROPPED.sub("", f"{text}\n")
    text = EQUATION.sub(lambda m: rf"\tag{{{facts.labels[m['label']].strip('()')}}}" + "\n$$", text)
    text = _directives(text.splitlines(), facts)
    text = ROLE.sub(lambda m: _role(m["role"], m["body"], facts), text)
    return LINK.sub(lambda m: f"]({_file(m['path'], facts)})", text).strip()


def _directives(lines: list[str], facts: Facts) -> str:
    done: list[str] = []
    rest = iter(lines)
    for line in rest:
        opening = FENCE.match(line)
        if not opening:
            done.append(line)
            continue
        body: list[str] = []
        for inner in rest:
            if inner.rstrip() == opening["fence"]:
                break
            body.append(inner)
        while body and OPTION.match(body[0]):
            del body[0]
        inside = _directives(body, facts)
        done.append(_directive(opening["name"], opening["title"].strip(), inside, facts))
    return "\n".join(done)


def _directive(name: str, title: str, body: str, facts: Facts) -> str:
    if name == "graded-exercise":
        e = load(title)
        told = f"{e.minutes} minutes, {e.points} points, difficulty {e.difficulty} of 5"
        return (
            f"**Exercise {e.number}. {e.title}**: `exercises/{e.id}/{EXERCISE_NOTEBOOK}` ({told})."
        )
    if name == "dropdown":
        return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
    if name in {"admonition", "note", "tip", "warning", "important"}:
        quoted = "\n".join(f"> {line}".rstrip() for line in body.splitlines())
        return f"> **{title or name.capitalize()}**\n>\n{quoted}"
    raise RunError(f"{facts.chapter}: {{{name}}}: a notebook has no such directive")


def _role(role: str, body: str, facts: Facts) -> str:
    named = NAMED.match(body)
    text, target = (named["text"], named["target"]) if named else ("", body)
    if role == "glue:text":
        return _glued(body, facts)
    if role == "term":
        return f"*{text or body}*"
    if role in {"cite:t", "cite:p"}:
        cited = [_citation(key.strip(), role == "cite:t", facts) for key in body.split(",")]
        return ", ".join(cited) if role == "cite:t" else f"({'; '.join(cited)})"
    if role == "doc":
        path = target.removeprefix("/")
        if not target.startswith("/"):
            path = posixpath.normpath(posixpath.join(facts.chapter, "..", target))
        if path not in facts.titles:
            raise RunError(f"{facts.chapter}: {{doc}}: no page {path}")
        return f"[{text or facts.titles[path]}]({_relative(path, facts)})"
    if role in {"eq", "numref", "ref"}:
        # What stands in another chapter has no number here; its text or its name says what it is.
        return text or facts.labels.get(target) or f"*{target}*"
    raise RunError(f"{facts.chapter}: {{{role}}}: a notebook has no such role")


def _glued(body: str, facts: Facts) -> str:
    name, _, form = body.partition(":")
    if name not in facts.glued:
        raise RunError(f"{facts.chapter}: {{glue:text}}: nothing is glued as {name}")
    value = facts.glued[name]
    return format(float(value), form) if form else value.strip("'\"")


def _citation(key: str, in_text: bool, facts: Facts) -> str:
    if key not in facts.cited:
        raise RunError(f"{facts.chapter}: {{cite}}: no entry {key}")
    entry = facts.cited[key]
    names = [
        str(Text.from_latex(" ".join(p.prelast_names + p.last_names)))
        for p in entry.persons.get("author", [])
    ]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    year, url = entry.fields["year"], entry.fields.get("url")
    told = f"{who} ({year})" if in_text else f"{who}, {year}"
    return f"[{told}]({url})" if url else told


def _file(path: str, facts: Facts) -> str:
    return _relative(posixpath.normpath(posixpath.join(facts.chapter, "..", path)), facts)


def _relative(page: str, facts: Facts) -> str:
    """From the chapter's notebook to another page: to its notebook, or to its text in the book."""
    if "/" in page:  # the pages at the root are no chapters
        return posixpath.relpath(f"{page}.ipynb", posixpath.dirname(facts.chapter))
    depth = "../" * (facts.chapter.count("/") + 1)  # notebooks/PART/chapter.ipynb
    return f"{depth}book/{page}.md"
