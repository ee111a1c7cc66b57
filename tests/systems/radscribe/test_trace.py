"""Two epochs of the original's training, repeated: its weights, our model, optimizer, schedule and freezing.

The loop is the original's with its slips: gradients left over from an epoch leak into the next, the last update does
not step the schedule, and fine-tuning begins with a single update of the encoder at rate 0.
"""

import math

import pytest
import torch

from hf_medreport.systems.radscribe.freezing import freeze
from hf_medreport.systems.radscribe.trainer import EpochLosses
from hf_medreport.systems.radscribe.two_rates import GroupRates, schedule, two_rate_optimizer, updates
from tests.training.radscribe_golden import golden, golden_radscribe


def group_rates(settings: dict) -> GroupRates:
    return GroupRates(settings["lr"], settings["min_lr"], settings["weight_decay"], settings["warmup"])


def repeated(run: dict) -> tuple[list[dict], list[list]]:
    """Log and updates of a run as the original's trace holds them."""
    model, vectors = golden_radscribe().train(), golden("vectors")
    batches, accumulation = run["micro_batches_per_epoch"], run["accumulation"]
    rates = group_rates(run["encoder"]), group_rates(run["decoder"])
    optimizer = two_rate_optimizer(model, *rates)
    scheduler = schedule(optimizer, updates(batches, run["epochs"], accumulation), *rates)
    log, updated, step = [], [], 0

    def update():
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        updated.append([step, *(group["lr"] for group in optimizer.param_groups)])
        optimizer.step()
        optimizer.zero_grad()

    freeze(model, "finetune" if run["finetune"] else "scratch")
    if run["finetune"]:
        optimizer.param_groups[0]["lr"] = 0.0  # until the schedule's next step
    for epoch in range(run["epochs"]):
        losses = EpochLosses()
        if run["finetune"] and epoch >= run["encoder_freeze_epoch"]:
            freeze(model, "legacy_finetune_unfrozen")
        for sample in (index % 3 for index in range(batches)):
            row = slice(sample, sample + 1)
            labels = vectors["in/labels"][row]
            loss = model(
                pixel_values=vectors["in/pixel_values_vit"][row],
                label_ids=vectors["in/label_ids"][row],
                labels=labels,
            ).loss
            (loss / accumulation).backward()
            losses.add(loss.detach(), (labels != -100).sum())
            if (step + 1) % accumulation == 0:
                update()
                scheduler.step()
            step += 1
            first, second = scheduler.get_last_lr()
            shown = {f"train/{name}": value for name, value in losses.figures().items()}
            log.append({**shown, "lr/encoder": first, "lr/decoder": second, "step": step, "epoch": epoch + 1})
        log.append({"train/loss_epoch": losses.figures()["avg_loss"], "epoch": epoch + 1})
        if (step + 1) % accumulation != 0 and any(weight.grad is not None for weight in model.parameters()):
            update()
    return log, updated


@pytest.mark.parametrize("kind", ["scratch", "finetune"])
def test_the_originals_training_trace(kind):
    run = golden("training_trace")[kind]
    log, updated = repeated(run)
    theirs = run["optimizer_steps_globalstep_lrenc_lrdec"]
    assert [pair[0] for pair in updated] == [pair[0] for pair in theirs]
    assert [pair[1:] for pair in updated] == [pytest.approx(pair[1:]) for pair in theirs]
    assert len(log) == len(run["log"]) == 2 * (run["micro_batches_per_epoch"] + 1)
    for ours, theirs in zip(log, run["log"], strict=True):
        assert set(ours) == set(theirs) - {"_step"}
        for name, value in ours.items():
            tolerance = 1e-12 if name.startswith("lr/") else 1e-4 * (value if "perplexity" in name else 1)
            assert math.isclose(value, theirs[name], rel_tol=0, abs_tol=tolerance), (theirs["_step"], name, value)
