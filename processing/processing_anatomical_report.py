"""The processor of layer-wise anatomical attention: films and masks on one side, report text on the other.

processor = AnatomicalReportProcessor(FilmImageProcessor(size=512), AutoTokenizer.from_pretrained("gpt2"))
inputs = processor(["a.png", {"frontal": "b.dcm", "mask": "b_mask.png"}])
batch = processor(films, text_target=reports)  # `labels` end with the end-of-text token
"""

from transformers import BatchFeature, ProcessorMixin
from transformers.utils import logging

from .image_processing_film import FilmImageProcessor
from .input_error import InputError
from .report_tokens import ReportTokens
from .saved_processor import SavedProcessor

logger = logging.get_logger(__name__)
VIEWS = ("frontal", "lateral", "images", "slides", "mask")


class AnatomicalReportProcessor(SavedProcessor, ReportTokens, ProcessorMixin):
    """Image processor and tokenizer of `AnatomicalReportForConditionalGeneration`."""

    def __init__(self, image_processor: FilmImageProcessor = None, tokenizer=None, **kwargs):
        super().__init__(image_processor, tokenizer, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        return ["pixel_values", "anatomical_masks", "input_ids", "attention_mask"]

    def __call__(
        self,
        images=None,
        text: str | list[str] | None = None,
        masks=None,
        text_target: str | list[str] | None = None,
        max_length: int | None = None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool = False,
        return_tensors: str = "pt",
        **kwargs,
    ) -> BatchFeature:
        """Model inputs of one or several cases.

        Args:
            images: a film, or a case as a dict with `frontal` (or `images` with one film) and optionally `mask`, or a
                list of either. A `lateral` film is accepted and not used: the model reads frontal films.
            text: prompts to continue; padded on the left.
            masks: lung-heart masks, one a film.
            text_target: reports to learn. They become `labels`, each ended by the end-of-text token, padded with -100
                on the right.
            max_length: most tokens of a report, the end-of-text token included; longer ones are cut and then do not
                end.
            orient, frame, any_modality: of all films, as in `read_film`.

        Returns:
            `pixel_values` (batch, 3, size, size); `anatomical_masks` (batch, 1, mask_size, mask_size) where given;
            `labels` (batch, text) with `text_target`, else `input_ids` and `attention_mask` (batch, prompt), of
            length 0 without a prompt.

        Raises:
            InputError: a film cannot be read or is refused, a case is not one that this system takes, or counts differ.
        """
        data = {}
        if images is not None:
            cases = images if isinstance(images, (list, tuple)) else [images]
            films = [frontal_film(case) for case in cases]
            if not films:
                raise InputError("images", "no film", "one or more", "pass at least one film")
            if masks is None and any(isinstance(case, dict) and case.get("mask") is not None for case in cases):
                masks = [mask_of(case) for case in cases]
            options = {"orient": orient, "frame": frame, "any_modality": any_modality}
            data.update(self.image_processor(films, masks=masks, return_tensors=return_tensors, **options))
            for name, given in {
                "text": text,
                "masks": data.get("anatomical_masks"),
                "text_target": text_target,
            }.items():
                count = 1 if isinstance(given, str) else len(given) if given is not None else len(films)
                if count != len(films):
                    raise InputError(name, f"{count} for {len(films)} films", "one a film", "give as many as films")
        if text_target is not None:
            data["labels"] = self.report_labels(text_target, max_length)
        elif text is not None or images is not None:
            prompts = [text] if isinstance(text, str) else text or [""] * len(data["pixel_values"])
            data["input_ids"], data["attention_mask"] = self.prompt_ids(prompts)
        return BatchFeature(data)


def frontal_film(case):
    """The film of a case that layer-wise anatomical attention reads."""
    if not isinstance(case, dict):
        return case
    unknown = set(case) - set(VIEWS)
    images = [] if case.get("images") is None else case["images"]
    images = list(images) if isinstance(images, (list, tuple)) else [images]
    film = case.get("frontal", images[0] if len(images) == 1 else None)
    if unknown or film is None:
        found = f"unknown keys {sorted(unknown)}" if unknown else f"keys {sorted(case)} without one frontal film"
        raise InputError("case", found, "{'frontal': film} or {'images': [film]}", "name the frontal film")
    if case.get("lateral") is not None:
        logger.warning_once(
            "layer-wise anatomical attention reads frontal films only: the lateral film of a case is not used"
        )
    return film


def mask_of(case):
    """The mask of a case among cases with masks."""
    if not isinstance(case, dict) or case.get("mask") is None:
        raise InputError("case", "a film without a mask beside films with one", "a mask for all or none", "add it")
    return case["mask"]


__all__ = ["AnatomicalReportProcessor"]
