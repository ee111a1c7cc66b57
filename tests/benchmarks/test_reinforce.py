"""The measurement of learning from rewards: its table, its clock, and that no arm is run twice."""

import json
from types import SimpleNamespace

from tests.benchmarks import script

reinforce = script("reinforce")


def row(value: float, **fields) -> str:
    figures = {"exact": {"f1": value}, "kind": {"f1": value}, "wrong_side_rate": None, "hallucination_rate": value}
    intervals = dict.fromkeys(reinforce.SHOWN, [value - 0.1, value + 0.1]) | {"wrong_side_rate": None}
    return json.dumps(figures | {"intervals": intervals, "reward": value, **fields})


def test_the_table(tmp_path, capsys):
    (tmp_path / "start-0.json").write_text(row(0.5))
    (tmp_path / "self-critical-1.json").write_text(row(0.25, steps=7, core_seconds=90))
    reinforce.summarize(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 1 + 3 * 2
    shown = "0.500 [0.400, 0.600]"
    assert lines[2] == f"| start | {shown} | {shown} | undefined | {shown} | 0.500 | 0 |  |"
    assert lines[6].startswith("| self-critical, 1 | 0.250 [0.150, 0.350] |") and lines[6].endswith("| 7 | 1.5 |")
    assert lines[3] == "| supervised, 0 | not run |  |  |  |  |  |  |"


def test_what_has_a_result_is_not_run_again(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(reinforce, "result_of", lambda *asked: ran.append(asked) or {"steps": 1})
    reinforce.run(arm=None, seed=None, minutes=0.5, films=3, out=tmp_path)
    assert [asked[:2] for asked in ran] == [
        ("start", 0),
        *((arm, seed) for seed in (0, 1) for arm in ("supervised", "self-critical", "group-relative")),
    ]
    assert json.loads((tmp_path / "supervised-1.json").read_text()) == {"arm": "supervised", "seed": 1, "steps": 1}
    reinforce.run(arm=None, seed=None, minutes=0.5, films=3, out=tmp_path)
    assert len(ran) == 7


def test_a_training_ends_by_the_clock(monkeypatch):
    now = iter([10.0, 69.0, 70.0])
    monkeypatch.setattr(reinforce.time, "process_time", lambda: next(now))
    until, control = reinforce.Until(60.0), SimpleNamespace(should_training_stop=None)
    until.on_step_end(None, None, control)
    assert control.should_training_stop is False
    until.on_step_end(None, None, control)
    assert control.should_training_stop is True
