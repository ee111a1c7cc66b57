"""Films and their labels -> inputs of RadScribe: label text, targets, reports, cases; worked by hand."""

import pytest
import torch

from hf_medreport.modeling.configuration_medvill import FINDINGS
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_radscribe import RadScribeProcessor
from tests.tiny import film_array, tiny_label_tokenizer, tiny_tokenizer

NAMES = ["Edema", "Fracture", "Pneumonia"]
WORDS, PIECES = tiny_tokenizer(), tiny_label_tokenizer()
PROCESSOR = RadScribeProcessor(FilmImageProcessor(size=16), WORDS, PIECES, 12, label_names=NAMES)
FILM, OTHER = film_array(), film_array().T


def case(labels, film=FILM) -> dict:
    return {"frontal": film, "labels": labels}


def test_labels_of_a_case_are_text_of_the_encoder():
    inputs = PROCESSOR([case(["Edema"]), case([], OTHER)])
    edema = PIECES.convert_tokens_to_ids(["'", "e", "##d", "##e", "##m", "##a", "'", "[SEP]"])
    assert inputs["label_ids"][0].tolist() == edema + [0] * 5 and inputs["label_mask"][0].sum() == 8
    assert inputs["label_ids"][1].tolist() == [PIECES.sep_token_id] + [0] * 12 and inputs["label_mask"][1].sum() == 1
    assert inputs["pixel_values"].shape == (2, 3, 16, 16)


def test_every_way_to_name_a_film_is_the_same(film_png):
    expected = PROCESSOR(case("'Edema'"))
    for same in (
        {"images": film_png, "labels": ["Edema"]},
        {"images": [FILM], "labels": "Edema", "lateral": OTHER},
    ):
        inputs = PROCESSOR(same)
        assert set(inputs) == set(expected) and all(torch.equal(inputs[name], expected[name]) for name in expected)
    assert "label_ids" not in PROCESSOR(FILM) and "label_ids" not in PROCESSOR(case(None))


def test_targets_are_named_not_named_or_unknown():
    targets = PROCESSOR(label_target=[["Pneumonia", "Edema"], [], None])["label_targets"]
    assert targets.tolist() == [[1, 0, 1], [0, 0, 0], [-100] * 3]


def test_reports_end_and_prompts_begin_as_t5_does():
    a, b = WORDS("ab")["input_ids"]
    inputs = PROCESSOR([FILM, OTHER], text=["ab", "b"], text_target=["ab", "a"])
    assert inputs["labels"].tolist() == [[a, b, 0], [a, 0, -100]]
    assert inputs["decoder_input_ids"].tolist() == [[0, a, b], [0, 0, b]]
    assert inputs["decoder_attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert PROCESSOR(text_target="ab", max_length=1)["labels"].tolist() == [[a]]


def test_label_text_that_the_model_writes_itself_is_that_of_its_names():
    written = PROCESSOR.label_pieces()
    joined = written["label_pieces"][0] + written["label_separator"] + written["label_pieces"][2]
    assert joined == PIECES("'edema', 'pneumonia'", add_special_tokens=False)["input_ids"]
    assert PROCESSOR.count_pieces(["Edema", "Pneumonia"]) == len(joined) == 7 + 1 + 11


@pytest.mark.parametrize(("oracle", "source"), [(True, "oracle"), (False, "predicted")])
def test_a_record_says_what_the_model_was_told_and_by_whom(oracle, source):
    ids, _ = PROCESSOR.label_inputs([["Edema", "Fracture"]])  # 18 pieces: of the second name there is a beginning
    details = {"label_ids": ids[0], "oracle": torch.tensor(oracle)}
    assert PROCESSOR.described(details) == {"labels": ["Edema"], "label_source": source}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "images: found no film; expected one or more; pass at least one film"),
        (
            ([case(["Edema"]), FILM],),
            "labels: found labels of 1 of 2 films; expected labels of all or of none; give [] where there is no "
            "finding",
        ),
        (([FILM, FILM], "a"), "text: found 1 for 2 films; expected one a film; give as many as films"),
        (([FILM], None, ["a", "b"]), "text_target: found 2 for 1 films; expected one a film; give as many as films"),
        (([FILM], None, None, [None, []]), "label_target: found 2 for 1 films; expected one a film; give as many as "
            "films"),
        (
            ({"frontl": FILM},),
            "case: found unknown keys ['frontl']; expected {'frontal': film} or {'frontal': film, 'labels': names}; "
            "name the frontal film",
        ),
        (
            ({"images": [FILM, FILM]},),
            "case: found keys ['images'] without one frontal film; expected {'frontal': film} or {'frontal': film, "
            "'labels': names}; name the frontal film",
        ),
    ],
)  # fmt: skip
def test_refusals(arguments, message):
    with pytest.raises(InputError) as raised:
        PROCESSOR(*arguments)
    assert str(raised.value) == message


def test_an_unknown_label_is_named():
    with pytest.raises(InputError, match="found unknown label 'Edma'; .* did you mean 'Edema'"):
        PROCESSOR(case(["Edma"]))
    assert set(NAMES) < set(FINDINGS)
