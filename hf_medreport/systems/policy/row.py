"""The row of the policy."""

from hf_medreport.registry import System

ROWS = (
    System(
        model_type="policy",
        kind="reward",
        config="hf_medreport.modeling.configuration_policy:PolicyConfig",
        model="hf_medreport.modeling.modeling_policy:PolicyModel",
        auto_classes=("AutoModel",),
        given=("prompt",),
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
            "text_config": {
                "vocab_size": 60,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "max_position_embeddings": 64,
            },
            "max_text_tokens": 64,
            "head_sizes": [8, 4],
        },
        checkpoint="policy-tiny",
        recipe="hf_medreport.systems.policy.recipe",
    ),
)
