"""A pipeline whose length nobody names refuses to write: transformers would stop after 20 tokens and not say so."""

import pytest
from transformers import GenerationConfig

from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError

REFUSAL = (
    "generation_config: found no max_new_tokens, neither in the call nor in the model's; "
    "expected the most tokens of a report; name it in the call, as in pipe(film, max_new_tokens=128)"
)


@pytest.fixture
def pipe(tiny_pipe_folder):
    pipe = load(tiny_pipe_folder)
    pipe.model.generation_config.max_new_tokens = None
    pipe.model.generation_config.eos_token_id = None
    return pipe


def test_refused_in_every_kind_of_call(pipe, film_png):
    film = str(film_png)
    for inputs, options in (
        (film, {}),
        ([film, film], {"batch_size": 2}),
        ({"frontal": film}, {"num_beams": 2}),
        (film, {"generation_config": GenerationConfig(do_sample=True)}),
        (film, {"max_new_tokens": None, "return_evidence": True}),
    ):
        with pytest.raises(InputError) as raised:
            list(pipe(inputs, **options))
        assert str(raised.value) == REFUSAL


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_tokens": 3},
        {"generate_kwargs": {"max_new_tokens": 3}},
        {"generation_config": GenerationConfig(max_new_tokens=3)},
        {"max_length": 19},  # of which the film's patches are 16
    ],
    ids=lambda options: next(iter(options)),
)
def test_whoever_calls_may_name_it(pipe, film_png, options):
    lengths = []
    generate = pipe.model.generate
    pipe.model.generate = lambda **kwargs: lengths.append((ids := generate(**kwargs)).shape[1]) or ids
    pipe(str(film_png), **options)
    assert lengths == [3]


def test_named_when_the_pipeline_is_made(pipe, film_png):
    made = type(pipe)(model=pipe.model, processor=pipe.processor, task="image-to-text", max_new_tokens=3)
    assert made(str(film_png)) == pipe(str(film_png), max_new_tokens=3)
