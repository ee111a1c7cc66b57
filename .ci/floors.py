"""Print constraints/lowest.txt: the floors that setup.py and pyproject.toml name, as the installed package says them.

The extra `clinical` stands apart: it needs numpy < 2, and has a row of its own in `make compat`.
"""

import importlib.metadata

from packaging.requirements import Requirement

requirements = [Requirement(line) for line in importlib.metadata.requires("hf-medreport")]
floors = {
    requirement.name: specifier.version
    for requirement in requirements
    for specifier in requirement.specifier
    if not (requirement.marker and 'extra == "clinical"' in str(requirement.marker))
}
print("# Written by make lock, by .ci/floors.py: the oldest versions that setup.py and pyproject.toml allow.")
for name in sorted(floors, key=str.lower):
    print(f"{name}=={floors[name]}")
