"""The row of report_transformer."""

from hf_medreport.registry import System

BIBTEX = """@inproceedings{vaswani2017attention,
  title = {Attention Is All You Need},
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and
    Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2017}
}"""

ROWS = (
    System(
        model_type="report_transformer",
        kind="causal-lm",
        config="hf_medreport.modeling.configuration_report_transformer:ReportTransformerConfig",
        model="hf_medreport.modeling.modeling_report_transformer:ReportTransformerForCausalLM",
        auto_classes=("AutoModel", "AutoModelForCausalLM"),
        tiny={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "dropout": 0.0,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "pad_token_id": 0,
        },
        citation=BIBTEX,
    ),
)
