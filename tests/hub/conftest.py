"""Fixtures for tests that talk to a Hub."""

import pytest

from tests.hub_server import HubServer


@pytest.fixture
def hub():
    """A Hub of this test's own on loopback."""
    with HubServer() as server:
        yield server
