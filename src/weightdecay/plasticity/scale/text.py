"""Text: streamed, tokenized and packed into blocks.

The documents are dealt into a fixed number of streams, and a process serves every so many-th of
them. So the batches are the same for any number of processes, and a run that was killed goes on
with the very next block.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from weightdecay.plasticity.scale import EXTRA
from weightdecay.plasticity.scale.config import Config, Data
from weightdecay.runs import Json, RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")
HELD_OUT = 100
"""One document in so many is never trained on."""


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a name on the hub or of a local folder.

    Raises:
        RunError: if there is none, it cannot be reached, or it has no end-of-text token.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as e:
        raise RunError(f"{e.name} is missing; {EXTRA}") from None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as e:
        raise RunError(f"data.tokenizer = {name}: {str(e).splitlines()[0]}") from None
    if tokenizer.eos_token_id is None:
        raise RunError(f"data.tokenizer = {name}: has no end-of-text token")
    return tokenizer


def open_dataset(data: Data) -> Any:
    """A streaming dataset; nothing but its list of files is read yet.

    Raises:
        RunError: if it does not exist or cannot be reached.
    """
    try:
        from datasets import load_dataset
    except ImportError as e:
        raise RunError(f"{e.name} is missing; {EXTRA}") from None
    builder = {".txt": "text", ".jsonl": "json"}.get(Path(data.dataset).suffix)
    try:
        if builder:
            files = {data.split: data.dataset}
            return load_dataset(builder, data_files=files, split=data.split, streaming=True)
        return load_dataset(data.dataset, data.subset, split=data.split, streaming=True)
    except (OSError, ValueError) as e:  # not found, no connection, no such subset or split
        raise RunError(f"data.dataset = {data.dataset}: {str(e).splitlines()[0]}") from None


def held_out(text: str) -> bool:
    """Is this document for validation? By its own hash, so that a copy of it is, too."""
    return zlib.crc32(text.encode()) % HELD_OUT == 0


class Stream:
    """One of the streams: blocks of `context` tokens, and what is put aside for the final losses.

    Documents are shuffled within windows, by seed, stream and window, and the files of the dataset
    by the seed. A dataset that ends before the run begins again (`passes`), in another order.
    """

    def __init__(
        self, config: Config, tokenizer: PreTrainedTokenizerBase, number: int, state: Json | None
    ) -> None:
        self.config, self.tokenizer, self.number = config, tokenizer, number
        start: Json = {"passes": 0, "window": 0, "taken": 0, "position": None, "tokens": [],
                       "held": [], "train": [], "validation": []}  # fmt: skip
        self.at = state or start
        self.texts = self._texts()

    def state(self) -> str:
        """Where the stream is, as JSON."""
        return json.dumps(self.at)

    def _texts(self) -> Iterator[str]:
        from datasets.distributed import split_dataset_by_node

        config, at = self.config, self.at
        data, streams = config.data, config.data.streams
        while True:
            # A buffer of one document, as a larger one would be lost when a run goes on.
            whole = open_dataset(data).shuffle(
                seed=config.seed + at["passes"], buffer_size=1, max_buffer_input_shards=1
            )
            dataset = split_dataset_by_node(whole, self.number, streams)
            if at["position"] is not None:
                dataset.load_state_dict(at["position"])
            documents = iter(dataset)
            while window := list(itertools.islice(documents, data.window)):
                following = dataset.state_dict()
                if data.field not in window[0]:
                    accepted = ", ".join(window[0])
                    raise RunError(f"data.field = {data.field}; accepted: {accepted}")
                order = [config.seed, self.number, at["passes"], at["window"]]
                shuffled = np.random.default_rng(order).permutation(len(window))
                for i in shuffled[at["taken"] :]:
                    at["taken"] += 1
                    yield window[i][data.field]
                at.update(position=following, window=at["window"] + 1, taken=0)
            if at["window"] == 0:
                raise RunError(
                    f"data.dataset = {data.dataset}: nothing for stream {self.number} of {streams}"
                )
            at.update(passes=at["passes"] + 1, window=0, position=None)

    def block(self, done: float) -> list[int]:
        """The next block to train on.

        Args:
            done: share of the run that is over after this block. As it grows, blocks are put aside
                evenly, so that the final losses are of text from the whole run.
        """
        at, length = self.at, self.config.model.context
        quota = round(done * self.config.data.evaluation_blocks / self.config.data.streams)
        while len(at["tokens"]) < length:
            text = next(self.texts)
            for_validation = held_out(text)
            if for_validation and len(at["validation"]) >= quota:
                continue
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            at["held" if for_validation else "tokens"] += [*ids, self.tokenizer.eos_token_id]
            while len(at["held"]) >= length and len(at["validation"]) < quota:
                at["validation"].append(at["held"][:length])
                at["held"] = at["held"][length:]
        block: list[int] = at["tokens"][:length]
        at["tokens"] = at["tokens"][length:]
        if len(at["train"]) < quota:
            at["train"].append(block)
        return block


def batches(
    config: Config, streams: list[Stream], first: int
) -> Iterator[tuple[Tensor, list[str] | None]]:
    """This process's share of each batch from step `first` on, (sequences, context).

    Beside it, after the steps that end with a checkpoint, the states of the streams.
    """
    each = config.training.batch // config.data.streams
    for step in range(first, config.steps):
        done = (step + 1) / config.steps
        rows = [stream.block(done) for stream in streams for _ in range(each)]
        saves = ends_with_checkpoint(config, step)
        yield torch.tensor(rows), [stream.state() for stream in streams] if saves else None


def ends_with_checkpoint(config: Config, step: int) -> bool:
    return (step + 1) % config.training.checkpoint_every == 0 or step + 1 == config.steps


def ahead(values: Iterator[T]) -> Iterator[T]:
    """The values, each made by a thread while the one before it is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming: Any = pool.submit(next, values, end)
        while (value := coming.result()) is not end:
            coming = pool.submit(next, values, end)
            yield value
