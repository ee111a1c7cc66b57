"""The row of the selector."""

from hf_medreport.registry import System

ROWS = (
    System(
        model_type="selector",
        kind="reward",
        config="hf_medreport.modeling.configuration_selector:SelectorConfig",
        model="hf_medreport.modeling.modeling_selector:SelectorModel",
        auto_classes=("AutoModel",),
        tiny={
            "vision_config": {
                "image_size": 32,
                "patch_size": 8,
                "num_channels": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
            },
            "head_sizes": [8, 4],
        },
        checkpoint="selector-tiny",
        recipe="hf_medreport.systems.selector.recipe",
    ),
)
