"""The system's row. Its classes stand here as text, so that reading the table imports no torch."""

from hf_medreport.registry import System

ROWS = (
    System(
        model_type="made_up",
        kind="report",
        config="made_up_report.configuration_made_up:MadeUpConfig",
        model="made_up_report.modeling_made_up:MadeUpForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="made_up_report.processing_made_up:MadeUpProcessor",
        image_processor="hf_medreport.processing.image_processing_film:FilmImageProcessor",
        pipeline="hf_medreport.processing.pipeline_image_to_text:MedicalReportPipeline",
        reads="film",
        tiny={"image_size": 32, "patch_size": 8, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        recipe="made_up_report.recipe",
    ),
)
