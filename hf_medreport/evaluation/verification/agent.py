"""Look at a picture, say what is wrong with it, change prompt, guidance or seed, and have it drawn again.

    verify = Verifier(Checks(load_judge("runs/rater/model"), load_segmenter()), rounds=3)
    for picture, result in fill(folder, asked, pipe, verify=verify.of(pipe, options), **options):
        ...

Rounds are bounded. They end when nothing is wrong; otherwise the attempt with the fewest issues is kept, the first of
those. Each attempt has a seed of its own, known from the picture's, and is drawn alone, so that a resumed run ends in
the same bytes.

What it cannot do: what the judge misses passes, and of ten attempts the best is as good as the generator's best.
Verified pictures are chosen by a judge, so figures of another judge alone say anything of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from hf_medreport.evaluation.verification.asked import Asked, read_asked
from hf_medreport.evaluation.verification.checks import Checks, Issue
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.inference.report import Failure
from hf_medreport.inference.synthesize import Checked, synthesize
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING
from hf_medreport.processing.input_error import InputError

__all__ = ["Verifier", "edited", "verified_line"]

STRIDE = 1_000_003  # between the seeds of a picture's attempts; those of a list count on by one
STRONGER, STRONGEST = 1.5, 6.0  # guidance: a step, and where glare begins
FAITHFUL, LOOKS = ("modality", "finding", "side", "grade", "heart"), ("contrast", "noise", "gray", "artefact")


@dataclass(frozen=True)
class Verifier:
    """The agent.

    Attributes:
        checks: what is looked at.
        rounds: how often a picture is drawn and looked at, at most.

    Raises:
        InputError: fewer than 1 round.
    """

    checks: Checks
    rounds: int = 3

    def __post_init__(self):
        if self.rounds < 1:
            raise InputError("verify_rounds", str(self.rounds), "1 or more", "give the most attempts a picture")

    def of(self, pipe, options: dict) -> Callable[[AskedPicture, Image.Image], Checked]:
        """The agent for a generator that draws with these options of its call, `guidance_scale` among them."""
        return lambda picture, drawn: self.verify(picture, drawn, pipe, options)

    def verify(self, picture: AskedPicture, drawn: Image.Image, pipe, options: dict) -> Checked:
        """Look at a picture and draw it again, until nothing is wrong or the rounds are over.

        Args:
            picture: what was asked for.
            drawn: what came out.
            pipe, options: as of `synthesize`.
        """
        asked = read_asked(picture.prompt, picture.modality)
        attempt, scale, attempts, rounds = picture, options["guidance_scale"], [], []
        while True:
            looked = self.checks.look(drawn, asked)
            following, stronger, issues = edited(attempt, scale, looked.issues, asked)
            attempts.append((len(issues), attempt, drawn))
            told = {"seed": attempt.seed, "prompt": attempt.given, "negative_prompt": attempt.negative_prompt}
            rounds.append(told | {"guidance_scale": scale, "issues": [issue.to_json() for issue in issues]})
            if not issues or len(rounds) == self.rounds:
                break
            attempt = replace(following, seed=picture.seed + len(rounds) * STRIDE)
            scale = stronger
            (drawn,) = synthesize([attempt], pipe, batch_size=1, **options | {"guidance_scale": scale})
            if isinstance(drawn, Failure):
                rounds[-1]["failure"] = drawn.message
                break
        kept = min(range(len(attempts)), key=lambda number: attempts[number][0])
        left, attempt, drawn = attempts[kept]
        report = {"passed": left == 0, "kept_round": kept + 1, "checked": looked.checked}
        report |= {"not_checked": looked.not_checked, "rounds": rounds}
        return Checked(attempt, drawn, {"verification": report})


def edited(
    picture: AskedPicture, scale: float, issues: list[Issue], asked: Asked
) -> tuple[AskedPicture, float, list[Issue]]:
    """The next attempt for what is wrong with this one, its guidance, and the issues with their actions.

    What is not as asked wants stronger guidance, what looks bad weaker guidance; a modality that was missed is said
    first, and a finding that should not be there is what the picture is led away from. A copy wants a new seed alone,
    which every attempt gets.
    """
    told = []
    for issue in issues:
        if issue.issue == "modality" and not picture.given.startswith(words := _name_of(asked.modality)):
            picture = replace(picture, drawn_prompt=f"{words}: {picture.given}")
            action = {"edit": "prompt", "to": picture.given}
        elif (unwanted := _unwanted(issue, asked)) and unwanted not in (picture.negative_prompt or ""):
            said = ", ".join(filter(None, [picture.negative_prompt, unwanted]))
            picture = replace(picture, negative_prompt=said)
            action = {"edit": "negative_prompt", "to": said}
        elif issue.issue in FAITHFUL and scale < STRONGEST:
            scale = min(STRONGEST, round(max(1.0, scale) * STRONGER, 2))
            action = {"edit": "guidance_scale", "to": scale}
        elif issue.issue in LOOKS and scale > 1:
            scale = max(1.0, round(scale / STRONGER, 2))
            action = {"edit": "guidance_scale", "to": scale}
        else:
            action = {"edit": "seed"}
        told.append(replace(issue, action=action))
    return picture, scale, told


def _name_of(modality: str) -> str:
    """How a prompt of the corpus calls it."""
    return MODALITIES[modality].words["train"][0]


def _unwanted(issue: Issue, asked: Asked) -> str | None:
    """The finding that a picture shows and should not, where nothing else is asked for."""
    if asked.findings:
        return None
    if issue.issue == "heart":
        return "cardiomegaly"
    return str(issue.measured) if issue.issue == "finding" and issue.measured != NO_FINDING else None


def verified_line(report: dict) -> str:
    """A record's "verification" as a line."""
    count = f"{len(report['checked'])} checks"
    if report["passed"]:
        return f"verified: nothing wrong in {count}, round {report['kept_round']}"
    kept = report["rounds"][report["kept_round"] - 1]
    wrong = "; ".join(f"{one['issue']} {one['measured']}, not {one['expected']}" for one in kept["issues"])
    return f"not as asked after {len(report['rounds'])} rounds, round {report['kept_round']} kept: {wrong}"
