"""The model card: each figure comes from the evaluation's JSON, and what is not there is not claimed."""

import ast
import json
import re

import pytest
from huggingface_hub import ModelCard

from hf_medreport.hub.card import write_card
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.score import score_facts
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

COMMAND = "hf-medreport evaluate phantom --n 200 --seed 1 --json"
TEST = {
    "n": 200,
    "seed": 1,
    "exact": {"precision": 0.9, "recall": 0.8, "f1": 0.8471},
    "kind": {
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.6667,
        "by_kind": {"effusion": {"f1": 0.25}, "nodule": {"f1": None}},
    },
    "hallucination_rate": 0.05,
    "wrong_side_rate": None,
    "size_error_mm": 3.25,
    "intervals": {"exact.f1": [0.8, 0.9]},
    "blinded": {"exact": {"f1": 0.02}},
    "constant_report": {"exact": {"f1": 0.0}},
    "evidence": {"pointing": {"model": 0.6, "randomized": 0.3, "chance": 0.25}},
    "command": COMMAND,
}
OTHER = {"n": 40, "exact": {"f1": 0.0}}


def write(folder, evaluation, **options):
    about = {"model_name": "org/chest", "base": "ViT and GPT-2", "data": "4,000 drawn films", "command": "train it"}
    return write_card(folder, evaluation, **about | options)


def table(text, head):
    """{first cell: other cells} of the markdown table whose head starts with `head`."""
    lines = text[text.index(f"| {head} |") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells[:1] + cells[2:]}


def test_a_slide_model_that_was_not_evaluated_has_a_slide_models_card(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "histgen"}')
    text = write(tmp_path, {}).read_text()
    assert 'pipe("slide.svs")' in text and "also needs openslide-python" in text
    assert table(text, "figure")["number exactness"] == ["not run"]
    (tmp_path / "config.json").write_text('{"model_type": "anatomical_report"}')
    text = write(tmp_path, {}).read_text()
    assert 'pipe("image.png")' in text and "openslide" not in text


class TestFigures:
    def test_one_split(self, tmp_path):
        text = write(tmp_path, TEST).read_text()
        assert table(text, "figure") == {
            "figure": ["test"],
            "images": ["200"],
            "seed": ["1"],
            "exact fact: precision": ["0.900"],
            "exact fact: recall": ["0.800"],
            "exact fact: F1": ["0.847"],
            "the same, 95 % interval": ["0.800 to 0.900"],
            "the same, shown noise in place of the image": ["0.020"],
            "the same, of a constant normal report": ["0.000"],
            "exact fact: macro F1": ["not run"],
            "finding kind: precision": ["1.000"],
            "finding kind: recall": ["0.500"],
            "finding kind: F1": ["0.667"],
            "hallucination rate": ["0.050"],
            "wrong-side rate": ["undefined"],
            "wrong-zone rate": ["not run"],
            "wrong-severity rate": ["not run"],
            "size error, mm": ["3.250"],
            "evidence: pointing": ["0.600"],
            "the same, randomized weights": ["0.300"],
            "the same, by chance": ["0.250"],
        }
        assert table(text, "finding kind") == {
            "finding kind": ["test"],
            "effusion": ["0.250"],
            "nodule": ["undefined"],
        }
        assert f"Printed by (column test):\n\n```bash\n{COMMAND}\n```\n" in text

    def test_two_splits(self, tmp_path):
        text = write(tmp_path, {"test": TEST, "held_back_style": OTHER}).read_text()
        figures = table(text, "figure")
        assert figures["figure"] == ["test", "held_back_style"]
        assert figures["images"] == ["200", "40"]
        assert figures["exact fact: F1"] == ["0.847", "0.000"]
        assert figures["finding kind: F1"] == ["0.667", "not run"]
        assert table(text, "finding kind")["effusion"] == ["0.250", "not run"]
        assert "Printed by (column held_back_style):\n\n```bash\nnot run\n```" in text

    def test_one_command_for_both_splits_stands_once(self, tmp_path):
        text = write(tmp_path, {"test": TEST, "held_back_style": OTHER | {"command": COMMAND}}).read_text()
        assert f"Printed by (column test, held_back_style):\n\n```bash\n{COMMAND}\n```\n" in text
        assert text.count(COMMAND) == 1

    def test_nothing_was_run(self, tmp_path):
        path = write(tmp_path, {})
        figures = table(path.read_text(), "figure")
        assert figures.pop("figure") == ["test"]
        assert len(figures) == 20 and all(cells == ["not run"] for cells in figures.values())
        assert "finding kind |" not in path.read_text()
        assert ModelCard.load(path).data.eval_results is None

    def test_the_scorers_own_output_fills_every_figure(self, tmp_path):
        fact = Fact("pleural_effusion", "left", severity="mild")
        text = write(tmp_path, score_facts([{fact}], [{fact}]) | {"seed": 7, "command": COMMAND}).read_text()
        not_run = [name for name, cells in table(text, "figure").items() if cells == ["not run"]]
        beside = (
            "95 % interval",
            "noise",
            "constant",
            "evidence",
            "randomized",
            "chance",
        )  # `evaluate_phantom` adds them
        assert all(any(word in name for word in beside) for name in not_run), not_run
        assert table(text, "figure")["exact fact: F1"] == ["1.000"]
        assert table(text, "finding kind")["pleural_effusion"] == ["1.000"]


