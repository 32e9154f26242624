"""A config is either exactly what the file says, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weightdecay.minitrain.config import Config, parse, read
from weightdecay.runs import RunError, write_yaml

REPOSITORY = Path(__file__).parents[2]
SECTIONS = {
    "model": ("d_model", "n_head", "n_layer", "d_ff", "style", "init_std"),
    "optimizer": (
        "name",
        "learning_rate",
        "final_learning_rate",
        "warmup_steps",
        "beta1",
        "beta2",
        "eps",
        "weight_decay",
        "clip_norm",
    ),
    "training": ("steps", "batch_size", "eval_every", "checkpoint_every"),
}
INTEGERS = (
    "seed",
    *(f"model.{key}" for key in ("d_model", "n_head", "n_layer", "d_ff")),
    "optimizer.warmup_steps",
    *(f"training.{key}" for key in SECTIONS["training"]),
)
NUMBERS = (
    "model.init_std",
    *(
        f"optimizer.{key}"
        for key in (
            "learning_rate",
            "final_learning_rate",
            "beta1",
            "beta2",
            "eps",
            "weight_decay",
            "clip_norm",
        )
    ),
)
WORDS = ("model.style", "optimizer.name")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.yaml"


def nested(key: str, value: Any) -> dict[str, Any]:
    """A config that sets one dotted key."""
    section, _, name = key.rpartition(".")
    return {section: {name: value}} if section else {name: value}


def complaint(value: dict[str, Any]) -> str:
    """The message for a bad config, which has to be one line and start with the file."""
    with pytest.raises(RunError) as e:
        parse(value, "a/config.yaml")
    message = str(e.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("a/config.yaml: ")
    return message


def positive(most: float) -> st.SearchStrategy[float]:
    return st.floats(0, most, exclude_min=True)


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    n_head = draw(st.integers(1, 8))
    steps = draw(st.integers(3, 10**6))
    return {
        "seed": draw(st.integers(0, 2**31 - 1)),
        "model": {
            "d_model": 2 * n_head * draw(st.integers(1, 64)),
            "n_head": n_head,
            "n_layer": draw(st.integers(1, 12)),
            "d_ff": draw(st.integers(1, 4096)),
            "style": draw(st.sampled_from(["gpt", "llama"])),
            "init_std": draw(positive(0.2)),
        },
        "optimizer": {
            "name": "adamw",
            "learning_rate": draw(positive(1)),
            "final_learning_rate": draw(st.floats(0, 1)),
            "warmup_steps": draw(st.integers(2, steps - 1)),
            "beta1": draw(st.floats(0, 1, exclude_max=True)),
            "beta2": draw(st.floats(0, 1, exclude_max=True)),
            "eps": draw(positive(1)),
            "weight_decay": draw(st.floats(0, 100) | st.integers(0, 100)),
            "clip_norm": draw(positive(1e300)),
        },
        "training": {
            "steps": steps,
            "batch_size": draw(st.integers(1, 240)),
            "eval_every": draw(st.integers(1, 10**6)),
            "checkpoint_every": draw(st.integers(1, 10**6)),
        },
    }


@given(valid())
def test_a_valid_config_comes_back_equal_from_a_yaml_file(
    file: Path, value: dict[str, Any]
) -> None:
    config = parse(value, "here")
    assert config.model_dump() == value
    write_yaml(file, config.model_dump())
    assert read(file) == config
    write_yaml(file, value)
    assert read(file) == config


@given(st.sets(st.sampled_from([f"{s}.{k}" for s, keys in SECTIONS.items() for k in keys])))
def test_keys_left_out_take_their_defaults(file: Path, kept: set[str]) -> None:
    full = Config().model_dump()
    part: dict[str, Any] = {}
    for section in SECTIONS:
        keys = {k: v for k, v in full[section].items() if f"{section}.{k}" in kept}
        part |= {section: keys} if keys else {}
    write_yaml(file, part)
    assert read(file) == Config()


def test_defaults_are_the_recipe_of_the_issue_and_the_experiments_file_says_all_of_them() -> None:
    config = read(REPOSITORY / "experiments" / "18-break-weight-decay" / "config.yaml")
    assert config == Config()
    assert config.model_dump(exclude={"seed"}) == {
        "model": {
            "d_model": 64,
            "n_head": 4,
            "n_layer": 2,
            "d_ff": 256,
            "style": "gpt",
            "init_std": 0.02,
        },
        "optimizer": {
            "name": "adamw",
            "learning_rate": 3e-3,
            "final_learning_rate": 3e-4,
            "warmup_steps": 100,
            "beta1": 0.9,
            "beta2": 0.95,
            "eps": 1e-8,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
        },
        "training": {
            "steps": 2000,
            "batch_size": 32,
            "eval_every": 50,
            "checkpoint_every": 200,
        },
    }


@pytest.mark.parametrize("text", ["3e-3", "3E-3", "0.003", "3.0e-03", ".003"])
def test_every_usual_way_to_write_a_small_number_is_a_number(file: Path, text: str) -> None:
    """YAML 1.1 reads 3e-3 as a word; this is the classic trap."""
    file.write_text(f"optimizer:\n  learning_rate: {text}\n", encoding="utf-8")
    assert read(file).optimizer.learning_rate == 0.003


def test_changes_replace_single_keys_of_the_file(file: Path) -> None:
    file.write_text("seed: 3\noptimizer: {learning_rate: 0.01, beta1: 0.8}\n", encoding="utf-8")
    config = read(file, seed=5, optimizer={"weight_decay": 0}, training={"steps": 500})
    assert (config.seed, config.optimizer.learning_rate, config.optimizer.beta1) == (5, 0.01, 0.8)
    assert (config.optimizer.weight_decay, config.training.steps) == (0.0, 500)
    with pytest.raises(RunError, match=r"optimizer\.weight_decay = -1; accepted: .*0$"):
        read(file, optimizer={"weight_decay": -1})


not_a_number = st.one_of(
    st.booleans(),
    st.none(),
    st.text(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.sampled_from(INTEGERS + NUMBERS), not_a_number)
@example("optimizer.weight_decay", True)
@example("seed", False)
@example("training.steps", "2000")
@example("optimizer.learning_rate", "3e-3")
@example("model.init_std", "a\nb\u2028c" * 40)
def test_what_is_no_number_is_refused_by_key_value_and_what_is_accepted(
    key: str, value: Any
) -> None:
    kind = "a valid integer" if key in INTEGERS else "a valid number"
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    assert complaint(nested(key, value)) == f"a/config.yaml: {key} = {shown}; accepted: {kind}"


@given(st.sampled_from(INTEGERS), st.floats())
def test_a_fraction_is_no_integer_even_when_it_is_whole(key: str, value: float) -> None:
    message = complaint(nested(key, value))
    assert message.startswith(f"a/config.yaml: {key} = {value!r}; accepted: a ")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("key", NUMBERS)
def test_nan_and_infinity_are_no_settings(key: str, value: float) -> None:
    assert f" {key} = {value!r}; accepted: " in complaint(nested(key, value))


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**31, "less than 2147483648"),
        ("model.n_layer", 0, "greater than or equal to 1"),
        ("model.init_std", 0.0, "greater than 0"),
        ("model.style", "Llama", "'gpt' or 'llama'"),
        ("optimizer.name", "adam", "'adamw'"),
        ("optimizer.learning_rate", 0.0, "greater than 0"),
        ("optimizer.learning_rate", 1.5, "less than or equal to 1"),
        ("optimizer.final_learning_rate", -1e-9, "greater than or equal to 0"),
        ("optimizer.warmup_steps", -1, "greater than or equal to 0"),
        ("optimizer.beta1", 1.0, "less than 1"),
        ("optimizer.beta2", -0.1, "greater than or equal to 0"),
        ("optimizer.eps", 0, "greater than 0"),
        ("optimizer.weight_decay", -0.1, "greater than or equal to 0"),
        ("optimizer.weight_decay", 101, "less than or equal to 100"),
        ("optimizer.clip_norm", 0.0, "greater than 0"),
        ("training.steps", 0, "greater than or equal to 1"),
        ("training.batch_size", 241, "less than or equal to 240"),
        ("training.eval_every", 0, "greater than or equal to 1"),
        ("training.checkpoint_every", -5, "greater than or equal to 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_bound(
    key: str, value: float | str, accepted: str
) -> None:
    assert (
        complaint(nested(key, value)) == f"a/config.yaml: {key} = {value!r}; accepted: {accepted}"
    )


@given(st.sampled_from(WORDS), st.text() | st.integers() | st.booleans() | st.none())
def test_a_word_outside_the_list_is_refused_with_the_list(key: str, value: Any) -> None:
    if value in ("gpt", "llama", "adamw"):
        return
    message = complaint(nested(key, value))
    assert f" {key} = " in message
    assert message.endswith(
        "; accepted: 'gpt' or 'llama'" if "style" in key else "; accepted: 'adamw'"
    )


@given(st.sampled_from(["", *SECTIONS]), st.text(), st.integers() | st.text())
@example("optimizer", "weightdecay", 0.1)
@example("", "lr", 3)
@example("model", "a\nb", "c\u2028d")
@example("", "", 1)
def test_an_unknown_key_is_refused_with_its_value_and_the_keys_of_its_section(
    section: str, key: str, value: Any
) -> None:
    known = SECTIONS[section] if section else ("seed", *SECTIONS, "failure")
    if key in known:
        return
    dotted = f"{section}.{key}" if section else key
    message = complaint(
        nested(dotted, value)
        if "." not in key
        else {section: {key: value}}
        if section
        else {key: value}
    )
    assert message.endswith(f"; accepted: {', '.join(known)}")
    assert f"unknown key {dotted if dotted.isprintable() else repr(dotted)}" in message
    if len(repr(value)) <= 80:
        assert f" = {value!r}; " in message


@pytest.mark.parametrize("text", ["1: 2", "[a]: 2", "~: 2", "true: 2", "model: {3: 4}"])
def test_a_key_that_is_no_word_is_unknown_too(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"^[^\n]*: unknown key [^\n]*; accepted: [^\n]*$"):
        read(file)


@pytest.mark.parametrize("value", [3, None, "gpt", [1]])
@pytest.mark.parametrize("section", list(SECTIONS))
def test_a_section_that_is_no_mapping_is_named(section: str, value: Any) -> None:
    message = complaint({section: value})
    assert message.startswith(f"a/config.yaml: {section} = {value!r}; accepted: ")


def test_width_that_does_not_fit_the_heads_names_both() -> None:
    message = complaint({"model": {"d_model": 60, "n_head": 8}})
    assert "model" in message
    assert "d_model = 60" in message
    assert "2 x n_head = 16" in message


@pytest.mark.parametrize("warmup", [50, 51])
def test_warmup_must_end_before_the_run_does(warmup: int) -> None:
    message = complaint({"optimizer": {"warmup_steps": warmup}, "training": {"steps": 50}})
    assert f"optimizer.warmup_steps = {warmup}" in message
    assert "training.steps = 50" in message


def test_a_key_given_twice_is_an_error_that_names_it(file: Path) -> None:
    file.write_text("seed: 1\noptimizer:\n  beta1: 0.5\n  beta1: 0.9\n", encoding="utf-8")
    with pytest.raises(RunError, match="beta1") as e:
        read(file)
    assert len(str(e.value).splitlines()) == 1
    assert "duplicate" in str(e.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as e:
        read(tmp_path / "none.yaml")
    assert str(e.value) == f"{tmp_path / 'none.yaml'}: No such file or directory"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- 1\n- 2\n",
        b"just words",
        b"seed: [1, 2",
        b"seed: 1\n\tmodel: 2",
        b"\xff\xfe\x00seed",
        b"seed: 2024-13-45",
        b"seed: " + b"9" * 5000,
        b"seed: " + b"[" * 5000,
        b"seed: *nowhere",
        b"seed: !!python/object/apply:os.system [echo]",
        b"seed: !!int x",
        b"a: 1\n---\nb: 2",
    ],
)
def test_whatever_a_file_holds_the_error_is_one_line_that_names_it(
    file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(RunError) as e:
        read(file)
    assert len(str(e.value).splitlines()) == 1
    assert str(e.value).startswith(f"{file}: ")


@given(st.text(alphabet="abcseed:modl {}[],-\n\t 0123456789.e&*!|>%@'\"#~?", max_size=60))
def test_arbitrary_text_is_a_config_or_one_line(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    message = ""
    try:
        read(file)
    except RunError as e:  # anything else is a crash
        message = str(e)
    assert len(message.splitlines()) <= 1
    assert message.startswith(f"{file}: ") or not message


def test_a_config_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = -1
