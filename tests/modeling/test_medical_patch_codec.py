"""The codec of patches."""

import pytest
import torch
from diffusers import AutoencoderKL

from hf_medreport.modeling.medical_patch_codec import ConfigError, MedicalPatchCodec


@pytest.fixture(scope="module")
def pictures():
    """Eight of 3 x 12 x 8, smooth along their rows, so that few components say most."""
    torch.manual_seed(0)
    return torch.tanh(torch.randn(8, 3, 12, 8).cumsum(3) / 3)


def test_all_components_lose_nothing(pictures):
    codec = MedicalPatchCodec.fit(pictures, patch_size=2, latent_channels=12)
    latents = codec.encode(pictures).latent_dist.mode()
    assert latents.shape == (8, 12, 6, 4)
    assert torch.allclose(codec.decode(latents).sample, pictures, atol=1e-4)


def test_latents_are_centered_uncorrelated_and_of_unit_variance(pictures):
    latents = MedicalPatchCodec.fit(pictures, 2, 5).encode(pictures).latent_dist.mean
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 5)
    assert torch.allclose(rows.mean(0), torch.zeros(5), atol=1e-4)
    assert torch.allclose(rows.T.cov(correction=0), torch.eye(5), atol=1e-3)


def test_components_are_those_of_a_singular_value_decomposition(pictures):
    codec = MedicalPatchCodec.fit(pictures, 2, 3)
    # each patch's numbers, channel by channel
    patches = pictures.reshape(8, 3, 6, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, 12).double()
    _, sizes, components = torch.linalg.svd(patches - patches.mean(0), full_matrices=False)
    agreement = (codec.basis.double() * components[:3]).sum(1).abs()
    assert torch.allclose(agreement, torch.ones(3).double(), atol=1e-4)
    assert torch.allclose(codec.spread.double(), sizes[:3] / len(patches) ** 0.5, rtol=1e-4)
    assert (codec.basis.gather(1, codec.basis.abs().argmax(1, keepdim=True)) > 0).all()


def test_one_by_one_and_all_at_once_are_one_codec(pictures):
    whole, single = (MedicalPatchCodec.fit(each, 4, 4) for each in ([pictures], iter(pictures)))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole.parameters(), single.parameters(), strict=True))


def test_gray_pictures_are_gray_by_construction(pictures):
    codec = MedicalPatchCodec.fit(pictures, 4, 6, gray=True)
    decoded = codec.decode(torch.randn(1, 6, 3, 2)).sample
    assert decoded.shape == (1, 3, 12, 8)
    assert torch.equal(decoded[:, 0], decoded[:, 1]) and torch.equal(decoded[:, 0], decoded[:, 2])
    film = pictures.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.equal(codec.encode(film).latent_dist.mode(), codec.encode(pictures).latent_dist.mode())


def test_it_answers_as_a_vae_does(pictures, tmp_path):
    codec = MedicalPatchCodec.fit(pictures, 2, 4)
    known = codec.encode(pictures).latent_dist
    assert torch.equal(known.mode(), known.mean) and torch.equal(known.sample(), known.mean)
    assert torch.equal(codec.encode(pictures, return_dict=False)[0].mean, known.mean)
    assert torch.equal(codec.decode(known.mean, return_dict=False)[0], codec(pictures).sample)
    assert codec.config.scaling_factor == 1 and "scaling_factor" in AutoencoderKL().config
    codec.save_pretrained(tmp_path)
    again = MedicalPatchCodec.from_pretrained(tmp_path)
    assert torch.equal(again(pictures).sample, codec(pictures).sample)
    assert codec.dtype == torch.float32 and not any(each.requires_grad for each in codec.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MedicalPatchCodec(2, 5, gray=True),
            "latent_channels: found 5; expected 1 to 4, the numbers in a patch; choose another",
        ),
        (
            lambda: MedicalPatchCodec.fit([torch.zeros(3, 4, 4)], 2, 4),
            "pictures: found 4 patches; expected more than 4; give more pictures",
        ),
        (
            lambda: MedicalPatchCodec(4).encode(torch.zeros(1, 3, 8, 10)),
            "pixels: found shape (1, 3, 8, 10); expected (batch, 3, height, width) with sides that are multiples of 4; "
            "resize the picture",
        ),
        (
            lambda: MedicalPatchCodec(4).encode(torch.zeros(1, 1, 8, 8)),
            "pixels: found shape (1, 1, 8, 8); expected (batch, 3, height, width) with sides that are multiples of 4; "
            "resize the picture",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == message
