"""What `import hf_medreport` offers."""

import importlib

import pytest

import hf_medreport


@pytest.mark.parametrize("name", sorted(set(hf_medreport.__all__) - {"__version__"}))
def test_a_name_is_what_its_module_has(name):
    found = getattr(hf_medreport, name)
    assert found.__name__ == name and found is getattr(importlib.import_module(found.__module__), name)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="module 'hf_medreport' has no attribute 'loda'"):
        hf_medreport.loda  # noqa: B018
