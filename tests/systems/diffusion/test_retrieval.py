"""Retrieval: BM25 against its formula worked by hand, synonyms, what contradicts, and the budget."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.retrieval import Case, CaseIndex, completed, read_terms

CASES = [
    Case("Small left pleural effusion. Heart normal."),
    Case("Right apical pneumothorax."),
    Case("No pleural effusion. Clear lungs.", Path("clear.png")),
]


def whole(text):
    return True


class TestRanking:
    def test_by_hand(self):
        """Three cases of 6, 3 and 5 words. "apical" stands in one: ln(1 + 2.5 / 1.5); length 3 of mean 14 / 3."""
        index = CaseIndex(CASES)
        norm = 1 - 0.75 + 0.75 * 3 / (14 / 3)
        expected = math.log(1 + 2.5 / 1.5) * 2.2 / (1 + 1.2 * norm)
        assert index.scores("apical") == pytest.approx({1: expected})
        # "pleural" twice counts once; it stands in two of three: ln(1 + 1.5 / 2.5).
        weight = math.log(1 + 1.5 / 2.5)
        norms = [1 - 0.75 + 0.75 * length / (14 / 3) for length in (6, 5)]
        expected = [weight * 2.2 / (1 + 1.2 * norm) for norm in norms]
        assert index.scores("Pleural, pleural") == pytest.approx({0: expected[0], 2: expected[1]})

    def test_the_right_case_is_first_and_strangers_are_none(self):
        index = CaseIndex(CASES)
        assert index.nearest("pneumothorax at the right apex", 1) == [CASES[1]]
        assert index.nearest("fracture") == []
        assert index.nearest("left effusion", 3)[0] == CASES[0]

    @given(st.integers(0, 2))
    def test_a_case_finds_itself(self, number):
        assert CaseIndex(CASES).nearest(CASES[number].text, 1) == [CASES[number]]


class TestCompletion:
    def test_sentences_that_contradict_are_left_out(self):
        index = CaseIndex(CASES)
        found = index.completion("small left pleural effusion", whole)
        assert found == "small left pleural effusion. Heart normal. Clear lungs."
        assert index.contradicts("No pleural effusion.", "left pleural effusion")
        assert index.contradicts("Left effusion.", "no effusion")
        assert index.contradicts("Right effusion.", "left effusion")
        assert index.contradicts("Bilateral effusions.", "left effusion")
        assert not index.contradicts("Right effusion.", "effusion")
        assert not index.contradicts("No pneumothorax.", "left effusion")

    @given(st.sampled_from(["left effusion", "right pneumothorax", "no effusion", ""]), st.integers(0, 60))
    def test_the_prompt_stays_and_the_budget_is_kept(self, prompt, budget):
        found = CaseIndex(CASES).completion(prompt, lambda text: len(text) <= budget)
        assert found.startswith(prompt) and (found == prompt or len(found) <= budget)

    def test_a_picture_is_counted_in_its_own_words(self):
        """The template's words are the encoder's too: "Chest film: " makes 2 more than the sentence's."""

        def tokenizer(text):
            return SimpleNamespace(input_ids=text.split())

        def pipe(budget):
            encoder = SimpleNamespace(
                in_words=lambda text, modality: f"Chest film: {text}" if modality else text,
                config=SimpleNamespace(max_length=budget),
            )
            return SimpleNamespace(tokenizer=tokenizer, text_encoder=encoder)

        index, asked = CaseIndex(CASES[:1]), AskedPicture("1", "left effusion", 3, "cxr")
        assert completed(asked, index, pipe(6)).drawn_prompt == "left effusion. Heart normal."
        assert completed(asked, index, pipe(5)) == asked

    def test_the_nearest_picture_to_begin_from(self):
        pipe = SimpleNamespace(
            tokenizer=lambda text: SimpleNamespace(input_ids=text.split()),
            text_encoder=SimpleNamespace(in_words=lambda text, _: text, config=SimpleNamespace(max_length=0)),
        )
        index, asked = CaseIndex(CASES), AskedPicture("1", "left pleural effusion", 3)
        assert completed(asked, index, pipe, with_image=True).image == Path("clear.png")
        assert completed(asked, index, pipe).image is None
        own = AskedPicture("1", "left pleural effusion", 3, image=Path("own.png"))
        assert completed(own, index, pipe, with_image=True).image == Path("own.png")


class TestFiles:
    def test_cases_and_a_picture_relative_to_the_table(self, tmp_path):
        table = tmp_path / "cases.csv"
        table.write_text("Text,path\nSmall left effusion.,a.png\n,b.png\nClear.,\n")
        assert CaseIndex.read(table).cases == [
            Case("Small left effusion.", tmp_path / "a.png"),
            Case("Clear."),
        ]

    def test_synonyms_of_each_kind_of_file(self, tmp_path):
        plain, radlex, snomed = (tmp_path / name for name in ("own.csv", "radlex.csv", "descriptions.txt"))
        plain.write_text("term,synonyms\npleural effusion,hydrothorax; pleural fluid\n")
        radlex.write_text("Class ID,Preferred Label,Synonyms\nRID1,cardiomegaly,enlarged heart|big heart\n")
        rows = ["id\tactive\tconceptId\tterm", "1\t1\t60046008\tPleural effusion (disorder)"]
        rows += ["2\t1\t60046008\tHydrothorax", "3\t0\t60046008\tWater", '4\t1\t7\tThe 3" stent']
        snomed.write_text("\n".join(rows) + "\n")
        assert read_terms(plain)["hydrothorax",] == read_terms(plain)["pleural", "fluid"] == ("pleural", "effusion")
        assert read_terms(radlex)["enlarged", "heart"] == ("cardiomegaly",)
        assert read_terms(snomed)["hydrothorax",] == ("pleural", "effusion") and ("water",) not in read_terms(snomed)
        table = tmp_path / "cases.csv"
        table.write_text("text\nClear lungs.\nLarge pleural effusion.\n")
        assert CaseIndex.read(table).nearest("hydrothorax") == []
        assert CaseIndex.read(table, [snomed]).nearest("hydrothorax") == [Case("Large pleural effusion.")]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("gone.csv", None, "gone.csv: found no such file; expected a .csv or .jsonl file; check the path"),
            ("cases.xlsx", "", "cases.xlsx: found a '.xlsx' file; expected a .csv or .jsonl file; check the path"),
            ("empty.csv", "text\n", "empty.csv: found no case; expected a row a case; fill in the column of texts"),
            (
                "other.csv",
                "words\nclear\n",
                "other.csv, line 2: found columns words; expected one of text, prompt, report, caption; "
                "name the column of texts so",
            ),
        ],
    )
    def test_bad_tables(self, tmp_path, name, content, message):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(InputError) as error:
            CaseIndex.read(tmp_path / name)
        assert str(error.value) == message

    def test_a_table_that_is_no_term_file(self, tmp_path):
        (tmp_path / "terms.csv").write_text("words\nclear\n")
        with pytest.raises(InputError) as error:
            read_terms(tmp_path / "terms.csv")
        assert str(error.value) == (
            "terms.csv, line 2: found columns words; expected term and synonyms, or an export's own; "
            "give a table of RadLex, of SNOMED CT, or of your own"
        )
