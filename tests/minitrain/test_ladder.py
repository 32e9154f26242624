"""The ladder's verdicts on runs whose numbers are chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from tests.minitrain.factory import construct, run, trained_pair
from weightdecay.minitrain import ladder
from weightdecay.minitrain.ladder import Report
from weightdecay.minitrain.rungs import NO_EVIDENCE, NOT_SUPPORTED, SUPPORTED, Rung, mcnemar
from weightdecay.runs import METRICS, RESULTS, Run, load

CLIMBS: Mapping[str, float] = {"growth/embedding": 2.5, "train_loss": 0.02, "val_loss": 1.2}
HOLDS: Mapping[str, float] = {"growth/embedding": 1.1, "train_loss": 0.05, "val_loss": 0.5}
FAILS: Mapping[str, float] = {"growth/embedding": 0.4, "train_loss": 0.9, "val_loss": 1.0}


@dataclass(frozen=True)
class Story:
    """The textbook's three runs: without decay, with it, with too much."""

    less: Run
    more: Run
    over: Run


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(
        run(tmp_path / "none", 0.0, final=CLIMBS, wrong=25),
        run(tmp_path / "some", 0.1, final=HOLDS, wrong=10),
        run(tmp_path / "over", 0.5, final=FAILS, wrong=40),
    )


def verdicts(report: Report) -> list[str]:
    return [str(rung.verdict) for rung in report.rungs]


def words(report: Report) -> str:
    """All that the report says."""
    parts = (" ".join((r.claim, r.threshold, *r.evidence, r.next_step)) for r in report.rungs)
    return " ".join((*parts, report.conclusion))


# The whole ladder


def test_the_textbook_story_is_supported_on_every_rung(story: Story) -> None:
    report = ladder.diagnose(story.less, story.more, [story.over])
    assert [rung.number for rung in report.rungs] == [1, 2, 3, 4]
    assert verdicts(report) == [SUPPORTED] * 4
    assert not any(rung.next_step for rung in report.rungs)
    assert "supported: 1, 2, 3, 4" in report.conclusion
    assert "+0.700 nats" in report.conclusion


def test_every_threshold_is_stated_with_its_number(story: Story) -> None:
    _, two, three, four = ladder.diagnose(story.less, story.more, [story.over]).rungs
    assert "2×" in two.threshold
    assert "1.25×" in two.threshold
    assert "95%" in three.threshold
    assert "p < 0.05" in three.threshold
    assert "0.05 nats" in four.threshold


def test_the_order_of_the_two_runs_does_not_matter(story: Story) -> None:
    one = ladder.diagnose(story.less, story.more, [story.over])
    other = ladder.diagnose(story.more, story.less, [story.over])
    assert one.rungs[1:] == other.rungs[1:]
    assert one.conclusion == other.conclusion
    assert verdicts(one) == verdicts(other)


def test_the_conclusion_says_which_verdict_each_rung_has(tmp_path: Path, story: Story) -> None:
    both = run(tmp_path / "both", 0.1, final={**HOLDS, "growth/embedding": 2.4}, wrong=10)
    report = ladder.diagnose(story.less, both, [])
    assert "supported: 1, 3; not supported: 2; no evidence yet: 4" in report.conclusion


# Rung 1: one difference


def stopped(report: Report) -> str:
    """The conclusion of a ladder that ends at its first rung."""
    (first,) = report.rungs
    assert first.verdict == NOT_SUPPORTED
    return report.conclusion


def test_two_equal_runs_are_said_to_be_equal(tmp_path: Path) -> None:
    report = ladder.diagnose(run(tmp_path / "a"), run(tmp_path / "b"))
    assert stopped(report) == "The runs are equal: there is nothing to diagnose."
    assert "equal to the last digit" in words(report)


def test_equal_configs_with_unequal_losses_are_not_called_equal_runs(tmp_path: Path) -> None:
    b = run(tmp_path / "b", final={"val_loss": 0.7})
    report = ladder.diagnose(run(tmp_path / "a"), b)
    assert "not reproducible" in words(report)
    assert "The runs are equal" not in stopped(report)


