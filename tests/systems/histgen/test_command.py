"""What `hf-medreport convert histgen` and `convert dinov2` print."""

import json

from tests.cli.test_cli import run
from tests.modeling.histgen_golden import FOLDER
from tests.systems.histgen.test_convert import OPTIONS, words
from tests.systems.histgen.test_convert_dinov2 import save_checkpoint

FLAGS = [part for name, value in OPTIONS.items() for part in (f"--{name.replace('_', '-')}", value)]
WEIGHTS = FOLDER / "state_dict.safetensors"


def test_histgen_without_a_vocabulary(capsys, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = run(capsys, "convert", "histgen", WEIGHTS, *FLAGS, "--out", out)
    assert code == 0 and printed.splitlines() == [
        f"written: {out}",
        "unexpected keys: none",
        "no vocabulary: words are shown as their ids, <1> and so on; pass --vocabulary for words",
    ]


def test_histgen_with_one(capsys, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"token2idx": words(60)}))
    flags = [*FLAGS, "--vocabulary", tmp_path / "tokenizer.json", "--out", tmp_path / "out", "--json"]
    code, printed, _ = run(capsys, "convert", "histgen", WEIGHTS, *flags)
    assert code == 0 and json.loads(printed)["vocabulary"] == 60
    assert json.loads((tmp_path / "out" / "config.json").read_text())["memory_top_k"] == OPTIONS["top_k"]


def test_dinov2(capsys, tmp_path):
    checkpoint, out = save_checkpoint(tmp_path / "dinov2.pth"), tmp_path / "out"
    code, printed, _ = run(capsys, "convert", "dinov2", checkpoint, "--num-heads", 3, "--out", out)
    assert code == 0 and printed.splitlines() == [
        f"written: {out}",
        "ignored keys: dino_head.mlp.0.weight",
        "unexpected keys: none",
    ]
    assert json.loads((out / "config.json").read_text())["num_attention_heads"] == 3
