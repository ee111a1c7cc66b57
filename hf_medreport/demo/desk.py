"""Raters at work on one folder: who has what left, in which order, and the file that keeps what they said.

    desk = Desk(pictures, "ratings.csv")
    sitting = desk.sit("ann", level=2)       # begins where ann stopped
    sitting.item.pictures[0].prompt
    sitting.say(3)                           # on the disk when this returns
    sitting.undo()

Each rater sees every picture, in an order of their own that depends on the name alone. In the mode of pairs an item is
two pictures of one prompt, on sides drawn by chance, and what is said is "a", "b" or "tie".
"""

import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_medreport.data.ratings.pairs import Comparison, append_comparison, read_pairs, withdraw_comparison
from hf_medreport.data.ratings.rows import checked_level
from hf_medreport.data.ratings.table import Rating, append_rating, read_ratings, withdraw_rating
from hf_medreport.demo.to_rate import ToRate
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["ANSWERS", "Desk", "Item", "Sitting"]

ANSWERS = {False: (1, 2, 3), True: ("a", "b", "tie")}  # of single pictures, of pairs
NEIGHBORS = 4  # others of its prompt that a picture is compared with on either side of it, in an order drawn by chance
LONGEST_NAME = 80


@dataclass(frozen=True)
class Item:
    """What is shown at once: a picture, or two of one prompt."""

    pictures: tuple[ToRate, ...]

    @property
    def key(self) -> tuple:
        """By which it is known again in the file, whichever picture stood left."""
        return frozenset(os.path.realpath(one.image) for one in self.pictures), self.pictures[0].prompt


class Desk:
    """The pictures of a folder and the table of what raters said of them.

    Args:
        pictures: to rate.
        out: the CSV: what stands there of these pictures is done, what stands there of others is left as it is.
        pairs: two pictures at a time.
        seed: of the pairs and of the raters' orders.

    Raises:
        InputError: a table of other columns or without usable rows, or no two pictures of one prompt to compare.
    """

    def __init__(self, pictures: Sequence[ToRate], out: str | os.PathLike, *, pairs: bool = False, seed: int = 0):
        self.out, self.pairs, self.seed, self.lock = Path(out), pairs, seed, threading.RLock()
        self.items = _pairs(pictures, seed) if pairs else [Item((picture,)) for picture in pictures]
        if not self.items:
            raise InputError("pictures", "no two of one prompt", "pairs to compare", "rate them one by one")
        keys, self.said = {item.key for item in self.items}, {}
        for said in self._read():
            if (key := _key(said)) in keys:
                self.said.setdefault(said.rater, {})[key] = said

    def _read(self) -> list:
        if not self.out.is_file():
            return []
        return read_pairs(self.out).comparisons if self.pairs else read_ratings(self.out).ratings

    def sit(self, rater: str, level: int) -> "Sitting":
        """A rater who begins, or goes on where they stopped.

        Raises:
            InputError: no name or a very long one, or a level out of range.
        """
        name = " ".join(str(rater or "").split())
        if not name or len(name) > LONGEST_NAME:
            found = f"{len(name)} signs" if name else "no name"
            raise InputError("rater", found, f"a name of 1 to {LONGEST_NAME} signs", "give one")
        return Sitting(self, name, checked_level(level))

    def left(self, rater: str) -> list[Item]:
        """What a rater has not said anything of, in their own order."""
        done = self.said.get(rater, {})
        rng = np.random.default_rng(int(sha256(f"{self.seed} {rater}".encode())[:16], 16))
        order, turns = rng.permutation(len(self.items)), rng.integers(2, size=len(self.items))
        items = [Item(self.items[k].pictures[:: -1 if turns[k] else 1]) for k in order]
        return [item for item in items if item.key not in done]

    def done(self, rater: str) -> int:
        """Of how many items a rater has said something."""
        return len(self.said.get(rater, ()))

    def keep(self, rater: str, level: int, item: Item, answer: int | str) -> None:
        """Write at once what a rater said of an item."""
        with self.lock:
            said = _said(rater, level, item, answer)
            (append_comparison if self.pairs else append_rating)(self.out, said)
            of_rater = self.said.setdefault(rater, {})
            of_rater.pop(item.key, None)
            of_rater[item.key] = said

    def take_back(self, rater: str) -> Item | None:
        """Remove what a rater said last, and return the item; None where they have said nothing."""
        with self.lock:
            of_rater = self.said.get(rater)
            if not of_rater:
                return None
            key, said = of_rater.popitem()
            (withdraw_comparison if self.pairs else withdraw_rating)(self.out, said)
            return next(item for item in self.items if item.key == key)


