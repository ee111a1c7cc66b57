"""What was written is kept, what is kept is not written again, and what fails says so in one line."""

import pytest

from hf_medreport.evaluation.phantom.keeping import CaseError, written_of
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.processing.input_error import InputError


def squares(indices):
    return [{"square": index**2} for index in indices]


def test_only_what_is_left_is_written(tmp_path):
    with RunFolder(tmp_path, "evaluate", {}) as run:
        assert written_of([1], squares, run) == [{"square": 1}]
    with RunFolder(tmp_path, "evaluate", {}, resume=True) as run:
        asked = []
        records = written_of(range(3), lambda left: asked.extend(left) or squares(left), run)
        assert asked == [0, 2] and records == squares(range(3)) and run.done_items == 3
        assert written_of(range(3), None, run) == records  # all are kept


def test_nothing_need_be_kept():
    assert written_of(range(2), squares) == squares(range(2))


def test_what_fails_is_said_in_one_line():
    def failing(error):
        def write(indices):
            raise error

        return write

    with pytest.raises(CaseError, match=r"^cases 4 to 5: RuntimeError: two lines \(not foreseen: "):
        written_of([4, 5], failing(RuntimeError("two\nlines")))
    with pytest.raises(InputError, match="^film: found a; expected b; c$"):
        written_of([4, 5], failing(InputError("film", "a", "b", "c")))
