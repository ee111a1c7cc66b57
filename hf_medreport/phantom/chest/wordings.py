"""The sentence templates of the phantom's reports, in two sets that share their words but no sentence.

A model trained on reports in "train" and tested on "held_out" is asked for the fact, not for the sentence. The slots
of a template:

- `{side}`, `{zone}`, `{severity}`; `{amount}`: the severity said as a size (small, moderate, large)
- `{size}`: "14 mm" or nothing; `{nodule}`: nodule, if it is large mass
- `{count}`: "a single", "multiple" or "a"; `{s}`, `{is}`, `{has}`: what agrees with it
- `{name}`: one of the kind's names
"""

from dataclasses import dataclass

from hf_medreport.phantom.chest.findings import KINDS

__all__ = ["ORGANS", "WORDINGS", "Templates", "Wordings"]

ORGANS = tuple(dict.fromkeys(row.organ for row in KINDS.values()))

Templates = tuple[str, ...]


@dataclass(frozen=True)
class Wordings:
    """The sentence templates of one set.

    Attributes:
        findings, doubtful: a fact by kind, seen clearly and faintly.
        changes: what goes on from such a sentence to say how the fact changed.
        names: a fact by kind, as the impression names it.
        resolved: a fact that the prior film showed, by organ.
        normal: an organ without a fact.
        absent: a kind that is absent beside another of its organ.
        nothing: the impression without a fact.
        no_change: the impression where all is as on the prior film.
    """

    findings: dict[str, Templates]
    doubtful: dict[str, Templates]
    changes: dict[str, Templates]
    names: dict[str, Templates]
    resolved: dict[str, Templates]
    normal: dict[str, Templates]
    absent: dict[str, Templates]
    nothing: Templates
    no_change: Templates


