"""Ten films of each kind of fault: nine of them at least must be right, and the share is printed."""

from collections import Counter

import pytest

from tests.processing.film_cases import CASES, wrong

KINDS = Counter(case.kind for case in CASES)


def test_there_are_ten_of_each_kind():
    assert len(KINDS) == 9 and set(KINDS.values()) == {10}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of the same faults
@pytest.mark.parametrize("kind", KINDS)
def test_nine_of_ten_are_right(kind, tmp_path):
    problems = []
    for number, case in enumerate(each for each in CASES if each.kind == kind):
        folder = tmp_path / str(number)
        folder.mkdir()
        problems.append(wrong(case, folder))
    right = problems.count(None)
    print(f"{kind}: {right} of {len(problems)} right")
    assert right >= 9, [problem for problem in problems if problem]
