# /// script
# dependencies = ["hf-medreport[train]"]
# ///
"""Train system 004.

One process, on the phantom:
    python examples/train_radscribe.py --config examples/radscribe_phantom.yaml

Two processes on one machine, each with half the batch:
    torchrun --nproc_per_node 2 examples/train_radscribe.py --config examples/radscribe_phantom.yaml \
        --per_device_train_batch_size 16

With RadScribe's published settings, or with a YAML of RadScribe itself, as it is:
    python examples/train_radscribe.py --config examples/radscribe_paper.yaml
    python examples/train_radscribe.py --config RadScribe/configs/base.yaml --encoder medvill

Publish the result:
    hf-medreport publish runs/radscribe/radscribe-tiny ORG/NAME
"""

import argparse
import json
import os

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="examples/radscribe_phantom.yaml", help="YAML of training arguments")
    arguments, flags = parser.parse_known_args()
    try:
        metrics = run("radscribe", arguments.config, flags)
    except InputError as error:
        raise SystemExit(str(error)) from None
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(metrics, indent=2))