class Sitting:
    """One rater at the desk.

    Attributes:
        item: what is shown; None when everything is done.
    """

    def __init__(self, desk: Desk, rater: str, level: int):
        self.desk, self.rater, self.level = desk, rater, level
        self.queue, self.skipped = deque(desk.left(rater)), 0  # how many of the last deeds were skips

    @property
    def item(self) -> Item | None:
        return self.queue[0] if self.queue else None

    @property
    def progress(self) -> tuple[int, int]:
        """Items done, and items in all."""
        return self.desk.done(self.rater), len(self.desk.items)

    def say(self, answer: int | str) -> None:
        """Rate what is shown, and go on.

        Raises:
            InputError: another answer than `ANSWERS` has.
        """
        if self.item is None:
            return
        if answer not in ANSWERS[self.desk.pairs]:
            expected = ", ".join(map(str, ANSWERS[self.desk.pairs]))
            raise InputError("answer", repr(answer), f"one of {expected}", "give one of these")
        self.desk.keep(self.rater, self.level, self.item, answer)
        self.skipped = 0
        self.queue.popleft()
        done = self.desk.said[self.rater]
        while self.queue and self.queue[0].key in done:  # in another window of the same rater
            self.queue.popleft()

    def skip(self) -> None:
        """Put what is shown behind all others."""
        if self.queue:
            self.queue.rotate(-1)
            self.skipped += 1

    def undo(self) -> bool:
        """Show again what was skipped or rated last, the rating withdrawn; whether there was anything."""
        if self.skipped:
            self.queue.rotate(1)
            self.skipped -= 1
            return True
        item = self.desk.take_back(self.rater)
        if item is not None:
            self.queue.appendleft(item)
        return item is not None


def _said(rater: str, level: int, item: Item, answer: int | str) -> Rating | Comparison:
    first = item.pictures[0]
    if len(item.pictures) == 1:
        return Rating(first.image, answer, first.modality, level, first.prompt, rater)
    chosen, rejected = item.pictures[:: -1 if answer == "b" else 1]
    images = chosen.image, rejected.image
    return Comparison(*images, first.modality, level, first.prompt, rater, tie=answer == "tie")


def _key(said: Rating | Comparison) -> tuple:
    images = (said.image,) if isinstance(said, Rating) else (said.chosen, said.rejected)
    return frozenset(map(os.path.realpath, images)), said.prompt


def _pairs(pictures: Sequence[ToRate], seed: int) -> list[Item]:
    """Each picture with a few others of its prompt: all pairs of few pictures, and no more than needed of many."""
    rng, by_prompt = np.random.default_rng(seed), {}
    for picture in pictures:
        by_prompt.setdefault(picture.prompt, []).append(picture)
    items = {}
    for alike in by_prompt.values():
        circle = [alike[k] for k in rng.permutation(len(alike))]
        for step in range(1, NEIGHBORS + 1):
            for k, picture in enumerate(circle):
                item = Item((picture, circle[(k + step) % len(circle)]))
                if len(item.key[0]) == 2:  # not a picture beside itself
                    items.setdefault(item.key, item)
    return list(items.values())