def reconstructed(ssim, mse):
    return {"ssim": ssim, "mse": mse, "intervals": {"ssim": [0.7, 0.9], "mse": [0.0004, 0.0006]}}


WORDS = {"text": {"bleu4": 0.25, "rougeL": 0.5}}
CLASSIFICATION = {
    "accuracy": 0.8,
    "auc": 0.9,
    "brier": 0.125,
    "calibration_error": 0.0625,
    "sensitivity": 0.75,
    "specificity": None,
    "intervals": {name: [0.1, 0.95] for name in ("accuracy", "auc", "brier", "calibration_error")},
    "prevalence": 0.4,
    "majority": {"accuracy": 0.6, "brier": 0.24},
    "frontal_alone": {"accuracy": 0.7, "auc": 0.8},
    "lateral_alone": {"accuracy": 0.65, "auc": 0.55},
}
PAIRS = TEST | {
    **WORDS,
    "intervals": {"exact.f1": [0.8, 0.9], "text.bleu4": [0.2, 0.3], "text.rougeL": [0.4, 0.6]},
    "blinded": {"exact": {"f1": 0.02}, "text": {"bleu4": 0.125, "rougeL": 0.375}},
    "constant_report": {"exact": {"f1": 0.0}, "text": {"bleu4": 0.0625, "rougeL": 0.3}},
    "tasks": {
        "frontal": reconstructed(0.8, 0.0005) | {"mean_film": {"ssim": 0.6, "mse": 0.01}},
        "lateral": reconstructed(0.75, 0.00055) | {"mean_film": {"ssim": 0.5, "mse": 0.02}},
        "classification": CLASSIFICATION,
    },
}


class TestPairs:
    def test_every_task_beside_its_baseline(self, tmp_path):
        text = write(tmp_path, PAIRS).read_text()
        lines = text[text.index("| share of abnormal") :].split("\n\n")[0].splitlines()
        assert lines[:8] == [
            "| share of abnormal cases | 0.400 |",
            "| classification: accuracy | 0.800 |",
            "| the same, 95 % interval | 0.100 to 0.950 |",
            "| the same, by majority | 0.600 |",
            "| the same, frontal film alone | 0.700 |",
            "| the same, lateral film alone | 0.650 |",
            "| classification: AUC | 0.900 |",
            "| the same, 95 % interval | 0.100 to 0.950 |",
        ]
        assert lines[-2:] == ["| the same, 95 % interval | 0.100 to 0.950 |", "| the same, by majority | 0.240 |"]
        assert (
            "| BLEU-4 | 0.250 |\n| the same, 95 % interval | 0.200 to 0.300 |\n"
            "| the same, shown noise in place of the films | 0.125 |\n"
            "| the same, of the most frequent training report | 0.062 |\n| ROUGE-L | 0.500 |\n"
        ) in text
        assert (  # a good squared error would be 0.001 with three digits, and its interval 0.000 to 0.001
            "| reconstructed frontal film: mean squared error | 0.00050 |\n"
            "| the same, 95 % interval | 0.00040 to 0.00060 |\n| the same, of the mean film | 0.01000 |\n"
            "| reconstructed lateral film: SSIM | 0.750 |\n"
        ) in text
        figures = table(text, "figure")
        assert figures["classification: specificity"] == ["undefined"] and figures["exact fact: F1"] == ["0.847"]
        assert ["not run"] not in [cells for name, cells in figures.items() if name.startswith(("class", "recon"))]
        assert "evidence" not in text and table(text, "finding kind")["effusion"] == ["0.250"]

    def test_what_the_hub_reads(self, tmp_path):
        results = ModelCard.load(write(tmp_path, PAIRS)).data.eval_results
        assert [(r.metric_type, r.metric_name, r.metric_value) for r in results] == [
            ("f1", "exact-fact F1", 0.8471),
            ("accuracy", "normal-abnormal accuracy", 0.8),
            ("roc_auc", "normal-abnormal AUC", 0.9),
            ("ssim", "SSIM of the reconstructed frontal film", 0.8),
            ("ssim", "SSIM of the reconstructed lateral film", 0.75),
        ]

    def test_a_model_that_was_not_evaluated_has_a_pair_models_card(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "cxr_multitask"}')
        text = write(tmp_path, {}).read_text()
        usage = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
        ast.parse(usage)
        assert 'pipe({"frontal": "f.png", "lateral": "l.png"})' in usage and "abnormal_logits" in usage
        assert "It also needs torchvision." in text and "openslide" not in text
        figures = table(text, "figure")
        assert figures.pop("figure") == ["test"] and all(cells == ["not run"] for cells in figures.values())
        assert "calls them normal or abnormal, and reconstructs both.\n**This is a test-bench model" in text


