"""A prompt in named parts: what is where and how it looks, or a report's sections.

    StructuredPrompt.of_features("pleural effusion", localization="left base", visual_features="blunted angle")
    StructuredPrompt.of_report(findings="Small left effusion.", impression="Effusion.", starts=(0.0, 0.4))

With `starts`, a part joins when that share of the way from noise to picture is done: first where and what, then how it
looks. Without, all parts hold all the time. The same parts always make the same words.
"""

from dataclasses import dataclass

from .config_error import ConfigError

SECTIONS = ("history", "technique", "findings", "impression")


@dataclass(frozen=True)
class StructuredPrompt:
    """Parts of a prompt in their order.

    Args:
        parts: the words of each.
        starts: from which progress each holds, 0 (noise) to 1 (picture); the first from 0. None: all from 0.
        joint: what stands between two parts.
    """

    parts: tuple[str, ...]
    starts: tuple[float, ...] | None = None
    joint: str = " "

    def __post_init__(self):
        if not self.parts:
            raise ConfigError("StructuredPrompt", "no part", "one that says something", "give one")
        if self.starts is None:
            return
        starts = tuple(self.starts)
        if len(starts) != len(self.parts) or starts[0] != 0 or list(starts) != sorted(starts) or starts[-1] > 1:
            expected = f"{len(self.parts)} rising shares of the way from 0 to 1, the first 0"
            raise ConfigError("starts", str(starts), expected, "give one a part")

    @classmethod
    def of_features(
        cls, pathology: str, *, localization: str = "", visual_features: str = "", starts=None
    ) -> "StructuredPrompt":
        """Localization, pathology and visual features, in this order and parted by commas."""
        return cls(_said(localization, pathology, visual_features), starts, ", ")

    @classmethod
    def of_report(
        cls, *, history: str = "", technique: str = "", findings: str = "", impression: str = "", starts=None
    ) -> "StructuredPrompt":
        """The sections of a report, each after its name."""
        sections = dict(zip(SECTIONS, (history, technique, findings, impression), strict=True))
        return cls(
            _said(*(f"{name.capitalize()}: {words.strip()}" for name, words in sections.items() if words.strip())),
            starts,
        )

    def at(self, progress: float) -> str:
        """The words that hold at this share of the way."""
        starts = self.starts or (0.0,) * len(self.parts)
        return self.joint.join(part for part, start in zip(self.parts, starts, strict=True) if start <= progress)

    def __str__(self) -> str:
        return self.at(1.0)


def _said(*parts: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in parts if part.strip())


__all__ = ["SECTIONS", "StructuredPrompt"]
