"""`hf-medreport report` with labels: given to the model, said in every form of the report, and refused where they are
wrong; and evidence that lies on the film when the model saw a padded square."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from hf_medreport.cli import main
from hf_medreport.inference.labels import label_words
from hf_medreport.inference.loading import load
from hf_medreport.inference.report_films import on_film, report_films
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from tests.labeled import save_labeled
from tests.reports import a_report, a_sentence
from tests.tiny import film_array


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("labeled")
    return {mode: save_labeled(mode, base / f"radscribe-{mode}") for mode in ("none", "oracle", "predicted")}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for index in range(2):
        Image.fromarray(np.roll(film_array(), index, axis=1)).save(folder / f"{index}.png")
    return [folder / "0.png", folder / "1.png"]


def run(capsys, *arguments):
    """Exit code, stdout, stderr of the command."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["hf-medreport", *map(str, arguments)])
        main()
    return ended.value.code, *capsys.readouterr()


class TestWords:
    def test_every_source_says_where_labels_come_from(self):
        assert label_words(["Cardiomegaly"], "oracle") == "labels: Cardiomegaly (oracle: given by the user)"
        assert label_words(["Edema", "Fracture"], "predicted") == "labels: Edema, Fracture (predicted: the model's own)"
        assert label_words([], "oracle") == "labels: none (oracle: given by the user)"
        assert label_words(None, None) == ""

    def test_text_and_json_carry_them(self):
        told = {"labels": ["Edema"], "label_source": "oracle"}
        report = a_report("Clear.", [a_sentence("Clear.")], **told)
        assert report.to_text() == "f.png\nlabels: Edema (oracle: given by the user)\nClear.\n"
        assert {name: report.to_json()[name] for name in told} == told

    def test_a_model_without_labels_has_none_anywhere(self):
        report = a_report()
        assert report.to_text() == "f.png\n\n" and report.to_json()["labels"] is None


class TestVerb:
    def test_oracle(self, capsys, folders, films):
        options = ["--labels", "Cardiomegaly, Edema", "--labels", "", "--json"]
        code, out, err = run(capsys, "report", *films, "--model", folders["oracle"], *options)
        reports = json.loads(out)["reports"]
        assert code == 0, err
        assert [report["labels"] for report in reports] == [["Cardiomegaly", "Edema"], []]
        assert {report["label_source"] for report in reports} == {"oracle"}

    def test_radscribes_quoted_string(self, folders, films):
        (report,) = report_films(films[:1], load(folders["predicted"]), labels=["'Edema', 'Pleural Effusion'"])
        assert report.labels == ["Edema", "Pleural Effusion"] and report.label_source == "oracle"

    def test_predicted_and_none(self, folders, films):
        predicted, none = (next(report_films(films, load(folders[mode]))) for mode in ("predicted", "none"))
        assert isinstance(predicted.labels, list) and predicted.label_source == "predicted"
        assert none.labels is None and none.label_source is None

    def test_a_bad_film_keeps_the_others_labels(self, folders, films, tmp_path):
        (tmp_path / "bad.png").write_bytes(b"")
        failure, report = report_films(
            [tmp_path / "bad.png", films[0]], load(folders["oracle"]), labels=["Fracture", "Edema"]
        )
        assert failure.film == "bad.png" and report.labels == ["Edema"]


