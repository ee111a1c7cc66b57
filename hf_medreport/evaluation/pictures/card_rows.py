"""What a generator's card shows of its evaluation on prompts whose truth is known: names and figures as text."""

from hf_medreport.evaluation.pictures.distribution import COLUMNS
from hf_medreport.evaluation.pictures.judging import QUESTIONS

__all__ = ["card_rows"]

NAMES = {
    "kid": "KID",
    "fid": "FID",
    "inception_score": "inception score",
    **{name: name for name in ("precision", "recall", "density", "coverage")},
}
NOT_RUN = "not run"


def card_rows(scores: dict) -> dict[str, str]:
    """The rows of a card from the `evaluation.json` of `evaluate phantom`, {name: figure}."""
    drawing = scores["drawing"]
    rows = {"pictures asked for": f"{scores['n']} (seed {scores['seed']}, {scores['split']})"}
    rows["guidance scale, steps"] = f"{drawing['guidance_scale']:g}, {drawing['num_inference_steps']}"
    faithful = scores["faithfulness"]
    for question in (*QUESTIONS, "all"):
        rows[f"asked and seen: {question if question != 'all' else 'all at once'}"] = _share(faithful[question])
        if question == "finding":
            for modality, score in faithful["finding"]["by_modality"].items():
                rows[f"asked and seen: finding, {modality}"] = _share(score)
    features = scores["distribution"]["features"]
    for modality, figures in {"all": scores["distribution"]["all"], **scores["distribution"]["modalities"]}.items():
        for column in COLUMNS:
            figure = "too few pictures" if figures is None else _beside(figures[column], figures["drawn"][column])
            rows[f"{NAMES[column]} ({features}), {modality}; drawn against drawn"] = figure
    for modality, figures in scores["look"].items():
        for name, pair in figures.items():
            label = "MS-SSIM diversity" if name == "diversity" else name
            rows[f"{label}, {modality}; of drawn ones"] = _beside(pair["generated"], pair["drawn"])
    rows["CLIP score (of drawn pictures and prompts); drawn ones"] = _clip(scores["clip"])
    return rows | _own_features(scores.get("own_features")) | _gate(scores["gate"])


def _share(score: dict) -> str:
    if not score["n"]:
        return "not asked"
    low, high = score["interval"]
    text = f"{score['accuracy']:.3f} ({low:.3f} to {high:.3f})"
    if score.get("of_ceiling") is not None:
        text += f"; {score['of_ceiling']:.3f} of the ceiling of {score['ceiling']:.3f}"
    return text


def _beside(value: float | None, other: float | None) -> str:
    return "; ".join("undefined" if one is None else f"{one:.4g}" for one in (value, other))


def _clip(clip: dict | None) -> str:
    if clip is None:
        return NOT_RUN
    low, high = clip["interval"]
    return f"{clip['score']:.1f} ({low:.1f} to {high:.1f}); {clip['drawn']:.1f}"


def _own_features(figures: dict | None) -> dict[str, str]:
    if figures is None:
        return {}
    values = {NAMES[name]: figures[name] for name in ("fid", "kid", "inception_score")}
    values["CLIP score"] = figures["clip"] and figures["clip"]["score"]
    return {f"{name} ({figures['features']})": f"{value:.4g}" for name, value in values.items() if value is not None}


def _gate(gate: dict | None) -> dict[str, str]:
    if gate is None:
        return {"memorization gate": NOT_RUN}
    low, high = gate["interval"]
    control = gate["control"]
    auc = "undefined" if control["auc"] is None else f"{control['auc']:.3f}"
    return {
        "memorization gate": "passed" if gate["passes"] else "**failed**",
        f"pictures above the {gate['percentile']}th percentile of held-out ones": (
            f"{gate['share']:.2%} ({low:.2%} to {high:.2%}); {gate['allowed']:.1%} are allowed"
        ),
        "its positive control, disguised copies": f"{control['share']:.1%} found, AUC {auc}",
    }
