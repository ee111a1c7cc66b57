"""Which features a model learned from, and whether others are of the same kind: encoder, scale and size of a tile.

Features of one width from other weights, or of tiles cut at another resolution, fit a model and mean something else to
it: it writes a fluent report of another disease. So a model's folder says what its bags were (`learned_from` in its
`processor_config.json`), and every bag is held to that. What bags say is kept as lists of what was seen:

    {"encoder_revision": ["5f0c..."], "mpp": [0.25, 0.5], "patch_px": [512]}   # of mpp the finest and the coarsest

What nobody says is left out.
"""

from collections.abc import Iterable

from .input_error import InputError

KEYS = ("encoder_revision", "mpp", "patch_px")
# Two scanners of one magnification differ by so much (0.23 to 0.25 at 40x); the next magnification is twice as coarse.
SAME_MPP = 1.15
INSIST = "or insist with `allow_foreign_features`"
TILE_ALIKE = f"tile with the model's own encoder and settings, {INSIST}"


class ForeignFeatures(InputError):
    """Features of another kind than a model, or the bags beside them, have."""


def made_with(encoder_revision: str, settings, mpp: float | None) -> dict[str, str]:
    """The entries of a feature file's header that say of which kind its features are.

    Args:
        encoder_revision: of the patch encoder.
        settings: a `TileImageProcessor`.
        mpp: microns per px of the tiles; None where nobody says.
    """
    return {
        "encoder_revision": encoder_revision,
        "patch_px": str(settings.patch_px),
        "cut_at": f"level {settings.level}" if settings.mpp is None else f"mpp {settings.mpp:g}",
        "mpp": "" if mpp is None else f"{mpp:.6g}",
    }


def said(info: dict[str, str]) -> dict[str, list]:
    """What the header of one feature file says of its kind; what it does not say, or not as a number, is left out."""
    kind = {"encoder_revision": [info["encoder_revision"]]} if info.get("encoder_revision") else {}
    for key, number in (("mpp", float), ("patch_px", int)):
        try:
            value = number(info.get(key, ""))
        except ValueError:
            continue
        if 0 < value < float("inf"):
            kind[key] = [value]
    return kind


def unsaid(info: dict[str, str]) -> list[str]:
    """What the header of a feature file does not say."""
    kind = said(info)
    return [key for key in KEYS if key not in kind]


def differences(learned: dict[str, list], kind: dict[str, list]) -> list[str]:
    """Those of KEYS that both say, and differently."""
    return [key for key in KEYS if key in learned and key in kind and not _same(key, learned[key], kind[key])]


def _same(key: str, learned: list, others: list) -> bool:
    if key == "mpp":
        return min(learned) <= min(others) * SAME_MPP and max(others) <= max(learned) * SAME_MPP
    return set(others) <= set(learned)


def refuse_foreign(
    name: str,
    learned: dict[str, list],
    kind: dict[str, list],
    whose: str = "which the model learned from",
    remedy: str = TILE_ALIKE,
) -> None:
    """ForeignFeatures, both values named, where features are not of the kind that was learned.

    Args:
        name: of the file or slide.
        learned, kind: what the model, or bags before this one, and what this one says.
        whose: ends the phrase of what was expected.
    """
    keys = differences(learned, kind)
    if keys:
        found, expected = f"features of {in_words(kind, keys)}", f"{in_words(learned, keys)}, {whose}"
        raise ForeignFeatures(name, found, expected, remedy)


def foreign_notes(learned: dict[str, list], kind: dict[str, list]) -> list[str]:
    """What a report of such features says beside it, where somebody insisted; nothing of the model's own kind."""
    keys = differences(learned, kind)
    return [f"features of {in_words(kind, keys)}; the model learned from {in_words(learned, keys)}"] if keys else []


def in_words(kind: dict[str, list], keys: Iterable[str] = KEYS) -> str:
    """What is said, as in "mpp 0.25 to 0.5, patch_px 512"."""
    parts = []
    for key in keys:
        values = [f"{value:g}" if key == "mpp" else str(value) for value in kind.get(key, ())]
        if values:
            parts.append(f"{key} {(' to ' if key == 'mpp' else ' or ').join(dict.fromkeys(values))}")
    return ", ".join(parts)


def gathered(bags: Iterable[tuple[str, dict[str, str]]], allow_foreign: bool = False) -> dict[str, list]:
    """What several bags say together.

    Tiles of one level differ in resolution where their slides do, as the original cuts 20x and 40x slides alike: where
    two headers say the same level, that is no difference.

    Args:
        bags: (name, header) each.
        allow_foreign: whether they may be of several kinds.

    Raises:
        ForeignFeatures: a bag that differs from those before it.
    """
    together, levels = {}, set()
    for name, info in bags:
        kind, cut = said(info), info.get("cut_at", "")
        if not allow_foreign:
            before = {key: values for key, values in together.items() if key != "mpp" or levels != {cut}}
            refuse_foreign(name, before, kind, "as the others before it", f"encode all slides alike, {INSIST}")
        levels.add(cut if cut.startswith("level ") else None)
        for key, values in kind.items():
            seen = sorted({*together.get(key, ()), *values})
            together[key] = [seen[0], seen[-1]] if key == "mpp" else seen
    return together


def check_learned_from(learned: object) -> dict[str, list]:
    """What a processor's settings say of this; InputError for another form. None says nothing."""
    learned = {} if learned is None else learned
    if isinstance(learned, dict) and set(learned) <= set(KEYS):
        kinds = {"encoder_revision": str, "mpp": (int, float), "patch_px": int}
        lists = (isinstance(values, list) and values for values in learned.values())
        if all(lists) and all(isinstance(one, kinds[key]) for key, values in learned.items() for one in values):
            return learned
    expected = f"lists under {', '.join(KEYS)}"
    raise InputError("learned_from", f"{learned!r}"[:80], expected, "correct processor_config.json")


__all__ = ["ForeignFeatures", "check_learned_from", "differences", "foreign_notes", "gathered", "made_with"]
__all__ += ["refuse_foreign", "said", "unsaid"]
