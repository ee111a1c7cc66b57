# /// script
# dependencies = ["hf-medreport[train]"]
# ///
"""Train a system: anatomical, histgen, cxr_multitask, radscribe, medvill (the encoder of radscribe), or diffusion.

One process, on the phantom (at most 25 minutes on two cores):
    python examples/train.py anatomical --config examples/anatomical_phantom.yaml
    python examples/train.py histgen --config examples/histgen_phantom.yaml
    python examples/train.py cxr_multitask --config examples/cxr_multitask_phantom.yaml
    python examples/train.py medvill --config examples/medvill_phantom.yaml
    python examples/train.py radscribe --config examples/radscribe_phantom.yaml
    python examples/train.py diffusion --config examples/diffusion_phantom.yaml

Two processes on one machine, each with half the batch:
    torchrun --nproc_per_node 2 examples/train.py anatomical --config examples/anatomical_phantom.yaml \
        --per_device_train_batch_size 16

With the published settings, on data of your own:
    python examples/train.py anatomical --config examples/anatomical_paper.yaml
    python examples/train.py histgen --config examples/histgen_paper.yaml --annotation annotation.json \
        --features dinov2_vitl
    python examples/train.py cxr_multitask --config examples/cxr_multitask_paper.yaml
    python examples/train.py medvill --config examples/medvill_paper.yaml
    python examples/train.py radscribe --config examples/radscribe_paper.yaml
    python examples/train.py diffusion --config examples/diffusion_paper.yaml --train_data pairs.csv

With a YAML of RadScribe itself, as it is:
    python examples/train.py radscribe --config RadScribe/configs/base.yaml --encoder medvill

Publish the result:
    hf-medreport publish runs/anatomical/anatomical-tiny ORG/NAME
"""

import argparse
import json
import logging
import os

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("system", help="what to train")
    parser.add_argument("--config", help="YAML of training arguments; any of them may follow as a flag")
    arguments, flags = parser.parse_known_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("hf_medreport").setLevel(logging.INFO)
    try:
        metrics = run(arguments.system, arguments.config, flags)
    except InputError as error:
        raise SystemExit(str(error)) from None
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(metrics, indent=2))
