"""Renew the code and versions in the shipped checkpoints: `make sync-checkpoints`. A test holds them to the source."""

from hf_medreport.hub.folder import copy_code
from hf_medreport.registry import CHECKPOINTS, systems

if __name__ == "__main__":
    for row in systems():
        for folder in row.shipped.values():
            for path in copy_code(row, folder):
                print(path.relative_to(CHECKPOINTS))
