"""The row of picture_judge."""

from hf_medreport.registry import System

ROWS = (
    System(
        model_type="picture_judge",
        kind="judge",
        config="hf_medreport.modeling.configuration_picture_judge:PictureJudgeConfig",
        model="hf_medreport.modeling.modeling_picture_judge:PictureJudgeModel",
        auto_classes=("AutoModel",),
        tiny={
            "questions": {"side": ["right", "left"], "modality": ["ct", "mri"], "grade": ["mild", "severe", "none"]},
            "image_size": 32,
            "widths": [4, 4, 8, 8],
            "grid": 2,
            "feature_size": 8,
        },
        checkpoint="picture-judge-tiny",
        apart="picture-rater-tiny",
        recipe="hf_medreport.systems.picture_judge.recipe",
    ),
)
