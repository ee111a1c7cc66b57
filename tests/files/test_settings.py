"""Settings in JSON and YAML: whatever is wrong is one line that names the file and, where there is one, the line."""

import pytest

from hf_medreport.files.settings import MAX_VALUES, load_yaml, read_settings, read_yaml
from hf_medreport.processing.input_error import InputError

ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(  # 10^9 values in 360 bytes
    f"{chr(number + 1)}: &{chr(number + 1)} [{', '.join(['*' + chr(number)] * 10)}]\n" for number in range(97, 105)
)
TYPES = "text, numbers, lists and mappings; put it in quotes"
YAML = {
    b"output_dir: caf\xe9\n": ", line 1: found no text of UTF-8; expected YAML; save the file as UTF-8",
    "a: 1\nb: x\n".encode("utf-16"): ", line 1: found no text of UTF-8; expected YAML; save the file as UTF-8",
    b"a: 1\noutput_dir: 2024-99-99\n": f", line 2: found a date ('2024-99-99'); expected {TYPES}",
    b"a: [2024-01-02]\n": f", line 1: found a date ('2024-01-02'); expected {TYPES}",
    b"a: !!binary aGk=": f", line 1: found bytes ('aGk='); expected {TYPES}",
    b"[" * 100_000: ": found YAML nested too deeply; expected YAML; correct the file",
    b"a: !!python/object:os.system x": ", line 1: found broken YAML; expected field: value; correct the line",
    b"a: \x00": ": found broken YAML; expected field: value; correct the line",
    b"a: &a [*a]": f": found more values than that, by aliases or in full; expected at most {MAX_VALUES} values"
    "; write the settings out",
    ALIASES.encode(): f": found more values than that, by aliases or in full; expected at most {MAX_VALUES} values"
    "; write the settings out",
}


@pytest.mark.parametrize("content", YAML, ids=lambda content: content[:20].decode("latin-1"))
def test_yaml_that_cannot_be_used(content, tmp_path):
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(InputError) as error:
        load_yaml(tmp_path / "c.yaml", "YAML")
    assert str(error.value).replace(str(tmp_path), "") == f"/c.yaml{YAML[content]}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no: 1", "found the key False, which is no name; expected a mapping of field: value"),
        ("1: 1", "found the key 1, which is no name"),
        ("", "found nothing; expected a mapping of field: value"),
        ("[1]", "found a list; expected a mapping of field: value"),
        ("a: !!int x", "found a value that is not of its type .invalid literal"),
        (f"a: {'9' * 5000}", "found a value that is not of its type"),
    ],
)
def test_yaml_that_is_no_mapping_of_names(content, message, tmp_path):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_yaml(str(tmp_path / "c.yaml"))


def test_yaml_as_it_is_meant(tmp_path):
    (tmp_path / "c.yaml").write_text("\ufeffa: &x {0: one}\nb: [*x, 1e-4, '2024-01-01', null]\n", encoding="utf-8")
    assert read_yaml(str(tmp_path / "c.yaml")) == {"a": {0: "one"}, "b": [{0: "one"}, "1e-4", "2024-01-01", None]}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"[" * 300_000, "JSON nested too deeply"),
        (b'{"a": ' * 300_000, "JSON nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "broken JSON (a number without end)"),
        (b"{", "broken JSON (line 1)"),
        (b'{"a": "\xe9"}', "broken JSON (not UTF-8)"),
        (b"[]", "list"),
        (b"null", "NoneType"),
    ],
    ids=["lists", "objects", "a number", "cut", "Latin-1", "a list", "null"],
)
def test_json_that_cannot_be_used(content, found, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_settings(tmp_path / "a.json", "m/a.json")
    assert str(error.value) == f"m/a.json: found {found}; expected a JSON object; copy the file again"


def test_what_is_not_there(tmp_path):
    for path, found in ((tmp_path / "no.json", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=f"x: found {found}"):
            read_settings(path, "x")
    with pytest.raises(InputError, match="an impossible file name"):
        read_yaml("a\0b")