def test_a_copy_that_was_stopped_early_is_said_to_be_that(tmp_path: Path) -> None:
    report = ladder.diagnose(run(tmp_path / "a"), run(tmp_path / "b", stop=100))
    assert "different steps: 200 and 100" in words(report)
    assert "The runs are equal" not in stopped(report)


def test_another_seed_stops_the_ladder_at_rung_1(tmp_path: Path) -> None:
    other = run(tmp_path / "b", changes={"seed": 43})
    report = ladder.diagnose(run(tmp_path / "a"), other)
    assert stopped(report).startswith("Stopped at rung 1")
    assert "luck is not ruled out" in words(report)
    assert "same in both runs, by hash" not in words(report)


def test_another_seed_besides_the_decay_stops_it_too(tmp_path: Path) -> None:
    other = run(tmp_path / "b", 0.0, changes={"seed": 43}, final=CLIMBS)
    report = ladder.diagnose(run(tmp_path / "a", final=HOLDS), other)
    assert stopped(report).startswith("Stopped at rung 1")
    assert "luck is not ruled out" in words(report)


def test_two_keys_stop_it_and_both_are_named(tmp_path: Path) -> None:
    other = run(tmp_path / "b", 0.0, changes={"training.batch_size": 16})
    report = ladder.diagnose(run(tmp_path / "a"), other)
    assert stopped(report).startswith("Stopped at rung 1")
    assert "optimizer.weight_decay" in words(report)
    assert "training.batch_size" in words(report)
    assert "weight_decay=0.0 just phase-18-train" in report.rungs[0].next_step


@pytest.mark.parametrize(
    "fact",
    ["data_sha256", "threads", "versions.torch", "initial_weights_sha256", "batch_order_sha256"],
)
def test_a_hidden_difference_stops_it(tmp_path: Path, fact: str) -> None:
    other = run(tmp_path / "b", 0.0, manifest={fact: "another"})
    report = ladder.diagnose(run(tmp_path / "a"), other)
    assert stopped(report).startswith("Stopped at rung 1")
    assert "same in both runs, by hash" not in words(report)


def test_another_single_key_passes_rung_1_and_the_rest_is_declined(tmp_path: Path) -> None:
    other = run(tmp_path / "b", changes={"optimizer.learning_rate": 1e-3})
    report = ladder.diagnose(run(tmp_path / "a"), other)
    assert verdicts(report) == [SUPPORTED]
    assert "differ in optimizer.learning_rate, not in weight decay" in report.conclusion
    assert "same in both runs, by hash" in words(report)


@pytest.mark.parametrize(
    ("key", "value", "moved"),
    [
        ("model.d_ff", 128, "initial weights"),
        ("training.batch_size", 16, "batch order"),
    ],
)
def test_what_a_key_changes_by_itself_is_not_said_to_be_the_same(
    tmp_path: Path, key: str, value: int, moved: str
) -> None:
    other = run(tmp_path / "b", changes={key: value})
    report = ladder.diagnose(run(tmp_path / "a"), other)
    assert f"differ in {key}, not in weight decay" in report.conclusion
    same = [e for e in report.rungs[0].evidence if "same in both runs, by hash" in e]
    assert not any(moved in sentence.lower() for sentence in same)


# Runs that cannot be judged


@pytest.mark.parametrize("swap", [False, True])
def test_a_diverged_run_ends_the_ladder_with_its_name_and_step(tmp_path: Path, swap: bool) -> None:
    pair = [run(tmp_path / "fine", 0.1), run(tmp_path / "lost", 0.0, diverged=True)]
    report = ladder.diagnose(*(reversed(pair) if swap else pair))
    assert verdicts(report) == [SUPPORTED]
    assert "lost has no finite loss at step 200: it diverged" in report.conclusion


def test_a_nan_written_as_such_counts_as_diverged(tmp_path: Path) -> None:
    path = construct(tmp_path / "lost", 0.0, diverged=True)
    text = (path / METRICS).read_text("utf-8")
    (path / METRICS).write_text(text.replace('_loss": null', '_loss": NaN'), "utf-8")
    assert "NaN" in (path / METRICS).read_text("utf-8")
    lost = load(path)
    assert any("not a finite number at step 200" in p for p in lost.problems)
    report = ladder.diagnose(run(tmp_path / "fine", 0.1), lost)
    assert "it diverged" in report.conclusion


