"""The path to real models: sizes, groups, data, cost; and tiny runs in one process and two."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch
import torch.nn.functional as F

from weightdecay import runs
from weightdecay.plasticity.scale import EXTRA, __main__, cost, models, sft, text
from weightdecay.plasticity.scale.config import Config, Model, parse, read
from weightdecay.plasticity.scale.training import newest
from weightdecay.runs import Json, RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LAUNCH = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
HERE = Path(__file__).parent
WORDS = [f"w{i}" for i in range(400)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file, prompts with responses, a tokenizer of whole words, and the config of a run."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    here = tmp_path_factory.mktemp("scale")
    vocabulary = {w: i for i, w in enumerate(["?", "<end>", "Human:", "Assistant:", *WORDS])}
    words = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    words.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="?")
    fast.save_pretrained(here / "tokenizer")
    rng = random.Random(0)

    def document() -> str:
        at, said = rng.randrange(40), []
        for _ in range(rng.randrange(5, 25)):
            said.append(WORDS[at])
            at = (3 * at + rng.randrange(3)) % 40
        return " ".join(said)

    (here / "text.txt").write_text("".join(f"{document()}\n" for _ in range(2000)))
    pairs = [json.dumps({"prompt": document(), "response": document()}) for _ in range(30)]
    (here / "answers.jsonl").write_text("\n".join(pairs))
    values = runs.read_yaml(cost.CONFIGS / "tiny.yaml")
    values["model"]["vocab_size"] = len(vocabulary)
    values["data"] |= {"dataset": str(here / "text.txt"), "tokenizer": str(here / "tokenizer")}
    runs.write_yaml(here / "tiny.yaml", values)
    return here


@pytest.fixture(scope="module")
def config(folder: Path) -> Config:
    return read(folder / "tiny.yaml")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return text.load_tokenizer(str(folder / "tokenizer"))


# ------------------------------------------------------------------------- models and numbers


@pytest.mark.parametrize(
    ("name", "billions"), [("llama-2-0.5b", 0.5), ("llama-2-1b", 1.0), ("olmo-2-1b", 1.5)]
)
def test_parameters_are_those_of_table_1_term_by_term(name: str, billions: float) -> None:
    m = read(cost.CONFIGS / f"{name}.yaml").model
    d, kv = m.hidden_size, m.hidden_size // m.heads * m.query_groups
    gains = 2 * d + (2 * d if m.family == "olmo2" else 0)  # OLMo-2 norms queries and keys, too
    layer = 2 * d * d + 2 * kv * d + 3 * d * m.intermediate_size + gains
    assert models.count(m) == 2 * m.vocab_size * d + m.layers * layer + d
    assert round(models.count(m) / 1e9, 1) == billions


def test_olmo_with_the_intermediate_size_of_table_1_would_be_another_model() -> None:
    m = read(cost.CONFIGS / "olmo-2-1b.yaml").model
    assert models.count(m.model_copy(update={"intermediate_size": 16384})) > 2.2e9


@pytest.mark.parametrize(
    ("name", "dose"), [("llama-2-0.5b", 1.3), ("llama-2-1b", 2.1), ("olmo-2-1b", 3.1)]
)
def test_dose_at_weight_decay_1(name: str, dose: float) -> None:
    """Batch, tokens, rates and schedule together, against the integral of warmup and cosine."""
    c = read(cost.CONFIGS / f"{name}.yaml", weight_decay=1.0)
    peak, final = c.optimizer.learning_rate, c.optimizer.final_learning_rate
    by_hand = c.steps * (0.1 * peak / 2 + 0.9 * (peak + final) / 2)
    assert c.dose == pytest.approx(by_hand, rel=1e-3)
    assert round(c.dose, 1) == dose


def test_warmup_stable_decay_ends_at_zero() -> None:
    rates = read(cost.CONFIGS / "olmo-2-1b-140x.yaml").learning_rates()
    assert rates[-1] == 0
    assert sum(rate == 4e-4 for rate in rates) / len(rates) == pytest.approx(0.8, abs=1e-3)


def test_cost_by_hand_and_against_the_hours_of_the_paper() -> None:
    small, _, olmo, longer = cost.costs()
    assert small.gpu_hours == pytest.approx(6 * 0.5009e9 * 10e9 / (989e12 * 0.4) / 3600, rel=1e-3)
    assert longer.gpu_hours == pytest.approx(7 * olmo.gpu_hours, rel=1e-4)
    for c in (olmo, longer):  # two statements of the paper's that give the same speed
        assert c.paper_utilization == pytest.approx(0.195, abs=0.002)
    assert "assuming 40% of 989 TFLOP/s; the paper's run took 384, 20% of that peak" in str(olmo)
    assert cost.costs(utilization=0.2)[0].gpu_hours == pytest.approx(2 * small.gpu_hours)


@pytest.mark.parametrize("family", ["llama", "olmo2"])
def test_who_is_decayed(config: Config, family: str) -> None:
    """A step on zero gradients shrinks every decayed parameter by 1 - eta lambda, and no other."""
    model = models.build(config.model.model_copy(update={"family": family}))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(models.groups(model, family, 0.5), lr=0.1)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        spared = "norm" in name or (family == "olmo2" and "embed_tokens" in name)
        torch.testing.assert_close(p.detach(), before[name] * (1.0 if spared else 0.95))
    assert any("embed_tokens" in n for n in before)


def test_ranks_are_those_of_the_products_of_each_head(config: Config) -> None:
    m = config.model
    torch.manual_seed(0)
    state = {n: t.clone() for n, t in models.build(m).state_dict().items()}
    d_head = m.hidden_size // m.heads
    q = state["model.layers.1.self_attn.q_proj.weight"]
    q[d_head - 1 :: d_head] *= 1e-3  # one direction of each head all but gone
    layer = models.measured(state, m)["layers"][1]
    k = state["model.layers.1.self_attn.k_proj.weight"]
    ranks = []
    for head in range(m.heads):
        group = head // (m.heads // m.query_groups)
        rows, of_group = (slice(h * d_head, (h + 1) * d_head) for h in (head, group))
        sigma = torch.linalg.svdvals((k[of_group].T @ q[rows]).double())  # (d_model,)
        ranks.append(int((sigma.cumsum(0) < 0.95 * sigma.sum()).sum()) + 1)
    assert layer["qk_pseudo_rank_d_head"] == sum(ranks) / m.heads / d_head < 1
    assert layer["qk_pseudo_rank_n_embed"] == sum(ranks) / m.heads / m.hidden_size
    assert layer["vp_pseudo_rank_d_head"] > layer["qk_pseudo_rank_d_head"]


# ---------------------------------------------------------------------------------------- data


def few_texts(config: Config, folder: Path, count: int = 400) -> tuple[Config, list[str]]:
    """Documents of one word each, seven times: a token says which document it comes from."""
    documents = [" ".join([word] * 7) for word in WORDS[:count]]
    (folder / f"few-{count}.txt").write_text("".join(f"{d}\n" for d in documents))
    data = {"dataset": str(folder / f"few-{count}.txt"), "window": 30, "evaluation_blocks": 2}
    return config.model_copy(update={"data": config.data.model_copy(update=data)}), documents


def blocks(stream: text.Stream, first: int, last: int) -> list[list[int]]:
    return [stream.block((i + 1) / 80) for i in range(first, last)]


def test_stream_goes_on_exactly_where_its_state_was_taken(
    config: Config, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    """At any block: inside a window, and after the file has ended and begun again."""
    few, _ = few_texts(config, folder)
    whole = text.Stream(few, tokenizer, 1, None)
    all_blocks, states = [], []
    for i in range(80):
        states.append(whole.state())
        all_blocks += blocks(whole, i, i + 1)
    assert whole.at["passes"] == 1
    for i in (1, 17, 40, 77):
        again = text.Stream(few, tokenizer, 1, json.loads(states[i]))
        assert blocks(again, i, 80) == all_blocks[i:]
        assert json.loads(again.state()) == json.loads(whole.state())


def test_streams_share_no_document_and_train_on_none_held_out(
    config: Config, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    few, documents = few_texts(config, folder)
    for_validation = {d.split()[0] for d in documents if text.held_out(d)}
    assert for_validation
    read_by: list[set[str]] = []
    put_aside: set[str] = set()
    for number in (0, 1):
        stream = text.Stream(few, tokenizer, number, None)
        trained = [token for block in blocks(stream, 0, 35) for token in block]
        read_by.append(set(tokenizer.decode(trained).split()) - {"<end>"})
        for block in stream.at["validation"]:
            put_aside |= set(tokenizer.decode(block).split()) - {"<end>"}
    assert not read_by[0] & read_by[1]
    assert not (read_by[0] | read_by[1]) & for_validation
    assert put_aside <= for_validation
    assert len(read_by[0]) > 100


def test_seed_changes_the_order(
    config: Config, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    few, _ = few_texts(config, folder)
    other = few.model_copy(update={"seed": few.seed + 1})
    first, second = (blocks(text.Stream(c, tokenizer, 0, None), 0, 5) for c in (few, other))
    assert first != second


def test_data_without_documents_or_field(
    config: Config, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    one, _ = few_texts(config, folder, 1)
    with pytest.raises(RunError, match=r"nothing for stream 1 of 2"):
        text.Stream(one, tokenizer, 1, None).block(1.0)
    wrong = config.model_copy(update={"data": config.data.model_copy(update={"field": "body"})})
    with pytest.raises(RunError, match=r"data\.field = body; accepted: text"):
        text.Stream(wrong, tokenizer, 0, None).block(1.0)


# --------------------------------------------------------------------------------- fine-tuning


def test_only_the_response_and_its_end_are_labels(tokenizer: PreTrainedTokenizerBase) -> None:
    example = sft.answer("w1 w2", "w3 w4", tokenizer, 100)
    assert " ".join(tokenizer.decode(example.ids).split()) == (
        "Human: w1 w2 Assistant: w3 w4 <end>"
    )
    shown = [i for i in example.labels if i != sft.IGNORED]
    assert example.labels[:4] == [sft.IGNORED] * 4
    assert tokenizer.decode(shown).split() == ["w3", "w4", "<end>"]
    assert sft.answer("w1 w2", "w3 w4", tokenizer, 5).labels == [*[sft.IGNORED] * 4, shown[0]]


def test_loss_of_a_padded_batch_is_that_of_its_response_tokens(
    config: Config, tokenizer: PreTrainedTokenizerBase
) -> None:
    """The loss a step takes, against one example after the other without padding or labels."""
    torch.manual_seed(0)
    model = models.build(config.model).eval()
    pairs = [("w1 w2", "w3 w4"), ("w5", "w6 w7 w8 w9"), ("w1 w2 w3 w4 w5 w6", "w7")]
    examples = [sft.answer(p, r, tokenizer, 32) for p, r in pairs]
    by_hand = []
    with torch.no_grad():
        for (_, response), e in zip(pairs, examples, strict=True):
            ids = torch.tensor(e.ids)
            said = len(response.split()) + 1
            logits = model(input_ids=ids[None]).logits[0]
            by_hand.append(F.cross_entropy(logits[-said - 1 : -1], ids[-said:], reduction="none"))
        batch = sft.collated(examples, tokenizer.eos_token_id)
        loss = model(**batch, num_items_in_batch=sum(map(len, by_hand))).loss
    torch.testing.assert_close(loss, torch.cat(by_hand).mean())


def test_answers_that_are_all_prompt_are_left_out_and_a_bad_line_is_named(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "w1", "response": "w2"}\n{"prompt": "w1 w2 w3", "response": "w2"}')
    assert len(sft.read_answers(path, tokenizer, 4)) == 1
    path.write_text('{"prompt": "w1", "response": "w2"}\n{"prompt": "w1"}')
    with pytest.raises(RunError, match=r'a\.jsonl: line 2; accepted: \{"prompt"'):
        sft.read_answers(path, tokenizer, 4)


# -------------------------------------------------------------------------------- user mistakes


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("model", "family", "gpt", "model.family = 'gpt'; accepted: 'llama' or 'olmo2'"),
        ("model", "layer", 2, "unknown key model.layer; accepted: family, hidden_size"),
        ("model", "heads", 3, "heads = 3 to be a multiple of query_groups = 2"),
        ("optimizer", "weight_decay", -1.0, "optimizer.weight_decay = '-1.0'; accepted: greater"),
        ("optimizer", "learning_rate", None, "optimizer.learning_rate = 'None'; accepted:"),
        ("data", "streams", 3, "training.batch = 8 to be a multiple of data.streams = 3"),
        ("training", "tokens", 10, "training.tokens = 10 to be at least one batch, 256"),
    ],
)
def test_bad_config_is_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    section: str,
    key: str,
    value: object,
    said: str,
) -> None:
    values: dict[str, Any] = runs.read_yaml(folder / "tiny.yaml")
    values[section][key] = value
    runs.write_yaml(tmp_path / "bad.yaml", values)
    assert __main__.main([str(tmp_path / "bad.yaml")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert "bad.yaml" in error


def test_missing_key_is_named(folder: Path) -> None:
    values = runs.read_yaml(folder / "tiny.yaml")
    del values["data"]["tokenizer"]
    with pytest.raises(RunError, match=r"here: data\.tokenizer is missing"):
        parse(values, "here")


def test_without_the_extra_one_line_says_so(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RunError) as e:
        models.build(config.model)
    assert str(e.value) == f"transformers is missing; {EXTRA}"


# ----------------------------------------------------------------------------------- whole runs


def start(folder: Path, out: Path, *launch: str, sft: bool = False) -> subprocess.Popen[str]:
    """The command of a run, by itself or under a launcher."""
    program = [] if launch else [sys.executable]
    if not launch or not launch[-1].endswith(".py"):
        launch = (*launch, "-m", "weightdecay.plasticity.scale")
    command = [*program, *launch, str(folder / "tiny.yaml"), "--out", str(out)]
    if sft:
        command += ["--sft", str(folder / "answers.jsonl")]
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"),
        "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def kill_midway(process: subprocess.Popen[str], out: Path) -> None:
    """SIGKILL to the command and all it started, some steps after the first checkpoint."""
    metrics, deadline = out / runs.METRICS, time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 14:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    launcher = psutil.Process(process.pid)
    for one in [*launcher.children(recursive=True), launcher]:
        one.kill()
    process.communicate()
    assert not (out / runs.RESULTS).exists()
    done, _ = newest(out)
    assert 10 <= done < 60
    left_by_the_kill = out / "checkpoints" / f"partial-step-{done + 10:08d}"
    left_by_the_kill.mkdir(exist_ok=True)
    (left_by_the_kill / "half").write_text("")


def losses(out: Path, key: str = "loss") -> list[float]:
    records, problems = runs.read_metrics(out / runs.METRICS)
    assert not problems
    assert [r["step"] for r in records] == list(range(1, len(records) + 1))
    return [r[key] for r in records]


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """A run in one process that nothing interrupts."""
    finish(start(folder, folder / "whole"))
    return folder / "whole"


@pytest.mark.slow
def test_results_are_those_of_the_final_model(whole: Path, config: Config) -> None:
    """Its losses, measured again from the saved files."""
    from transformers import AutoModelForCausalLM

    results = runs.read_json(whole / runs.RESULTS)
    assert losses(whole)[-1] < losses(whole)[0] - 1
    assert results["dose"] == config.dose
    model = AutoModelForCausalLM.from_pretrained(whole / "model")
    _, checkpoint = newest(whole)
    assert checkpoint is not None
    states: list[Json] = [runs.read_json(checkpoint / f"stream-{n}.json") for n in (0, 1)]
    for split in ("train", "validation"):
        ids = torch.tensor([block for state in states for block in state[split]])
        assert len(ids) == results[f"{split}_blocks"] > 0
        with torch.no_grad():
            logits = model(input_ids=ids).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        assert results[f"{split}_loss"] == pytest.approx(float(loss), rel=1e-5)
    assert results["train_blocks"] == config.data.evaluation_blocks
    assert results["gap"] == results["validation_loss"] - results["train_loss"]
    assert results["weights"] == models.measured(model.state_dict(), config.model)


PLAIN_PAIR = (*LAUNCH, "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
              "--mixed_precision", "no", "--dynamo_backend", "no",
              "--main_process_port", "0")  # fmt: skip
SHARDED_PAIR = (*LAUNCH, "--config_file", str(cost.CONFIGS / "fsdp.yaml"), "--num_processes", "2",
                "--mixed_precision", "no", "--main_process_port", "0",
                str(HERE / "fsdp_on_cpu.py"))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("launch", [PLAIN_PAIR, SHARDED_PAIR], ids=["replicated", "sharded"])
def test_two_processes_killed_and_started_again_are_the_run_of_one(
    folder: Path, whole: Path, launch: tuple[str, ...]
) -> None:
    """Over gloo, with the same global batch: every loss of the run, and what is measured last."""
    out = folder / f"pair-{launch is SHARDED_PAIR}"
    kill_midway(start(folder, out, *launch), out)
    assert "goes on from step" in finish(start(folder, out, *launch))
    assert runs.read_json(out / runs.MANIFEST)["processes"] == 2
    assert losses(out) == pytest.approx(losses(whole), rel=1e-5)
    # AdamW hardly sees a gradient of another scale; its norm does.
    assert losses(out, "grad_norm") == pytest.approx(losses(whole, "grad_norm"), rel=1e-3)
    one, two = (runs.read_json(path / runs.RESULTS) for path in (whole, out))
    for name in ("train_loss", "validation_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-5)
    assert two["weights"]["norms"] == pytest.approx(one["weights"]["norms"], rel=1e-4)


@pytest.mark.slow
def test_fine_tuning_lowers_the_loss_on_responses(folder: Path, whole: Path) -> None:
    finish(start(folder, whole, sft=True))
    found = losses(whole / "sft-answers")
    assert len(found) == 3 * (30 // 8)
    assert sum(found[-3:]) < sum(found[:3])
    assert (whole / "sft-answers" / "model" / "model.safetensors").exists()


def test_config_of_a_run_survives_yaml(config: Config, tmp_path: Path) -> None:
    """Or no run could go on: `runs.prepare` compares them."""
    runs.write_yaml(tmp_path / "c.yaml", config.model_dump())
    assert read(tmp_path / "c.yaml") == config
    assert isinstance(config.model, Model)
