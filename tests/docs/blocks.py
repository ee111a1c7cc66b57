"""The console, shell and Python blocks of README.md and docs/: found, read and run."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# For which a block is not run; a fragment is a part of a script of the reader's own.
REASONS = ("network", "gated weights", "gated data", "hours", "cloud", "a server", "a fragment")
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "changelog.md")]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]*) -->\n)?^```(?P<kind>console|sh|bash|python)\n(?P<text>.*?)^```", re.M | re.S
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind, what it is not run for (None of one that is), and its text."""

    page: Path
    kind: str
    reason: str | None
    text: str

    @property
    def commands(self) -> str:
        """What a shell is given: of a console the lines after `$`, with those that go on."""
        if self.kind != "console":
            return self.text
        lines, goes_on = [], False
        for line in self.text.splitlines():
            if goes_on or line.startswith("$ "):
                lines.append(line.removeprefix("$ "))
                goes_on = line.endswith("\\")
        return "\n".join(lines)

    @property
    def output(self) -> list[str]:
        """The lines of a console that are to be printed in this order; `...` is anything."""
        if self.kind != "console":
            return []
        commands = self.commands.splitlines()
        lines = [" ".join(line.split()) for line in self.text.splitlines() if line.removeprefix("$ ") not in commands]
        return [part.strip() for line in lines for part in line.split("...") if part.strip()]

    def run(self, folder: Path, environment: dict[str, str]) -> str:
        """What it prints where it is run in `folder`; fails where it exits with another code than 0."""
        if self.kind == "python":
            script = folder / "block.py"
            script.write_text(self.text, encoding="utf-8")
            command = [sys.executable, "-P", str(script)]
        else:
            command = ["bash", "-e", "-c", self.commands]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=folder, env=os.environ | environment, **both)
        assert done.returncode == 0, f"{self.page.name}\n{self.text}\n{done.stdout}"
        return done.stdout


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    return [Block(page, each["kind"], each["reason"], each["text"]) for each in BLOCK.finditer(text)]


def commands_of(page: Path) -> str:
    """All that a page gives as a command: its blocks, and what stands between backticks in its text; a line each."""
    blocks = [re.sub(r"\\\n *", "", block.commands) for block in blocks_of(page)]
    return "\n".join([*blocks, *INLINE.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))])


def in_order(lines: list[str], printed: str) -> str | None:
    """The first line that a print lacks behind those before it, however it is wrapped; None where all are there."""
    rest = " ".join(printed.split())
    for line in lines:
        before, found, rest = rest.partition(line)
        if not found:
            return line
    return None