def test_an_unfinished_run_leaves_rungs_without_evidence_and_gives_its_own_command(
    tmp_path: Path, story: Story
) -> None:
    half = run(tmp_path / "half", 0.0, final=CLIMBS, stop=100)
    _, two, three, _ = ladder.diagnose(half, story.more, [story.over]).rungs
    assert three.verdict == NO_EVIDENCE
    assert "half is not finished" in " ".join(three.evidence)
    assert "weight_decay=0" in three.next_step
    assert "seed=42" in three.next_step
    assert "just phase-18-train" in three.next_step
    assert two.verdict == NO_EVIDENCE
    assert "100" in " ".join(two.evidence)


def test_growth_of_an_unfinished_run_is_not_held_against_a_finished_one(tmp_path: Path) -> None:
    """Stopped early, the run with decay has not had the time to climb: that is no evidence."""
    climbs = {"growth/embedding": 2.5}
    less = run(tmp_path / "less", 0.0, final=climbs)
    more = run(tmp_path / "more", 0.1, final=climbs, stop=0)
    report = ladder.diagnose(less, more)
    assert report.rungs[1].verdict == NO_EVIDENCE
    assert "nats" not in report.conclusion


def test_runs_from_before_a_metric_was_added_are_still_judged(tmp_path: Path) -> None:
    old: dict[str, Any] = {"gap_form": None, "gap_features": None}
    less = run(tmp_path / "a", 0.0, final={**CLIMBS, **old}, wrong=25)
    more = run(tmp_path / "b", 0.1, final={**HOLDS, **old}, wrong=10)
    for each in (less, more):
        for key in old:
            del each.final[key]
    assert verdicts(ladder.diagnose(less, more)) == [SUPPORTED] * 3 + [NO_EVIDENCE]


# Rung 2: which norm climbs


def second(tmp_path: Path, less: Mapping[str, float], more: Mapping[str, float]) -> Rung:
    a = run(tmp_path / "less", 0.0, final={**CLIMBS, "growth/embedding": 1.1, **less})
    b = run(tmp_path / "more", 0.1, final={**HOLDS, **more})
    return ladder.diagnose(a, b).rungs[1]


def test_a_norm_that_climbs_in_one_run_alone_is_supported_and_named(tmp_path: Path) -> None:
    rung = second(tmp_path, {"growth/mlp": 2.5}, {})
    assert rung.verdict == SUPPORTED
    assert "Climbs in one run and holds in the other: mlp." in rung.evidence
    assert "The widest ratio between the runs is in mlp." in rung.evidence
    assert any("mlp: 2.50× its initial norm in less, 1.10× in more" in e for e in rung.evidence)


def test_a_norm_that_climbs_in_both_runs_is_not_supported(tmp_path: Path) -> None:
    rung = second(tmp_path, {"growth/embedding": 11.5}, {"growth/embedding": 11.4})
    assert rung.verdict == NOT_SUPPORTED
    assert "Climbs in one run and does not hold in the other: embedding." in rung.evidence


@pytest.mark.parametrize(
    ("less", "more", "verdict"),
    [
        (2.0, 1.25, SUPPORTED),
        (1.999, 1.25, NOT_SUPPORTED),
        (2.0, 1.251, NOT_SUPPORTED),
        (1.1, 2.5, NOT_SUPPORTED),  # climbs with decay instead
    ],
)
def test_the_norm_thresholds_are_where_the_report_says(
    tmp_path: Path, less: float, more: float, verdict: str
) -> None:
    rung = second(tmp_path, {"growth/qk": less}, {"growth/qk": more})
    assert rung.verdict == verdict


def test_groups_do_not_lend_each_other_a_half(tmp_path: Path) -> None:
    """One group climbs in both, another holds in both: neither is the claim."""
    climbs = {"growth/embedding": 2.5}
    assert second(tmp_path, climbs, climbs).verdict == NOT_SUPPORTED


