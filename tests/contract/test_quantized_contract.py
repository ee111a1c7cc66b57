"""Every shipped report model in 4 and 8 bits on a CPU: it stays close to its own scores, and writes."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from PIL import Image
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from hf_medreport.inference.loading import load
from hf_medreport.modeling.whole_linear import WholeLinear, linear
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS, systems
from tests.samples import shipped_inputs
from tests.tiny import film_array

ROWS = [row for row in systems() if row.kind == "report" and row.checkpoint]
BITS = {
    "nf4": (BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"), Linear4bit, 0.15),
    "int8": (BitsAndBytesConfig(load_in_8bit=True), Linear8bitLt, 0.05),
}


@pytest.fixture(scope="module")
def whole():
    """Per system: its sample, what it writes of it, and its scores."""
    found = {}
    for row in ROWS:
        pipe, inputs = load(row.checkpoint, device="cpu"), shipped_inputs(row)
        ids = pipe.model.generate(**inputs, max_new_tokens=24)
        labels = ids[:, 1:] if pipe.model.config.is_encoder_decoder else ids
        with torch.no_grad():
            found[row.model_type] = inputs, labels, pipe.model(**inputs, labels=labels).logits
    return found


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)], ids=["float32", "bfloat16"]
)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
def test_quantized_it_scores_nearly_the_same_and_writes(row, bits, dtype, whole):
    config, layer, bound = BITS[bits]
    inputs, labels, expected = whole[row.model_type]
    model = row.resolve("model").from_pretrained(CHECKPOINTS / row.checkpoint, quantization_config=config, dtype=dtype)
    # All that could be is quantized, but for the scores of words, layers of odd sizes, and what T5 keeps in float32.
    head = model.get_output_embeddings()
    linears = [m for name, m in model.named_modules() if type(m) in (nn.Linear, Conv1D) and not name.endswith(".wo")]
    assert [m for m in linears if m is not head] == [] and any(isinstance(module, layer) for module in model.modules())
    with torch.no_grad():
        logits = model(**inputs, labels=labels).logits.float()
    assert (logits - expected).norm() / expected.norm() < bound
    generated = model.generate(**inputs, max_new_tokens=6)
    assert generated.shape[0] == 1 and generated.shape[1] >= 6


def test_evidence_of_four_bits_on_a_cpu_is_refused():
    row = ROWS[0]
    whole = load(row.checkpoint, device="cpu")
    config = BITS["nf4"][0]
    model = row.resolve("model").from_pretrained(CHECKPOINTS / row.checkpoint, quantization_config=config)
    pipe = row.resolve("pipeline")(model=model, processor=whole.processor, task="image-to-text")
    film = Image.fromarray(film_array())
    assert pipe(film, max_new_tokens=4)[0]["generated_text"]
    with pytest.raises(InputError) as error:
        pipe(film, max_new_tokens=4, return_evidence=True)
    assert str(error.value) == (
        "return_evidence: found a model in 4 bits on a CPU; expected one that has gradients; load the model in 8 bits "
        "or whole, or leave return_evidence out"
    )


def test_sizes_that_cannot_be_packed_are_left_whole():
    assert type(linear(64, 32)) is nn.Linear
    assert type(linear(64, 1)) is type(linear(96, 32)) is WholeLinear
