"""Packaging. The folders that travel to the Hub stand at the top and are installed inside the package."""

from setuptools import find_namespace_packages, setup

TOP_FOLDERS = {"hf_medreport.modeling": "modeling", "hf_medreport.processing": "processing"}
TOP_FOLDERS |= {"hf_medreport.dataset_scripts": "dataset_scripts", "hf_medreport.model_cards": "model_cards"}
TOP_FOLDERS |= {"hf_medreport.dataset_scripts.parts": "dataset_scripts/parts"}
TOP_FOLDERS |= {"hf_medreport.constraints": "constraints"}

EXTRAS = {
    # Floors only. pydicom >= 3.0.2 for its path-traversal CVE.
    # imagecodecs (BSD) decodes all compressed pixels but RLE. (pylibjpeg-libjpeg is GPL-3; python-gdcm ends the process
    # on damaged files.)
    "dicom": ["pydicom>=3.0.2", "imagecodecs>=2025.3.30"],
    # Slides, their tissue, and feature files; imagecodecs reads and writes the JPEG tiles of a TIFF.
    "wsi": [
        "openslide-python>=1.4.0",
        "openslide-bin>=4.0.1.1",
        "tifffile>=2024.8.10",
        "imagecodecs>=2025.3.30",
        "opencv-python-headless>=4.10.0.84",
        "h5py>=3.11.0",
        "timm>=1.0.11",
    ],
    # The DenseNet of the two-view model.
    "cxr": ["torchvision>=0.29.1"],
    "train": [
        "accelerate>=1.10.1",
        "datasets>=4.7.0",
        "indexed_gzip>=1.8.3",  # films inside a .tar.gz, read where they lie
        "nltk>=3.9",  # METEOR's stems, for the metrics of training
        "psutil>=5.9.4",
        "sacrebleu>=2.4.0",
        "tensorboard>=2.17.0",
        "trackio>=0.20.0",
    ],
    # METEOR's stems and synonyms, tables of scores, FID on the network that it is defined by.
    "evaluate": ["nltk>=3.9", "pyarrow>=21.0.0", "torch-fidelity>=0.4.0"],
    # Pictures from words: the generator, its adapters, and its base in 4 bits.
    "diffusion": ["accelerate>=1.10.1", "bitsandbytes>=0.50.0", "diffusers>=0.38.0", "peft>=0.21.2"],
    # Models of what raters like, and generators and report models that learn from rewards; agreement of raters.
    "rlhf": ["accelerate>=1.10.1", "datasets>=4.7.0", "peft>=0.21.2", "scikit-learn>=1.6.0", "trl>=1.16.0"],
    # Pages in the browser.
    "demo": ["gradio>=6.31.0"],
    # tile, report and evaluate model on the machines of a cluster.
    "ray": ["ray>=2.60.0"],
    # Report models in 4 and 8 bits, on a CPU too.
    "quantize": ["accelerate>=1.10.1", "bitsandbytes>=0.50.0"],
}
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})
EXTRAS["clinical"] = ["scispacy>=0.6.2"]  # stands apart: it needs numpy < 2
# Reference implementations that the metrics are held to.
REFERENCES = ["evaluate>=0.4.6", "rouge_score>=0.1.2", "pycocoevalcap>=1.2"]
TOOLS = ["pytest>=8.0.0", "pytest-xdist>=3.6.1", "hypothesis>=6.100.0", "ruff>=0.8.0", "build>=1.2.1", "uv>=0.8.0"]
TOOLS += ["coverage>=7.17.5"]  # make coverage
TOOLS += ["axe-playwright-python>=0.1.8", "playwright>=1.65.2"]  # make test-browser
TOOLS += ["mypy>=2.4.0"]  # make types
EXTRAS["docs"] = ["sphinx>=9.0.4", "furo>=2025.12.19", "myst-parser>=5.2.0"]  # make docs
EXTRAS["dev"] = [*TOOLS, *REFERENCES, *EXTRAS["docs"], *EXTRAS["all"]]

setup(
    # Namespace packages too: a shipped checkpoint is a folder with code, but no package of its own.
    packages=[*find_namespace_packages(include=["hf_medreport", "hf_medreport.*"]), *TOP_FOLDERS],
    package_dir={"hf_medreport": "hf_medreport", **TOP_FOLDERS},
    package_data={"": ["*.json", "*.safetensors", "*.md", "*.yaml", "*.txt", "py.typed"]},
    extras_require=EXTRAS,
)