def test_without_norms_in_both_runs_rung_2_has_no_evidence(tmp_path: Path) -> None:
    none = {f"growth/{g}": None for g in ("embedding", "qk", "vo", "mlp", "gains")}
    a = run(tmp_path / "less", 0.0, final=none)
    rung = ladder.diagnose(a, run(tmp_path / "more", 0.1)).rungs[1]
    assert rung.verdict == NO_EVIDENCE
    assert rung.evidence


# Rung 3: memorized or learned


def third(tmp_path: Path, less: int, more: int, final: Mapping[str, float] = {}) -> Rung:
    a = run(tmp_path / "less", 0.0, final=final, wrong=less)
    b = run(tmp_path / "more", 0.1, wrong=more)
    return ladder.diagnose(a, b).rungs[2]


def test_more_wrong_validation_cells_at_full_training_accuracy_are_memorising(
    tmp_path: Path,
) -> None:
    rung = third(tmp_path, 16, 10)
    assert rung.verdict == SUPPORTED
    evidence = " ".join(rung.evidence)
    assert "Of 60 validation cells less gets 16 wrong and more 10" in evidence
    assert "6 only the first, 0 only the second (exact McNemar p = 0.031)" in evidence
    assert "more, too, writes 95% or more of each training slice" in evidence


def test_five_cells_more_are_not_significant(tmp_path: Path) -> None:
    rung = third(tmp_path, 15, 10)
    assert rung.verdict == NOT_SUPPORTED
    assert "p = 0.062" in " ".join(rung.evidence)
    assert "seed=43 weight_decay=0.0 just phase-18-train" in rung.next_step


def test_a_significant_difference_the_other_way_round_is_not_supported(tmp_path: Path) -> None:
    rung = third(tmp_path, 10, 30)
    assert rung.verdict == NOT_SUPPORTED
    assert not rung.next_step


def test_a_model_that_did_not_learn_its_training_data_memorised_nothing(tmp_path: Path) -> None:
    for name in ("regular", "irregular"):
        low = {f"accuracy/train/{name}": 0.94}
        rung = third(tmp_path / name, 30, 10, low)
        assert rung.verdict == NOT_SUPPORTED
        assert f"{name}: train 94%, validation 80% in less" in " ".join(rung.evidence)


def test_only_validation_cells_decide_rung_3(tmp_path: Path) -> None:
    a = run(tmp_path / "less", 0.0, wrong=10)
    b = run(tmp_path / "more", 0.1, wrong=10)
    assert a.results is not None
    a.results["mistakes"] += [
        {**m, "split": "train", "lemma": f"{m['lemma']}{i}"}
        for i in range(5)
        for m in a.results["mistakes"][:10]
    ]
    rung = ladder.diagnose(a, b).rungs[2]
    assert "less gets 10 wrong and more 10" in " ".join(rung.evidence)
    assert rung.verdict == NOT_SUPPORTED


def exact_p(only_a: int, only_b: int) -> float:
    """Two-sided exact binomial p at one half, by summing."""
    n = only_a + only_b
    tail: int = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * float(tail) / float(2**n))


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (6, 1, 0.125), (9, 9, 1.0)],
)
def test_mcnemar_gives_the_values_worked_out_by_hand(only_a: int, only_b: int, p: float) -> None:
    cells = [(str(i), "past", "he") for i in range(30)]
    shared = set(cells[20:])
    a, b = shared | set(cells[:only_a]), shared | set(cells[only_a : only_a + only_b])
    assert mcnemar(a, b) == pytest.approx(p, abs=1e-12)
    assert mcnemar(b, a) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("only_a", range(0, 20, 3))
@pytest.mark.parametrize("only_b", range(1, 20, 4))
def test_mcnemar_agrees_with_the_binomial_sum_and_scipy(only_a: int, only_b: int) -> None:
    cells = [(str(i), "past", "he") for i in range(60)]
    p = mcnemar(set(cells[:only_a]), set(cells[only_a : only_a + only_b]))
    assert p == pytest.approx(exact_p(only_a, only_b), rel=1e-9)
    assert p == pytest.approx(binomtest(only_b, only_a + only_b).pvalue, rel=1e-9)


# Rung 4: ablation


