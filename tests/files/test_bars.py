"""A bar is for who looks on."""

import logging
import sys

import pytest

from hf_medreport.files.bars import LIBRARY, watched


@pytest.mark.parametrize(
    ("terminal", "level", "shown", "seen"),
    [
        (True, logging.NOTSET, True, True),
        (False, logging.NOTSET, True, False),
        (True, logging.ERROR, True, False),
        (True, logging.NOTSET, False, False),
    ],
)
def test_it_is_shown_on_a_terminal_unless_quiet_was_asked_for(capsys, monkeypatch, terminal, level, shown, seen):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(LIBRARY, "level", level)
    assert list(watched(["a"], shown=shown, desc="drawing")) == ["a"]
    assert ("drawing" in capsys.readouterr().err) is seen
