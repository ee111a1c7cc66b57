"""A model's `save_pretrained` that leaves a folder which loads by itself.

transformers copies a model's code only where it was told one Auto class to load it by, and writes the map of that one
alone: `AutoModel` would fail, and nobody would know of the pipeline. Its file comes with the processor.

    model.save_pretrained("saved")
    processor.save_pretrained("saved")
    pipe = pipeline("image-to-text", model="saved", trust_remote_code=True)
"""

WRITES_REPORTS = "AutoModelForImageTextToText"
PIPELINE = {
    "impl": "pipeline_image_to_text.MedicalReportPipeline",  # lies beside the processors
    "pt": [WRITES_REPORTS],
    "type": "multimodal",
}


class SavedModel:
    """Before `PreTrainedModel` among a class's bases; `auto_classes` says by which Auto classes it is loaded."""

    auto_classes = ("AutoModel",)
    _auto_class = "AutoModel"  # by which transformers sees that there is code to copy

    def save_pretrained(self, save_directory, *args, **kwargs):
        """As in transformers, with the code, the map of all Auto classes and the name of the pipeline."""
        self.config.auto_map = {
            "AutoConfig": _reference(self.config),
            **dict.fromkeys(self.auto_classes, _reference(self)),
        }
        if WRITES_REPORTS in self.auto_classes:
            self.config.custom_pipelines = {"image-to-text": PIPELINE}
        return super().save_pretrained(save_directory, *args, **kwargs)


def _reference(part) -> str:
    """`"modeling_x.Class"`, as transformers names code in a folder, whatever package the code was loaded from."""
    return f"{type(part).__module__.rpartition('.')[2]}.{type(part).__name__}"


__all__ = ["SavedModel"]
