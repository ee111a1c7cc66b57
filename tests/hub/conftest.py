"""Fixtures for tests that talk to a Hub."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hub_server import HubServer  # noqa: E402


@pytest.fixture
def hub():
    """A Hub of this test's own on loopback."""
    with HubServer() as server:
        yield server
