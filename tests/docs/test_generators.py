"""What the pages show is what the JSON, the dataclasses and the commands say."""

import json
import re

import pytest

from hf_medreport.registry import systems
from tests.docs.blocks import ROOT

TYPED = re.compile(r"\d\.\d{2}")
PAGES = [ROOT / "docs" / "results.md", *sorted((ROOT / "docs" / "models").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_figure_is_typed_by_hand(page):
    assert TYPED.findall(page.read_text(encoding="utf-8")) == []


def test_a_figure_follows_its_json(results, monkeypatch, tmp_path):
    content = {"command": "python x.py", "a": {"b.c": 0.12345}, "n": 3}
    (tmp_path / "x.json").write_text(json.dumps(content))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.figure("x:a.b.c:.2f") == "0.12" and results.filled("{x:n} of {x:a.b.c:.3f}.") == "3 of 0.123."
    with pytest.raises(KeyError, match="no d"):
        results.figure("x:a.d")


def test_an_interval_is_found_above_its_figure(results):
    scores = {"exact": {"f1": 0.5}, "intervals": {"exact.f1": [0.4, 0.6]}, "none": None}
    assert results.shown(scores, "exact.f1") == "0.500 [0.400, 0.600]"
    assert results.shown(scores, "none") == "undefined" and results.shown(scores, "not.there") == ""


def test_an_experiment_is_a_column_an_arm(results, monkeypatch, tmp_path):
    rows = {
        "one": {"F1": {"value": 0.5, "interval": [0.4, 0.6]}},
        "two": {"F1": {"value": None, "seeds": [None]}, "G": {"value": 1.0}},
    }
    (tmp_path / "e.json").write_text(
        json.dumps({"command": "python e.py", "seeds": {"one": [0], "two": [0, 1]}, "rows": rows})
    )
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.experiment("e").splitlines() == [
        "|  | one | two |",
        "| --- | ---: | --- |",
        "| F1 | 0.500 [0.400, 0.600] | undefined |",
        "| G |  | 1.000 |",
        "",
        "2 seeds an arm; `python e.py`",
    ]


def test_every_table_of_figures_is_made(results):
    assert "x time" in results.speed() and "Cardiomegaly" in results.labeler()
    assert "`diffusion-tiny`" in results.generator() and "320,000" in results.generator_curve()
    assert "synthetic |" in results.augmentation()
    assert "nats" in results.slide_evidence() and "`bleu1`" in results.metrics_and_errors()
    assert "unigram" in results.language_alone()
    for model in results.MODELS:
        assert results.shipped_model(model).count("\n") > 8


def test_every_system_has_its_page(models):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "models").glob("*.md")}
    assert set(re.findall(r"^([a-z_\d]+)$", pages["index"], flags=re.MULTILINE)) == set(pages) - {"index"}
    told = "\n".join(pages.values())
    for row in systems():
        if row.model.startswith("hf_medreport.") and row.kind != "conditioner":
            assert f"facts_of {row.model_type}\n" in told, f"docs/models/{row.model_type}.md is missing"
            assert row.model_type in models.facts_of(row.model_type)
            assert not row.citation or f"citation {row.model_type}\n" in told


def test_the_head_of_a_file_and_a_section_of_a_card_are_shown(models):
    head = models.head_of("modeling_histgen.py")
    assert head.startswith("HistGen, the report of a whole slide") and "| upstream | here by default | effect |" in head
    assert "```text\nmodel = HistGenForConditionalGeneration" in head
    assert "all at once" in models.card_of("picture-judge-tiny", "How", "Limits")


def test_the_command_line_is_typers(reference):
    text = reference.verbs()
    assert "## hf-medreport report\n" in text and "### hf-medreport evaluate phantom\n" in text
    assert "| `--slide-mpp` |" in text


def test_an_experiment_over_seeds_is_a_row_an_arm(seeds, monkeypatch, tmp_path):
    monkeypatch.setattr(seeds, "RESULTS", tmp_path)
    monkeypatch.setitem(
        seeds.EXPERIMENTS, "e", (("one", "two", "three"), (("F1", "a.f1", 2, 1), ("m", "s", 1, 1 / 60)))
    )
    (tmp_path / "e").mkdir()
    for arm, seed, value in (("one", 1, 0.4), ("one", 0, 0.5), ("two", 0, 0.25)):
        row = {"arm": arm, "seed": seed, "a": {"f1": value}} | ({"s": 90} if arm == "two" else {})
        (tmp_path / "e" / f"{arm}-{seed}.json").write_text(json.dumps(row))
    assert seeds.seeds("e").splitlines()[2:5] == [
        "| one | 0.45 (0.50, 0.40) |  |",
        "| two | 0.25 | 1.5 |",
        "| three | not run |  |",
    ]


def test_an_experiments_own_table_is_shown(seeds, monkeypatch, tmp_path):
    monkeypatch.setattr(seeds, "RESULTS", tmp_path)
    (tmp_path / "rlhf").mkdir()
    lines = seeds.printed("rlhf").splitlines()
    assert lines[0].startswith("| arm | modality |") and lines[2].startswith("| supervised | not run |")
    assert lines[-1] == "`python benchmarks/experiments/rlhf.py run`"
