"""An adapter of low rank (LoRA, by PEFT) on a report model while it learns, merged into its weights at the end.

The model keeps its class, so that it sees and writes as before; without the adapter it is the start model.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import LoraConfig
from peft.tuners.lora import LoraModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from hf_medreport.files.writing import write_whole
from hf_medreport.processing.input_error import InputError

__all__ = ["WEIGHTS", "Adapter"]

NAME, WEIGHTS = "default", "adapter.safetensors"


class Adapter:
    """Added to a model when it is made; it changes nothing yet, and is all that can be trained.

    Args:
        model: a report model.
        rank: of the adapter; its scale is 1 (alpha is as large).
        targets: last parts of names of layers, such as `c_attn`; none: every trainable linear layer but the head.

    Raises:
        InputError: a rank below 1, or no layer of these names.
    """

    def __init__(self, model: nn.Module, rank: int, targets: list[str]):
        if rank < 1:
            raise InputError("adapter_rank", str(rank), "1 or more, or 0 for none", "correct it")
        head = model.get_output_embeddings()
        linear = [
            name
            for name, layer in model.named_modules()
            if isinstance(layer, nn.Linear | Conv1D) and layer is not head and layer.weight.requires_grad
        ]
        layers = [name for name in linear if not targets or name.rpartition(".")[2] in targets]
        if not layers:
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none, for all are frozen"
            raise InputError("adapter_targets", ", ".join(targets) or "none", f"some of {known}", "correct them")
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=layers)
        with warnings.catch_warnings():  # that GPT-2's layers are turned round, which PEFT sees by itself
            warnings.simplefilter("ignore")
            self.tuner = LoraModel(model, config, NAME)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Within it the model is the start model."""
        self.tuner.disable_adapter_layers()
        try:
            yield
        finally:
            self.tuner.enable_adapter_layers()

    def merged(self) -> nn.Module:
        """The model with the adapter in its weights, and no adapter."""
        return self.tuner.merge_and_unload()

    def weights(self) -> dict:
        """The adapter's weights by their names in the model."""
        return {name: each for name, each in self.tuner.model.named_parameters() if "lora_" in name}

    def save(self, folder: Path) -> None:
        """Write the adapter's weights into a folder."""
        weights = {name: each.detach().cpu().contiguous() for name, each in self.weights().items()}
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_whole(Path(folder) / WEIGHTS, lambda part: save_file(weights, part))

    def load(self, folder: Path) -> None:
        """Read them again."""
        self.tuner.model.load_state_dict(load_file(Path(folder) / WEIGHTS), strict=False)

    def check(self, folder: Path) -> None:
        """Refuse a checkpoint of another adapter, or of none.

        Raises:
            InputError: no adapter, or one of other layers or of another rank.
        """
        path = Path(folder) / WEIGHTS
        theirs = {name: tuple(each.shape) for name, each in load_file(path).items()} if path.is_file() else {}
        if theirs != {name: tuple(each.shape) for name, each in self.weights().items()}:
            found = "an adapter of other layers or of another rank" if theirs else "no adapter"
            remedy = "resume with the sizes that the run was begun with, or begin anew with `overwrite`"
            raise InputError(f"{path.parent.name} in {path.parent.parent.absolute().name}", found, "this one", remedy)
