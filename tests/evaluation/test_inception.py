"""FID: only with the published weights, through torchmetrics, and never by the network."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as extractor_module

from dpgen_core.checks import InvalidArgument
from dpgen_core.evaluation import inception
from dpgen_core.evaluation.inception import (
    ENVIRONMENT_NAME,
    WEIGHTS_FILE,
    WEIGHTS_SHA256,
    fid,
    find_weights,
)


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights anywhere, and no way to fetch them."""
    monkeypatch.delenv(ENVIRONMENT_NAME, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    fetch = mock.Mock(side_effect=AssertionError("the network was used"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    monkeypatch.setattr(extractor_module, "load_state_dict_from_url", fetch)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def some_images(count: int, seed: int, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, 28, 28, generator=torch.Generator().manual_seed(seed))


def test_names_the_file_that_torch_fidelity_publishes() -> None:
    assert extractor_module.URL_INCEPTION_V3.rsplit("/", 1)[1] == WEIGHTS_FILE
    assert WEIGHTS_SHA256[:8] in WEIGHTS_FILE


def test_without_weights_the_reason_names_file_and_places(tmp_path: Path) -> None:
    value, reason = fid(some_images(4, 1), some_images(4, 2))
    assert value is None
    assert WEIGHTS_FILE in reason
    assert f"${ENVIRONMENT_NAME}: not set" in reason and "torch hub cache" in reason
    assert str(tmp_path) not in reason  # reasons are published with the records


def test_a_file_that_is_not_the_published_one_gives_no_fid(
    empty_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_hub / WEIGHTS_FILE).write_bytes(b"not those weights")
    monkeypatch.setenv(ENVIRONMENT_NAME, str(empty_hub / "missing.pth"))
    value, reason = fid(some_images(4, 1), some_images(4, 2))
    assert value is None
    assert f"${ENVIRONMENT_NAME}: no such file" in reason
    assert "torch hub cache (checkpoints): another file" in reason


def test_order_of_places(tmp_path: Path, empty_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "_sha256", lambda path: WEIGHTS_SHA256)
    hub, named, given = empty_hub / WEIGHTS_FILE, tmp_path / "named.pth", tmp_path / "given"
    hub.touch()
    assert find_weights() == (hub, "")
    named.touch()
    monkeypatch.setenv(ENVIRONMENT_NAME, str(named))
    assert find_weights() == (named, "")
    given.mkdir()
    # an argument that is wrong is reported, not replaced by another file
    assert find_weights(given)[0] is None
    (given / WEIGHTS_FILE).touch()
    assert find_weights(given) == (given / WEIGHTS_FILE, "")


def test_gray_images_become_three_equal_byte_channels() -> None:
    gray = torch.tensor([0.0, 0.5, 0.999, 1.0]).reshape(1, 1, 2, 2)
    converted = inception.as_bytes(gray)
    assert converted.dtype == torch.uint8 and converted.shape == (1, 3, 2, 2)
    assert converted[0].flatten(1).tolist() == [[0, 128, 255, 255]] * 3
    colored = some_images(2, 1, channels=3)
    assert torch.equal(inception.as_bytes(colored), (colored * 255).round().to(torch.uint8))


def random_weights(path: Path) -> nn.Module:
    """Save a randomly initialized extractor in torch-fidelity's format; returns the extractor."""
    kind = extractor_module.FeatureExtractorInceptionV3
    with (
        mock.patch.object(kind, "load_state_dict"),
        mock.patch.object(extractor_module, "load_state_dict_from_url"),
    ):
        network = kind("inception-v3-compat", ["2048"])
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        if weight.dim() == 4:  # keeps activations of ordinary size through the depth
            nn.init.kaiming_normal_(weight, generator=generator)
    torch.save(network.state_dict(), path)
    return network


def small_frechet(first: Tensor, second: Tensor) -> float:
    """Frechet distance of few points in many dimensions.

    tr (S1 S2)^(1/2) is the nuclear norm of the centered cross-Gram matrix, (n, m) and not (d, d).
    """
    a, b = first.double(), second.double()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    a, b = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b))
    cross = torch.linalg.svdvals(a @ b.T).sum()
    return float(gap + a.square().sum() + b.square().sum() - 2 * cross)


def test_real_extractor_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "random.pth"
    network = random_weights(path)
    real, synthetic = some_images(5, 1), some_images(4, 2, channels=3) ** 3
    value, reason = fid(real, synthetic, weights=path)
    assert value is None and "SHA-256" in reason  # right format, wrong weights
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", inception._sha256(path))
    monkeypatch.setattr(inception, "BATCH", 3)
    monkeypatch.setattr(inception, "pick_device", lambda: torch.device("cpu"))
    value, reason = fid(real, synthetic, weights=path)
    assert reason == ""
    with torch.no_grad():
        features = [network(inception.as_bytes(images))[0] for images in (real, synthetic)]
    expected = small_frechet(*features)
    assert expected > 1e-3
    assert value == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 1, 28, 28), "at least 2 images"),
        (torch.zeros(4, 2, 28, 28), "1 or 3 channels"),
        (torch.full((4, 1, 28, 28), 255.0), r"in \[0, 1\]"),
        (torch.full((4, 1, 28, 28), float("nan")), r"in \[0, 1\]"),
    ],
)
def test_refuses(images: Tensor, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fid(some_images(4, 1), images)
