"""The settings of the loop, as a YAML and flags give them."""

from dataclasses import asdict, dataclass, field

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import default_model
from hf_medreport.rlhf.settings import UPDATES, update_settings_of

__all__ = ["BEST_OF_N", "LoopSettings"]

BEST_OF_N = "best_of_n"  # the generator stays as it is; the policy chooses
BOUNDS = {
    "selector_threshold": (0.0, 1.0),
    "quality_threshold": (0.0, 1.0),
    "rounds": (1, None),
    "num_candidates": (1, None),
    "max_attempts": (1, None),
    "phantom_prompts": (0, None),
    "first_pictures": (2, None),
    "evaluation_prompts": (0, None),
    "expert_level": (1, 3),
    "num_inference_steps": (1, None),
    "guidance_scale": (0.0, None),
    "batch_size": (1, None),
    "seed": (0, None),
}
HOW = ("output_dir", "resume", "overwrite", "report_to")  # what does not decide about the results


@dataclass
class LoopSettings:
    """The loop: ratings -> selector and policy -> generator -> new pictures -> ratings.

    Raises:
        InputError: a value that cannot be used, or two that contradict each other.
    """

    output_dir: str = "runs/rlhf"
    generator: str = field(default=default_model("prompt"), metadata={"help": "Shipped name, folder or ORG/NAME."})
    ratings: str | None = field(
        default=None, metadata={"help": "A table of ratings to begin with. Default: of drawn prompts, simulated."}
    )
    prompts: str | None = field(
        default=None, metadata={"help": "A table of prompts (and modality) that new pictures are drawn for."}
    )
    phantom_prompts: int = field(
        default=0, metadata={"help": "Instead: so many prompts whose truth is known, rated by a simulated rater."}
    )
    phantom_seed: int = 0
    first_pictures: int = field(default=4, metadata={"help": "Of each such prompt, rated before the first round."})
    expert_level: int = field(default=3, metadata={"help": "Of the simulated rater, 1 to 3."})
    rounds: int = field(default=1, metadata={"help": "Of training, drawing and rating anew."})
    train_rewards: bool = field(
        default=True, metadata={"help": "Train selector and policy each round; false takes them as they are."}
    )
    selector: str = field(
        default="", metadata={"help": "In the YAML: arguments of its recipe; or its folder or shipped name."}
    )
    policy: str = field(
        default="", metadata={"help": "In the YAML: arguments of its recipe; or its folder or shipped name."}
    )
    selector_threshold: float = field(default=0.2, metadata={"help": "Pictures scored below are not learned from."})
    update: str = field(default="ddpo", metadata={"help": f"{', '.join(UPDATES)} or {BEST_OF_N}."})
    update_settings: str = field(default="", metadata={"help": "In the YAML: settings of the update."})
    num_candidates: int = field(default=3, metadata={"help": "Pictures a prompt among which the policy chooses."})
    max_attempts: int = field(default=10, metadata={"help": "Pictures a prompt that are drawn for them, at most."})
    quality_threshold: float = field(default=0.6, metadata={"help": "The selector's score of a candidate, at least."})
    num_inference_steps: int = 20
    guidance_scale: float = 3.0
    batch_size: int = field(default=25, metadata={"help": "Pictures a pass."})
    evaluation_prompts: int = field(
        default=0, metadata={"help": "Held-out known-truth prompts on which before and after are scored; 0 for none."}
    )
    seed: int = 0
    report_to: str = field(default="none", metadata={"help": "tensorboard, trackio, wandb or none."})
    resume: bool = field(default=False, metadata={"help": "Go on with the run in output_dir, if there is one."})
    overwrite: bool = field(default=False, metadata={"help": "Remove what an older run wrote to output_dir."})

    def __post_init__(self):
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if not (value >= least and (most is None or value <= most)):  # NaN is neither
                expected = f"{least:g} or more" if most is None else f"{least:g} to {most:g}"
                raise InputError(name, f"{value:g}", expected, "correct it")
        if self.update not in (*UPDATES, BEST_OF_N):
            known = (*UPDATES, BEST_OF_N)
            remedy = did_you_mean(self.update, known, "choose one of these")
            raise InputError("update", f"'{self.update}'", f"one of {', '.join(known)}", remedy)
        if (self.prompts is None) == (self.phantom_prompts == 0):
            found = "neither it nor `phantom_prompts`" if self.prompts is None else "both it and `phantom_prompts`"
            raise InputError("prompts", found, "one of the two", "give a table, or a number of drawn prompts")
        if self.ratings is None and not self.phantom_prompts:
            raise InputError("ratings", "none", "a table of ratings", "rate pictures first: hf-medreport rate")
        if self.num_candidates > self.max_attempts:
            found = f"{self.num_candidates} of {self.max_attempts} attempts"
            raise InputError("num_candidates", found, "at most `max_attempts`", "lower it, or allow more attempts")
        if self.resume and self.overwrite:
            raise InputError("overwrite", "it beside `resume`", "one of the two", "leave out the other")
        for name in ("selector", "policy"):
            self._check_reward(name, getattr(self, name))
        if self.update_settings and not isinstance(self.update_settings, dict):
            self._refuse_words("update_settings", self.update_settings)
        if self.update != BEST_OF_N:
            update_settings_of(self.update, self.update_settings or {})  # refused before any work

    def _check_reward(self, name: str, given: "str | dict") -> None:
        """Arguments of a recipe where it is trained, a name where it is not."""
        if self.train_rewards and given and not isinstance(given, dict):
            self._refuse_words(name, given)
        if not self.train_rewards and (not given or isinstance(given, dict)):
            found = "arguments of a recipe" if given else "none"
            raise InputError(name, f"{found} without `train_rewards`", "a folder or a shipped name", "give it")

    @staticmethod
    def _refuse_words(name: str, given: str) -> None:
        raise InputError(name, f"'{given}'", "a mapping in the YAML", "write it as `argument: value` lines")

    def deciding(self) -> dict:
        """What the results depend on, for the state."""
        return {name: value for name, value in asdict(self).items() if name not in HOW}
