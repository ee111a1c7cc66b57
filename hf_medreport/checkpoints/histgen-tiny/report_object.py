"""A report as an object: its text, and as spans of it the sections, the sentences and the facts these state.

Nothing of the text is changed or lost: every part is (start, end) of `text`, so that a viewer can mark it, and an
object read from JSON is the one that was written.

    report = ReportObject.parse("FINDINGS: Small effusion. IMPRESSION: Effusion.")
    report.section("findings")              # "Small effusion."
    report.sentences[0].section             # "findings"
    report.to_json()["sentences"][0]["text"]  # "Small effusion."

What a fact is, the reader of facts decides: a function from a sentence to objects of JSON, such as
`{"observation": "Pleural Effusion", "status": "positive"}`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .input_error import InputError
from .report_sections import section_spans, split_sentences

FIELDS = {"text", "sections", "sentences"}
FORMAT = 'a report\'s JSON: "text", "sections" and "sentences"'


@dataclass(frozen=True)
class Section:
    """One section of a report: its name as `report_sections` gives it, and its span, without the heading."""

    name: str
    start: int
    end: int


@dataclass
class Sentence:
    """One sentence: its section, its span, and what the reader of facts found in it."""

    section: str
    start: int
    end: int
    facts: tuple = ()


@dataclass
class ReportObject:
    """A report. A section may come twice; sentences lie within sections and come in the order of the text."""

    text: str
    sections: tuple[Section, ...]
    sentences: tuple[Sentence, ...]

    def words(self, part: Section | Sentence) -> str:
        """What a part says."""
        return self.text[part.start : part.end]

    @classmethod
    def parse(cls, text: str, read_facts: Callable[[str], list] | None = None) -> "ReportObject":
        """Cut a report into parts.

        Args:
            text: of the report.
            read_facts: a sentence's text -> its facts, objects of JSON; None reads none.
        """
        sections = tuple(Section(*span) for span in section_spans(text))
        sentences = []
        for section in sections:
            for start, end in split_sentences(text[section.start : section.end]):
                start, end = start + section.start, end + section.start
                facts = tuple(read_facts(text[start:end])) if read_facts else ()
                sentences.append(Sentence(section.name, start, end, facts))
        return cls(text, sections, tuple(sentences))

    def section(self, name: str) -> str | None:
        """The text of a section, or None; parts of one that comes twice are joined by a blank."""
        parts = [self.words(part).strip() for part in self.sections if part.name == name]
        return " ".join(parts) if parts else None

    @property
    def facts(self) -> tuple:
        """The facts of all sentences, in their order."""
        return tuple(fact for sentence in self.sentences for fact in sentence.facts)

    def to_json(self) -> dict:
        """Plain dicts and lists; the words of each part are given beside its span, for readers without this code."""
        return {
            "text": self.text,
            "sections": [
                {"name": part.name, "start": part.start, "end": part.end, "text": self.words(part)}
                for part in self.sections
            ],
            "sentences": [
                {
                    "section": part.section,
                    "start": part.start,
                    "end": part.end,
                    "text": self.words(part),
                    "facts": list(part.facts),
                }
                for part in self.sentences
            ],
        }

    @classmethod
    def from_json(cls, content: dict) -> "ReportObject":
        """The object that `to_json` wrote.

        Raises:
            InputError: another form, or a part whose span does not hold its words: the text was changed.
        """
        if not isinstance(content, dict) or set(content) != FIELDS:
            found = f"the fields {', '.join(map(str, content))}" if isinstance(content, dict) else "no object"
            raise InputError("report", found, FORMAT, "give what to_json returned")
        text = content["text"]
        sections = tuple(Section(part["name"], *_span(part, text)) for part in content["sections"])
        sentences = tuple(
            Sentence(part["section"], *_span(part, text), tuple(part["facts"])) for part in content["sentences"]
        )
        return cls(text, sections, sentences)


def _span(part: dict, text: str) -> tuple[int, int]:
    start, end = part["start"], part["end"]
    if text[start:end] != part["text"]:
        found = f"'{text[start:end]:.40}' at {start} to {end}"
        raise InputError("report", found, f"'{part['text']:.40}'", "the text was changed: parse it again")
    return start, end
