"""A DenseNet that was trained on chest films -> the encoder of a `cxr_multitask` folder, ready to be trained.

Four layouts, told apart by their keys; sizes are read from the tensors' shapes:

| layout | told by | its films, from [0, 1] |
|---|---|---|
| torchvision, timm | `features.conv0.weight` | ImageNet's mean and deviation |
| CheXNet in torch (arnoweng, zoogzog) | `densenet121.features.conv0.weight` | the same |
| torchxrayvision | a first convolution of one channel | (2x - 1) * 1024 |
| CheXNet in Keras (.h5) | `conv1/conv`, `conv2_block1_0_bn`, ... | as they are, like the notebook gives them |

Files from before PyTorch 0.4 have dotted names, `norm.1` and `conv.2`. The scale becomes `encoder_mean` and
`encoder_std` of the configuration. The head of 14 or 18 findings has no place in this system: it is reported and left
out. Decoders, classifier and the latent's projection are fresh, which is reported as missing.

Keras pads the first convolution and the pooling by layers of their own, with zeros; torch's own padding does the same
(the pooling's is minus infinity, but what it pools has been through a ReLU). Keras adds 1.001e-5 to a variance where
torch adds 1e-5: the difference goes into the variance.
"""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedConfig

from hf_medreport.hub.densenet_keys import SCALES, first_of, read_densenet
from hf_medreport.hub.folder import save_folder
from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskForConditionalGeneration
from hf_medreport.modeling.modeling_latent_gpt2 import LatentGPT2LMHeadModel
from hf_medreport.processing.image_processing_film import UNSCALED, FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_cxr_multitask import CxrMultitaskProcessor
from hf_medreport.processing.report_tokens import FRAME, add_report_tokens

WRITERS = ("gpt2", "latent_gpt2")
NEW_TOKENS = 128  # enough for an impression; without it transformers stops after 20
STRIDE = 32  # of DenseNet's last map


def convert(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    decoder: str = "openai-community/gpt2",
    tokenizer: str | None = None,
    image_size: int = 224,
    seed: int = 0,
) -> dict:
    """Write a `cxr_multitask` model around the checkpoint's DenseNet, its tokenizer and the code to `out`.

    Args:
        checkpoint: `.pth` / `.pt` (read with weights only), `.safetensors`, or Keras' `.h5`.
        decoder: folder or id of a GPT-2.
        tokenizer: folder or id; by default the decoder's. It gains <start>, <end> and <pad> where it lacks them.
        image_size: side in pixels of what the encoder sees.
        seed: of the fresh weights.

    Returns:
        `{"out", "layout", "encoder": sizes, "encoder_mean", "encoder_std", "missing": [...], "unexpected": [...]}`;
        missing parts have fresh weights.

    Raises:
        InputError: the file cannot be read, is no DenseNet or lacks weights; or decoder, tokenizer or size do not fit.
    """
    if image_size <= 0 or image_size % STRIDE:
        expected = f"a multiple of {STRIDE}, the encoder's stride"
        raise InputError("image_size", str(image_size), expected, "choose 224 or another")
    sizes, state, layout, unexpected = read_densenet(checkpoint)
    mean, deviation = SCALES[layout]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        latent_size = CxrMultitaskConfig(encoder=sizes).decoder.latent_size
        writer, words, fresh = read_decoder(decoder, tokenizer or decoder, latent_size)
        config = CxrMultitaskConfig(
            encoder=sizes, decoder=writer.config, image_size=image_size, encoder_mean=mean, encoder_std=deviation
        )
        model = CxrMultitaskForConditionalGeneration(config)
    model.encoder.load_state_dict(state)
    model.decoder.load_state_dict(writer.state_dict())
    model.generation_config = writer.generation_config
    model.generation_config.max_new_tokens = min(NEW_TOKENS, writer.config.n_positions)
    films = FilmImageProcessor(image_size, **UNSCALED)
    folder = save_folder(model.eval(), CxrMultitaskProcessor(films, words), out)
    return {
        "out": str(folder),
        "layout": layout,
        "encoder": sizes,
        "encoder_mean": mean,
        "encoder_std": deviation,
        "missing": ["frontal_decoder.*", "lateral_decoder.*", "classifier.*", "missing_view", *fresh],
        "unexpected": unexpected,
    }


def read_decoder(decoder: str, tokenizer: str, latent_size: int) -> tuple:
    """A GPT-2 that knows the multi-task chest X-ray's three words, its tokenizer, and the names of its fresh weights.

    Raises:
        InputError: no whole GPT-2, no tokenizer, or one with more words than the GPT-2.
    """
    name, remedy = Path(decoder).name, "pass `decoder` with GPT-2's folder"
    try:
        kind = PreTrainedConfig.get_config_dict(decoder)[0].get("model_type")
        if kind in WRITERS:
            writer, info = LatentGPT2LMHeadModel.from_pretrained(
                decoder, latent_size=latent_size, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(name, "no model that loads", "a GPT-2's folder or id", remedy) from error
    if kind not in WRITERS:
        raise InputError(name, f"a model of type {kind}", "a GPT-2", remedy)
    lacking = sorted(key for key in info["missing_keys"] if not key.startswith("latent_projection"))
    if lacking:
        raise InputError(name, f"no {first_of(lacking)}", "a whole GPT-2", "use the full folder")
    try:
        words = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        remedy = "pass `tokenizer` with GPT-2's folder"
        raise InputError(Path(tokenizer).name, "no tokenizer", "a folder or id", remedy) from error
    known = len(words) - len(words.get_vocab().keys() & set(FRAME.values()))
    if known > writer.config.vocab_size:
        found = f"{known} words for a decoder of {writer.config.vocab_size}"
        raise InputError(Path(tokenizer).name, found, "the decoder's own", "pass `tokenizer` with it")
    add_report_tokens(words)
    fresh = [f"decoder.{key}" for key in sorted(info["missing_keys"])]
    if len(words) > writer.config.vocab_size:
        new = words.convert_ids_to_tokens(range(writer.config.vocab_size, len(words)))
        fresh.append(f"decoder.transformer.wte.weight of {', '.join(new)}")
        writer.resize_token_embeddings(len(words))
    add_report_tokens(words, writer.config, writer.generation_config)
    return writer, words, fresh