TRAIN = Wordings(
    findings={
        "cardiomegaly": (
            "the heart is {severity}ly enlarged",
            "there is {severity} cardiomegaly",
            "{severity} enlargement of the cardiac silhouette is present",
            "the cardiac silhouette is {severity}ly enlarged",
        ),
        "tortuous_aorta": (
            "the thoracic aorta is tortuous",
            "there is tortuosity of the aorta",
            "a tortuous aorta is seen",
            "tortuous thoracic aorta is noted",
        ),
        "pleural_effusion": (
            "there is a {amount} {side} pleural effusion",
            "a {amount} pleural effusion is seen on the {side}",
            "{amount} {side}-sided pleural effusion is present",
            "the {side} pleural space shows a {amount} effusion",
        ),
        "pneumothorax": (
            "there is a {amount} {side} pneumothorax",
            "a {amount} pneumothorax is present on the {side}",
            "{amount} {side}-sided pneumothorax is noted",
            "the {side} pleural space shows a {amount} pneumothorax",
        ),
        "consolidation": (
            "there is consolidation in the {side} {zone} zone",
            "focal consolidation is seen in the {side} {zone} zone",
            "{side} {zone} zone consolidation is present",
            "the {side} {zone} lung zone shows airspace consolidation",
        ),
        "atelectasis": (
            "there is atelectasis in the {side} {zone} zone",
            "linear atelectasis is seen in the {side} {zone} zone",
            "{side} {zone} zone atelectasis is noted",
            "the {side} {zone} lung zone shows bands of atelectasis",
        ),
        "interstitial_edema": (
            "there is {severity} interstitial edema",
            "{severity} interstitial edema is seen in both lungs",
            "{severity} pulmonary edema is present",
            "the lungs show {severity} interstitial edema",
        ),
        "nodule": (
            "there is a {size} {side} {zone} zone {nodule}",
            "a {size} {nodule} lies in the {side} {zone} zone",
            "{size} {side} {zone} zone {nodule} is present",
            "the {side} {zone} zone shows a {size} pulmonary {nodule}",
        ),
        "calcified_granuloma": (
            "there {is} {count} calcified granuloma{s} in the {side} {zone} zone",
            "{count} {side} {zone} zone calcified granuloma{s} {is} seen",
            "{count} calcified granuloma{s} {is} present in the {side} {zone} zone",
            "the {side} {zone} zone shows {count} calcified granuloma{s}",
        ),
        "hyperinflation": (
            "the lungs are hyperinflated",
            "there is hyperinflation of both lungs",
            "hyperinflation of the lungs is noted",
            "both lungs are hyperinflated",
        ),
        "elevated_diaphragm": (
            "the {side} hemidiaphragm is elevated",
            "there is elevation of the {side} hemidiaphragm",
            "an elevated {side} hemidiaphragm is seen",
            "elevation of the {side} diaphragm is noted",
        ),
        "rib_fracture": (
            "there {is} {count} {side} rib fracture{s}",
            "{count} {side}-sided rib fracture{s} {is} seen",
            "{count} fracture{s} of the {side} ribs {is} present",
            "the {side} ribs show {count} fracture{s}",
        ),
        "scoliosis": (
            "{severity} scoliosis of the thoracic spine, convex to the {side}",
            "there is {severity} scoliosis, convex to the {side}",
            "{severity} {side} convex scoliosis is present",
            "the thoracic spine shows {severity} scoliosis, convex to the {side}",
        ),
        "endotracheal_tube": (
            "an endotracheal tube is in place",
            "there is an endotracheal tube",
            "endotracheal tube is noted in the trachea",
            "the endotracheal tube is in position",
        ),
        "central_line": (
            "a {side} central venous line is in place",
            "there is a {side} central line",
            "{side}-sided central venous line is present",
            "a central venous line is seen on the {side}",
        ),
        "pacemaker": (
            "a {side} chest wall pacemaker is in place",
            "there is a pacemaker in the {side} chest wall",
            "{side}-sided pacemaker is noted",
            "a pacemaker is present on the {side}",
        ),
    },
    doubtful={
        "consolidation": (
            "there is possible consolidation in the {side} {zone} zone",
            "suspected {side} {zone} zone consolidation",
            "consolidation in the {side} {zone} zone cannot be excluded",
            "questionable consolidation is seen in the {side} {zone} zone",
        ),
        "atelectasis": (
            "there is possible atelectasis in the {side} {zone} zone",
            "suspected {side} {zone} zone atelectasis",
            "atelectasis in the {side} {zone} zone cannot be excluded",
            "questionable atelectasis is seen in the {side} {zone} zone",
        ),
        "nodule": (
            "there is a possible {size} {nodule} in the {side} {zone} zone",
            "suspected {size} {side} {zone} zone {nodule}",
            "a {size} {nodule} in the {side} {zone} zone cannot be excluded",
            "a questionable {size} {nodule} is seen in the {side} {zone} zone",
        ),
    },
    changes={
        "new": (", new since the prior film", ", which {is} new"),
        "increased": (", increased since the prior film", ", which {has} increased"),
        "decreased": (", decreased since the prior film", ", which {has} decreased"),
        "unchanged": (", unchanged", ", stable since the prior film"),
    },
    names={
        "cardiomegaly": ("cardiomegaly", "enlarged heart"),
        "tortuous_aorta": ("tortuous aorta", "tortuosity of the aorta"),
        "pleural_effusion": ("{side} pleural effusion", "pleural effusion on the {side}"),
        "pneumothorax": ("{side} pneumothorax", "pneumothorax on the {side}"),
        "consolidation": ("{side} {zone} zone consolidation", "consolidation in the {side} {zone} zone"),
        "atelectasis": ("{side} {zone} zone atelectasis", "atelectasis in the {side} {zone} zone"),
        "interstitial_edema": ("interstitial edema", "pulmonary edema"),
        "nodule": ("{side} {zone} zone {nodule}", "{nodule} in the {side} {zone} zone"),
        "calcified_granuloma": (
            "{side} {zone} zone calcified granuloma{s}",
            "calcified granuloma{s} in the {side} {zone} zone",
        ),
        "hyperinflation": ("hyperinflation", "hyperinflation of the lungs"),
        "elevated_diaphragm": ("elevated {side} hemidiaphragm", "elevation of the {side} hemidiaphragm"),
        "rib_fracture": ("{side} rib fracture{s}", "fracture{s} of the {side} ribs"),
        "scoliosis": ("scoliosis, convex to the {side}", "{side} convex scoliosis"),
        "endotracheal_tube": ("endotracheal tube", "endotracheal tube in place"),
        "central_line": ("{side} central venous line", "{side} central line"),
        "pacemaker": ("{side} chest wall pacemaker", "{side} pacemaker"),
    },
    resolved=dict.fromkeys(ORGANS, ("the {name} {has} resolved", "the {name} {is} no longer seen"))
    | {
        "bones": ("the {name} {is} no longer seen",),
        "devices": ("the {name} {has} been removed", "the {name} {is} no longer seen"),
    },
    normal={
        "heart": (
            "The heart is normal in size.",
            "Heart size is normal.",
            "The cardiac silhouette is within normal limits.",
            "The heart is not enlarged.",
        ),
        "mediastinum": ("The mediastinum is normal.", "The mediastinal contour is within normal limits."),
        "pleura": (
            "There is no pleural effusion or pneumothorax.",
            "No effusion or pneumothorax is seen.",
            "No pneumothorax or pleural effusion is present.",
            "The pleural spaces are clear.",
        ),
        "lungs": (
            "The lungs are clear.",
            "Both lungs are clear.",
            "There is no focal consolidation.",
            "No focal lung abnormality is seen.",
        ),
        "diaphragm": ("The diaphragm is normal in position.", "The hemidiaphragms are normal."),
        "bones": ("No rib fracture is seen.", "The bones are intact.", "The ribs and spine are normal."),
    },
    absent={
        "pleural_effusion": ("There is no pleural effusion.", "No pleural effusion is seen."),
        "pneumothorax": ("There is no pneumothorax.", "No pneumothorax is seen."),
    },
    nothing=(
        "No acute cardiopulmonary abnormality.",
        "No acute abnormality.",
        "Normal chest.",
        "No acute cardiopulmonary disease.",
        "Normal heart and lungs.",
    ),
    no_change=("No change since the prior film.", "Unchanged since the prior film.", "No change from the prior film."),
)