def fourth(story: Story, *others: Run) -> Rung:
    return ladder.diagnose(story.less, story.more, others).rungs[3]


def test_without_an_ablation_rung_4_has_no_evidence_and_says_what_to_run(story: Story) -> None:
    rung = fourth(story)
    assert rung.verdict == NO_EVIDENCE
    assert "weight_decay=0.5" in rung.next_step
    assert "just phase-18-train" in rung.next_step


def test_the_ablation_to_run_has_the_seed_of_the_pair(tmp_path: Path) -> None:
    """One of another seed would never be accepted."""
    seed = {"seed": 43}
    a = run(tmp_path / "a", 0.0, changes=seed)
    b = run(tmp_path / "b", 0.1, changes=seed)
    assert "seed=43" in ladder.diagnose(a, b).rungs[3].next_step


def test_what_to_run_is_written_where_the_ladder_looks_for_it(tmp_path: Path) -> None:
    """The recipe's default directory is not beside runs that lie elsewhere."""
    a, b = run(tmp_path / "a", 0.0), run(tmp_path / "b", 0.1)
    next_step = ladder.diagnose(a, b).rungs[3].next_step
    assert f"out={tmp_path}/" in next_step


def test_an_ablation_to_run_has_more_decay_than_both(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", 0.1), run(tmp_path / "b", 5.0)
    assert "weight_decay=50 " in ladder.diagnose(a, b).rungs[3].next_step
    c = run(tmp_path / "c", 30.0)  # 100 is the most that a config accepts
    assert "weight_decay=100 " in ladder.diagnose(a, c).rungs[3].next_step
    over = run(tmp_path / "d", 60.0)
    assert "weight_decay=100 " in ladder.diagnose(a, c, [over]).rungs[3].next_step


@pytest.mark.parametrize(
    ("train_loss", "val_loss", "verdict"),
    [
        (0.05 + 0.051, 0.5 + 0.051, SUPPORTED),
        (0.05 + 0.051, 0.5 + 0.049, NOT_SUPPORTED),
        (0.05 + 0.049, 0.5 + 0.051, NOT_SUPPORTED),
        (0.9, 0.3, NOT_SUPPORTED),
    ],
)
def test_both_losses_of_the_ablation_must_lie_above_the_margin(
    tmp_path: Path, story: Story, train_loss: float, val_loss: float, verdict: str
) -> None:
    losses = {"train_loss": train_loss, "val_loss": val_loss}
    rung = fourth(story, run(tmp_path / "more-over", 0.5, final=losses))
    assert rung.verdict == verdict
    assert ("weight_decay=5 " in rung.next_step) == (verdict == NOT_SUPPORTED)


def test_one_of_several_ablations_is_enough_and_all_are_reported(
    tmp_path: Path, story: Story
) -> None:
    fine = run(tmp_path / "fine", 0.2, final=HOLDS)
    rung = fourth(story, story.over, fine)
    assert rung.verdict == SUPPORTED
    assert [e.split(" ")[0] for e in rung.evidence] == ["fine", "over"]


@pytest.mark.parametrize(
    "options",
    [
        {"decay": 0.5, "changes": {"seed": 43}},
        {"decay": 0.5, "changes": {"optimizer.learning_rate": 1e-3}},
        {"decay": 0.5, "manifest": {"data_sha256": "0" * 64}},
        {"decay": 0.5, "manifest": {"threads": 2}},
        {"decay": 0.05},
        {"decay": 0.1},
        {"decay": 0.5, "stop": 100},
    ],
    ids=["seed", "learning rate", "data", "threads", "less decay", "same", "unfinished"],
)
def test_a_run_that_is_no_clean_ablation_is_not_accepted(
    tmp_path: Path, story: Story, options: dict[str, Any]
) -> None:
    other = run(tmp_path / "other", **{"final": FAILS, **options})
    assert fourth(story, other).verdict == NO_EVIDENCE


def test_a_diverged_ablation_is_no_evidence_of_higher_losses(tmp_path: Path, story: Story) -> None:
    rung = fourth(story, run(tmp_path / "lost", 0.5, diverged=True))
    assert rung.verdict != SUPPORTED
    assert "lost" in " ".join(rung.evidence)


# Which runs are judged


def test_the_pair_is_the_first_run_and_the_first_that_differs_in_one_key(tmp_path: Path) -> None:
    a = run(tmp_path / "a", 0.1)
    seed = run(tmp_path / "seed", 0.1, changes={"seed": 43})
    b = run(tmp_path / "b", 0.0)
    over = run(tmp_path / "over", 0.5)
    assert ladder.choose_pair([a, seed, b, over]) == (a, b, [seed, over])
    assert ladder.choose_pair([a, over, b]) == (a, over, [b])


def test_without_a_clean_partner_the_next_run_is_it(tmp_path: Path) -> None:
    a, same = run(tmp_path / "a"), run(tmp_path / "same")
    seed = run(tmp_path / "seed", changes={"seed": 43})
    assert ladder.choose_pair([a, seed, same]) == (a, seed, [same])


def test_siblings_are_the_readable_runs_beside_the_first_one(tmp_path: Path) -> None:
    given = [run(tmp_path / "a", 0.1), run(tmp_path / "b", 0.0)]
    over = construct(tmp_path / "over", 0.5)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (construct(tmp_path / "manifest", 0.5) / "manifest.json").write_text("{")
    (construct(tmp_path / "config", 0.5) / "config.yaml").unlink()
    (construct(tmp_path / "metrics", 0.5) / METRICS).write_text("")
    (construct(tmp_path / "bytes", 0.5) / "manifest.json").write_bytes(b"\xff\x00")
    construct(tmp_path / "elsewhere" / "c", 0.5)
    assert [s.path for s in ladder.siblings(given)] == [over]


def test_siblings_are_found_from_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "over"):
        construct(tmp_path / name)
    monkeypatch.chdir(tmp_path / "a")
    given = [load(Path()), load(Path("../b"))]
    assert [s.path.name for s in ladder.siblings(given)] == ["over"]


