"""Configuration of the picture judge, which says what a drawn picture shows."""

from transformers import PreTrainedConfig

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields


class PictureJudgeConfig(PreTrainedConfig):
    """What the judge is made of.

    Args:
        questions: {question: its possible answers}, such as {"side": ["right", "left"]}; one head each. Kept as a list
            of pairs: their order is that of the heads, and a saved configuration sorts what is a mapping.
        image_size: side in pixels of the pictures that it was trained on; a multiple of 8.
        widths: channels at full, half, quarter and eighth size.
        grid: the last map is pooled to grid x grid places, so that the heads know where something is.
        feature_size: width of the vector from which all heads answer, and on which sets of pictures are compared.
        num_channels: of a picture; a gray one is repeated.
    """

    model_type = "picture_judge"

    questions: dict | list | None = None
    image_size: int = 64
    widths: list[int] | tuple[int, ...] = (16, 24, 48, 80)
    grid: int = 4
    feature_size: int = 128
    num_channels: int = 3

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        if self.questions is None:
            self.questions = {"modality": ["none", "any"]}
        self.questions = [[name, list(answers)] for name, answers in dict(self.questions).items()]
        for question, answers in self.questions:
            if len(answers) < 2 or len(set(answers)) < len(answers):
                found = f"{len(answers)} answers to '{question}', {len(set(answers))} of them different"
                raise ConfigError("questions", found, "two or more different ones", "correct the configuration")
        if len(self.widths) != 4:
            raise ConfigError("widths", f"{len(self.widths)}", "4: at full, half, quarter, eighth size", "give four")
        if self.image_size % 8 or self.image_size // 8 % self.grid:
            expected = f"a multiple of {8 * self.grid}"
            raise ConfigError("image_size", str(self.image_size), expected, "choose another size or grid")
        super().__post_init__(**kwargs)

    @property
    def answers(self) -> dict[str, list[str]]:
        """{question: its possible answers}, in the order of the heads."""
        return dict(self.questions)


__all__ = ["PictureJudgeConfig"]
