# /// script
# dependencies = ["hf-medreport[train]"]
# ///
"""Train system 001.

One process, on the phantom:
    python examples/train_cxr_multitask.py --config examples/cxr_multitask_phantom.yaml

Two processes on one machine, each with half the batch:
    torchrun --nproc_per_node 2 examples/train_cxr_multitask.py --config examples/cxr_multitask_phantom.yaml \
        --per_device_train_batch_size 16

On the pairs of IU X-ray, as the notebook has it:
    python examples/train_cxr_multitask.py --config examples/cxr_multitask_paper.yaml

Publish the result:
    hf-medreport publish runs/cxr_multitask/cxr-multitask-tiny ORG/NAME
"""

import argparse
import json
import os

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="examples/cxr_multitask_phantom.yaml", help="YAML of training arguments")
    arguments, flags = parser.parse_known_args()
    try:
        metrics = run("cxr_multitask", arguments.config, flags)
    except InputError as error:
        raise SystemExit(str(error)) from None
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(metrics, indent=2))
