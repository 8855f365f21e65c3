"""The public basis is orthonormal, so norms in it are image-space norms."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_projection(shape: tuple[int, int, int]) -> None:
    images = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    full, low = FrequencyBasis(shape, shape[1]), FrequencyBasis(shape, 7)
    torch.testing.assert_close(full.decode(full.encode(images)), images, atol=1e-5, rtol=1e-4)
    codes = low.encode(images)
    assert codes.shape == (5, low.dim) == (5, shape[0] * 49)
    torch.testing.assert_close(low.encode(low.decode(codes)), codes, atol=1e-5, rtol=1e-4)
    assert (codes.norm(dim=1) < images.flatten(1).norm(dim=1)).all()


def test_constant_image_is_the_first_mode() -> None:
    basis = FrequencyBasis((1, 8, 8), 3)
    codes = basis.encode(torch.ones(1, 1, 8, 8))
    assert float(codes[0, 0]) == pytest.approx(8.0, rel=1e-5)
    assert float(codes[0, 1:].abs().max()) < 1e-5


def test_gradient_in_codes_is_the_projected_image_gradient() -> None:
    basis = FrequencyBasis((1, 8, 8), 4)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 1, 8, 8, generator=generator).requires_grad_(True)
    weight = torch.randn(2, basis.dim, generator=generator)
    (basis.encode(images) * weight).sum().backward()
    torch.testing.assert_close(images.grad, basis.decode(weight))


def test_bad_shapes() -> None:
    with pytest.raises(InvalidArgument, match="image_shape"):
        FrequencyBasis((1, 8, 9), 4)
    with pytest.raises(InvalidArgument, match="modes: received 9"):
        FrequencyBasis((1, 8, 8), 9)


def test_opponent_colors_are_a_rotation_of_the_channels() -> None:
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    opponent, plain = FrequencyBasis((3, 8, 8), 8, chroma=0.3), FrequencyBasis((3, 8, 8), 8)
    codes = opponent.encode(images)
    torch.testing.assert_close(opponent.decode(codes), images, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(codes.norm(dim=1), plain.encode(images).norm(dim=1))
    gray = opponent.encode(images[:, :1].expand(-1, 3, -1, -1))
    assert float(gray[:, 64:].abs().max()) < 1e-5  # brightness first, and no color in gray
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 1
    assert opponent.encode(red)[0, [0, 64, 128]].tolist() == pytest.approx(
        [8 / 3**0.5, 8 / 2**0.5, 8 / 6**0.5], rel=1e-5
    )


def test_the_scale_of_colors() -> None:
    plain, scaled = (FrequencyBasis((3, 8, 8), 4, chroma=c).falloff(4.0) for c in (None, 0.3))
    torch.testing.assert_close(scaled[:16], plain[:16])
    torch.testing.assert_close(scaled[16:], 0.3 * plain[16:])
    with pytest.raises(InvalidArgument, match="chroma: received 0"):
        FrequencyBasis((3, 8, 8), 4, chroma=0.0)
    with pytest.raises(InvalidArgument, match="three channels"):
        FrequencyBasis((1, 8, 8), 4, chroma=0.3)
