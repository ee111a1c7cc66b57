"""What makes a processor's `save_pretrained` leave its code beside it, and that of the pipeline the model names."""

from .pipeline_image_to_text import MedicalReportPipeline


class SavedProcessor:
    """Before `ProcessorMixin` among a class's bases."""

    _auto_class = "AutoProcessor"  # by which transformers sees that there is code to save, with all that it imports
    read_by = MedicalReportPipeline


__all__ = ["SavedProcessor"]
