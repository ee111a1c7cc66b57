"""The models of the pages: which there are for what, each loaded once and kept."""

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path

from hf_medreport.inference.generators import generator_revision, is_generator, load_generator
from hf_medreport.inference.loading import load, load_segmenter
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system_of, systems

__all__ = ["Models"]


class Models:
    """The models that a user named, before the shipped ones.

    Args:
        names: shipped names, folders or repositories; each is loaded here and now, so that a wrong one is told before
            a page is served. The shipped models are loaded when they are first asked.
        device: as in `load`.
        trust_remote_code: as in `load`.
        around: wraps each function of a page that asks a model, such as the decorator of ZeroGPU; None: nothing does.

    Raises:
        InputError: a model that does not load.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        device: str | None = None,
        trust_remote_code: bool = False,
        around: Callable[[Callable], Callable] | None = None,
    ):
        self.device, self.trust_remote_code, self._around = device, trust_remote_code, around
        self.loaded: dict[str, object] = {}
        self.reads: dict[str, str] = {}
        for name in names:
            if is_generator(name):
                self.generator(name)
                self.reads[name] = "prompt"
            else:
                self.reads[name] = system_of(self.pipe(name).model).reads
        rows = [row for row in systems() if row.checkpoint and row.reads]
        for row in sorted(rows, key=lambda row: not row.default):
            self.reads.setdefault(row.checkpoint, row.reads)

    def run(self, function: Callable, *first: object) -> Callable:
        """What a button calls: `function(self, *first, ...)`."""
        asks = partial(function, self, *first)
        return asks if self._around is None else self._around(asks)

    def of(self, *reads: str) -> list[str]:
        """The names of the models of "film", "pair", "slide" or "prompt", the first is taken where none is chosen."""
        return [name for name, each in self.reads.items() if each in reads]

    def pipe(self, name: str) -> MedicalReportPipeline:
        """A report model."""
        if name not in self.loaded:
            self.loaded[name] = load(name, device=self.device, trust_remote_code=self.trust_remote_code)
        return self.loaded[name]

    def generator(self, name: str):
        """A generator of pictures, and the digest of its weights."""
        if name not in self.loaded:
            pipe = load_generator(name, device=self.device)
            pipe.set_progress_bar_config(disable=True)
            self.loaded[name] = pipe, generator_revision(pipe)
        return self.loaded[name]

    @cached_property
    def judge(self):
        """The shipped judge of pictures."""
        from hf_medreport.evaluation.pictures.judging import load_judge

        return load_judge(device=self.device)

    @cached_property
    def verifier(self):
        """The agent that looks at each picture of a generator, and draws it again where it is not as asked."""
        from hf_medreport.evaluation.verification.agent import Verifier
        from hf_medreport.evaluation.verification.checks import Checks

        return Verifier(Checks(self.judge, load_segmenter(device=self.device)))

    @staticmethod
    def title(name: str) -> str:
        """What a page calls a model: a folder by its own name."""
        return Path(name).name or name
