"""Which part of a collection a patient belongs to, by hash: no list of names has to be kept.

split_of("TCGA-ZZ-0001", read_split("7:1:2"), seed=0)  # "train", "val" or "test"
"""

import hashlib

from hf_medreport.processing.input_error import InputError

__all__ = ["PARTS", "read_split", "split_of"]

PARTS = ("train", "val", "test")


def read_split(split: str) -> tuple[int, int, int]:
    """ "7:1:2" as numbers."""
    parts = split.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts) or not sum(map(int, parts)):
        raise InputError("split", f"'{split}'", "three whole numbers like 7:1:2", "check `split`")
    return tuple(map(int, parts))


def split_of(patient: str, parts: tuple[int, int, int], seed: int) -> str:
    """The part of a patient: drawn from the patient and the seed alone, so that new patients move nobody."""
    digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") * sum(parts) >> 64  # uniform in 0 ... sum - 1
    return PARTS[0 if draw < parts[0] else 1 if draw < parts[0] + parts[1] else 2]
