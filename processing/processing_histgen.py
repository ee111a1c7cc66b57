"""The processor of HistGen: slides or their features on one side, report text on the other.

processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
inputs = processor("slide.svs")                         # tiled and encoded here, by `patch_encoder/` of the folder
inputs = processor(["a.safetensors", "b.pt"])           # features that are there already; a list is a batch
inputs = processor({"slides": ["block1.svs", "block2.svs"]})  # one case
batch = processor(features, text_target=reports)        # `labels` end with the end token

What the model learned from is held against every bag, see `feature_origin`.
"""

import copy
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin
from transformers.utils import IMAGE_PROCESSOR_NAME, cached_file

from .feature_files import PatchFeatures, checked_bag, read_features
from .feature_origin import INSIST, check_learned_from, gathered, made_with, refuse_foreign, said, unsaid
from .file_suffixes import FEATURE_SUFFIXES
from .image_processing_tile import TileImageProcessor
from .input_error import InputError
from .patch_encoder import PatchEncoder
from .report_tokens import ReportTokens
from .saved_processor import SavedProcessor
from .slide_reading import open_slide, told_mpp
from .slide_tiling import read_tile, tile_slide

CASE_KEYS = ("slides", "images", "frontal")  # a dict is one case; of these names a slide model takes one
ENCODER_FOLDER = "patch_encoder"
TILES_A_PASS = 32
OWN_ENCODER = f"use the model's own {ENCODER_FOLDER}/ and tile settings, {INSIST}"

logger = logging.getLogger(__name__)


