"""Files of predictions that can be read: whose they are, how they are paired, what a section's choice does."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.evaluation.reports.predictions import ReportPairs, read_predictions
from hf_medreport.processing.input_error import InputError

IDS, SAID, GIVEN = ["a", "b"], ["Clear.", ""], [["Clear lungs."], ["Effusion, left."]]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def write_csv(path, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def jsonl(path, rows):
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def rows(**columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def same(pairs, ids=IDS):
    assert (pairs.ids, pairs.predictions, pairs.references) == (ids, SAID, GIVEN)
    assert pairs.notes == {"empty predictions": 1} and pairs.left_out == []


def test_our_rows(tmp_path):
    file = jsonl(tmp_path / "p.jsonl", rows(id=IDS, prediction=SAID, reference=[group[0] for group in GIVEN]))
    same(read_predictions(file))
    same(read_predictions(write(tmp_path / "p.json", json.loads(f"[{','.join(file.read_text().splitlines())}]"))))
    assert read_predictions(file).name == "p.jsonl" and len(read_predictions(file)) == 2


def test_references_apart_are_paired_by_id(tmp_path):
    file = jsonl(tmp_path / "p.jsonl", rows(id=IDS, prediction=SAID))
    same(read_predictions(file, write(tmp_path / "mapping.json", {"b": GIVEN[1], "a": GIVEN[0]})))
    data = rows(id=IDS[::-1], split=["valid"] * 2, label=["'Edema'", ""], text=[group[0] for group in GIVEN[::-1]])
    same(read_predictions(file, jsonl(tmp_path / "radscribe.jsonl", data)))
    annotation = {"train": [{"id": "z", "report": "x"}], "test": rows(id=IDS, report=[group[0] for group in GIVEN])}
    same(read_predictions(file, write(tmp_path / "annotation.json", annotation)))


def test_histgen_and_r2gen(tmp_path):
    head = ["Case ID", "Generated Reports", "Ground Truths"]
    body = [[id_, said, group[0]] for id_, said, group in zip(IDS, SAID, GIVEN, strict=True)]
    same(read_predictions(write_csv(tmp_path / "gen_vs_gt.csv", head, *body)))
    res, gts = [[said] for said in SAID], GIVEN
    for with_header in (False, True):  # HistGen writes a header, R2Gen's family does not; "" is an empty report
        heads = [[["Generated Reports"]], [["Ground Truths"]]] if with_header else [[], []]
        files = [tmp_path / "res.csv", tmp_path / "gts.csv"]
        for file, header, content in zip(files, heads, (res, gts), strict=True):
            write_csv(file, *header, *content)
        same(read_predictions(*files), ids=["1", "2"])


def test_what_the_report_verb_writes(tmp_path):
    reports = [{"film": id_, "text": said, "sections": {}} for id_, said in zip(IDS, SAID, strict=True)]
    file = write(tmp_path / "report.json", {"reports": reports, "failures": []})
    same(read_predictions(file, write(tmp_path / "r.json", {"a": GIVEN[0], "b": GIVEN[1]})))


def test_a_byte_order_mark_line_ends_and_several_references(tmp_path):
    line = json.dumps({"id": 7, "prediction": "x\u2028y\ufffd", "reference": ["é", "e"]}, ensure_ascii=False)
    file = tmp_path / "p.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n\r\n".encode())
    pairs = read_predictions(file)
    assert (pairs.ids, pairs.predictions, pairs.references) == (["7"], ["x\u2028y\ufffd"], [["é", "e"]])
    assert pairs.notes == {
        "predictions with replaced characters (U+FFFD)": 1,
        "samples of several references": 1,
    }


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(TEXTS, TEXTS.filter(str.strip)), min_size=1, max_size=6), st.booleans())
def test_every_text_survives_jsonl_and_csv(tmp_path_factory, texts, as_csv):
    folder = tmp_path_factory.mktemp("texts")
    table = [{"id": f"n{n}", "prediction": said, "reference": given} for n, (said, given) in enumerate(texts)]
    if as_csv:
        texts = [(said.replace("\0", ""), given.replace("\0", "") or "-") for said, given in texts]
        body = [[f"n{n}", *pair] for n, pair in enumerate(texts)]
        file = write_csv(folder / "p.csv", ["id", "prediction", "reference"], *body)
    else:
        file = jsonl(folder / "p.jsonl", table)
    if as_csv and any(not given.strip() for _, given in texts):
        return
    pairs = read_predictions(file)
    assert list(zip(pairs.predictions, [group[0] for group in pairs.references], strict=True)) == texts


def test_a_section():
    both = "FINDINGS: Small effusion. IMPRESSION: Effusion."
    pairs = ReportPairs(
        "p.jsonl",
        ["a", "b", "c", "d"],
        [both, "Clear.", "IMPRESSION: Clear.", both],
        [[both], [both], [both], ["IMPRESSION: Effusion."]],
    )
    chosen = pairs.section("findings")
    assert chosen.ids == ["a", "b", "c"] and chosen.predictions == ["Small effusion.", "Clear.", ""]
    assert chosen.references == [["Small effusion."]] * 3
    assert chosen.left_out == [("d", "the reference has no findings")]
    assert chosen.notes == {
        "empty predictions": 1,
        "predictions without headings": 1,
        "predictions with headings but no findings": 1,
    }
    with pytest.raises(InputError) as caught:
        pairs.section("technique")
    assert str(caught.value) == (
        "p.jsonl: found no reference with the section technique; expected at least one"
        "; choose another `section`, or none"
    )
    with pytest.raises(InputError, match="section: found 'finding'"):
        pairs.section("finding")


def test_a_section_that_begins_within_a_line():
    said = "Findings: Small left effusion. Impression: Effusion. Follow up in 3 months is advised."
    pairs = ReportPairs("p.jsonl", ["a"], [said], [["FINDINGS: Small left effusion. IMPRESSION: Effusion."]])
    chosen = pairs.section("findings")
    assert (chosen.predictions, chosen.references) == (["Small left effusion."], [["Small left effusion."]])


def test_fewer_sections_than_asked_for_are_counted():
    both = "FINDINGS: Small effusion. IMPRESSION: Effusion."
    pairs = ReportPairs("p", ["a", "b"], ["Findings: Clear.", both], [[both], ["Impression: Clear."]])
    chosen = pairs.section("findings+impression")
    assert chosen.notes == {"empty predictions": 1, "predictions with headings but no findings+impression": 1}
    assert chosen.left_out == [("b", "the reference has no findings+impression")]


def test_other_languages_and_spellings_of_columns(tmp_path):
    head = ["ID", "generated_reports", "ground truths"]
    pairs = read_predictions(write_csv(tmp_path / "p.csv", head, ["a", "BEFUND: frei.", "Hallazgos: claro."]))
    assert (pairs.ids, pairs.references) == (["a"], [["Hallazgos: claro."]])
    assert pairs.notes == {
        "texts with German headings: labels and facts are read in English": 1,
        "texts with Spanish headings: labels and facts are read in English": 1,
    }


def test_another_system_is_put_in_this_order():
    one = ReportPairs("p", ["a", "b"], ["x", "y"], [["r"], ["s"]])
    other = ReportPairs("q", ["b", "a"], ["v", "w"], [["s"], ["r"]])
    matched = one.same_samples(other)
    assert (matched.ids, matched.predictions, matched.references) == (one.ids, ["w", "v"], one.references)


def test_ids_that_look_the_same_are_the_same(tmp_path):
    said = jsonl(tmp_path / "p.jsonl", rows(id=["s1 ", "caf\u00e9"], prediction=SAID))
    given_ = jsonl(tmp_path / "r.jsonl", rows(id=["cafe\u0301", " s1"], reference=[group[0] for group in GIVEN[::-1]]))
    same(read_predictions(said, given_), ids=["s1", "caf\u00e9"])
    twice = jsonl(tmp_path / "twice.jsonl", rows(id=["s1 ", "s1"], prediction=SAID, reference=["a", "b"]))
    with pytest.raises(InputError) as caught:
        read_predictions(twice)
    assert str(caught.value) == (
        "twice.jsonl, line 2: found id 's1' again; expected each id once; it is also that of line 1"
    )
