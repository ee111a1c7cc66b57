"""GPT-2 made of blocks of one's own, with GPT-2's weights and names: what conditions every layer is built on it."""

import math

from torch import nn
from transformers import GPT2Model
from transformers import initialization as init
from transformers.models.gpt2.modeling_gpt2 import GPT2Block


class NumberedGPT2Block(GPT2Block):
    """A GPT-2 block that knows its number."""

    def __init__(self, config, layer_idx: int):
        super().__init__(config, layer_idx=layer_idx)
        self.layer_idx = layer_idx
        self.attn.c_proj.ends_residual_path = self.mlp.c_proj.ends_residual_path = True


class GPT2Stack(GPT2Model):
    """GPT-2 of `block_class`; keywords that GPT-2 does not know reach every block."""

    block_class = NumberedGPT2Block

    def __init__(self, config):
        super().__init__(config)
        self.h = nn.ModuleList(self.block_class(config, layer_idx=i) for i in range(config.num_hidden_layers))
        self.post_init()

    def _init_weights(self, module):
        # transformers finds these two by the blocks around them, and visits no block that has no parameter of its own.
        super()._init_weights(module)
        if hasattr(module, "ends_residual_path"):
            deviation = self.config.initializer_range / math.sqrt(2 * self.config.num_hidden_layers)
            init.normal_(module.weight, mean=0.0, std=deviation)

    def warn_if_padding_and_no_attention_mask(self, input_ids, attention_mask):
        """Nothing: `generate` drops a mask without padding, then pads texts that ended, and would warn of itself."""
