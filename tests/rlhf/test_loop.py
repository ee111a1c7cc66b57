"""The loop end to end on stand-ins: what it leaves, that it goes on, and where it stops."""

import json
import shutil

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf import loop as module
from hf_medreport.rlhf.loop import run_loop
from tests.rlhf.made_loop import UPDATES, Brightness, settings
from tests.rlhf.test_state import contents


@pytest.mark.usefixtures("stand_ins", "few_modalities")
class TestLoop:
    def run(self, generator, out, update="weighted_regression", **changes):
        return run_loop(settings(generator, out, update=update, update_settings=UPDATES[update], **changes))

    def test_two_rounds(self, generator, tmp_path):
        result = self.run(generator, tmp_path / "out", rounds=2, report_to="tensorboard")
        out = tmp_path / "out"
        first, second = result["rounds"]
        assert first["ratings"] == 6 and second["ratings"] > 6 and 0 <= first["pass_rate"] <= 1
        assert {"kept", "reward", "rating", "weighted_regression_loss"} <= set(first)
        state = json.loads((out / "state.json").read_text())
        of_a_round = ["selector-all", "policy-all", "kept", "selector", "policy", "generator", "pictures", "rated"]
        assert list(state["steps"]) == ["start", *(f"round-{n}/{s}" for n in (1, 2) for s in of_a_round), "final"]
        rated = len((out / "rated-1.csv").read_text().splitlines()) - 1
        assert second["ratings"] == 6 + rated
        learned = json.loads((out / "round-2" / "selector-all" / "model" / "model.safetensors").read_text())
        assert learned == ["selector", 6 + rated, {"seed": 0}]
        pictures = sorted(path.name for path in (out / "round-1" / "pictures").glob("*_selector_*_policy_*.png"))
        assert [name[:8] for name in pictures] == ["cxr_0001", "cxr_0003", "oct_0002"]
        to_rate = (out / "round-1" / "pictures" / "to_rate.csv").read_text().splitlines()
        assert to_rate[0] == "image_path,rating,modality,expert_level,prompt,rater" and len(to_rate) == 1 + rated
        assert to_rate[1].startswith(f"{pictures[0]},,cxr,,")
        card = (out / "final" / "README.md").read_text()
        assert "tiny-generator" in card and result["final"] == str(out.resolve() / "final")
        assert (out / "final" / "pytorch_lora_weights.safetensors").stat().st_size < 500_000
        assert list((out / "log").rglob("events.*"))

    @pytest.mark.parametrize("cut", ["round-1/selector", "round-1/generator", "round-1/pictures", "final"])
    def test_cut_at_any_step_it_ends_in_the_same_bytes(self, generator, tmp_path, monkeypatch, cut):
        if not (tmp_path.parent / "whole").exists():
            self.run(generator, tmp_path.parent / "whole")
        whole = tmp_path.parent / "whole"
        shutil.copytree(whole, tmp_path / "out")
        state = json.loads((whole / "state.json").read_text())
        names = list(state["steps"])
        for name in names[names.index(cut) :]:
            del state["steps"][name]
            if name != "round-1/generator":  # goes on itself with what it has
                shutil.rmtree(tmp_path / "out" / name)
        state["rounds"] = state["rounds"] if cut == "final" else []
        (tmp_path / "out" / "state.json").write_text(json.dumps(state))
        self.run(generator, tmp_path / "out", resume=True)
        assert contents(tmp_path / "out") == contents(whole)

    @pytest.mark.parametrize("update", ["ddpo", "preference", "best_of_n"])
    def test_each_update(self, generator, tmp_path, update):
        result = self.run(generator, tmp_path / "out", update)
        assert (result["final"] is None) == (update == "best_of_n")
        assert any(name.startswith(update) for name in result["rounds"][0]) == (update != "best_of_n")

    def test_another_configuration_on_resume(self, generator, tmp_path):
        self.run(generator, tmp_path / "out", "best_of_n")
        with pytest.raises(InputError, match="found a run with max_attempts 3; expected max_attempts 4 as now"):
            self.run(generator, tmp_path / "out", "best_of_n", max_attempts=4, resume=True)

    def test_a_selector_that_keeps_nothing(self, generator, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "load_rewards", lambda *folders: (Brightness(-1.0), Brightness()))
        with pytest.raises(InputError) as error:
            self.run(generator, tmp_path / "out")
        assert str(error.value) == (
            "selector_threshold: found 0.2, which no picture of 6 reaches (the best: 0.000); expected one that some "
            "reach; lower it, or rate more pictures"
        )

    def test_a_selector_that_passes_no_new_picture_ends_and_is_told(self, generator, tmp_path, caplog):
        (figures,) = self.run(generator, tmp_path / "out", "best_of_n", quality_threshold=1.0)["rounds"]
        assert figures["attempts"] == 9 and figures["pass_rate"] == 0 and figures["prompts_without_candidate"] == 3
        assert "no picture reached a quality of 1 in 3 attempts" in caplog.text
        lines = (tmp_path / "out" / "round-1" / "pictures" / "metadata.jsonl").read_text().splitlines()
        assert len(lines) == 3 and not any(json.loads(line)["passed"] for line in lines)

    def test_an_interruption_says_how_far_it_came(self, generator, tmp_path, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "draw_candidates", interrupted)
        with pytest.raises(KeyboardInterrupt) as interruption:
            self.run(generator, tmp_path / "out", "best_of_n")
        assert interruption.value.__notes__ == ["interrupted: 6 steps done; `resume` goes on"]

    def test_people_rate_between_rounds(self, generator, tmp_path):
        self.run(generator, tmp_path / "drawn", "best_of_n")
        (tmp_path / "prompts.csv").write_text("prompt,modality\nnodule,cxr\n")
        changes = {"prompts": str(tmp_path / "prompts.csv"), "phantom_prompts": 0, "rounds": 2, "resume": True}
        changes["ratings"] = str(tmp_path / "drawn" / "rated-0.csv")
        result = self.run(generator, tmp_path / "out", "best_of_n", **changes)
        table = tmp_path / "out" / "round-1" / "ratings.csv"
        assert result["waiting"] == str(table.resolve()) and len(result["rounds"]) == 1
        to_rate = (tmp_path / "out" / "round-1" / "pictures" / "to_rate.csv").read_text().splitlines()
        rows = [line.replace(",,cxr,,", ",3,cxr,2,") for line in to_rate[1:]]
        table.write_text("\n".join([to_rate[0], *rows]))
        result = self.run(generator, tmp_path / "out", "best_of_n", **changes)
        assert result["waiting"] is None and result["rounds"][1]["ratings"] == 6 + len(rows)
