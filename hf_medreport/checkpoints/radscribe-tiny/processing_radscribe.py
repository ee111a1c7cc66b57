"""The processor of RadScribe: a film and its labels on one side, report text on the other.

processor = RadScribeProcessor(FilmImageProcessor(size=512, fit="pad"), t5_tokenizer, bert_tokenizer)
inputs = processor({"frontal": "f.png", "labels": ["Cardiomegaly"]})  # labels that are given are oracle labels
batch = processor(films, text_target=reports)                         # `labels` end with T5's end token
"""

import torch
from transformers import BatchFeature, ProcessorMixin

from .image_processing_film import FilmImageProcessor
from .input_error import InputError
from .label_text import LABELS, label_text, read_labels
from .processing_medvill import bert_text
from .report_tokens import ReportTokens
from .saved_processor import SavedProcessor

CASE_KEYS = ("frontal", "lateral", "images", "labels")
UNKNOWN = -100  # a label that is not known


class RadScribeProcessor(SavedProcessor, ReportTokens, ProcessorMixin):
    """Image processor and tokenizers of `RadScribeForConditionalGeneration`.

    Args:
        image_processor: `FilmImageProcessor`. RadScribe resizes the shorter side alone, so that only square films fit
            the model; here films are padded to squares (`fit="pad"`).
        tokenizer: T5's, of the reports.
        label_tokenizer: BERT's, of the label text.
        max_text_tokens: the encoder's: most pieces of label text; longer text is cut.
        label_names: what `label_targets` hold a column of, the encoder's `label_names`; None gives no targets.
    """

    def __init__(
        self,
        image_processor: FilmImageProcessor = None,
        tokenizer=None,
        label_tokenizer=None,
        max_text_tokens: int = 253,
        label_names: list[str] | None = None,
        **kwargs,
    ):
        super().__init__(image_processor, tokenizer, label_tokenizer, **kwargs)
        self.max_text_tokens = max_text_tokens
        self.label_names = label_names

    @property
    def model_input_names(self) -> list[str]:
        return ["pixel_values", "label_ids", "label_mask", "decoder_input_ids", "decoder_attention_mask"]

    def __call__(
        self,
        images=None,
        text: str | list[str] | None = None,
        text_target: str | list[str] | None = None,
        label_target: list | None = None,
        max_length: int | None = None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool = False,
        return_tensors: str = "pt",
        **kwargs,
    ) -> BatchFeature:
        """Model inputs of one or several cases.

        Args:
            images: a case or a list of cases. A case is a film, or a dict with `frontal` (or `images` with one film)
                and optionally `labels`: CheXpert names, as a list or as RadScribe's quoted string; none is `[]`. Labels
                are of all cases or of none. A `lateral` film is accepted and not used.
            text: beginnings of the reports to continue.
            text_target: reports to learn. They become `labels`, each ended by the end token, padded with -100.
            label_target: labels to learn, a list of names (or None, not known) a case.
            max_length: most tokens of a report, the end token included; longer ones are cut and then do not end.
            orient, frame, any_modality: of all films, as in `read_film`.

        Returns:
            `pixel_values` (batch, 3, size, size); `label_ids` and `label_mask` (batch, max_text_tokens + 1) where cases
            have labels; `label_targets` (batch, label names), 1, 0 or -100, with `label_target`; `labels` (batch, text)
            with `text_target`; `decoder_input_ids` and `decoder_attention_mask` (batch, prompt) with `text`.

        Raises:
            InputError: a film cannot be read, a case is not one that this system takes, an unknown label, labels of
                some cases, or other counts of texts than of cases.
        """
        data = {}
        if images is not None:
            cases = images if isinstance(images, (list, tuple)) else [images]
            if not cases:
                raise InputError("images", "no film", "one or more", "pass at least one film")
            cases = [checked_case(case) for case in cases]
            for name, given in {"text": text, "text_target": text_target, "label_target": label_target}.items():
                count = 1 if isinstance(given, str) else len(given) if given is not None else len(cases)
                if count != len(cases):
                    raise InputError(name, f"{count} for {len(cases)} films", "one a film", "give as many as films")
            options = {"orient": orient, "frame": frame, "any_modality": any_modality}
            data.update(self.image_processor([case["frontal"] for case in cases], return_tensors="pt", **options))
            given = [case["labels"] for case in cases]
            if any(labels is not None for labels in given):
                if any(labels is None for labels in given):
                    found = f"labels of {sum(labels is not None for labels in given)} of {len(given)} films"
                    raise InputError("labels", found, "labels of all or of none", "give [] where there is no finding")
                data["label_ids"], data["label_mask"] = self.label_inputs(given)
        if label_target is not None:
            data["label_targets"] = self.label_targets(label_target)
        if text_target is not None:
            data["labels"] = self.report_labels(text_target, max_length)
        if text is not None:
            prompts, start = [text] if isinstance(text, str) else text, self.tokenizer.pad_token_id  # T5 starts so
            data["decoder_input_ids"], data["decoder_attention_mask"] = self.prompt_ids(prompts, [start])
        return BatchFeature(data)

    def label_inputs(self, labels: list[list[str]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Label text as ids and mask (batch, max_text_tokens + 1): pieces, [SEP], padding."""
        return bert_text(self.label_tokenizer, [label_text(names) for names in labels], self.max_text_tokens)

    def count_pieces(self, names: list[str]) -> int:
        """Word pieces of the label text of some names; what is beyond `max_text_tokens` is cut."""
        return len(self._pieces(label_text(names)))

    def label_targets(self, labels: list) -> torch.Tensor:
        """(batch, label names): 1 for the names of a case, 0 for the others, -100 for a case of None."""
        rows = torch.full((len(labels), len(self.label_names or ())), UNKNOWN)
        for row, names in enumerate(labels):
            if names is not None:
                names = read_labels(names)
                rows[row] = torch.tensor([int(name in names) for name in self.label_names])
        return rows

    def label_pieces(self) -> dict[str, list]:
        """`label_pieces` and `label_separator` of `MedViLLConfig`, by which a model writes label text itself.

        BERT's tokenizer parts words at quotes and commas, so the pieces of a list are those of its names.
        """
        pieces = [self._pieces(label_text([name])) for name in self.label_names]
        return {"label_pieces": pieces, "label_separator": self._pieces(",")}

    def given_labels(self, label_ids: torch.Tensor) -> list[list[str]]:
        """The names in label text (batch, max_text_tokens + 1), as `label_inputs` or a model's own head write it.

        A name that was cut off at the end of the text is left out.
        """
        names = {name.lower(): name for name in LABELS}  # an uncased tokenizer has lost the capitals
        texts = self.label_tokenizer.batch_decode(label_ids, skip_special_tokens=True)
        parts = ([part.strip(" '").lower() for part in text.split(",")] for text in texts)
        return [[names[part] for part in of_text if part in names] for of_text in parts]

    def described(self, details: dict[str, torch.Tensor]) -> dict:
        """`labels`, the names that the model was given of a case, and `label_source`, `"oracle"` or `"predicted"`."""
        (names,) = self.given_labels(details["label_ids"][None])
        return {"labels": names, "label_source": "oracle" if details["oracle"] else "predicted"}

    def _pieces(self, text: str) -> list[int]:
        return self.label_tokenizer(text, add_special_tokens=False)["input_ids"]


def checked_case(case) -> dict:
    """A case as a dict with `frontal` and `labels` (a list of names, or None)."""
    case = dict(case) if isinstance(case, dict) else {"frontal": case}
    unknown = set(case) - set(CASE_KEYS)
    films = [] if case.get("images") is None else case["images"]
    films = list(films) if isinstance(films, (list, tuple)) else [films]
    film = case.get("frontal", films[0] if len(films) == 1 else None)
    if unknown or film is None:
        found = f"unknown keys {sorted(unknown)}" if unknown else f"keys {sorted(case)} without one frontal film"
        expected = "{'frontal': film} or {'frontal': film, 'labels': names}"
        raise InputError("case", found, expected, "name the frontal film")
    labels = case.get("labels")
    return {"frontal": film, "labels": None if labels is None else read_labels(labels)}


__all__ = ["RadScribeProcessor"]
