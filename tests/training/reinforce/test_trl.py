"""Our rewards and text models in TRL's GRPOTrainer; the reference is the model with its adapter off."""

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from hf_medreport.evaluation.rewards import report_reward
from hf_medreport.registry import system
from tests.tiny import tiny_model, tiny_tokenizer

trl = pytest.importorskip("trl")
peft = pytest.importorskip("peft")

REFERENCE = "FINDINGS: The lungs are clear. IMPRESSION: No acute disease."
TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "{% endif %}{% endfor %}"
)


def steps(model, processor, rows: list[dict], folder, targets: list[str]):
    """Two steps, and what was logged of the first."""
    arguments = trl.GRPOConfig(
        str(folder),
        per_device_train_batch_size=2,
        num_generations=2,
        max_completion_length=6,
        max_steps=2,
        logging_steps=1,
        beta=0.1,
        learning_rate=1e-2,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    trainer = trl.GRPOTrainer(
        model=model,
        reward_funcs=[report_reward(), report_reward("rougeL")],
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=processor,
        peft_config=peft.LoraConfig(r=2, target_modules=targets),
    )
    trainer.train()
    return trainer.state.log_history[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_type", "targets"), [("report_transformer", ["q_proj", "v_proj"]), ("latent_gpt2", ["c_attn"])]
)
def test_a_text_model_of_ours(model_type, targets, tmp_path):
    rows = [{"prompt": "FINDINGS:", "reference": REFERENCE}] * 4
    logged = steps(tiny_model(system(model_type)), tiny_tokenizer(), rows, tmp_path, targets)
    assert logged["rewards/composite/mean"] == -1 and logged["kl"] == pytest.approx(0, abs=1e-4)
    assert logged["rewards/rougeL/mean"] >= 0


@pytest.mark.slow
def test_a_vision_language_model(tmp_path):
    """LLaVA, as transformers has it, of random weights: 16 px, 4 patches."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**sizes, image_size=16, patch_size=8, projection_dim=16),
        text_config=LlamaConfig(**sizes, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, pad_token_id=0),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    film = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    prompt = [{"role": "user", "content": "Report this film."}]
    rows = [{"prompt": prompt, "image": film, "reference": REFERENCE}] * 4
    logged = steps(LlavaForConditionalGeneration(config), processor, rows, tmp_path, ["q_proj"])
    assert logged["rewards/composite/mean"] == -1 and logged["kl"] == pytest.approx(0, abs=1e-4)
