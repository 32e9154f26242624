"""The dashboard as text: what stands in the page before a browser draws it."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from tests.minitrain.factory import HASH, construct, run, trained_pair
from weightdecay.interactive import ASSETS_VARIABLE
from weightdecay.minitrain import dashboard, ladder
from weightdecay.minitrain.dashboard import panels
from weightdecay.minitrain.dashboard.tables import config_rows, final_table
from weightdecay.runs import CONFIG, MANIFEST, METRICS, Run, load

REALISTIC = {"training.steps": 2000, "training.eval_every": 50}
PANELS = {
    "loss", "gap", "norm", "spectral", "update", "grad", "batch", "calibration", "rate", "dose",
    "accuracy", "slices",
}  # fmt: skip
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Document(HTMLParser):
    """A page taken apart: every element with its attributes and all the text below it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self.elements[self._open[-1]][0] == tag:
            self._open.pop()
        else:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for i in self._open:
            self.elements[i][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """(attributes, text) of the elements with this tag and these attributes."""
        return [
            (attrs, " ".join("".join(text).split()))
            for name, attrs, text in self.elements
            if name == tag
            and all(attrs.get(k.strip("_").replace("_", "-")) == v for k, v in attributes.items())
        ]

    def text(self, tag: str, **attributes: str) -> str:
        """The text of the only such element."""
        ((_, text),) = self.all(tag, **attributes)
        return text

    @property
    def data(self) -> Any:
        """The page's data, strictly read: NaN is refused."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        return json.loads(self.text("script", type="application/json"), parse_constant=refuse)


def page(runs: Sequence[Run]) -> tuple[str, Document]:
    html = dashboard.render(runs)
    document = Document(html)
    assert not document.unbalanced
    return html, document


def panel(document: Document, name: str) -> Any:
    (found,) = (p for p in document.data["panels"] if p["id"] == name)
    return found


def ours(html: str) -> str:
    """The page without Plotly's own script."""
    return html.replace(get_plotlyjs(), "")


@pytest.fixture
def pair(tmp_path: Path) -> list[Run]:
    return [run(tmp_path / "18-control", 0.1), run(tmp_path / "18-break-wd0", 0.0)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return [load(path) for path in trained_pair(tmp_path_factory)]


# One file that asks nothing of anybody


def test_the_page_refers_to_nothing_outside_itself(pair: list[Run]) -> None:
    html, document = page(pair)
    assert len(html) - len(ours(html)) > 1_000_000  # Plotly is in it
    assert not re.search(r"https?://|@import|url\(", ours(html))
    for tag, attributes, _ in document.elements:
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value == "data:,", (tag, name, value)


def test_the_policy_forbids_every_request(pair: list[Run]) -> None:
    _, document = page(pair)
    ((attributes, _),) = document.all("meta", http_equiv="Content-Security-Policy")
    policy = dict(part.split(maxsplit=1) for part in str(attributes["content"]).split("; "))
    assert policy.pop("default-src") == "'none'"
    for sources in policy.values():
        assert set(sources.split()) <= {"'unsafe-inline'", "data:", "blob:"}
    assert "connect-src" not in policy


def test_the_page_of_two_full_runs_is_under_6_mb(tmp_path: Path) -> None:
    full = [run(tmp_path / str(w), w, changes=REALISTIC) for w in (0.1, 0.0)]
    assert len(full[0].evals) == 41
    assert len(full[0].steps) == 200
    report = ladder.diagnose(full[0], full[1])
    path = dashboard.write(full, tmp_path / "new" / "page.html", report)
    assert path.stat().st_size < 6_000_000


def test_writing_the_page_leaves_nothing_else_behind(pair: list[Run], tmp_path: Path) -> None:
    dashboard.write(pair, tmp_path / "out" / "page.html")
    dashboard.write(pair, tmp_path / "out" / "page.html")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["page.html"]


def test_the_same_runs_give_the_same_page(pair: list[Run]) -> None:
    assert dashboard.render(pair) == dashboard.render(pair)


# What comes from a run directory is text

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
)


def hostile(directory: Path, attack: str, decay: float = 0.1) -> Run:
    """A run with markup in its name and in every file."""
    path = construct(directory / attack.replace("/", "∕"), decay, diverged=True)
    config = (path / CONFIG).read_text("utf-8")
    (path / CONFIG).write_text(f"{config}\n{json.dumps(attack)}: {json.dumps(attack)}\n", "utf-8")
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["versions"]["torch"] = attack + str(decay)
    manifest["baselines"][attack] = {"train": 1.0, "val": 1.0}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    lines = [json.loads(line) for line in (path / METRICS).read_text("utf-8").splitlines()]
    for record in lines:
        record[f"spectral/{attack}"] = 1.0
    text = "".join(json.dumps(record) + "\n" for record in lines)
    (path / METRICS).write_text(text + "{", "utf-8")
    return load(path)


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_a_run_directory_stays_text(tmp_path: Path, attack: str) -> None:
    a = hostile(tmp_path / "a", attack, 0.1)
    b = hostile(tmp_path / "b", attack, 0.0)
    report = ladder.diagnose(a, b)
    plain = Document(dashboard.render([run(tmp_path / "p", 0.1), run(tmp_path / "q", 0.0)]))
    for several in ([a, b], [a]):
        html = dashboard.render(several, report)
        document = Document(html)
        assert not document.unbalanced
        scripts = [attributes for attributes, _ in document.all("script")]
        assert scripts == [attributes for attributes, _ in plain.all("script")]
        assert not document.all("img")
        assert not any(name.startswith("on") for _, attrs, _ in document.elements for name in attrs)
        assert attack not in ours(html)
        assert document.data["runs"][0]["name"] == a.name
        assert attack in panel(document, "spectral")["variants"]
        assert any(attack in label for label, _ in panel(document, "loss")["lines"])
        assert a.name in document.text("legend") + " ".join(t for _, t in document.all("label"))
    fragment = dashboard.fragment([a, b], ["loss", "spectral"])
    assert attack not in ours(fragment)


# Runs of all kinds


def test_the_page_has_every_panel(trained: list[Run]) -> None:
    for several in (trained, trained[:1]):
        _, document = page(several)
        assert {p["id"] for p in document.data["panels"]} == PANELS
        assert {a["data-panel"] for a, _ in document.all("figure")} == PANELS


def test_one_run_is_shown_with_its_whole_config(pair: list[Run]) -> None:
    html, document = page(pair[:1])
    assert document.text("title") == document.text("h1") == "Run 18-control"
    table = config_rows(pair[:1])
    assert table.header == ["key", "18-control"]
    assert ["optimizer.weight_decay", "0.1"] in table.rows
    assert ["training.steps", "200"] in table.rows
    assert "differ" not in document.text("main")
    assert "Diagnostic ladder" not in ours(html)
    assert final_table(pair[:1]).header == ["", "18-control"]


def test_two_runs_are_introduced_by_the_sentence_that_says_what_differs(pair: list[Run]) -> None:
    _, document = page(pair)
    sentence = "The runs differ in exactly one key: optimizer.weight_decay 0.1 → 0.0."
    assert document.text("p", class_="wd-sentence") == sentence
    assert document.text("title") == "Runs compared"


def test_a_warning_is_marked_as_one(tmp_path: Path, pair: list[Run]) -> None:
    other = run(tmp_path / "other", 0.0, changes={"seed": 1})
    _, document = page([pair[0], other])
    warning = document.text("p", class_="wd-sentence wd-warning")
    assert warning.startswith("Warning: the runs differ in 2 things: ")


def test_a_diverged_run_is_drawn_up_to_there(tmp_path: Path, pair: list[Run]) -> None:
    lost = run(tmp_path / "lost", 0.0, diverged=True)
    for several in ([pair[0], lost], [lost, pair[0]], [lost]):
        _, document = page(several)
        assert "not a finite number at step 200" in document.text("section", class_="wd-warning")
        i = several.index(lost)
        for variant in panel(document, "loss")["variants"].values():
            for series in (s for s in variant if s["run"] == i):
                assert None not in series["y"][:-1]
                assert series["y"][-1] is None
        assert "none" in [row[1 + i] for row in final_table(several).rows]


def test_values_that_are_no_numbers_are_gaps_in_the_data(tmp_path: Path) -> None:
    path = construct(tmp_path / "a")
    text = (path / METRICS).read_text("utf-8")
    text = re.sub(r'"(gap|grad_norm|growth/qk|dose)": [^,}]+', r'"\1": NaN', text)
    (path / METRICS).write_text(re.sub(r'"update/mlp": [^,}]+', '"update/mlp": Infinity', text))
    _, document = page([load(path)])
    assert panel(document, "gap")["text"] == "a: no value."
    assert {v for s in panel(document, "gap")["variants"]["whole sentence"] for v in s["y"]} == {
        None
    }


def test_a_run_without_some_metrics_still_has_a_page(tmp_path: Path, pair: list[Run]) -> None:
    path = construct(tmp_path / "sparse", 0.0)
    kept = ("kind", "step", "epoch", "dose", "train_loss", "val_loss")
    records = [json.loads(line) for line in (path / METRICS).read_text("utf-8").splitlines()]
    records = [{k: r[k] for k in kept if k in r} for r in records if r["kind"] == "eval"]
    (path / METRICS).write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    sparse = load(path)
    for several in ([pair[0], sparse], [sparse, pair[0]], [sparse]):
        _, document = page(several)
        drawn = document.data["panels"]
        assert all(p["variants"] for p in drawn)
        assert {"loss", "dose", "slices"} <= {p["id"] for p in drawn}


def test_runs_of_other_lengths_and_sizes_are_drawn_together(tmp_path: Path) -> None:
    several = [
        run(tmp_path / "a"),
        run(tmp_path / "b", changes={"training.steps": 400}),
        run(tmp_path / "c", stop=100),
    ]
    _, document = page(several)
    lengths = [len(s["y"]) for s in panel(document, "gap")["variants"]["whole sentence"]]
    assert lengths == [5, 9, 3]
    for i, each in enumerate(document.data["runs"]):
        for axes in each["axes"].values():
            assert len({len(values) for values in axes.values()}) == 1
        assert len(each["axes"]["eval"]["step"]) == lengths[i]
    assert "not finished" in document.text("section", class_="wd-warning")


def test_a_matrix_that_only_the_second_run_has_can_be_chosen(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    for each in b.evals:
        each["spectral/block2.q"] = 2.0
    _, document = page([a, b])
    assert "block2.q" in panel(document, "spectral")["variants"]


# What is drawn


def test_series_and_axes_are_the_numbers_of_the_metrics_file(trained: list[Run]) -> None:
    _, document = page(trained)
    for i, each in enumerate(trained):
        axes = document.data["runs"][i]["axes"]
        for key in ("step", "epoch", "dose"):
            assert axes["eval"][key] == pytest.approx([e[key] for e in each.evals], rel=1e-5)
        assert axes["step"]["step"] == [r["step"] for r in each.steps]
        assert axes["step"]["epoch"] == pytest.approx(
            [r["step"] * 8 / 240 for r in each.steps], rel=1e-5
        )
        assert axes["step"]["dose"] == sorted(axes["step"]["dose"])
        loss = [s for s in panel(document, "loss")["variants"]["whole sentence"] if s["run"] == i]
        assert [s["label"] for s in loss] == ["train", "validation"]
        for series, key in zip(loss, ("train_loss", "val_loss"), strict=True):
            assert series["y"] == pytest.approx([e[key] for e in each.evals], rel=1e-5)
        (grad,) = (s for s in panel(document, "grad")["variants"]["all"] if s["run"] == i)
        assert grad["y"] == pytest.approx([r["grad_norm"] for r in each.steps], rel=1e-5)
    assert trained[1].final["dose"] == 0


def test_train_and_validation_have_different_line_styles(pair: list[Run]) -> None:
    _, document = page(pair)
    for variant in panel(document, "loss")["variants"].values():
        assert {(s["label"], s["dash"]) for s in variant} == {
            ("train", "solid"),
            ("validation", "dash"),
        }


def test_baselines_and_floor_are_drawn_if_the_runs_saw_the_same_data(
    tmp_path: Path, pair: list[Run]
) -> None:
    _, document = page(pair)
    lines = dict(panel(document, "loss")["lines"])
    assert lines == {
        "unigram, validation": 3.192,
        "trigram, validation": 1.935,
        "entropy floor": 0.196,
    }
    assert pair[0].manifest["data_sha256"] == HASH
    other = run(tmp_path / "other", manifest={"data_sha256": "0" * 64})
    _, document = page([pair[0], other])
    assert panel(document, "loss")["lines"] == []


def test_accuracy_bars_are_the_last_evaluation(pair: list[Run]) -> None:
    pair[1].final["accuracy/val/irregular"] = 0.25
    _, document = page(pair)
    regularity = panel(document, "slices")["variants"]["by regularity"]
    assert json.loads(regularity[0]["x"]) == [
        "train/regular",
        "train/irregular",
        "val/regular",
        "val/irregular",
    ]
    assert [s["y"] for s in regularity] == [[1.0, 1.0, 0.8, 0.8], [1.0, 1.0, 0.8, 0.25]]
    tenses = panel(document, "slices")["variants"]["validation by tense"]
    assert len(json.loads(tenses[0]["x"])) == len(tenses[0]["y"]) == 5


def test_seeds_of_one_setting_are_grouped(tmp_path: Path) -> None:
    several = [
        run(tmp_path / "18-control", 0.1),
        run(tmp_path / "18-break-wd0", 0.0),
        run(tmp_path / "18-control-seed43", 0.1, changes={"seed": 43}),
        run(tmp_path / "18-control-seed44", 0.1, changes={"seed": 44}),
    ]
    _, document = page(several)
    assert [r["setting"] for r in document.data["runs"]] == [0, 1, 0, 0]
    assert document.data["settings"] == ["18-control", "18-break-wd0"]
    swatches = [a["data-setting"] for a, _ in document.all("span", class_="wd-swatch")]
    assert swatches == ["0", "1", "0", "0"]


def test_panels_have_menus_only_where_there_is_a_choice(pair: list[Run]) -> None:
    _, document = page(pair)
    options = {
        str(a["aria-label"]).removeprefix("What to draw: "): a
        for a, _ in document.all("select", class_="wd-variant")
    }
    for each in document.data["panels"]:
        assert (each["title"] in options) == (len(each["variants"]) > 1)


# In words


def test_every_chart_has_its_first_and_last_values_in_words(pair: list[Run]) -> None:
    _, document = page(pair)
    charts = document.all("div", role="img")
    assert len(charts) == len(document.data["panels"])
    for (attributes, _), each in zip(charts, panels.build(pair)["panels"], strict=True):
        label = str(attributes["aria-label"])
        assert label == f"{each['title']}. {each['text']}"
        assert each["text"] in document.text("main")
        assert "nan" not in label.lower().split()
        for series in next(iter(each["variants"].values())):
            name = pair[series["run"]].name
            assert name in label
            values = [v for v in series["y"] if v is not None]
            if each["kind"] == "bars":
                for v in values:
                    assert f"{v:.0%}" in label
            else:
                assert f"from {values[0]:.3g} to {values[-1]:.3g}" in label


def test_the_words_of_a_trained_run_are_its_numbers(trained: list[Run]) -> None:
    _, document = page(trained)
    first, last = trained[0].evals[0], trained[0].final
    words = (
        f"18-control train: from {first['train_loss']:.3g} to {last['train_loss']:.3g}; "
        f"18-control validation: from {first['val_loss']:.3g} to {last['val_loss']:.3g}; "
    )
    assert panel(document, "loss")["text"].startswith(words)


def test_every_control_has_a_name(pair: list[Run]) -> None:
    html, document = page(pair)
    inside = re.findall(r"<label>.*?</label>", ours(html), re.DOTALL)
    labeled = sum(label.count("<input") + label.count("<select") for label in inside)
    named = sum("aria-label" in a for a, _ in document.all("select"))
    assert len(document.all("input")) + len(document.all("select")) == labeled + named
    assert document.all("html", lang="en")
    assert document.text("button")


def test_headings_go_down_one_level_at_a_time(pair: list[Run]) -> None:
    html = dashboard.render(pair, ladder.diagnose(pair[0], pair[1]))
    levels = [int(tag[1]) for tag, _, _ in Document(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_no_id_is_used_twice(pair: list[Run]) -> None:
    document = Document(dashboard.render(pair, ladder.diagnose(pair[0], pair[1])))
    ids = [attrs["id"] for _, attrs, _ in document.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_ladder_stands_in_the_page_with_its_thresholds(pair: list[Run]) -> None:
    report = ladder.diagnose(pair[0], pair[1])
    document = Document(dashboard.render(pair, report))
    text = document.text("ol", class_="wd-ladder")
    for rung in report.rungs:
        assert rung.claim in text
        assert rung.threshold in text
        assert all(sentence in text for sentence in rung.evidence)
        assert rung.next_step in text
    assert [a["data-verdict"] for a, _ in document.all("strong")] == [
        str(r.verdict) for r in report.rungs
    ]
    assert report.conclusion in document.text("main")


# Tables


def test_the_config_table_shows_only_what_differs(tmp_path: Path, pair: list[Run]) -> None:
    assert config_rows(pair).rows == [["optimizer.weight_decay", "0.1", "0.0"]]
    same = run(tmp_path / "same", 0.1)
    assert config_rows([pair[0], same]).rows == []
    assert "Configuration" not in dashboard.render([pair[0], same]).split("<form")[0]
    wide = run(tmp_path / "wide", 0.0, changes={"model.d_ff": 128})
    table = config_rows([pair[0], wide])
    assert table.header == ["key", "18-control", "wide"]
    assert [row[0] for row in table.rows] == [
        "model.d_ff",
        "optimizer.weight_decay",
        "initial_weights_sha256",
    ]


def test_no_row_of_the_config_table_has_equal_cells(tmp_path: Path, pair: list[Run]) -> None:
    """Long values are shortened, and not to where they no longer differ."""
    commit = "dc2c5230a42b09c52caef59e91a624b1e8846593"
    facts = [
        {"git_commit": commit, "versions.torch": "2.13.0+cu1260", "host.system": "L" * 20},
        {
            "git_commit": commit + "+dirty",
            "versions.torch": "2.13.0+cu1261",
            "host.system": "L" * 21,
        },
    ]
    several = [run(tmp_path / str(i), manifest=m) for i, m in enumerate(facts)]
    rows = {key: cells for key, *cells in config_rows(several).rows}
    assert set(rows) == {"git_commit", "versions.torch", "host.system"}
    for cells in rows.values():
        assert cells[0] != cells[1]
    assert rows["git_commit"] == ["dc2c5230a42b", "dc2c5230a42b+dirty"]
    hashes = run(tmp_path / "data", manifest={"data_sha256": "0" * 64})
    ((_, *cells),) = (r for r in config_rows([pair[0], hashes]).rows if r[0] == "data_sha256")
    assert cells == [HASH[:12], "0" * 12]


def test_what_a_run_does_not_have_is_not_set(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    b = run(tmp_path / "b", manifest={"git_commit": "f" * 40})
    b.config["optimizer"]["nesterov"] = True
    rows = {key: cells for key, *cells in config_rows([a, b]).rows}
    assert rows == {
        "optimizer.nesterov": ["not set", "True"],
        "git_commit": ["not set", "f" * 12],
    }


def test_the_final_table_subtracts_the_first_run_from_the_second(
    tmp_path: Path, pair: list[Run]
) -> None:
    a = run(tmp_path / "a", 0.1, final={"train_loss": 0.25, "val_loss": 0.5, "gap": 0.25})
    b = run(tmp_path / "b", 0.0, final={"train_loss": 0.125, "val_loss": 0.75, "gap": 0.625})
    table = final_table([a, b])
    assert table.header == ["", "a", "b", "difference"]
    rows = {name: cells for name, *cells in table.rows}
    assert rows["train loss"] == ["0.25", "0.125", "-0.125"]
    assert rows["validation loss"] == ["0.5", "0.75", "+0.25"]
    assert rows["gap"] == ["0.25", "0.625", "+0.375"]
    assert rows["last step"] == ["200", "200", "+0"]
    b.final["train_loss"] = None
    rows = {name: cells for name, *cells in final_table([a, b]).rows}
    assert rows["train loss"] == ["0.25", "none", "none"]


def test_steps_in_the_final_table_are_whole_numbers(tmp_path: Path) -> None:
    two = [run(tmp_path / str(n), changes={"training.steps": n}) for n in (12350, 20000)]
    rows = {name: cells for name, *cells in final_table(two).rows}
    assert rows["last step"] == ["12350", "20000", "+7650"]


def test_three_runs_have_no_difference_column(tmp_path: Path, pair: list[Run]) -> None:
    table = final_table([*pair, run(tmp_path / "third", 0.5)])
    assert table.header == ["", "18-control", "18-break-wd0", "third"]
    assert all(len(row) == 4 for row in table.rows)


def test_tables_stand_in_the_page(pair: list[Run]) -> None:
    _, document = page(pair)
    captions = [text for _, text in document.all("caption")]
    assert captions == [
        "Configuration: only what differs",
        "The last evaluation of each run, and second less first",
    ]
    cells = [text for _, text in document.all("td")]
    assert cells[:2] == ["0.1", "0.0"]
    assert len(document.all("table")) == 2


# Panels for a chapter


def test_a_fragment_has_the_panels_asked_for_in_that_order(pair: list[Run]) -> None:
    document = Document(dashboard.fragment(pair, ["norm", "loss"]))
    assert [p["id"] for p in document.data["panels"]] == ["norm", "loss"]
    assert [a["data-panel"] for a, _ in document.all("figure")] == ["norm", "loss"]
    assert [r["name"] for r in document.data["runs"]] == ["18-control", "18-break-wd0"]
    assert not document.all("body")


def test_a_fragment_brings_its_scripts_along_in_a_live_notebook(
    pair: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    html = dashboard.fragment(pair, ["loss"])
    assert len(html) > 1_000_000
    assert not re.search(r"https?://", ours(html))
    document = Document(html)
    assert not [a for a, _ in document.all("script") if "src" in a]
    assert not document.all("link")


def test_a_fragment_shares_the_scripts_of_the_built_site(
    pair: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, "../_static")
    html = dashboard.fragment(pair, ["loss"])
    assert len(html) < 100_000
    document = Document(html)
    sources = [a["href"] for a, _ in document.all("link")]
    sources += [a["src"] for a, _ in document.all("script") if "src" in a]
    sources += [a["data-plotly"] for a, _ in document.all("script") if "data-plotly" in a]
    assert all(str(source).startswith("../_static/") for source in sources)
    names = [str(source).rsplit("/", 1)[1] for source in sources]
    assert {"dashboard.css", "dashboard.js", "plotly.min.js"} <= set(names)
    assert not document.all("style")


def test_a_panel_that_does_not_exist_is_a_key_error(pair: list[Run]) -> None:
    with pytest.raises(KeyError, match="lsos"):
        dashboard.fragment(pair, ["loss", "lsos"])


# Small parts


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.23456789, 1.23457),
        (2, 2.0),
        (0.0, 0.0),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        ("x", None),
    ],
)
def test_number_keeps_six_digits_of_finite_values(value: object, expected: float | None) -> None:
    assert panels.number(value) == expected


def test_the_palette_is_one_for_the_color_blind() -> None:
    okabe_ito = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"}
    script = (Path(dashboard.__file__).parent / "dashboard.js").read_text("utf-8")
    line = next(line for line in script.splitlines() if "const COLORS" in line)
    colors = re.findall(r"#[0-9A-F]{6}", line)
    assert len(colors) == len(set(colors)) >= 5
    assert set(colors) <= okabe_ito
