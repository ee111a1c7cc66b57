"""Drawn truth beside what was said of it: every fact ("correct", "wrong" or "missed", words)."""

from collections.abc import Iterable

from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.parser import Mention, parse_report
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.parser import parse_slide_report

__all__ = ["Ticked", "ticked_film", "ticked_picture", "ticked_slide"]

Ticked = list[tuple[str, str]]


def ticked_film(text: str, truth: Iterable[Fact]) -> Ticked:
    """What a report states of a drawn film; compared by kind, side, zone and severity."""
    stated, true = ({one.key: _words(one) for one in facts} for facts in (parse_report(text), truth))
    said = [("correct" if key in true else "wrong", words) for key, words in stated.items()]
    return sorted(said) + [("missed", words) for key, words in true.items() if key not in stated]


def _words(fact: Fact | Mention) -> str:
    return " ".join(part.replace("_", " ") for part in (fact.severity, fact.side, fact.zone, fact.kind) if part)


def ticked_slide(text: str, truth: SlideFacts) -> Ticked:
    """What a report states of a drawn slide, field by field; missed is a field that it does not speak of."""
    stated = parse_slide_report(text)
    said = sorted(("correct" if pair in truth.facts else "wrong", _pair_words(pair)) for pair in stated)
    unsaid = [pair for pair in truth.facts if pair[0] not in dict(stated)]
    return said + sorted(("missed", _pair_words(pair)) for pair in unsaid)


def _pair_words(pair: tuple[str, object]) -> str:
    field, value = pair
    return f"{field.replace('_', ' ')}: {'/'.join(map(str, value)) if field == 'nodes' else value}"


def ticked_picture(truth: PictureFact, seen: dict[str, str]) -> Ticked:
    """What a judge sees of what was asked for."""
    asked = {name: value for name, value in vars(truth).items() if value is not None}
    return [
        ("correct", f"{name}: {value}") if seen[name] == value else ("wrong", f"{name}: {seen[name]}, not {value}")
        for name, value in asked.items()
    ]
