"""Tiny RadScribe models of each label mode, with their processors."""

from hf_medreport.hub.folder import save_folder
from hf_medreport.modeling.configuration_medvill import FINDINGS
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system
from tests.tiny import tiny_label_tokenizer, tiny_model, tiny_tokenizer

ROW = system("radscribe")
LABEL_TOKENS = 60  # of one letter each: room for a few names


def labeled(mode: str, fit: str = "stretch"):
    """Model and processor; the head of a model that predicts labels is random, so it names about half of them."""
    films = FilmImageProcessor(size=32, mask_size=16, fit=fit)
    processor = ROW.resolve("processor")(
        films, tiny_tokenizer(), tiny_label_tokenizer(), LABEL_TOKENS, label_names=list(FINDINGS)
    )
    encoder = {**ROW.tiny["encoder"], "label_mode": mode, "max_text_tokens": LABEL_TOKENS}
    encoder["bert"] = encoder["bert"] | {"max_position_embeddings": LABEL_TOKENS + 4}
    pieces = processor.label_pieces() if mode == "predicted" else {}
    model = tiny_model(ROW, encoder=encoder | pieces)
    model.generation_config.max_new_tokens = 8
    return model, processor


def labeled_pipe(mode: str, fit: str = "stretch") -> MedicalReportPipeline:
    model, processor = labeled(mode, fit)
    model.config.name_or_path = f"radscribe-{mode}"
    return MedicalReportPipeline(model=model, processor=processor, task="image-to-text")


def save_labeled(mode: str, folder, fit: str = "stretch"):
    return save_folder(*labeled(mode, fit), folder)
