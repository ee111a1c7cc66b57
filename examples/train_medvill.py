# /// script
# dependencies = ["hf-medreport[train]"]
# ///
"""Pre-train MedViLL, the encoder of system 004.

One process, on the phantom:
    python examples/train_medvill.py --config examples/medvill_phantom.yaml

Two processes on one machine, each with half the batch:
    torchrun --nproc_per_node 2 examples/train_medvill.py --config examples/medvill_phantom.yaml \
        --per_device_train_batch_size 16

On MIMIC-CXR, as published:
    python examples/train_medvill.py --config examples/medvill_paper.yaml

Give the result to a report writer: in examples/radscribe_paper.yaml
    encoder: runs/medvill-paper/medvill
"""

import argparse
import json
import os

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="examples/medvill_phantom.yaml", help="YAML of training arguments")
    arguments, flags = parser.parse_known_args()
    try:
        metrics = run("medvill", arguments.config, flags)
    except InputError as error:
        raise SystemExit(str(error)) from None
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(metrics, indent=2))
