"""What `hf-medreport convert anatomical` prints."""

import json

from tests.cli.test_cli import run
from tests.modeling.golden import FOLDER
from tests.systems.anatomical.test_convert import write_parts


def test_what_is_printed(capsys, tmp_path):
    parts, out = write_parts(tmp_path), tmp_path / "out"
    flags = ["--num-heads", 4, "--image-size", 28, "--mask-mode", "strict", "--out", out]
    flags += ["--encoder", parts["encoder"], "--tokenizer", parts["tokenizer"]]
    code, printed, _ = run(capsys, "convert", "anatomical", FOLDER / "state_dict.safetensors", *flags)
    assert code == 0 and printed.splitlines() == [
        f"written: {out}",
        "missing keys: none",
        "unexpected keys: extra.wpe_before_expansion",
    ]
    assert json.loads((out / "config.json").read_text())["mask_mode"] == "strict"