class TestLabels:
    """Cards of models that may be given the labels of a film."""

    def card(self, folder, mode, evaluation=None, **encoder):
        config = {"model_type": "radscribe", "encoder": {"model_type": "medvill", "label_mode": mode} | encoder}
        (folder / "config.json").write_text(json.dumps(config))
        return write(folder, evaluation or {})

    def test_oracle_stands_at_every_figure(self, tmp_path):
        path = self.card(tmp_path, "oracle", TEST | {"labels": "oracle"})
        text = path.read_text()
        assert "- Labels: **oracle**. It must be given the CheXpert labels" in text
        assert table(text, "figure")["labels that the model was given"] == ["oracle"]
        assert 'pipe({"frontal": "image.png", "labels": ["Cardiomegaly", "Edema"]})' in text
        assert [result.metric_name for result in ModelCard.load(path).data.eval_results] == [
            "exact-fact F1, oracle labels",
            "finding-kind F1, oracle labels",
            "hallucination rate, oracle labels",
        ]

    def test_predicted_beside_oracle(self, tmp_path):
        head = {"micro": {"f1": 0.75}, "macro": {"f1": 0.5}}
        own = TEST | {"labels": "predicted", "label_head": head, "blinded": {"label_head": {"micro": {"f1": 0.25}}}}
        own["intervals"] = {"label_head.micro.f1": [0.7, 0.8]}
        path = self.card(tmp_path, "predicted", {"test": own, "test, true labels": TEST | {"labels": "oracle"}})
        text = path.read_text()
        assert table(text, "figure")["labels that the model was given"] == ["predicted", "oracle"]
        assert (
            "| its own labels: micro F1 | 0.750 | not run |\n| the same, 95 % interval | 0.700 to 0.800 | not run |\n"
            "| the same, shown noise in place of the image | 0.250 | not run |\n"
            "| its own labels: macro F1 | 0.500 | not run |\n"
        ) in text
        names = [result.metric_name for result in ModelCard.load(path).data.eval_results]
        assert names[0] == "exact-fact F1" and names[-1] == "hallucination rate, oracle labels"

    def test_none(self, tmp_path):
        text = self.card(tmp_path, "none").read_text()
        assert "- Labels: none. It is shown the film alone." in text and "its own labels" not in text
        assert 'pipe("image.png")  # [{"generated_text": "..."}]' in text and "torchvision" not in text

    def test_a_densenet_needs_torchvision(self, tmp_path):
        assert "It also needs torchvision." in self.card(tmp_path, "none", image_encoder="chexnet121").read_text()

    def test_models_without_labels_speak_of_none(self, tmp_path):
        assert "labels" not in write(tmp_path, TEST).read_text().lower()


class TestEncoder:
    SCORES = {
        "n": 40,
        "seed": 1,
        "command": "train it",
        "words": {"accuracy": 0.5, "interval": [0.45, 0.55], "chance": 0.125},
        "match": {"accuracy": 0.75, "interval": [0.7, 0.8], "chance": 0.5},
    }

    def test_its_two_tasks_beside_chance(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "medvill", "image_encoder": "chexnet121"}')
        path = write(tmp_path, self.SCORES)
        text, data = path.read_text(), ModelCard.load(path).data
        assert "| masked words: accuracy | 0.500 |\n| the same, 95 % interval | 0.450 to 0.550 |\n" in text
        assert "| film and report belong together: accuracy | 0.750 |" in text and "It also needs torchvision." in text
        assert data.pipeline_tag == "feature-extraction"
        assert [(r.metric_name, r.metric_value) for r in data.eval_results] == [
            ("masked-word accuracy", 0.5),
            ("image-text matching accuracy", 0.75),
        ]

    def test_one_that_was_not_evaluated(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "medvill"}')
        text = write(tmp_path, {}).read_text()
        usage = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
        ast.parse(usage)
        assert "AutoModel.from_pretrained" in usage and "pipeline" not in usage and "{{" not in text
        figures = table(text, "figure")
        assert figures.pop("figure") == ["test"] and all(cells == ["not run"] for cells in figures.values())


