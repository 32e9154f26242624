"""What travels between the checks and a learner's process, over a Unix socket.

Towards the learner: pickles, because what a check passes is ours. Back: JSON for the structure and
safetensors for tensors and arrays, both bounded, so that nothing a learner sends can run here.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import numpy as np
import safetensors.torch
import torch

HEADER = struct.Struct(">QQ")  # bytes of structure, bytes of tensors
STRUCTURE, TENSORS = 4 << 20, 64 << 20  # a few million numbers in lists; 16 million floats
PLAIN = "None, bool, int, float, str, tensors, numpy arrays, and lists, tuples and dicts of these"

TOO_MUCH = (
    f"returned more than a check accepts: {STRUCTURE >> 20} MiB in lists and text, "
    f"{TENSORS >> 20} MiB in tensors"
)


class BrokenMessageError(Exception):
    """What arrived is not a message of ours."""


def pack(value: Any) -> tuple[bytes, bytes]:
    """Plain data as JSON and safetensors.

    Raises:
        TypeError: for anything but plain data.
        ValueError: if it is too large.
    """
    tensors: dict[str, torch.Tensor] = {}
    parts = 0

    def tensor(kind: str, data: torch.Tensor) -> dict[str, str]:
        key = str(len(tensors))
        tensors[key] = data.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {kind: key}

    def plain(v: Any) -> Any:
        nonlocal parts
        parts += 1
        if 2 * parts > STRUCTURE:  # each takes two bytes or more: say so before writing them all
            raise ValueError(TOO_MUCH)
        t = type(v)  # not isinstance, to which a class can lie
        if v is None or issubclass(t, bool | str):
            return v
        if issubclass(t, torch.Tensor):
            return tensor("tensor", v)
        if issubclass(t, np.ndarray | np.generic):  # before float: np.float64 is one
            kind = "array" if issubclass(t, np.ndarray) else "scalar"
            return tensor(kind, torch.from_numpy(np.array(v, copy=True, order="C")))
        if issubclass(t, int | float):
            return v
        if issubclass(t, list):
            return [plain(item) for item in v]
        if issubclass(t, tuple):
            return {"tuple": [plain(item) for item in v]}
        if issubclass(t, dict):
            return {"dict": [[plain(k), plain(item)] for k, item in v.items()]}
        raise TypeError(f"returned {t.__name__}; a check accepts {PLAIN}")

    structure = json.dumps(plain(value)).encode()
    data = safetensors.torch.save(tensors) if tensors else b""
    if len(structure) > STRUCTURE or len(data) > TENSORS:
        raise ValueError(TOO_MUCH)
    return structure, data


def unpack(structure: bytes, data: bytes) -> Any:
    """The other way, for bytes that nobody vouches for.

    Raises:
        BrokenMessageError: if they are not what `pack` writes.
    """
    try:
        tensors = safetensors.torch.load(data) if data else {}

        def plain(v: Any) -> Any:
            if isinstance(v, list):
                return [plain(item) for item in v]
            if isinstance(v, str):  # half a surrogate pair could be in no file we write
                return v.encode("utf-8", "replace").decode("utf-8")
            if not isinstance(v, dict):
                return v
            ((kind, content),) = v.items()
            if kind == "tuple":
                return tuple(plain(item) for item in content)
            if kind == "dict":
                return {plain(k): plain(item) for k, item in content}
            if kind == "tensor":
                return tensors[content]
            array = tensors[content].numpy()
            return array if kind == "array" else array[()]

        return plain(json.loads(structure))
    except Exception as e:  # whatever a forged message can make these parsers raise
        raise BrokenMessageError(f"not plain data: {type(e).__name__}") from e


def send(connection: socket.socket, structure: bytes, data: bytes = b"") -> None:
    """One message."""
    connection.sendall(HEADER.pack(len(structure), len(data)) + structure + data)


def receive(
    connection: socket.socket, deadline: float | None = None, *, trusted: bool = False
) -> tuple[bytes, bytes]:
    """One message, by `deadline` on the monotonic clock.

    Raises:
        TimeoutError: if it is not complete by then.
        EOFError: if the other side is gone.
        BrokenMessageError: if it announces more than `pack` writes and is not `trusted`.
    """

    def exactly(size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            if deadline is not None:
                connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            got = connection.recv(min(size - len(parts), 1 << 20))
            if not got:
                raise EOFError("the other side is gone")
            parts += got
        return bytes(parts)

    first, second = HEADER.unpack(exactly(HEADER.size))
    if not trusted and (first > STRUCTURE or second > TENSORS + (1 << 20)):
        raise BrokenMessageError("announces more than a check accepts")
    return exactly(first), exactly(second)