def test_a_sibling_of_another_program_does_not_disturb(tmp_path: Path, story: Story) -> None:
    """Readable as a run, and without the keys of one."""
    path = construct(tmp_path / "foreign", 0.5)
    for text in ("{}", "optimizer: {name: adamw}", "optimizer: 3"):
        (path / "config.yaml").write_text(text)
        found = ladder.siblings([story.less, story.more])
        report = ladder.diagnose(story.less, story.more, found)
        assert verdicts(report) == [SUPPORTED] * 4


def test_a_results_file_that_is_broken_is_no_evidence(tmp_path: Path, story: Story) -> None:
    (story.more.path / RESULTS).write_text('{"final": {')
    broken = load(story.more.path)
    assert any(RESULTS in problem for problem in broken.problems)
    rung = ladder.diagnose(story.less, broken).rungs[2]
    assert rung.verdict == NO_EVIDENCE
    assert rung.next_step


# On really trained runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    control, broken = trained_pair(tmp_path_factory)
    return load(control), load(broken)


def test_two_trained_runs_that_differ_in_decay_pass_rung_1(trained: tuple[Run, Run]) -> None:
    report = ladder.diagnose(*trained)
    assert verdicts(report)[0] == SUPPORTED
    assert verdicts(report)[3] == NO_EVIDENCE
    assert len(report.rungs) == 4


def test_every_sentence_is_finished(trained: tuple[Run, Run], story: Story) -> None:
    reports = (ladder.diagnose(*trained), ladder.diagnose(story.less, story.more, [story.over]))
    sentences: Callable[[Report], Iterator[str]] = lambda r: (  # noqa: E731
        s for rung in r.rungs for s in (rung.claim, *rung.evidence)
    )
    for report in reports:
        assert report.conclusion.endswith(".")
        for sentence in sentences(report):
            assert "nan" not in sentence.lower().split()
            assert "None" not in sentence


def test_judging_does_not_depend_on_the_order_of_further_runs(tmp_path: Path, story: Story) -> None:
    others = [story.over, run(tmp_path / "fine", 0.2, final=HOLDS), run(tmp_path / "x", 5.0)]
    reports = [ladder.diagnose(story.less, story.more, p) for p in permutations(others)]
    assert all(report == reports[0] for report in reports)
