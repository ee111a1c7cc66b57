"""The table of before and after."""

from hf_medreport.rlhf.rounds.final import before_and_after


def scores(right: int, ms_ssim: float, kid: float) -> dict:
    one = {"n": 100, "accuracy": right / 100, "interval": [0.5, 0.75]}
    nothing = {"n": 0, "accuracy": None, "interval": None}
    figures = dict.fromkeys(("modality", "finding", "side", "grade", "all"), one) | {"zone": nothing}
    diverse = {"cxr": {"diversity": {"generated": ms_ssim}}, "oct": {"diversity": {"generated": None}}}
    return {"faithfulness": figures, "look": diverse, "distribution": {"all": {"kid": kid}}}


def test_before_and_after():
    lines = before_and_after({"before": scores(60, 0.4, 0.02), "after": scores(70, 0.5, 0.01)}).splitlines()
    assert lines[2] == "finding                   0.600  0.500 to 0.750      0.700  0.500 to 0.750"
    assert not any(line.startswith("zone") for line in lines)
    assert lines[-2].split() == ["MS-SSIM", "of", "pairs", "0.400", "0.500"]
    assert lines[-1].split() == ["KID", "0.020", "0.010"]