HELD_OUT = Wordings(
    findings={
        "cardiomegaly": (
            "{severity} enlargement of the heart is seen",
            "{severity} cardiomegaly is noted",
            "the heart shows {severity} enlargement",
        ),
        "tortuous_aorta": (
            "the aorta is tortuous",
            "there is a tortuous thoracic aorta",
            "tortuosity of the thoracic aorta is present",
        ),
        "pleural_effusion": (
            "there is a {amount} pleural effusion on the {side}",
            "a {amount} {side}-sided pleural effusion is noted",
            "{amount} effusion is present in the {side} pleural space",
        ),
        "pneumothorax": (
            "there is a {amount} pneumothorax on the {side}",
            "a {amount} {side}-sided pneumothorax is seen",
            "{amount} pneumothorax is present in the {side} pleural space",
        ),
        "consolidation": (
            "there is focal consolidation, {side} {zone} zone",
            "airspace consolidation is present in the {side} {zone} zone",
            "the {zone} zone of the {side} lung shows consolidation",
        ),
        "atelectasis": (
            "there is linear atelectasis, {side} {zone} zone",
            "bands of atelectasis are seen in the {side} {zone} zone",
            "the {zone} zone of the {side} lung shows atelectasis",
        ),
        "interstitial_edema": (
            "{severity} interstitial edema is present",
            "there is {severity} pulmonary edema",
            "both lungs show {severity} interstitial edema",
        ),
        "nodule": (
            "a {size} {side} {zone} zone {nodule} is seen",
            "there is a {size} pulmonary {nodule}, {side} {zone} zone",
            "the {side} lung shows a {size} {zone} zone {nodule}",
        ),
        "calcified_granuloma": (
            "there {is} {count} {side} {zone} zone calcified granuloma{s}",
            "{count} calcified granuloma{s} {is} seen in the {side} {zone} zone",
            "the {zone} zone of the {side} lung shows {count} calcified granuloma{s}",
        ),
        "hyperinflation": (
            "there is hyperinflation of the lungs",
            "hyperinflation of both lungs is seen",
            "the lungs show hyperinflation",
        ),
        "elevated_diaphragm": (
            "there is an elevated {side} hemidiaphragm",
            "elevation of the {side} hemidiaphragm is present",
            "the {side} diaphragm is elevated",
        ),
        "rib_fracture": (
            "{count} {side} rib fracture{s} {is} noted",
            "there {is} {count} fracture{s} of the {side} ribs",
            "{count} rib fracture{s} {is} seen on the {side}",
        ),
        "scoliosis": (
            "{severity} scoliosis is seen, convex to the {side}",
            "the spine shows {severity} scoliosis, convex to the {side}",
            "there is {severity} {side} convex scoliosis of the thoracic spine",
        ),
        "endotracheal_tube": (
            "an endotracheal tube is seen",
            "the endotracheal tube is in place",
            "there is an endotracheal tube in position",
        ),
        "central_line": (
            "there is a {side} central venous line",
            "a {side}-sided central line is seen",
            "a central venous line is in place on the {side}",
        ),
        "pacemaker": (
            "there is a {side} chest wall pacemaker",
            "a {side}-sided pacemaker is in place",
            "a pacemaker is seen in the {side} chest wall",
        ),
    },
    doubtful={
        "consolidation": (
            "possible consolidation is seen in the {side} {zone} zone",
            "there is questionable {side} {zone} zone consolidation",
            "consolidation is suspected in the {side} {zone} zone",
        ),
        "atelectasis": (
            "possible atelectasis is seen in the {side} {zone} zone",
            "there is questionable {side} {zone} zone atelectasis",
            "atelectasis is suspected in the {side} {zone} zone",
        ),
        "nodule": (
            "a possible {size} {nodule} is seen in the {side} {zone} zone",
            "there is a questionable {size} {side} {zone} zone {nodule}",
            "a {size} {nodule} is suspected in the {side} {zone} zone",
        ),
    },
    changes={
        "new": (", new", ", which {is} new since the prior film"),
        "increased": (", increased", ", which {has} increased since the prior film"),
        "decreased": (", decreased", ", which {has} decreased since the prior film"),
        "unchanged": (", stable", ", unchanged since the prior film"),
    },
    names={
        "cardiomegaly": ("enlargement of the heart", "enlarged cardiac silhouette"),
        "tortuous_aorta": ("tortuous thoracic aorta", "tortuosity of the thoracic aorta"),
        "pleural_effusion": ("{side}-sided pleural effusion", "effusion in the {side} pleural space"),
        "pneumothorax": ("{side}-sided pneumothorax", "pneumothorax in the {side} pleural space"),
        "consolidation": ("{side} {zone} lung consolidation", "{zone} zone consolidation on the {side}"),
        "atelectasis": ("{side} {zone} lung atelectasis", "{zone} zone atelectasis on the {side}"),
        "interstitial_edema": ("interstitial pulmonary edema", "edema of the lungs"),
        "nodule": ("{side} {zone} lung {nodule}", "{zone} zone {nodule} on the {side}"),
        "calcified_granuloma": (
            "{side} {zone} lung calcified granuloma{s}",
            "{zone} zone calcified granuloma{s} on the {side}",
        ),
        "hyperinflation": ("hyperinflated lungs", "hyperinflation of both lungs"),
        "elevated_diaphragm": ("elevated {side} diaphragm", "elevation of the {side} diaphragm"),
        "rib_fracture": ("{side}-sided rib fracture{s}", "rib fracture{s} on the {side}"),
        "scoliosis": ("scoliosis of the spine, convex to the {side}", "{side} convex scoliosis of the spine"),
        "endotracheal_tube": ("endotracheal tube in position", "endotracheal tube in the trachea"),
        "central_line": ("{side}-sided central venous line", "central line on the {side}"),
        "pacemaker": ("{side}-sided pacemaker", "pacemaker in the {side} chest wall"),
    },
    resolved=dict.fromkeys(ORGANS, ("{name} {has} resolved", "{name} {is} no longer present"))
    | {
        "bones": ("{name} {is} no longer present",),
        "devices": ("{name} {has} been removed", "{name} {is} no longer present"),
    },
    normal={
        "heart": (
            "The cardiac silhouette is normal in size.",
            "Heart size is within normal limits.",
            "The cardiac silhouette is not enlarged.",
        ),
        "mediastinum": ("The mediastinum is within normal limits.", "The mediastinal contour is normal."),
        "pleura": (
            "There is no pneumothorax or pleural effusion.",
            "No pleural effusion or pneumothorax is noted.",
            "The pleural spaces are normal.",
        ),
        "lungs": (
            "No focal consolidation is present.",
            "The lungs are normal.",
            "There is no focal lung abnormality.",
        ),
        "diaphragm": ("The diaphragm is normal.", "The hemidiaphragms are normal in position."),
        "bones": ("There is no rib fracture.", "The ribs are intact.", "The bones are normal."),
    },
    absent={
        "pleural_effusion": ("No pleural effusion is noted.", "No pleural effusion is present."),
        "pneumothorax": ("No pneumothorax is noted.", "No pneumothorax is present."),
    },
    nothing=("No acute cardiopulmonary abnormality is seen.", "No acute disease.", "Heart and lungs are normal."),
    no_change=("There is no change since the prior film.", "Unchanged from the prior film."),
)

WORDINGS = {"train": TRAIN, "held_out": HELD_OUT}
