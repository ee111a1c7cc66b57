"""Films and texts -> inputs of MedViLL: pieces, marks, padding, and the scale of each image encoder."""

import numpy as np
import pytest

from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_medvill import MedViLLProcessor, film_processor, scale_of
from tests.tiny import film_array, tiny_label_tokenizer

WORDS = tiny_label_tokenizer()
PROCESSOR = MedViLLProcessor(FilmImageProcessor(size=16), WORDS, max_text_tokens=4)


def ids(*pieces: str) -> list[int]:
    return WORDS.convert_tokens_to_ids(list(pieces))


def test_pieces_are_cut_ended_and_padded():
    inputs = PROCESSOR(text=["ab.", "abcdef"])
    assert inputs["input_ids"].tolist() == [
        ids("a", "##b", ".", "[SEP]", "[PAD]"),
        ids("a", "##b", "##c", "##d", "[SEP]"),
    ]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1] * 5] and "pixel_values" not in inputs


def test_films_alone_and_with_a_text_each():
    films = [film_array(), film_array().T]
    inputs = PROCESSOR(films, text=["a", "b"])
    assert set(inputs) == set(PROCESSOR.model_input_names)
    assert inputs["pixel_values"].shape == (2, 3, 16, 16) and inputs["input_ids"].shape == (2, 5)
    alone = PROCESSOR(films[1])
    assert set(alone) == {"pixel_values"} and (alone["pixel_values"][0] == inputs["pixel_values"][1]).all()


def test_as_many_texts_as_films():
    with pytest.raises(InputError) as raised:
        PROCESSOR([film_array()] * 2, text="a")
    assert str(raised.value) == "text: found 1 for 2 films; expected one a film; give as many as films"


@pytest.mark.parametrize(
    ("encoder", "black", "white"), [("resnet101", -1024, 1024), ("vit", -0.492 / 0.293, (1 - 0.492) / 0.293)]
)
def test_values_are_those_that_an_image_encoder_was_trained_on(encoder, black, white):
    film = np.zeros((8, 8), np.uint8)
    film[4:] = 255
    pixels = film_processor(8, scale_of(encoder))(film, return_tensors="np")["pixel_values"][0, 0]
    assert [pixels[0, 0], pixels[-1, 0]] == pytest.approx([black, white], abs=1e-3)


def test_a_film_that_is_no_square_is_padded():
    film = np.full((8, 16), 255, np.uint8)
    film[4:, 8:] = 0
    pixels = film_processor(16, ((0,) * 3, (1,) * 3))(film, return_tensors="np")["pixel_values"][0, 0]
    assert (
        pixels[:, 2].tolist() == [0] * 4 + [1] * 8 + [0] * 4 and pixels[:, 12].tolist() == [0] * 4 + [1] * 4 + [0] * 8
    )
