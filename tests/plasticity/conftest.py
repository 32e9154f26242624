"""The sizes that make a run of this part take a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plasticity import shrunk
from weightdecay.plasticity import measure, probes


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`shrunk.shrink`, undone behind the test."""
    shrunk.shrink(monkeypatch.setattr)
    yield
    measure.validation.cache_clear()
    probes.documents.cache_clear()
