"""The picture judge: its loss by hand, questions without an answer, and that it knows where something is."""

import pytest
import torch

from hf_medreport.evaluation.pictures.judging import questions
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.configuration_picture_judge import PictureJudgeConfig
from hf_medreport.modeling.modeling_picture_judge import PictureJudgeModel

SMALL = {"image_size": 32, "widths": [4, 4, 8, 8], "grid": 2, "feature_size": 8}
ASKED = {"modality": ["ct", "mri"], "grade": ["mild", "moderate", "severe"]}


def judge(**config) -> PictureJudgeModel:
    torch.manual_seed(0)
    return PictureJudgeModel(PictureJudgeConfig(**{"questions": ASKED, **SMALL, **config})).eval()


def test_the_loss_is_the_mean_of_each_question_over_those_that_have_an_answer():
    model = judge()
    with torch.no_grad():  # every picture gets these logits
        model.heads.weight.zero_()
        model.heads.bias.copy_(torch.log(torch.tensor([0.75, 0.25, 0.5, 0.25, 0.25])))
    labels = torch.tensor([[0, -100], [1, 2], [1, -100]])
    # modality: -(ln 0.75 + 2 ln 0.25) / 3 = 1.02009; grade: -ln 0.25 = 1.38629 of the one picture that has a grade
    assert model(torch.zeros(3, 3, 32, 32), labels=labels).loss.item() == pytest.approx(1.02009 + 1.38629, abs=1e-4)
    assert model(torch.zeros(1, 3, 32, 32), labels=torch.tensor([[-100, -100]])).loss.item() == 0
    answers = model.answers(model(torch.zeros(2, 3, 32, 32)).logits)
    assert answers == [{"modality": "ct", "grade": "mild"}] * 2


def test_it_tells_left_from_right():
    """The same spot on either side: with a global pool of a network without coordinates the features would be equal."""
    left = torch.full((1, 3, 32, 32), -1.0)
    left[..., 12:20, 4:12] = 1
    features = [judge()(picture).features for picture in (left, left.flip(-1))]
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_the_one_that_ships_stays_small():
    with torch.device("meta"):
        model = PictureJudgeModel(PictureJudgeConfig(questions=questions()))
    assert sum(parameter.numel() for parameter in model.parameters()) <= 350_000


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"questions": {"side": ["left"]}}, "questions: found 1 answers to 'side', 1 of them different"),
        ({"questions": {"side": ["left", "left"]}}, "questions: found 2 answers to 'side', 1 of them different"),
        ({"widths": [4, 8]}, "widths: found 2; expected 4"),
        ({"image_size": 36}, "image_size: found 36; expected a multiple of 16"),
        ({"grids": 2}, "PictureJudgeConfig: found unknown field 'grids'"),
    ],
)
def test_what_the_configuration_refuses(config, message):
    with pytest.raises(ConfigError) as error:
        judge(**config)
    assert str(error.value).startswith(message)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ConfigError, match="pixel_values: found 3 x 64 x 64; expected 3 x 32 x 32"):
        judge()(torch.zeros(1, 3, 64, 64))
