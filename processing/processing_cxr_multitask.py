"""The processor of the multi-task chest X-ray: one or both views of a chest on one side, report text on the other.

processor = CxrMultitaskProcessor(FilmImageProcessor(size=224, image_mean=(0, 0, 0), image_std=(1, 1, 1)), tokenizer)
inputs = processor({"frontal": "f.png", "lateral": "l.dcm"})   # one case; a film alone is a frontal one
batch = processor(cases, text_target=reports)                  # `labels` end with the <end> token
"""

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from .image_processing_film import FilmImageProcessor
from .input_error import InputError
from .report_tokens import ReportTokens
from .saved_processor import SavedProcessor

VIEWS = ("frontal", "lateral")
CASE_KEYS = (*VIEWS, "images", "mask", "abnormal")
UNKNOWN = -100  # a classification that is not known


class CxrMultitaskProcessor(SavedProcessor, ReportTokens, ProcessorMixin):
    """Image processor and tokenizer of `CxrMultitaskForConditionalGeneration`.

    Films are only divided to [0, 1]: what the encoder wants beyond that, the model does, since the decoders reconstruct
    gray values.
    """

    def __init__(self, image_processor: FilmImageProcessor = None, tokenizer=None, **kwargs):
        super().__init__(image_processor, tokenizer, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        return ["pixel_values", "lateral_pixel_values", "views", "anatomical_masks", "input_ids", "attention_mask"]

    def __call__(
        self,
        images=None,
        text: str | list[str] | None = None,
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
            images: a case or a list of cases. A case is a frontal film, or a dict with `frontal`, `lateral` or both
                (or `images`, a list of the two), and optionally `mask` (the lungs of the frontal film) and `abnormal`
                (0 or 1, the classification to learn).
            text: prompts to continue; padded on the left.
            text_target: reports to learn. They become `labels`, each ended by the end token, padded with -100.
            max_length: most tokens of a report, the end token included; longer ones are cut and then do not end.
            orient, frame, any_modality: of all films, as in `read_film`.

        Returns:
            `pixel_values` and `lateral_pixel_values` (batch, 3, size, size) in [0, 1], zeros where a view is missing;
            `views` (batch, 2), 1 where it is there; `anatomical_masks` (batch, 1, mask_size, mask_size) and
            `abnormal_labels` (batch,) where any case has them; `labels` (batch, text) with `text_target`, else
            `input_ids` and `attention_mask` (batch, prompt), of length 0 without a prompt.

        Raises:
            InputError: a film cannot be read or is refused, a case is not one that this system takes, or counts differ.
        """
        data = {}
        if images is not None:
            cases = images if isinstance(images, (list, tuple)) else [images]
            if not cases:
                raise InputError("images", "no film", "one or more", "pass at least one case")
            cases = [checked_case(case) for case in cases]
            for name, given in {"text": text, "text_target": text_target}.items():
                count = 1 if isinstance(given, str) else len(given) if given is not None else len(cases)
                if count != len(cases):
                    raise InputError(name, f"{count} for {len(cases)} cases", "one a case", "give as many as cases")
            data = self._films(cases, {"orient": orient, "frame": frame, "any_modality": any_modality})
        if text_target is not None:
            data["labels"] = self.report_labels(text_target, max_length)
        elif text is not None or images is not None:
            prompts = [text] if isinstance(text, str) else text or [""] * len(data["views"])
            data["input_ids"], data["attention_mask"] = self.prompt_ids(prompts)
        return BatchFeature(data)

    def described(self, details: dict[str, torch.Tensor]) -> dict:
        """What the model made of one case.

        Returns:
            `views`, which of frontal and lateral were there; `box` of the frontal film, None without one;
            `abnormal_probability`, None of a model that was not trained to say; and by view `targets` and
            `reconstructions`, float32 (3, size, size) in [0, 1].
        """
        views = tuple(view for view, there in zip(VIEWS, details["views"].tolist(), strict=True) if there)
        logit = details.get("abnormal_logits")
        return {
            "views": views,
            "box": tuple(details["boxes"].tolist()) if "frontal" in views else None,
            "abnormal_probability": None if logit is None else logit.float().sigmoid().item(),
            "targets": {view: details[f"{view}_target"].float().cpu().numpy() for view in views},
            "reconstructions": {view: details[f"{view}_reconstruction"].float().cpu().numpy() for view in views},
        }

    def _films(self, cases: list[dict], options: dict) -> dict[str, torch.Tensor]:
        size, mask_size = self.image_processor.size, self.image_processor.mask_size
        rows = {"pixel_values": [], "lateral_pixel_values": [], "anatomical_masks": []}
        for case in cases:
            for name, view in zip(rows, VIEWS, strict=False):
                absent = np.zeros((3, size, size), np.float32)
                film = case.get(view)
                rows[name].append(absent if film is None else self._film(film, options)["pixel_values"][0])
            masked = case.get("frontal") is not None and case.get("mask") is not None
            absent = np.zeros((1, mask_size, mask_size), np.float32)  # an empty mask crops nothing
            rows["anatomical_masks"].append(
                self._film(case["frontal"], options, case["mask"])["anatomical_masks"][0] if masked else absent
            )
        if not any(case.get("mask") is not None for case in cases):
            del rows["anatomical_masks"]
        data = {name: torch.from_numpy(np.stack(arrays)) for name, arrays in rows.items()}
        data["views"] = torch.tensor([[int(case.get(view) is not None) for view in VIEWS] for case in cases])
        if any(case.get("abnormal") is not None for case in cases):
            classifications = [case.get("abnormal") for case in cases]
            data["abnormal_labels"] = torch.tensor([UNKNOWN if v is None else int(v) for v in classifications])
        return data

    def _film(self, film, options: dict, mask=None) -> BatchFeature:
        return self.image_processor([film], masks=None if mask is None else [mask], **options)


def checked_case(case) -> dict:
    """A case as a dict with `frontal`, `lateral` or both."""
    if not isinstance(case, dict):
        return {"frontal": case}
    case = dict(case)
    unknown = set(case) - set(CASE_KEYS)
    if case.get("images") is not None:
        films = case.pop("images")
        films = list(films) if isinstance(films, (list, tuple)) else [films]
        if len(films) > 2 or any(case.get(view) is not None for view in VIEWS):
            found = f"{len(films)} images beside frontal or lateral" if len(films) <= 2 else f"{len(films)} images"
            raise InputError("case", found, "a frontal and a lateral film", "name them frontal and lateral")
        case |= dict(zip(VIEWS, films, strict=False))
    if unknown or all(case.get(view) is None for view in VIEWS):
        found = f"unknown keys {sorted(unknown)}" if unknown else f"keys {sorted(case)} without a film"
        raise InputError("case", found, "{'frontal': film, 'lateral': film} or one of them", "name the films")
    if case.get("mask") is not None and case.get("frontal") is None:
        raise InputError("mask", "one without a frontal film", "the lungs of the frontal film", "leave it out")
    if case.get("abnormal") not in (None, 0, 1):
        raise InputError("abnormal", repr(case["abnormal"]), "0 (normal), 1 (abnormal) or nothing", "correct it")
    return case


__all__ = ["CxrMultitaskProcessor"]
