"""The row of histgen."""

from hf_medreport.registry import System

BIBTEX = """@inproceedings{guo2024histgen,
  title = {{HistGen}: Histopathology Report Generation via Local-Global Feature Encoding and Cross-modal Context
    Interaction},
  author = {Guo, Zhengrui and Ma, Jiabo and Xu, Yingxue and Wang, Yihui and Wang, Liansheng and Chen, Hao},
  booktitle = {Medical Image Computing and Computer Assisted Intervention (MICCAI)},
  year = {2024},
  note = {arXiv 2403.05396}
}"""

ROWS = (
    System(
        model_type="histgen",
        kind="report",
        config="hf_medreport.modeling.configuration_histgen:HistGenConfig",
        model="hf_medreport.modeling.modeling_histgen:HistGenForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="hf_medreport.processing.processing_histgen:HistGenProcessor",
        pipeline="hf_medreport.processing.pipeline_image_to_text:MedicalReportPipeline",
        image_processor="hf_medreport.processing.image_processing_tile:TileImageProcessor",
        reads="slide",
        card="hf_medreport.systems.histgen.card:card",
        tiny={
            "feature_size": 16,
            "visual_size": 24,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "region_size": 4,
            "memory_slots": 12,
            "memory_top_k": 5,
            "num_prototypes": 6,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "projection_dropout": 0.0,
        },
        checkpoint="histgen-tiny",
        default=True,
        extras=("wsi",),
        recipe="hf_medreport.systems.histgen.recipe",
        converters={
            "histgen": "hf_medreport.systems.histgen.command:histgen",
            "dinov2": "hf_medreport.systems.histgen.command:dinov2",
        },
        citation=BIBTEX,
    ),
)
