"""Tables of committed figures: benchmarks/results/*.json, and evaluation.json of the shipped models."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SHIPPED = ROOT / "hf_medreport" / "checkpoints"
READ: set[Path] = set()  # so that a page is built again when one of them changes

# (what was measured, its figures by `{file:keys:format}`, the file whose command printed them)
SPEED = (
    (
        "the bias in decoding: GPT-2 base, 1,024 patches, soft masks, 100 greedy tokens, over plain GPT-2 on as many "
        "embeddings",
        "{decoder:time_ratio:.2f} x time, {decoder:memory_ratio:.2f} x peak memory",
        "decoder",
    ),
    (
        "HistGen at its published size: encoding 1,000 / 5,000 / 20,000 / 100,000 patches",
        "{histgen:figures.encode_1000_s:.2f} / {histgen:figures.encode_5000_s:.2f} / "
        "{histgen:figures.encode_20000_s:.2f} / {histgen:figures.encode_100000_s:.2f} s; peak "
        "{histgen:figures.encode_1000_gib:.2f} / {histgen:figures.encode_5000_gib:.2f} / "
        "{histgen:figures.encode_20000_gib:.2f} / {histgen:figures.encode_100000_gib:.2f} GiB",
        "histgen",
    ),
    (
        "the same: 20,000 patches over their matrix products alone; 100,000 over five times 20,000",
        "{histgen:figures.encode_20000_over_products:.2f} x; {histgen:figures.encode_100000_over_5x20000:.2f} x",
        "histgen",
    ),
    (
        "the same: a report of 100 tokens by beam 3 from 1,000 patches; a training step on them",
        "{histgen:figures.beam3_s:.2f} s, {histgen:figures.beam3_gib:.2f} GiB; {histgen:figures.step_s:.2f} s, "
        "{histgen:figures.step_gib:.2f} GiB",
        "histgen",
    ),
    (
        "reading the tiles of a 20,000 px slide with two threads, over a loop of `read_region`",
        "{tiling:speed_up:.2f} x ({tiling:tiles_per_second.threads:.0f} tiles of 512 px a second; bare JPEG in two "
        "processes {tiling:tiles_per_second.jpeg_2_processes:.0f})",
        "tiling",
    ),
    (
        "a cohort of 200 slides: memory at its end over that after 50; two processes over one; bytes after 20 kills",
        "{cohort:memory.growth:.2f} x; {cohort:two_processes.share_of_time:.2f} of the time; the same",
        "cohort",
    ),
    (
        "a latent at every block of GPT-2 base: 128 greedy tokens, over plain GPT-2",
        "{cxr_multitask:generation.time_ratio:.2f} x time",
        "cxr_multitask",
    ),
    (
        "four cases of two views at 224 px through DenseNet-121: reconstructions, classification, 60 tokens of text",
        "{cxr_multitask:joint_forward.seconds:.2f} s, peak {cxr_multitask:joint_forward.peak_gib:.2f} GiB",
        "cxr_multitask",
    ),
    (
        "a training step on them; of it the loss of decoders, text, classifier alone, each with what it needs of the "
        "encoder",
        "{cxr_multitask:training_step_seconds.joint:.2f} s; {cxr_multitask:training_step_seconds.decoders:.2f}, "
        "{cxr_multitask:training_step_seconds.text:.2f}, {cxr_multitask:training_step_seconds.classifier:.2f} s",
        "cxr_multitask",
    ),
    (
        "RadScribe at its published size, over transformers' own ViT, BERT and T5 put together: a film encoded; "
        "written by 4 beams of 128 tokens; peak memory",
        "{radscribe:encode.time_ratio:.2f} x, {radscribe:generate.time_ratio:.2f} x time, "
        "{radscribe:peak_gib.ratio:.2f} x memory ({radscribe:encode.seconds.ours:.1f} s, "
        "{radscribe:generate.seconds.ours:.1f} s, {radscribe:peak_gib.ours:.2f} GiB)",
        "radscribe",
    ),
    (
        "the same: a training step of two micro-batches of 2 films with 64 tokens",
        "{radscribe:training_step.time_ratio:.2f} x time ({radscribe:training_step.seconds.ours:.1f} s)",
        "radscribe",
    ),
    (
        "the generator's U-Net with all improvements at Stable Diffusion's size, over the stock one: a training step; "
        "10 steps of drawing with guidance",
        "{diffusion:seconds_of_a_step.ratio:.2f} x; {diffusion:seconds_of_10_steps_with_guidance.ratio:.2f} x time",
        "diffusion",
    ),
    (
        "training it in full / by LoRA / by QLoRA: peak memory of a step",
        "{diffusion_memory:measured.full.peak_mib:.0f} / {diffusion_memory:measured.LoRA.peak_mib:.0f} / "
        "{diffusion_memory:measured.QLoRA.peak_mib:.0f} MiB",
        "diffusion_memory",
    ),
    (
        "a stream of pictures of a table, over decoding the same files: 512 px PNG; 512 px JPEG; memory of 100,000 "
        "rows and of 10,000",
        "{picture_rows:png_512.ratio:.2f}; {picture_rows:jpg_512.ratio:.2f} as fast; "
        "{picture_rows:memory_mb.100000:.1f} and {picture_rows:memory_mb.10000:.1f} MB",
        "picture_rows",
    ),
    (
        "drawing frontal films with all masks at 224 px, a second and core; lateral ones",
        "{phantom:films_a_second_and_core.frontal:.0f}; {phantom:films_a_second_and_core.lateral:.0f}",
        "phantom",
    ),
    (
        "peak memory of `phantom chest` writing 800 films, over writing 200",
        "{phantom:memory_growth:.2f} x",
        "phantom",
    ),
    (
        "BLEU-4, ROUGE-L and CIDEr-D of 20,000 pairs of 60 words, against pycocoevalcap's",
        "{text_metrics:times_faster:.1f} x faster",
        "text_metrics",
    ),
    (
        "all metrics that need no download, with intervals, on 20,000 pairs, one process",
        "{evaluate_reports:seconds:.0f} s for {evaluate_reports:metrics} (bound {evaluate_reports:bound_seconds} s)",
        "evaluate_reports",
    ),
    (
        "`hf-medreport report` of one film with its picture, over the bare imports it needs",
        "{report:seconds_over_imports:.2f} s (imports {report:seconds.imports:.2f} s)",
        "report",
    ),
    (
        "the same of 20 films; of 5 pairs: processor time before an image was seen once, over that since",
        "{report:before.of_films.user_seconds.ratio:.2f} x; {report:before.of_pairs.user_seconds.ratio:.2f} x",
        "report",
    ),
    (
        "a training step in bfloat16 over one in float32, on a processor with and without AVX512-BF16",
        "{precision:step_times_as_fast.bfloat16, channels last:.2f} x and "
        "{precision_AVX2:step_times_as_fast.bfloat16, channels last:.2f} x as fast",
        "precision",
    ),
)

# {system: [(row, keys of evaluation.json)]}; an interval stands beside where the JSON has one.
FACTS = (
    ("exact-fact F1 (kind, side, zone, severity)", "exact.f1"),
    ("the same, shown noise", "blinded.exact.f1"),
    ("the same, of one constant report", "constant_report.exact.f1"),
    ("finding-kind F1", "kind.f1"),
    ("wrong-side rate", "wrong_side_rate"),
    ("wrong-severity rate", "wrong_severity_rate"),
    ("hallucination rate", "hallucination_rate"),
)
TEXT = (("BLEU-4", "text.bleu4"), ("ROUGE-L", "text.rougeL"))
CONSTANT_TEXT = (("BLEU-4 of one constant report", "constant_report.text.bleu4"),)
MODELS = {
    "anatomical-tiny": FACTS,
    "radscribe-tiny": (
        *FACTS,
        ("its own labels: micro F1", "label_head.micro.f1"),
        *TEXT,
        *CONSTANT_TEXT,
        ("CheXpert-label F1", "text.chexpert_f1"),
        ("the same, shown noise", "blinded.text.chexpert_f1"),
    ),
    "cxr-multitask-tiny": (
        *FACTS,
        *TEXT,
        *CONSTANT_TEXT,
        ("classification: accuracy", "tasks.classification.accuracy"),
        ("the same, always the majority", "tasks.classification.majority.accuracy"),
        ("the same, frontal film alone", "tasks.classification.frontal_alone.accuracy"),
        ("the same, lateral film alone", "tasks.classification.lateral_alone.accuracy"),
        ("classification: AUC", "tasks.classification.auc"),
        ("classification: calibration error", "tasks.classification.calibration_error"),
        ("SSIM frontal", "tasks.frontal.ssim"),
        ("the same, of the mean film", "tasks.frontal.mean_film.ssim"),
        ("SSIM lateral", "tasks.lateral.ssim"),
        ("the same, of the mean film", "tasks.lateral.mean_film.ssim"),
    ),
    "histgen-tiny": (
        ("fact F1 over nine fields", "exact.f1"),
        ("the same, shown noise", "blinded.exact.f1"),
        ("the same, of one constant report", "constant_report.exact.f1"),
        ("diagnosis accuracy", "diagnosis_accuracy"),
        ("grade accuracy", "grade_accuracy"),
        ("numbers exact (size, nodes, mitoses)", "number_exactness"),
        ("size error, cm", "size_error_cm"),
        ("hallucination rate", "hallucination_rate"),
    ),
}


def read(path: Path) -> dict:
    READ.add(path)
    return json.loads(path.read_text(encoding="utf-8"))


def at(content: dict, keys: str):
    """What lies at dotted keys; a key may hold dots or blanks itself, the longest that fits is taken."""
    parts = keys.split(".")
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if isinstance(content, dict) and key in content:
            return content[key] if length == len(parts) else at(content[key], ".".join(parts[length:]))
    raise KeyError(f"no {keys}")


def figure(named: str) -> str:
    """`file:keys:format` -> the figure of benchmarks/results/file.json, or of the shipped model of that name."""
    file, keys, *form = named.split(":")
    path = SHIPPED / file / "evaluation.json" if (SHIPPED / file).is_dir() else RESULTS / f"{file}.json"
    return format(at(read(path), keys), *form)


def filled(template: str) -> str:
    """Text with `{file:keys:format}` filled in."""
    text, *rest = template.split("{")
    for part in rest:
        named, _, after = part.partition("}")
        text += figure(named) + after
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown; columns of figures to the right."""
    words = [not all(row[column][:1].isdigit() or not row[column] for row in rows) for column in range(len(head))]
    lines = [head, ["---" if each else "---:" for each in words], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(scores: dict, keys: str) -> str:
    """A figure of an evaluation with its interval, which stands at one of the levels above it."""
    try:
        value = at(scores, keys)
    except KeyError:
        return ""
    if value is None:
        return "undefined"
    parts, interval = keys.split("."), None
    for depth in range(len(parts)):
        above = at(scores, ".".join(parts[:depth])) if depth else scores
        interval = interval or above.get("intervals", {}).get(".".join(parts[depth:]))
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def speed() -> str:
    """What was measured of time and memory."""
    commands = [f"`{read(RESULTS / f'{file}.json')['command']}`" for _, _, file in SPEED]
    rows = [[what, filled(figures), command] for (what, figures, _), command in zip(SPEED, commands, strict=True)]
    return table(["what", "figure", "command"], rows)


def shipped_model(name: str) -> str:
    """The figures of a shipped model that reports, a column a split, and the commands that printed them."""
    splits = read(SHIPPED / name / "evaluation.json")
    rows = [[row, *(shown(scores, keys) for scores in splits.values())] for row, keys in MODELS[name]]
    printed = "\n".join(f"- {split}: `{scores['command']}`" for split, scores in splits.items())
    head = [f"`{name}` on {splits['test']['n']} cases, seed {splits['test']['seed']}", *splits]
    return f"{table(head, rows)}\n\n{printed}"


def slide_evidence() -> str:
    """Whether the tiles that a slide's picture names matter."""
    evidence = read(SHIPPED / "histgen-tiny" / "evaluation.json")["test"]["evidence"]
    deletion, tumor = evidence["deletion"], evidence["tumor"]
    rows = [
        ["fall of a report's log-probability without the tenth of the tiles that has the most evidence, nats"],
        ["share of the evidence of a true diagnosis on tiles that are mostly tumor"],
    ]
    rows[0] += [f"{deletion[key]:.2f}" for key in ("top", "random", "randomized")]
    rows[1] += [f"{tumor[key]:.2f}" for key in ("model", "chance", "randomized")]
    head = [f"{deletion['n']} slides", "this model", "random tiles", "random weights"]
    low, high = deletion["interval"]
    beside = f"The difference to random tiles is {deletion['difference']:.2f} [{low:.2f}, {high:.2f}] nats."
    return f"{table(head, rows)}\n\n{beside} `{evidence['command']}`"


def generator() -> str:
    """How often a judge sees in the generator's pictures what they were asked to show."""
    scores = read(SHIPPED / "diffusion-tiny" / "evaluation.json")
    rows = []
    for what, seen in scores["faithfulness"].items():
        low, high = seen["interval"]
        rows.append([what, str(seen["n"]), f"{seen['accuracy']:.3f} [{low:.3f}, {high:.3f}]", f"{seen['ceiling']:.3f}"])
    head = ["asked and seen", "prompts", "`diffusion-tiny`", "drawn pictures through its codec (ceiling)"]
    return f"{table(head, rows)}\n\n`{scores['command']}`; judge: {scores['judge'].partition(' (')[0]}."


def generator_curve() -> str:
    """What the generator learned when."""
    rows = []
    for row in read(RESULTS / "diffusion_curve.json")["rows"]:
        seen = [f"{row[what]['accuracy']:.3f}" for what in ("modality", "finding", "side", "zone", "grade")]
        rows.append([f"{row['samples']:,}", f"{row['validation_loss']:.4f}", *seen])
    return table(["samples", "validation loss", "modality", "finding", "side", "zone", "grade"], rows)


def augmentation() -> str:
    """Whether synthetic pictures help a classifier: a row an arm, a column a seed."""
    result = read(RESULTS / "augmentation.json")
    rows = []
    for arm, runs in result["arms"].items():
        cells = [f"{one['accuracy']:.3f} [{one['interval'][0]:.3f}, {one['interval'][1]:.3f}]" for one in runs]
        rows.append([arm, *cells])
    seeds = [f"seed {one['seed']}" for one in runs]
    return f"{table(['findings right, trained on', *seeds], rows)}\n\n`{result['command']}`"


def experiment(name: str) -> str:
    """An experiment: a column an arm, a row a figure; of several seeds their mean, of one its value."""
    result = read(RESULTS / f"{name}.json")
    arms = result["rows"]
    figures = list(dict.fromkeys(figure for row in arms.values() for figure in row))
    rows = [[figure, *(_cell(row.get(figure), figure) for row in arms.values())] for figure in figures]
    seeds = max(len(seeds) for seeds in result["seeds"].values())
    said = f"{seeds} seed{'s' * (seeds > 1)} an arm; `{result['command']}`"
    return f"{table(['', *arms], rows)}\n\n{said}"


def _cell(cell: dict | None, figure: str) -> str:
    if cell is None or cell["value"] is None:
        return "undefined" if cell and cell.get("seeds") else ""
    text = f"{cell['value']:.{5 if figure.startswith('MSE') else 3}f}"
    interval = cell.get("interval")
    return text + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def labeler() -> str:
    """Our labeler and the experts' codes on the reports that its rules were not written by."""
    result = read(RESULTS / "iu_agreement.json")
    stated, possible = result["stated"]["even"], result["stated_or_possible"]["even"]
    rows = []
    for kind, row in stated.items():
        if kind != "reports":
            scores = [f"{row[key]:.2f}" for key in ("precision", "recall", "f1", "kappa")]
            rows.append([kind, str(row["coders"]), *scores, f"{possible[kind]['f1']:.2f}"])
    head = ["kind", "coded", "precision", "recall", "F1", "kappa", "F1 with possible ones"]
    return f"{table(head, rows)}\n\n{stated['reports']:,} reports; `{result['command']}`"


def metrics_and_errors() -> str:
    """How often a wrong report scores below a right paraphrase, by metric and kind of error."""
    result = read(RESULTS / "metric_divergence.json")
    changes = list(result["changes"])
    rows = [
        [f"`{name}`", *(_share(metric["below_paraphrase"].get(change)) for change in changes)]
        for name, metric in result["metrics"].items()
    ]
    said = "; ".join(f"{name}: {words}" for name, words in result["changes"].items())
    return f"{table(['metric', *changes], rows)}\n\n{result['n']} drawn reports. {said}."


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def language_alone() -> str:
    """A language model of impressions, and tables that beat it."""
    result = read(RESULTS / "report_transformer.json")
    figures = ("perplexity", "perplexity, unseen", "BLEU-1", "BLEU-4", "distinct-2")
    rows = [
        [name, *(_share_3(row.get(figure)) for figure in figures)]
        for name, row in result["rows"].items()
        if "BLEU-1" in row or "perplexity" in row
    ]
    head = [f"{result['impressions']['test']} test impressions", *figures]
    return f"{table(head, rows)}\n\n`{result['command']}`"


def _share_3(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 1 else f"{value:.1f}"


PUBLIC = (
    speed,
    shipped_model,
    slide_evidence,
    generator,
    generator_curve,
    augmentation,
    experiment,
    labeler,
    metrics_and_errors,
    language_alone,
)
