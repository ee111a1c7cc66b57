"""The gate finds copies in disguise, lets other patients pass, and says so where it is blind."""

import numpy as np
import pytest

from hf_medreport.evaluation.pictures import memorization
from hf_medreport.evaluation.pictures.memorization import disguised, gate, gate_lines, nearest
from hf_medreport.processing.input_error import InputError
from tests.evaluation.pictures.made import drawn

RNG = np.random.default_rng(0)


def blobs(n: int, seed: int) -> np.ndarray:
    """Smooth random pictures, uint8 (n, 32, 32, 3): no two are alike."""
    noise = np.random.default_rng(seed).standard_normal((n, 32, 32))
    spectrum = np.fft.rfft2(noise) * np.exp(-40 * (np.fft.fftfreq(32)[:, None] ** 2 + np.fft.rfftfreq(32) ** 2))
    smooth = np.fft.irfft2(spectrum, (32, 32))
    smooth = 128 + 40 * smooth / smooth.std(axis=(1, 2), keepdims=True)
    return np.repeat(np.clip(smooth, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def test_a_shift_and_a_mirror_are_seen_through():
    training = blobs(20, 0)
    for changed in (training, np.roll(training, (2, -1), axis=(1, 2)), training[:, :, ::-1]):
        similarity, where = nearest(changed, training)
        assert (where == np.arange(20)).all() and (similarity > 0.99).all()
    assert (nearest(np.roll(training, 6, axis=1), training)[0] < 0.9).any()  # further than it looks
    assert (nearest(255 - training, training)[0] < 0.999).all()  # a negative is no copy


def test_similarity_is_the_largest_correlation():
    """Against a loop over shifts and mirror with numpy's own correlation."""
    images, training = blobs(2, 1), blobs(3, 2)
    seen, other = (memorization._blurred(one) for one in (images, training))
    for row in range(2):
        best = [
            max(
                np.corrcoef(turned[down : down + 28, right : right + 28].ravel(), other[column, 2:30, 2:30].ravel())[
                    0, 1
                ]
                for turned in (seen[row], seen[row][:, ::-1])
                for down in range(5)
                for right in range(5)
            )
            for column in range(3)
        ]
        similarity, where = nearest(images[row : row + 1], training)
        assert similarity[0] == pytest.approx(max(best), abs=1e-5) and where[0] == int(np.argmax(best))


def test_blocks_and_size_change_nothing(monkeypatch):
    images, training = blobs(3, 3), blobs(9, 4)
    whole = nearest(images, training)
    monkeypatch.setattr(memorization, "BLOCK", 4)
    for one, other in zip(whole, nearest(images, training), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    large = [np.repeat(np.repeat(one, 4, axis=1), 4, axis=2) for one in (images, training)]  # 128 px, averaged to 64
    assert nearest(*large)[0].shape == (3,) and (nearest(*large)[1] == whole[1]).all()


def test_copies_in_disguise_fail_the_gate_and_other_patients_pass():
    training, held_out, others = blobs(60, 5), blobs(120, 6), blobs(60, 7)
    names = {count: ["ct", "mri"] * (count // 2) for count in (60, 120)}

    def judged(images):
        return gate(images, names[60], training, names[60], held_out, names[120])

    passed = judged(others)
    assert passed["passes"] and passed["suspect"] == 0 and not passed["control"]["passes"]
    assert passed["control"]["auc"] > 0.99 and passed["control"]["share"] > 0.9
    mixed = others.copy()
    mixed[[7, 30]] = disguised(training[[7, 30]], seed=3)
    failed = judged(mixed)
    assert not failed["passes"] and failed["suspect"] == 2 and failed["share"] == pytest.approx(2 / 60)
    assert {(row["picture"], row["training"]) for row in failed["closest"][:2]} == {(7, 7), (30, 30)}
    assert "FAILED: 2 of 60 pictures" in gate_lines(failed) and "passed" in gate_lines(passed)


def test_a_picture_is_held_against_its_own_modality():
    training, held_out = blobs(40, 8), blobs(80, 9)
    copies = disguised(training[:20], seed=1)
    asked = (training, ["ct"] * 20 + ["mri"] * 20, held_out, ["ct", "mri"] * 40)
    assert gate(copies, ["ct"] * 20, *asked)["suspect"] >= 18
    assert gate(copies, ["mri"] * 20, *asked)["suspect"] == 0


def test_a_gate_that_cannot_tell_copies_does_not_pass(monkeypatch):
    monkeypatch.setattr(memorization, "disguised", lambda images, seed=0: blobs(len(images), 99))
    blind = gate(blobs(20, 12), ["ct"] * 20, blobs(20, 10), ["ct"] * 20, blobs(40, 11), ["ct"] * 40)
    assert blind["suspect"] == 0 and blind["control"]["passes"] and not blind["passes"]
    assert "blind" in gate_lines(blind)


def test_drawn_pictures_pass_and_their_copies_fail():
    training, held_out, others = drawn(60, 10, ("oct",)), drawn(60, 11, ("oct",)), drawn(40, 12, ("oct",))
    asked = (training.images, training.modalities, held_out.images, held_out.modalities)
    assert gate(others.images, others.modalities, *asked)["share"] <= 0.05  # 60 held-out ones are few
    copies = disguised(training.images[:40], seed=5)
    assert gate(copies, ["oct"] * 40, *asked)["share"] > 0.5


@pytest.mark.parametrize(
    ("names", "held_out", "message"),
    [
        (["ct"] * 4, 10, "20 of 'ct', and 10 held-out ones; expected some, and at least 20"),
        (["mri"] * 4, 30, "0 of 'mri', and 0 held-out ones"),
    ],
)
def test_too_few_are_refused(names, held_out, message):
    with pytest.raises(InputError, match=message):
        gate(blobs(4, 1), names, blobs(20, 2), ["ct"] * 20, blobs(held_out, 3), ["ct"] * held_out)


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="pictures: found 16 x 16 px; expected 32 x 32 px, as the training pictures"):
        nearest(blobs(2, 0)[:, :16, :16], blobs(2, 1))
