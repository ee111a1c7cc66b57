"""Write a model folder that loads anywhere: weights, processor, code, pipeline and the map between them.

`save_pretrained` alone leaves `AutoModel` failing and forgets the pipeline file (it copies code only for the one Auto
class that was registered), so the map is written here, and the code is copied with everything it imports.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import System, system

TASK = "image-to-text"


def save_folder(model, processor, folder: str | os.PathLike) -> Path:
    """Write model, processor and code to `folder`, so that only transformers and torch are needed to load it.

    Args:
        model: a model of a registered system.
        processor: its processor; a segmenter's is its image processor, a causal language model's its tokenizer.
        folder: made when absent; files of the same names are replaced.

    Returns:
        The folder.

    Raises:
        InputError: a file of that name, or no permission to write.
    """
    row = system(model.config.model_type)
    folder = output_folder(folder)
    model.config.auto_map = {
        "AutoConfig": _reference(row.config),
        **dict.fromkeys(row.auto_classes, _reference(row.model)),
    }
    if row.pipeline:
        task = {"impl": _reference(row.pipeline), "pt": [row.auto_classes[-1]], "type": "multimodal"}
        model.config.custom_pipelines = {TASK: task}
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    _map_processor(row, processor, folder)
    copy_code(row, folder)
    return folder


def output_folder(out: str | os.PathLike) -> Path:
    """The folder to write to, made when absent; InputError where nothing can be written."""
    folder = Path(out)
    expected, remedy = "a folder to write to", "choose another --out"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(folder.name, "a file", expected, remedy) from None
    except OSError as error:
        raise InputError(folder.name, (error.strerror or "an error").lower(), expected, remedy) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(folder.name, "no permission to write", expected, remedy)
    return folder


def copy_code(row: System, folder: Path) -> list[Path]:
    """Copy the system's travelling files and their siblings into `folder`, flat; returns the files written."""
    classes = [row.resolve(what) for what in ("config", "model", "processor", "pipeline") if getattr(row, what)]
    sources = {Path(sys.modules[cls.__module__].__file__) for cls in classes}
    for source in list(sources):
        sources.update(Path(sibling) for sibling in get_relative_import_files(source))
    return [Path(shutil.copyfile(source, folder / source.name)) for source in sorted(sources)]


def _reference(name: str) -> str:
    """`"modeling.modeling_x:Class"` as transformers wants it in a folder: `"modeling_x.Class"`."""
    return name.rsplit(".", 1)[-1].replace(":", ".")


def _map_processor(row: System, processor, folder: Path) -> None:
    """Add the Auto classes to the processor's JSON; a tokenizer has none and needs none."""
    image_processor = type(getattr(processor, "image_processor", processor))
    image_reference = f"{image_processor.__module__.rsplit('.', 1)[-1]}.{image_processor.__name__}"
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = folder / name
        if not path.exists():
            continue
        settings = json.loads(path.read_text(encoding="utf-8"))
        if row.kind == "segmenter":
            settings["auto_map"] = {"AutoImageProcessor": image_reference}
        else:
            settings["auto_map"] = {"AutoProcessor": _reference(row.processor)}
            settings["image_processor"]["auto_map"] = {"AutoImageProcessor": image_reference}
        path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
