"""The processor of MedViLL, the encoder of RadScribe: films and texts.

processor = MedViLLProcessor(FilmImageProcessor(size=512, fit="pad"), bert_tokenizer)
inputs = processor(["a.png", "b.dcm"], text=["heart normal.", "left effusion."])
"""

import torch
from transformers import BatchFeature, ProcessorMixin

from .image_processing_film import FilmImageProcessor
from .input_error import InputError
from .saved_processor import SavedProcessor

# Mean and deviation: RadScribe's, of its films; torchxrayvision's networks were trained on values from -1,024 to 1,024.
RADSCRIBE_SCALE = ((0.492, 0.493, 0.494), (0.293, 0.293, 0.293))
XRAYVISION_SCALE = ((0.5, 0.5, 0.5), (1 / 2048, 1 / 2048, 1 / 2048))


def film_processor(image_size: int, scale=RADSCRIBE_SCALE, fit: str = "pad") -> FilmImageProcessor:
    """RadScribe's transform of films, made square.

    Args:
        image_size: of `MedViLLConfig`.
        scale: mean and deviation of the three channels; see `scale_of`.
        fit: as in `FilmImageProcessor`.
    """
    mean, deviation = scale
    return FilmImageProcessor(image_size, image_mean=mean, image_std=deviation, fit=fit, resample="bilinear")


def scale_of(image_encoder: str) -> tuple:
    """Mean and deviation that an image encoder of `MedViLLConfig` wants."""
    return XRAYVISION_SCALE if image_encoder == "resnet101" else RADSCRIBE_SCALE


class MedViLLProcessor(SavedProcessor, ProcessorMixin):
    """Image processor and BERT tokenizer of `MedViLLModel`.

    Args:
        image_processor: `FilmImageProcessor`.
        tokenizer: BERT's.
        max_text_tokens: the model's: most pieces of a text; longer ones are cut.
    """

    def __init__(
        self, image_processor: FilmImageProcessor = None, tokenizer=None, max_text_tokens: int = 253, **kwargs
    ):
        super().__init__(image_processor, tokenizer, **kwargs)
        self.max_text_tokens = max_text_tokens

    @property
    def model_input_names(self) -> list[str]:
        return ["pixel_values", "input_ids", "attention_mask"]

    def __call__(
        self,
        images=None,
        text: str | list[str] | None = None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool = False,
        return_tensors: str = "pt",
        **kwargs,
    ) -> BatchFeature:
        """Model inputs of films, texts or both.

        Args:
            images: a film or a list of films.
            text: a text, or one a film.
            orient, frame, any_modality: of all films, as in `read_film`.

        Returns:
            `pixel_values` (batch, 3, size, size); `input_ids` and `attention_mask` (batch, max_text_tokens + 1):
            pieces, [SEP], padding.

        Raises:
            InputError: a film cannot be read, or other counts of texts than of films.
        """
        data = {}
        if images is not None:
            images = images if isinstance(images, (list, tuple)) else [images]
            options = {"orient": orient, "frame": frame, "any_modality": any_modality}
            data.update(self.image_processor(images, return_tensors="pt", **options))
        if text is not None:
            texts = [text] if isinstance(text, str) else list(text)
            if images is not None and len(texts) != len(images):
                found = f"{len(texts)} for {len(images)} films"
                raise InputError("text", found, "one a film", "give as many as films")
            data["input_ids"], data["attention_mask"] = bert_text(self.tokenizer, texts, self.max_text_tokens)
        return BatchFeature(data)


def bert_text(tokenizer, texts: list[str], most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts as ids and mask (batch, most + 1): at most `most` pieces, [SEP] right after them, padding."""
    ids = torch.full((len(texts), most + 1), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        pieces = tokenizer(text, add_special_tokens=False)["input_ids"][:most] + [tokenizer.sep_token_id]
        ids[row, : len(pieces)] = torch.tensor(pieces)
        mask[row, : len(pieces)] = 1
    return ids, mask


__all__ = ["MedViLLProcessor"]
