"""The generators of docs/, which Sphinx imports from there."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def results(monkeypatch):
    """`docs/generators/results.py`."""
    monkeypatch.syspath_prepend(DOCS)
    from generators import results

    return results


@pytest.fixture
def reference(results):
    """`docs/generators/reference.py`."""
    return sys.modules["generators.reference"]


@pytest.fixture
def models(results):
    """`docs/generators/models.py`."""
    return sys.modules["generators.models"]


@pytest.fixture
def seeds(results):
    """`docs/generators/seeds.py`."""
    from generators import seeds

    return seeds
