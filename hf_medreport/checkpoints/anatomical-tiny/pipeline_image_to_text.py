"""`pipeline("image-to-text", model=folder, trust_remote_code=True)` for every report system.

The built-in task of that name is gone from transformers; a folder's `custom_pipelines` entry brings it back with this
class. A list is a batch, a dict is one case.

    pipe("chest.png")                                  # [{"generated_text": "..."}]
    pipe(["a.png", "b.dcm"], batch_size=2)             # one list a case
    pipe({"frontal": "f.png", "mask": "f_mask.png"})
    pipe("chest.png", return_evidence=True)            # adds sections, sentences with confidence and evidence maps
    pipe("chest.png", return_details=True)             # adds what else the model made of it: masks, reconstructions
    pipe("chest.png", max_new_tokens=200)              # a longer report than the model's generation_config says
    pipe("chest.dcm", orient="header")                 # a mirrored film turned; also frame=1, any_modality=True
    pipe("slide.svs", slide_mpp=0.25)                  # also override_slide_mpp=True, allow_foreign_features=True
    pipe(data_set["image"], batch_size=8)              # a column of a data set is a list that is read as it goes
    pipe.save_pretrained("mine")                       # a folder for pipeline("image-to-text", model="mine", ...)

A model that is given the labels of a film says which, and where they came from (`"oracle"`: they were given):

    pipe({"frontal": "f.png", "labels": ["Edema"]})    # [{..., "labels": ["Edema"], "label_source": "oracle"}]

An image is looked at once. What a model must have for it, beside `generate` and `sentence_evidence`, which take
`seen=` in place of the model's inputs:

- `see(**inputs, evidence=False)`: what it makes of a batch, in any form.
- `details(seen, full)`: name -> tensor with a row a case, of what belongs into every record and, in full, into those of
  `return_details`. The processor's `described` turns a case's rows into what the record shows.
"""

import inspect
from collections.abc import Sequence

import torch
from transformers import Pipeline
from transformers.dynamic_module_utils import custom_object_save

from .input_error import InputError
from .report_object import ReportObject

OF_SLIDES = ("slide_mpp", "override_slide_mpp", "allow_foreign_features")  # as `HistGenProcessor` has them
DETAIL = "detail of a record: "  # before the name of what `details` gives, so that no output of ours is shadowed


