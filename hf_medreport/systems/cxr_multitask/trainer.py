"""What training the multi-task chest X-ray adds to the report trainer: each task's loss in the log, and stages."""

from transformers import TrainerCallback

from hf_medreport.processing.input_error import InputError
from hf_medreport.training.trainer import ReportTrainer

TASK_LOSSES = ("abnormal_loss", "frontal_loss", "lateral_loss", "text_loss")
ALL_LAYERS = "all"


class MultitaskTrainer(ReportTrainer):
    """Logs the mean of each task's loss since the last log, in training and (with `eval_`) in evaluation."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.task_losses = {True: {}, False: {}}  # of training, of evaluation: name -> values
        self.accelerator.unwrap_model(self.model).register_forward_hook(self._keep)

    def _keep(self, model, inputs, outputs) -> None:
        for name in TASK_LOSSES:
            if outputs.get(name) is not None:
                self.task_losses[model.training].setdefault(name, []).append(outputs[name].detach().float())

    def log(self, logs: dict, *args, **kwargs) -> None:
        for training, key, prefix in ((True, "loss", ""), (False, "eval_loss", "eval_")):
            if key in logs:
                losses, self.task_losses[training] = self.task_losses[training], {}
                logs |= {prefix + name: sum(values).item() / len(values) for name, values in losses.items()}
        super().log(logs, *args, **kwargs)


class StagedUnfreezing(TrainerCallback):
    """Train more of the encoder as the run goes on.

    Args:
        stages: `(step, layers)` as `read_stages` gives them: from this step on the encoder's last so many layers are
            trained, None all of them.
    """

    def __init__(self, stages: list[tuple[int, int | None]]):
        self.stages = stages

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        layers = layers_at(self.stages, state.global_step)
        model = getattr(model, "module", model)  # distributed training wraps it
        if model.config.encoder_trainable_last_n != layers:
            model.unfreeze(layers)


def layers_at(stages: list[tuple[int, int | None]], step: int) -> int | None:
    """How many of the last layers are trained in a step, by stages of which the first begins at 0."""
    return [layers for begin, layers in stages if begin <= step][-1]


def read_stages(stages: list[str]) -> list[tuple[int, int | None]]:
    """`["0:0", "300:10", "900:all"]` as (step, layers), in the order of steps.

    Raises:
        InputError: another form, or steps that do not rise from 0.
    """
    read = []
    for stage in stages:
        step, _, layers = str(stage).partition(":")
        if not step.isdecimal() or not (layers.isdecimal() or layers == ALL_LAYERS):
            remedy = "correct it, and quote it in YAML, which takes 300:10 for minutes and seconds"
            raise InputError("unfreezing", f"'{stage}'", "STEP:LAYERS, such as 300:10 or 900:all", remedy)
        read.append((int(step), None if layers == ALL_LAYERS else int(layers)))
    steps = [step for step, _ in read]
    if read and (steps[0] != 0 or steps != sorted(set(steps))):
        raise InputError("unfreezing", ", ".join(stages), "rising steps, the first 0", "put them in order")
    return read
