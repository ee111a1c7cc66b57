"""The rows of diffusion: the generator, and its text encoder, which AutoModel loads alone too."""

from hf_medreport.registry import System

BIBTEX = """@article{wang2025minim,
  title = {Self-improving generative foundation model for synthetic medical image generation and clinical applications},
  author = {Wang, Jinzhuo and Wang, Kai and Yu, Yunfang and Lu, Yuxing and others},
  journal = {Nature Medicine},
  volume = {31},
  number = {2},
  pages = {609--617},
  year = {2025},
  doi = {10.1038/s41591-024-03359-y}
}"""

ROWS = (
    System(
        model_type="diffusion",
        kind="generator",
        config="",
        model="hf_medreport.modeling.medical_pipeline:MedicalImagePipeline",
        auto_classes=(),
        reads="prompt",
        given=("image",),
        checkpoint="diffusion-tiny",
        default=True,
        extras=("diffusion",),
        recipe="hf_medreport.systems.diffusion.recipe",
        converters={"minim": "hf_medreport.systems.diffusion.command:minim"},
        citation=BIBTEX,
    ),
    System(
        model_type="medical_text_conditioner",
        kind="conditioner",
        config="hf_medreport.modeling.medical_text_conditioner:MedicalTextConditionerConfig",
        model="hf_medreport.modeling.medical_text_conditioner:MedicalTextConditioner",
        auto_classes=("AutoModel",),
        tiny={
            "text_config": {
                "model_type": "bert",
                "vocab_size": 64,
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "max_position_embeddings": 64,
            },
            "modalities": [
                {"name": "CXR", "aliases": ["chest x-ray"], "template": "Chest X-ray: {prompt}"},
                {"name": "BrainMRI", "aliases": ["mri"], "template": "Brain MRI: {prompt}"},
            ],
            "max_length": 32,
        },
    ),
)