class MedicalReportPipeline(Pipeline):
    """Films (or whatever the model's processor reads) in, reports out."""

    _load_processor = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False
    _load_video_processor = False
    _pipeline_calls_generate = True

    def __init__(self, *args, **kwargs):
        if kwargs.get("assistant_model") is not None:
            remedy = "this model writes about an image, which an assistant does not see: leave it out"
            raise InputError("assistant_model", "one", "none", remedy)
        super().__init__(*args, **kwargs)
        if self.tokenizer.pad_token_id is None:  # GPT-2 has none; batches need one
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def save_pretrained(self, save_directory, **kwargs):
        """Write model, processor, their code and this pipeline's; `kwargs` as in `PreTrainedModel.save_pretrained`."""
        self.model.save_pretrained(save_directory, **kwargs)
        kwargs.pop("max_shard_size", None)  # of weights
        custom_object_save(self, save_directory)
        self.processor.save_pretrained(save_directory, **kwargs)

    def __call__(self, inputs, *args, **kwargs):
        """As in transformers: one case, or a list of cases. What differs:

        A list may be empty. Of a list in which only some cases have a mask or labels, those that bring the same are
        batched together. Other sequences, such as the column of a data set, are lists too.
        """
        if isinstance(inputs, Sequence) and not isinstance(inputs, (str, list, tuple)):
            return list(super().__call__((case for case in inputs), *args, **kwargs))
        if not isinstance(inputs, list):
            return super().__call__(inputs, *args, **kwargs)
        alike = {}  # what cases bring beside their image -> where these cases stand
        for place, case in enumerate(inputs):
            alike.setdefault(self._brought(case), []).append(place)
        reports = {}
        for places in alike.values():
            cases = [inputs[place] for place in places]
            reports |= zip(places, super().__call__(cases, *args, **kwargs), strict=True)
        return [reports[place] for place in range(len(inputs))]

    def _brought(self, case) -> frozenset[str]:
        """Which of the things that the model takes beside its image are there in a case."""
        if not isinstance(case, dict):
            return frozenset()
        return frozenset(name for name in self.model.takes() if case.get(name) is not None)

    def _sanitize_parameters(
        self,
        return_evidence: bool | None = None,
        return_details: bool | None = None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool | None = None,
        processor_kwargs: dict | None = None,
        generate_kwargs: dict | None = None,
        **kwargs,
    ):
        """`processor_kwargs` and what is said of films (`orient`, `frame`, `any_modality`, as `read_film` has them) or,
        where the processor reads them, of slides (OF_SLIDES) go to the processor, whatever is not named here to
        `generate`."""
        of_input = {"orient": orient, "frame": frame, "any_modality": any_modality}
        of_input = {name: value for name, value in of_input.items() if value is not None}
        of_input |= {name: kwargs.pop(name) for name in OF_SLIDES if name in kwargs}
        self._refuse_options_of_others(of_input)
        of_input |= processor_kwargs or {}
        forward = {"generate_kwargs": {**(generate_kwargs or {}), **kwargs}}
        post = {}
        if return_evidence is not None:
            forward["return_evidence"] = post["return_evidence"] = return_evidence
        if return_details is not None:
            forward["return_details"] = return_details
        return {"processor_kwargs": of_input} if of_input else {}, forward, post

    def _refuse_options_of_others(self, of_input: dict) -> None:
        """InputError for what is said of slides to a model of films, or of films to a model of slides."""
        takes = inspect.signature(self.processor.__call__).parameters
        for name, value in of_input.items():
            if name not in takes:
                read, other = ("films", "slides") if name in OF_SLIDES else ("slides", "films")
                found, expected = f"{value} for a model of {read}", f"none: it is of {other}"
                raise InputError(name, found, expected, f"leave out `{name}`")

    def preprocess(self, inputs, processor_kwargs: dict | None = None):
        model_inputs = self.processor(
            images=inputs, return_tensors="pt", device=self.device, **(processor_kwargs or {})
        )
        # No prompt: the report starts right after the image. And nothing that is there to be learned.
        names = set(self.processor.model_input_names) - {"input_ids", "attention_mask"}
        return {name: value for name, value in model_inputs.items() if name in names}

    def _forward(
        self, model_inputs, generate_kwargs: dict, return_evidence: bool = False, return_details: bool = False
    ):
        generate_kwargs = self._prepare_generate_kwargs(generate_kwargs, return_dict_in_generate=False)
        self._refuse_no_length(generate_kwargs)
        if return_evidence:
            self._refuse_evidence_of_four_bits()
        seen = self.model.see(**model_inputs, evidence=return_evidence)
        ids = self.model.generate(seen=seen, **generate_kwargs)
        cases = next(iter(model_inputs.values())).shape[0]
        samples = ids.shape[0] // cases
        outputs = {"ids": ids}
        for name, value in self.model.details(seen, return_details).items():
            outputs[DETAIL + name] = value.repeat_interleave(samples, dim=0)
        if return_evidence:
            if samples > 1:  # a row of its own for each, or the gradients of one image's sequences would add up
                repeated = {name: value.repeat_interleave(samples, dim=0) for name, value in model_inputs.items()}
                seen = self.model.see(**repeated, evidence=True)
            sentence_of_token = torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(self._sentence_of_token(row)) for row in ids.tolist()], True, -1
            ).to(ids.device)
            outputs["sentence_of_token"] = sentence_of_token
            outputs["token_scores"], outputs["evidence"] = self.model.sentence_evidence(
                ids, sentence_of_token, seen=seen
            )
        # One row a case, for the pipeline cuts a batch by its first axis.
        return {name: value.unflatten(0, (cases, samples)) for name, value in outputs.items()}

    def _refuse_no_length(self, generate_kwargs: dict) -> None:
        """InputError where nobody says how long a report may be: transformers would stop after 20 tokens."""
        asked, own = generate_kwargs.get("generation_config"), self.model.generation_config
        settings = [generate_kwargs, vars(own), {} if asked is None else vars(asked)]
        if all(every.get(name) is None for every in settings for name in ("max_new_tokens", "max_length")):
            found = "no max_new_tokens, neither in the call nor in the model's"
            remedy = "name it in the call, as in pipe(film, max_new_tokens=128)"
            raise InputError("generation_config", found, "the most tokens of a report", remedy)

    def _refuse_evidence_of_four_bits(self) -> None:
        """InputError where evidence, which is a gradient, does not come through: bitsandbytes' 4 bits on a CPU."""
        if getattr(self.model, "is_loaded_in_4bit", False) and self.model.device.type == "cpu":
            remedy = "load the model in 8 bits or whole, or leave return_evidence out"
            raise InputError("return_evidence", "a model in 4 bits on a CPU", "one that has gradients", remedy)

    def postprocess(self, outputs, return_evidence: bool = False) -> list[dict]:
        """One dict a generated sequence: `generated_text`, and with `return_evidence` also `sections` and `sentences`.

        Of a model that is given labels also `labels`, a list of names, and `label_source`, `"oracle"` or `"predicted"`.
        A sentence has `text`, `section`, `start` and `end` in the text, `mean_logprob` (natural logarithm, mean over
        its tokens) and `evidence` (rows, columns), a numpy map of sum 1.
        """
        records = []
        outputs = {name: value[0] for name, value in outputs.items()}  # (1, sequences, ...): one case
        for index, ids in enumerate(outputs["ids"].tolist()):
            text = self._decode(ids)
            record = {"generated_text": text.strip()}
            details = {
                name.removeprefix(DETAIL): value[index] for name, value in outputs.items() if name.startswith(DETAIL)
            }
            if details:
                record |= self.processor.described(details)
            if return_evidence:
                report = ReportObject.parse(record["generated_text"])
                record["sections"] = {part.name: report.words(part).strip() for part in report.sections}
                record["sentences"] = self._sentences(report, {name: value[index] for name, value in outputs.items()})
            records.append(record)
        return records

    def _sentences(self, report: ReportObject, outputs: dict) -> list[dict]:
        sentences = []
        for number, sentence in enumerate(report.sentences):
            tokens = outputs["sentence_of_token"] == number
            sentences.append(
                {
                    "text": report.words(sentence),
                    "section": sentence.section,
                    "start": sentence.start,
                    "end": sentence.end,
                    "mean_logprob": float(outputs["token_scores"][tokens].mean()),
                    "evidence": outputs["evidence"][number].numpy(),
                }
            )
        return sentences

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def _sentence_of_token(self, ids: list[int]) -> list[int]:
        """The index of the sentence in which each token's last character falls; -1 for headings and special tokens."""
        spans = [(sentence.start, sentence.end) for sentence in ReportObject.parse(self._decode(ids)).sentences]
        special = set(self.tokenizer.all_special_ids)
        indices = []
        for count, token in enumerate(ids, start=1):
            last = len(self._decode(ids[:count]).rstrip()) - 1
            inside = [number for number, (start, end) in enumerate(spans) if start <= last < end]
            indices.append(inside[0] if inside and token not in special else -1)
        return indices


__all__ = ["MedicalReportPipeline"]
