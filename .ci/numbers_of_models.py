"""What the shipped models write of one sample each, and how they score it: one JSON line, to be compared by compat.py.

`scores` are the loss, then the logits of the report's first, middle and last word, in float32.
"""

import json

import torch
from PIL import Image

from hf_medreport.inference.loading import load
from hf_medreport.registry import systems
from tests.tiny import tissue_array

found = {}
for row in systems():
    if row.kind != "report" or not row.checkpoint:
        continue
    pipe, slide = load(row.checkpoint), row.model_type == "histgen"
    sample = Image.fromarray(tissue_array(512)) if slide else "examples/films/nih_00000001_000.png"
    inputs = pipe.preprocess(sample, {"slide_mpp": 1.0} if slide else {})
    ids = pipe.model.generate(**inputs)
    labels = ids[:, 1:] if pipe.model.config.is_encoder_decoder else ids
    with torch.no_grad():
        outputs = pipe.model(**inputs, labels=labels)
    words = [0, labels.shape[1] // 2, -1]
    found[row.checkpoint] = {
        "ids": ids[0].tolist(),
        "scores": [float(outputs.loss), *outputs.logits[0, words].flatten().tolist()],
    }
print(json.dumps(found))
