"""The example on made-up impressions: its figures by hand, and that no word of a report leaves it."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from hf_medreport.processing.input_error import InputError

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_report_transformer.py"
IMPRESSIONS = ["No acute disease.", "No acute disease.", "Large left effusion.", "Normal XXXX."]


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def archive(tmp_path):
    """A folder of 60 reports as Open-i writes them."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for number in range(60):
        impression = IMPRESSIONS[number % 4]
        text = f'<AbstractText Label="IMPRESSION">{impression}</AbstractText>'
        (folder / f"{number}.xml").write_text(f'<eCitation><uId id="CXR{number}"/>{text}</eCitation>')
    return folder


def test_distinct_by_hand(example):
    # 6 words, of them "no", "acute", "disease" different; 4 pairs, of them 2 different.
    found = example["distinct"](["No acute disease.", "no acute disease"])
    assert found == {"distinct-1": 3 / 6, "distinct-2": 2 / 4}


def test_unigram_perplexity_by_hand(example):
    # After the start token (0): training has 1 1 2. Of 4 tokens, with one more each: 3/7, 2/7.
    assert example["unigram_perplexity"]([[0, 1, 1, 2]], [[0, 1, 2]], 4) == pytest.approx((3 / 7 * 2 / 7) ** -0.5)


def test_perplexity_of_a_flat_model_is_its_vocabulary(example):
    import torch

    model = example["ReportTransformerForCausalLM"](
        example["ReportTransformerConfig"](
            vocab_size=7, hidden_size=8, num_attention_heads=2, bos_token_id=0, eos_token_id=1, pad_token_id=2
        )
    ).eval()
    torch.nn.init.zeros_(model.lm_head.weight)
    assert example["perplexity"](model, [[0, 3, 4, 1], [0, 1]]) == pytest.approx(7)


def test_a_patient_keeps_his_part(example, archive):
    parts = example["read_impressions"](archive, 0)
    assert sum(map(len, parts.values())) == 60
    (archive / "60.xml").write_text((archive / "0.xml").read_text().replace("CXR0", "CXR60"))
    again = example["read_impressions"](archive, 0)
    assert all(set(parts[name]) <= set(again[name]) for name in parts)
    assert sum(map(len, again.values())) == 61


def test_prompts_begin_with_the_start_token(example):
    tokenizer = example["learn_tokenizer"](IMPRESSIONS, 270)
    ids = tokenizer("No")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id and tokenizer.decode(ids, skip_special_tokens=True) == "No"
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    assert len(special) == 3 and len(tokenizer) <= 270
    assert tokenizer(IMPRESSIONS[0])["input_ids"][: len(ids)] == ids  # a first word is the head of its text


def test_figures_without_texts(example, archive, tmp_path, monkeypatch, capsys):
    out = tmp_path / "figures.json"
    sizes = ["--width=32", "--layers=1", "--vocabulary=280", "--samples=5", "--batch-size=8"]
    steps = ["--steps=4", "--eval-steps=2"]
    monkeypatch.setattr(sys, "argv", ["train", f"--archive={archive}", f"--out={out}", *sizes, *steps])
    example["main"]()
    figures = json.loads(out.read_text())
    assert sum(figures["impressions"].values()) == 60 and figures["distinct_training_impressions"] == 3
    rows = figures["rows"]
    assert 1 < rows["report_transformer"]["perplexity"] < 1000
    assert set(rows["report_transformer"]) >= {"distinct-1", "distinct-2", "BLEU-1", "BLEU-4"}
    assert "perplexity" not in rows["constant"]  # not defined
    assert rows["most frequent by first word"]["BLEU-1"] == pytest.approx(1)  # here the first word says it all
    printed = capsys.readouterr().out + out.read_text()
    assert not any(word in printed for word in ("acute", "effusion", "XXXX"))


def test_too_few_reports_are_refused(example, archive):
    for path in list(archive.iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError) as error:
        example["read_impressions"](archive, 0)
    assert str(error.value).endswith("; expected the whole collection; name the archive")


def test_an_archive_that_is_not_there_ends_in_one_line(example, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "--archive", str(tmp_path / "gone.tgz")])
    with pytest.raises(SystemExit) as error:
        example["main"]()
    assert str(error.value).startswith("gone.tgz: found no such file") and "\n" not in str(error.value)