class HistGenProcessor(SavedProcessor, ReportTokens, ProcessorMixin):
    """Tile settings, tokenizer and, once a slide is given, the patch encoder of `HistGenForConditionalGeneration`."""

    def __init__(
        self,
        image_processor: TileImageProcessor = None,
        tokenizer=None,
        region_size: int = 96,
        learned_from: dict[str, list] | None = None,
        **kwargs,
    ):
        """
        Args:
            image_processor: how slides are tiled, and tiles prepared for the patch encoder.
            tokenizer: of the reports.
            region_size: the model's; several slides of one case are each padded to whole regions.
            learned_from: which features the model learned from, as `feature_origin.gathered` gives it; None where
                nobody knows.

        Raises:
            InputError: `learned_from` is of another form.
        """
        super().__init__(image_processor, tokenizer, **kwargs)
        self.region_size = region_size
        self.learned_from = check_learned_from(learned_from)
        self._source, self._encoder, self._told = None, None, False

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, revision: str = "main", **kwargs):
        """As in transformers; where it came from is where the patch encoder is looked for."""
        processor = super().from_pretrained(pretrained_model_name_or_path, revision=revision, **kwargs)
        processor._source = (str(pretrained_model_name_or_path), revision)
        return processor

    def save_pretrained(self, save_directory, **kwargs):
        """As in transformers, with the patch encoder where there is one."""
        written = super().save_pretrained(save_directory, **kwargs)
        if self._encoder is not None or self._has_encoder():
            folder = Path(save_directory) / ENCODER_FOLDER
            self.patch_encoder.model.save_pretrained(folder)
            self.image_processor.to_json_file(folder / IMAGE_PROCESSOR_NAME)  # the settings; the code is the folder's
        return written

    def to_dict(self) -> dict:
        """As in transformers, which copies all attributes first: the encoder is not among the settings."""
        bare = copy.copy(self)
        bare._encoder = None
        return super(HistGenProcessor, bare).to_dict()

    @property
    def patch_encoder(self) -> PatchEncoder:
        """Loaded when the first slide comes.

        Raises:
            InputError: the model's folder has none.
        """
        if self._encoder is None:
            if not self._has_encoder():
                found = f"a slide, and no {ENCODER_FOLDER}/ beside the model to encode it"
                remedy = f"give a feature file, or put the encoder into {ENCODER_FOLDER}/ (hf-medreport convert dinov2)"
                raise InputError("slide", found, "the patch encoder that the model was trained with", remedy)
            source, revision = self._source
            self._encoder = PatchEncoder.from_pretrained(source, subfolder=ENCODER_FOLDER, revision=revision)
        return self._encoder

    @patch_encoder.setter
    def patch_encoder(self, encoder: PatchEncoder) -> None:
        self._encoder = encoder

    def _has_encoder(self) -> bool:
        if self._source is None:
            return False
        name, revision = self._source
        quietly = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        return cached_file(name, "config.json", subfolder=ENCODER_FOLDER, revision=revision, **quietly) is not None

    @property
    def model_input_names(self) -> list[str]:
        return ["patch_features", "patch_attention_mask", "decoder_input_ids", "decoder_attention_mask"]

    def __call__(
        self,
        images=None,
        text: str | list[str] | None = None,
        text_target: str | list[str] | None = None,
        max_length: int | None = None,
        return_tensors: str = "pt",
        device=None,
        slide_mpp: float | Mapping[str, float] | None = None,
        override_slide_mpp: bool = False,
        allow_foreign_features: bool = False,
        padding: bool = True,
    ) -> BatchFeature:
        """Model inputs of one or several cases.

        Args:
            images: a case or a list of cases. A case is a slide (a path, or a picture), a feature file (.safetensors,
                .pt, .h5), features as `PatchFeatures` or an array (patches, width), or a dict with `slides` (or
                `images`): one or several of these that make one report.
            text: beginnings of the reports to continue.
            text_target: reports to learn. They become `labels`, each ended by the end token, padded with -100.
            max_length: most tokens of a report, the end token included; longer ones are cut and then do not end.
            device: where the patch encoder works; None leaves it where it is.
            slide_mpp, override_slide_mpp: as in `open_slide`; a mapping has them by path.
            allow_foreign_features: whether features may be of another encoder, resolution or size of tiles than the
                model learned from. Where a file does not say, that is told once.
            padding: what transformers' own pipelines ask for; batches are always padded.

        Returns:
            `patch_features` (batch, patches, width) and `patch_attention_mask` (batch, patches); `labels` (batch, text)
            with `text_target`; `decoder_input_ids` and `decoder_attention_mask` (batch, prompt) with `text`, the start
            token before each prompt, padding before that.

        Raises:
            InputError: a slide or file that cannot be used, no patch encoder, features of different widths or of
                another kind than the model's, or other counts of texts than of cases.
        """
        data = {}
        if images is not None:
            cases = images if isinstance(images, (list, tuple)) else [images]
            if not cases:
                raise InputError("images", "no slide", "one or more", "pass at least one slide or feature file")
            options = slide_mpp, override_slide_mpp, allow_foreign_features
            data.update(self._batch([self.read_case(case, device, *options) for case in cases]))
            for name, given in {"text": text, "text_target": text_target}.items():
                count = 1 if isinstance(given, str) else len(given) if given is not None else len(cases)
                if count != len(cases):
                    raise InputError(name, f"{count} for {len(cases)} cases", "one a case", "give as many as cases")
        if text_target is not None:
            data["labels"] = self.report_labels(text_target, max_length)
        if text is not None:
            prompts, start = [text] if isinstance(text, str) else text, self.tokenizer.eos_token_id  # start is end
            data["decoder_input_ids"], data["decoder_attention_mask"] = self.prompt_ids(prompts, [start])
        return BatchFeature(data)

    def read_case(
        self,
        case,
        device=None,
        slide_mpp: float | Mapping[str, float] | None = None,
        override_slide_mpp: bool = False,
        allow_foreign_features: bool = False,
    ) -> list[PatchFeatures]:
        """The bags of one case, one a slide; arguments as of a call."""
        if isinstance(case, dict):
            named = [case[key] for key in CASE_KEYS if case.get(key) is not None]
            if len(named) != 1 or set(case) - set(CASE_KEYS):
                found, expected = f"keys {sorted(case)}", "{'slides': [slide, ...]}"
                raise InputError("case", found, expected, "name the slides of the case")
            case = named[0]
        slides = case if isinstance(case, (list, tuple)) else [case]
        if not slides:
            raise InputError("case", "no slide", "one or more", "pass at least one slide or feature file")
        options = slide_mpp, override_slide_mpp, allow_foreign_features
        bags = [self._read(slide, device, *options) for slide in slides]
        gathered([(_name(bag), bag.info) for bag in bags], allow_foreign_features)
        return bags

    def _read(self, slide, device, slide_mpp, override_slide_mpp, allow_foreign_features) -> PatchFeatures:
        if isinstance(slide, torch.Tensor) and slide.ndim == 2:
            slide = slide.detach().float().cpu().numpy()
        if isinstance(slide, np.ndarray) and slide.ndim == 2:
            slide = PatchFeatures(slide)
        if isinstance(slide, PatchFeatures):
            bag = checked_bag(_name(slide), slide)
            self.hold_to_learned(_name(slide), bag, allow_foreign_features)
            return bag
        if isinstance(slide, (str, os.PathLike)) and Path(slide).suffix.lower() in FEATURE_SUFFIXES:
            bag = read_features(slide)
            self.hold_to_learned(Path(slide).name, bag, allow_foreign_features)
            return bag
        told = told_mpp(slide_mpp, slide)
        with open_slide(slide, told, override_slide_mpp) as opened:
            for note in opened.notes:
                logger.warning("%s: %s", opened.name, note)
            return self.encode_slide(opened, device, allow_foreign_features)

    def hold_to_learned(self, name: str, bag: PatchFeatures, allow_foreign_features: bool = False) -> None:
        """Refuse features of another kind than the model learned from; what cannot be known is told once.

        Args:
            name: of the file.
            bag: what it holds.
            allow_foreign_features: take any.

        Raises:
            ForeignFeatures: both values named.
        """
        if allow_foreign_features:
            return
        refuse_foreign(name, self.learned_from, said(bag.info))
        missing = [key for key in unsaid(bag.info) if key in self.learned_from]
        if self._told or (self.learned_from and not missing):
            return
        self._told = True
        if self.learned_from:
            why = f"it does not say {', '.join(missing)}"
        else:
            why = "the model does not say from which it learned"
        logger.warning("%s: whether these features are of the model's kind is not known: %s (told once)", name, why)

    def encode_slide(self, slide, device=None, allow_foreign_features: bool = False) -> PatchFeatures:
        """Tile an open slide and encode its tiles, a few at a time.

        Raises:
            ForeignFeatures: the patch encoder, or how it is told to tile, is not what the model learned with.
        """
        encoder, tiling = self.patch_encoder, tile_slide(slide, self.image_processor)
        info = {"slide": slide.name, "level0_px": str(tiling.level0_px)}
        info |= made_with(encoder.revision, self.image_processor, tiling.mpp)
        if not allow_foreign_features:
            refuse_foreign(slide.name, self.learned_from, said(info), remedy=OWN_ENCODER)
        if device is not None:
            encoder.model.to(device)
        features = []
        for start in range(0, len(tiling.coordinates), TILES_A_PASS):
            indices = range(start, min(start + TILES_A_PASS, len(tiling.coordinates)))
            tiles = np.stack([read_tile(slide, tiling, index) for index in indices])
            features.append(encoder.encode(tiles, self.image_processor))
        if tiling.ink_note:
            info["ink_note"] = tiling.ink_note
            logger.warning("%s: %s", slide.name, tiling.ink_note)
        return PatchFeatures(np.concatenate(features), tiling.coordinates, info)

    def _batch(self, cases: list[list[PatchFeatures]]) -> dict[str, torch.Tensor]:
        """One row of patches a case: its slides one after the other, all but the last padded to whole regions."""
        widths = sorted({bag.features.shape[1] for case in cases for bag in case})
        if len(widths) > 1:
            found = f"features of widths {', '.join(map(str, widths))}"
            raise InputError("images", found, "one width", "encode all slides with one patch encoder")
        rows, masks = [], []
        for case in cases:
            parts = [torch.as_tensor(np.asarray(bag.features, np.float32)) for bag in case]
            gaps = [-len(part) % (self.region_size - 1) for part in parts[:-1]] + [0]
            pairs = list(zip(parts, gaps, strict=True))
            rows.append(torch.cat([torch.nn.functional.pad(part, (0, 0, 0, gap)) for part, gap in pairs]))
            masks.append(torch.cat([torch.arange(len(part) + gap) < len(part) for part, gap in pairs]).long())
        pad = torch.nn.utils.rnn.pad_sequence
        return {"patch_features": pad(rows, True), "patch_attention_mask": pad(masks, True)}

    def text_ids(self, text: str) -> list[int]:
        """A text's own tokens; InputError for a word that the vocabulary lacks."""
        try:
            return super().text_ids(text)
        except Exception as error:  # the tokenizers library has one type for all
            found = f"a word that this tokenizer cannot encode ({error})"
            remedy = "hf-medreport convert histgen FILE --vocabulary VOCABULARY --out NEW"
            raise InputError("text", found, "words of its vocabulary", remedy) from error


def _name(bag: PatchFeatures) -> str:
    return bag.info.get("slide", "features")


__all__ = ["HistGenProcessor"]
