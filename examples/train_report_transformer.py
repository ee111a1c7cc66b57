# /// script
# dependencies = ["hf-medreport[train]"]
# ///
"""How far text alone goes on the impressions of the Indiana University collection: the from-scratch Transformer of
the multi-task chest X-ray, beside baselines that know even less.

    python examples/train_report_transformer.py --archive NLMCXR_reports.tgz

(or the torchxrayvision wheel that holds that archive.) Patients are split 8:1:1 by hash. The schedule is the paper's
with a warm-up that fits the few steps, and a factor that keeps its peak near the paper's: at the whole rate this narrow
model diverges. Training ends early when the validation perplexity rises. The reports are CC BY-NC-ND 4.0: neither
texts nor weights are kept, the JSON holds counts and figures.

What the rows say:
- perplexity: of a token of the byte-level BPE learned here, the end token included. Of a constant it is not defined:
  every other text has probability 0.
- perplexity, unseen: the same on the test texts that stand nowhere in training.
- distinct-1, -2: different words, or pairs of them, among all of as many sampled texts; of constants likewise.
- BLEU: whole impressions against the test impressions; the model goes on greedily from each one's first word. The last
  baseline is told that word too: it answers with the most frequent training impression that begins so.
"""

import argparse
import json
import math
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
import transformers
from tokenizers.processors import TemplateProcessing
from torch.nn.functional import cross_entropy
from transformers import (
    DataCollatorForLanguageModeling,
    EarlyStoppingCallback,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from hf_medreport.dataset_scripts.parts.iu_xray_sources import read_archive
from hf_medreport.dataset_scripts.parts.patient_split import split_of
from hf_medreport.evaluation.text.bleu import bleu
from hf_medreport.evaluation.text.ngrams import count_ngrams
from hf_medreport.evaluation.text.words import coco_words
from hf_medreport.files.writing import write_text
from hf_medreport.modeling.configuration_report_transformer import ReportTransformerConfig
from hf_medreport.modeling.modeling_report_transformer import ReportTransformerForCausalLM
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_tokens import add_report_tokens
from hf_medreport.systems.report_transformer.noam import noam_schedule
from hf_medreport.training.tokenizer import train_tokenizer

PARTS = (8, 1, 1)
RESULT = Path("benchmarks/results/report_transformer.json")


def read_impressions(archive: Path, seed: int) -> dict[str, list[str]]:
    """The impressions of each part; a patient is a report."""
    parts = {"train": [], "val": [], "test": []}
    for study in read_archive(archive):
        if study.impression:
            parts[split_of(study.uid, PARTS, seed)].append(" ".join(study.impression.split()))
    empty = [name for name, texts in parts.items() if not texts]
    if empty:
        raise InputError(archive.name, f"no impression for {empty[0]}", "the whole collection", "name the archive")
    return parts


def learn_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with `<start>`, `<end>`, `<pad>`; every text begins with `<start>` by itself."""
    tokenizer = train_tokenizer(texts, vocabulary - 3)
    add_report_tokens(tokenizer)
    begin = [("<start>", tokenizer.bos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<start> $A", special_tokens=begin)
    return tokenizer


class ByPerplexity(Trainer):
    """Validates by the perplexity of a token; the stock loss is a mean of batches, in which short texts weigh more."""

    def evaluate(self, *_, **__) -> dict[str, float]:
        metrics = {"eval_perplexity": perplexity(self.model.eval(), [row["input_ids"] for row in self.eval_dataset])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train(tokenizer, train_ids: list, val_ids: list, options: argparse.Namespace) -> tuple:
    """The model of the best validation perplexity, and the step that it is from."""
    model = ReportTransformerForCausalLM(
        ReportTransformerConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.width,
            intermediate_size=4 * options.width,
            num_hidden_layers=options.layers,
            num_attention_heads=options.width // 32,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate, betas=(0.9, 0.98), eps=1e-9)
    with tempfile.TemporaryDirectory() as folder:
        trainer = ByPerplexity(
            model,
            TrainingArguments(
                folder,
                max_steps=options.steps,
                per_device_train_batch_size=options.batch_size,
                train_sampling_strategy="group_by_length",
                eval_strategy="steps",
                eval_steps=options.eval_steps,
                save_steps=options.eval_steps,
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="perplexity",
                greater_is_better=False,
                logging_steps=options.eval_steps,
                max_grad_norm=0.0,  # the paper clips nothing: the warm-up does that work
                seed=options.seed,
                report_to=[],
            ),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
            train_dataset=[{"input_ids": ids} for ids in train_ids],
            eval_dataset=[{"input_ids": ids} for ids in val_ids],
            optimizers=(optimizer, noam_schedule(optimizer, options.width, options.warmup)),
            callbacks=[EarlyStoppingCallback(early_stopping_patience=options.patience)],
        )
        trainer.train()
        return model.eval(), trainer.state.best_global_step


@torch.no_grad()
def perplexity(model, texts: list[list[int]]) -> float:
    """exp of the mean cross-entropy over every token after `<start>`."""
    total = count = 0
    for ids in texts:
        ids = torch.tensor([ids])
        total += cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return math.exp(total / count)


def unigram_perplexity(train_ids: list, test_ids: list, vocabulary: int) -> float:
    """Tokens drawn by their frequency in training, each counted once more than it occurs."""
    counts = Counter(token for ids in train_ids for token in ids[1:])
    total = counts.total() + vocabulary
    tokens = [token for ids in test_ids for token in ids[1:]]
    return math.exp(-sum(math.log((counts[token] + 1) / total) for token in tokens) / len(tokens))


def distinct(texts: list[str]) -> dict[str, float]:
    """Different n-grams among all, of the COCO tokenizer's words (Li et al. 2016, arXiv 1510.03055)."""
    grams = count_ngrams([coco_words(text) for text in texts], 2)
    return {f"distinct-{one.order}": one.counts.shape[1] / max(int(one.counts.sum()), 1) for one in grams}


def bleus(predictions: list[str], references: list[str]) -> dict[str, float]:
    scores = bleu(predictions, references, order=4).details
    return {f"BLEU-{n}": scores[f"bleu{n}"] for n in range(1, 5)}


def sample(model, tokenizer, options: argparse.Namespace) -> list[str]:
    """Texts from `<start>` alone."""
    torch.manual_seed(options.seed)
    begin = torch.full((options.samples, 1), tokenizer.bos_token_id)
    settings = {"do_sample": True, "temperature": options.temperature, "top_k": options.top_k}
    return tokenizer.batch_decode(model.generate(begin, max_new_tokens=128, **settings), skip_special_tokens=True)


def go_on(model, tokenizer, first_words: list[str], batch_size: int = 32) -> list[str]:
    """Each first word with what the model finds most likely after it."""
    texts = []
    for begin in range(0, len(first_words), batch_size):
        batch = first_words[begin : begin + batch_size]
        inputs = tokenizer(batch, padding=True, padding_side="left", return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=128, do_sample=False)
        texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return texts


def compare(parts: dict[str, list[str]], options: argparse.Namespace) -> dict:
    """Train, and score the model beside the baselines; see the head of this file."""
    tokenizer = learn_tokenizer(parts["train"], options.vocabulary)
    ids = {name: [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in parts[name]] for name in parts}
    began = time.perf_counter()
    model, best_step = train(tokenizer, ids["train"], ids["val"], options)
    seconds = time.perf_counter() - began

    test, seen = parts["test"], Counter(parts["train"])
    unseen = [tokens for text, tokens in zip(test, ids["test"], strict=True) if text not in seen]
    first_words = [text.split()[0] for text in test]
    constant, by_first_word = seen.most_common(1)[0][0], {}
    for text, _ in seen.most_common():  # the most frequent first
        by_first_word.setdefault(text.split()[0], text)
    echoes = [by_first_word.get(word, constant) for word in first_words]
    rows = {
        "report_transformer": {
            "perplexity": perplexity(model, ids["test"]),
            "perplexity, unseen": perplexity(model, unseen) if unseen else None,
            **distinct(sample(model, tokenizer, options)),
            **bleus(go_on(model, tokenizer, first_words), test),
        },
        "unigram": {
            "perplexity": unigram_perplexity(ids["train"], ids["test"], len(tokenizer)),
            "perplexity, unseen": unigram_perplexity(ids["train"], unseen, len(tokenizer)) if unseen else None,
        },
        "constant": {**distinct([constant] * options.samples), **bleus([constant] * len(test), test)},
        "most frequent by first word": {**distinct(echoes[: options.samples]), **bleus(echoes, test)},
        "test impressions themselves": distinct(test[: options.samples]),
    }
    return {
        "impressions": {name: len(texts) for name, texts in parts.items()},
        "distinct_training_impressions": len(seen),
        "test_impressions_seen_in_training": len(test) - len(unseen),
        "test_impressions_equal_to_the_constant": test.count(constant),
        "tokens": {name: sum(len(one) - 1 for one in ids[name]) for name in ids},
        "vocabulary": len(tokenizer),
        "parameters": model.num_parameters(),
        "best_step": best_step,
        "training_seconds": round(seconds),
        "rows": rows,
    }


def table(rows: dict[str, dict]) -> str:
    columns = list(rows["report_transformer"])
    lines = [f"{'':28}" + "".join(f"{name:>20}" for name in columns)]
    for name, row in rows.items():
        cells = ["-" if row.get(column) is None else f"{row[column]:.3f}" for column in columns]
        lines.append(f"{name:28}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True, help="NLMCXR_reports.tgz, or the torchxrayvision wheel")
    parser.add_argument("--steps", type=int, default=2000, help="at most")
    parser.add_argument("--eval-steps", type=int, default=100, help="between two looks at the validation part")
    parser.add_argument("--patience", type=int, default=3, help="looks without progress before the end")
    parser.add_argument("--warmup", type=int, default=400, help="the paper's 4,000 would outlast this training")
    parser.add_argument("--rate", type=float, default=0.3, help="factor on the schedule")
    parser.add_argument("--width", type=int, default=128, help="a multiple of 32, which is a head's")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=1500, help="tokens, at least 260")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--samples", type=int, default=300, help="texts for distinct-1 and -2")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-k", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the figures go")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    try:
        figures = compare(read_impressions(options.archive, options.seed), options)
    except ValueError as error:  # of an archive, or of sizes that do not fit
        raise SystemExit(str(error)) from None
    print(table(figures["rows"]))
    settings = {name: value for name, value in vars(options).items() if name not in ("archive", "out")}
    machine = {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    command = "python examples/train_report_transformer.py --archive NLMCXR_reports.tgz"
    text = json.dumps({"command": command, "settings": settings, **figures, "machine": machine}, indent=2) + "\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, text)


if __name__ == "__main__":
    main()