class TestTables:
    ROWS = [["arm", "AUC", "F1"], ["all tasks", 0.9, "0.5 [0.4 | 0.6]"], ["report\nalone", "", "0.4"]]

    def test_they_stand_after_the_figures(self, tmp_path):
        text = write(tmp_path, TEST, tables={"Does it help?": self.ROWS, "Another.": [["a"], ["b"]]}).read_text()
        assert (
            "```\n\nDoes it help?\n\n| arm | AUC | F1 |\n|---|---:|---:|\n"
            "| all tasks | 0.9 | 0.5 [0.4 \\| 0.6] |\n| report alone |  | 0.4 |\n\n"
            "Another.\n\n| a |\n|---|\n| b |\n\n## Training\n"
        ) in text

    def test_without_any_nothing_changes(self, tmp_path):
        assert write(tmp_path, TEST, tables={}).read_text() == write(tmp_path, TEST).read_text()


class TestMetadata:
    def test_what_the_hub_reads(self, tmp_path):
        data = ModelCard.load(write(tmp_path, TEST, license="mit", language="de")).data
        assert (data.license, data.language) == ("mit", "de")
        assert (data.library_name, data.pipeline_tag) == ("transformers", "image-to-text")
        assert "custom_code" in data.tags

    def test_the_figures_as_model_index(self, tmp_path):
        data = ModelCard.load(write(tmp_path, {"test": TEST, "held_back_style": OTHER})).data
        assert data.model_name == "org/chest"
        assert [(r.dataset_split, r.metric_name, r.metric_value, r.dataset_args) for r in data.eval_results] == [
            ("test", "exact-fact F1", 0.8471, {"n": 200, "seed": 1}),
            ("test", "finding-kind F1", 0.6667, {"n": 200, "seed": 1}),
            ("test", "hallucination rate", 0.05, {"n": 200, "seed": 1}),  # the wrong-side rate is undefined
            ("held_back_style", "exact-fact F1", 0.0, {"n": 40}),
        ]


class TestText:
    def test_usage_is_python_and_names_the_model(self, tmp_path):
        text = write(tmp_path, TEST).read_text()
        usage = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
        ast.parse(usage)
        assert 'pipeline("image-to-text", model="org/chest", trust_remote_code=True)' in usage

    def test_it_says_what_it_is(self, tmp_path):
        text = write(tmp_path, TEST).read_text()
        assert "nothing it writes is a clinical statement" in text
        assert "- Built from: ViT and GPT-2\n- Trained on: 4,000 drawn films\n" in text
        assert "## Training\n\n```bash\ntrain it\n```\n" in text
        assert "{{" not in text and "{%" not in text

    def test_it_replaces_the_old_card_and_leaves_nothing_else(self, tmp_path):
        write(tmp_path, {})
        assert write(tmp_path, TEST) == tmp_path / "README.md"
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


class TestRefusals:
    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError) as caught:
            write(tmp_path / "chest", TEST)
        assert str(caught.value) == (
            "chest: found no such folder; expected a saved model's folder; save the model first"
        )

    def test_another_json(self, tmp_path):
        with pytest.raises(InputError) as caught:
            write(tmp_path, {"bleu": 0.3, "rouge": 0.2})
        assert str(caught.value) == (
            "evaluation: found the keys bleu, rouge; expected the scores of one split, or of several by name; "
            "give the JSON that `hf-medreport evaluate phantom --json` prints"
        )

    @pytest.mark.parametrize(
        ("scores", "old", "todays"),
        [
            ({"exact": {}, "tasks": {"verdict": {"auc": 0.9}}}, "verdict", "classification"),
            ({"test": {"exact": {}, "evidence": {"pointing": {"randomised": 0.1}}}}, "randomised", "randomized"),
            ({"exact": {}, "evidence": {"tumour": {"model": 0.3}}}, "tumour", "tumor"),
        ],
    )
    def test_names_of_old(self, tmp_path, scores, old, todays):
        with pytest.raises(InputError) as caught:
            write(tmp_path, scores)
        assert str(caught.value) == (
            f"evaluation: found the old key '{old}'; expected '{todays}'; "
            f"rename it, or evaluate the model again with hf-medreport {__version__}"
        )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "tables['arms']: found no rows; expected a head and one row or more; leave the table out"),
            ([["arm"]], "tables['arms']: found a head alone; expected a head and one row or more; leave the table out"),
            ([[], []], "tables['arms']: found an empty head; expected a head and one row or more; leave the table out"),
            (
                [["arm", "AUC"], ["all", "1"], ["one"]],
                "tables['arms']: found 1 cells in row 2; expected 2, as in the head; fill the row",
            ),
        ],
    )
    def test_no_table(self, tmp_path, rows, message):
        with pytest.raises(InputError) as caught:
            write(tmp_path, TEST, tables={"arms": rows})
        assert str(caught.value) == message
        assert not list(tmp_path.iterdir())
