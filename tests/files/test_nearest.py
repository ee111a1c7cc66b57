"""What is said to a name that nobody knows."""

from hf_medreport.files.nearest import did_you_mean


def test_the_most_alike_name_is_asked_after():
    assert did_you_mean("histgn", {"histgen": 1, "radscribe": 2}) == "did you mean 'histgen'?"
    assert did_you_mean(7, ["77"], "use one of these") == "did you mean '77'?"


def test_of_a_name_like_none_is_said_what_to_do_instead():
    assert did_you_mean("xyz", ["histgen"], "use one of these") == "use one of these"
    assert did_you_mean("xyz", []) == ""