REFUSED = {
    "none for a model that must be given": (
        "oracle",
        [],
        "--labels: found none, and radscribe-oracle must be given them; expected the labels of each film; "
        "give --labels once a film, '' where there is no finding; or use another model",
    ),
    "some for a model that takes none": (
        "none",
        ["Edema", "Edema"],
        "--labels: found 2, and radscribe-none takes none; expected none; leave out --labels",
    ),
    "some for a model of another system": (
        "anatomical-tiny",
        ["Edema", ""],
        "--labels: found 2, and anatomical-tiny takes none; expected none; leave out --labels",
    ),
    "some for a model of slides": (
        "histgen-tiny",
        ["Edema"],
        "--labels: found 1, and histgen-tiny takes none; expected none; leave out --labels",
    ),
    "some for a model of pairs": (
        "cxr-multitask-tiny",
        ["Edema"],
        "--labels: found 1, and cxr-multitask-tiny takes none; expected none; leave out --labels",
    ),
    "fewer than films": (
        "predicted",
        ["Edema"],
        "--labels: found 1 for 2 films; expected one a film; "
        "give --labels once a film, in the films' order, names joined by commas",
    ),
    "more than films": (
        "oracle",
        ["Edema", "Edema", "Fracture"],
        "--labels: found 3 for 2 films; expected one a film; "
        "give --labels once a film, in the films' order, names joined by commas",
    ),
    "misspelt": (
        "oracle",
        ["Edema", "Cardiomegali"],
        "labels of 1.png: found unknown label 'Cardiomegali'; expected one of CheXpert's 14 names; "
        "did you mean 'Cardiomegaly'?",
    ),
    "no label at all": (
        "predicted",
        ["x1", ""],
        "labels of 0.png: found unknown label 'x1'; expected one of CheXpert's 14 names; known are "
        "Enlarged Cardiomediastinum, Cardiomegaly, Lung Opacity, Lung Lesion, Edema, Consolidation, Pneumonia, "
        "Atelectasis, Pneumothorax, Pleural Effusion, Pleural Other, Fracture, Support Devices, No Finding",
    ),
    "more than the model has places for": (
        "predicted",
        ["Edema", "Edema, Fracture, Pneumonia, Consolidation, Cardiomegaly"],
        "labels of 1.png: found 5 labels of 61 word pieces; expected at most 60, the model's places; leave some out",
    ),
    "a quote that does not end": (
        "oracle",
        ["'Edema, Fracture", ""],
        "labels of 0.png: found broken quotes at 'Edema; expected each name in quotes, commas between; mend the label",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_use(capsys, folders, films, case):
    model, labels, message = REFUSED[case]
    options = [part for text in labels for part in ("--labels", text)]
    code, out, err = run(capsys, "report", *films, "--model", folders.get(model, model), *options)
    assert (code, out, err) == (2, "", message + "\n")


def test_masks_are_refused(capsys, folders, films):
    code, _, err = run(capsys, "report", films[0], "--model", folders["none"], "--mask", films[0])
    assert (code, err) == (2, "--mask: found 1, and radscribe-none reads none; expected none; leave out --mask\n")


def test_labels_of_pairs_are_refused(capsys, folders, films):
    code, _, err = run(capsys, "report", "--frontal", films[0], "--labels", "Edema")
    assert (code, err) == (2, REFUSED["some for a model of pairs"][2] + "\n")
    told = run(capsys, "report", "--frontal", films[0], "--labels", "Edema", "--model", folders["predicted"])
    assert told[0] == 2 and told[2] == (
        "--model: found radscribe-predicted, which reads frontal films only; expected one that reads a lateral film "
        "too, such as cxr-multitask-tiny; choose another --model, or give the film without --frontal, --lateral and "
        "--pairs\n"
    )


class TestPadded:
    def test_evidence_lies_on_the_film_that_was_padded(self, tmp_path):
        folder = save_labeled("none", tmp_path / "model", fit="pad")
        wide = np.tile(film_array(), (1, 2))  # 64 x 128: the model sees it in the middle half of its square
        Image.fromarray(wide).save(tmp_path / "wide.png")
        pipe = load(folder)
        (report,) = report_films([tmp_path / "wide.png"], pipe)
        (record,) = pipe(str(tmp_path / "wide.png"), return_evidence=True)
        assert report.sentences
        for sentence, whole in zip(report.sentences, record["sentences"], strict=True):
            assert whole["evidence"].shape == (4, 4) and sentence.evidence.shape == (2, 4)
            assert np.array_equal(sentence.evidence, whole["evidence"][1:3])

    def test_a_spot_stays_where_it_is_on_the_film(self):
        class Pipe:
            class processor:
                image_processor = FilmImageProcessor(size=64, fit="pad")

        film = np.zeros((100, 200), np.float32)
        film[:25, 150:] = 1  # upper right
        grid = Pipe.processor.image_processor(film, return_tensors="np")["pixel_values"][0, 0]
        rows, columns = np.nonzero(on_film(Pipe, grid, film) > grid.mean() + 1)
        shape = on_film(Pipe, grid, film).shape
        assert shape == (32, 64) and rows.max() < 10 and columns.min() > 45

    @pytest.mark.parametrize(("fit", "shape"), [("stretch", (16, 16)), ("pad", (8, 16)), ("crop", (16, 32))])
    def test_every_fit(self, fit, shape):
        class Pipe:
            class processor:
                image_processor = FilmImageProcessor(size=64, fit=fit)

        assert on_film(Pipe, np.ones((16, 16)), np.zeros((100, 200))).shape == shape
