"""Metrics against closed forms and constructed sets, and the whole evaluation on made data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation import metrics
from dpgen_core.evaluation.inception import ENVIRONMENT_NAME, WEIGHTS_FILE
from dpgen_core.evaluation.metrics import (
    EvaluationSettings,
    class_distance,
    evaluate,
    frechet_distance,
    inception_score,
    nearest_distance,
    precision_recall,
)
from dpgen_core.pixels import to_bytes, to_floats

SETTINGS = EvaluationSettings(
    synthetic_records=300, real_records=300, classifier_epochs=20, neighbor_records=100
)
KEYS = {
    *(f"{way}_{kind}" for way in ("g2r", "r2g", "real") for kind in ("cnn", "mlp")),
    *("inception_score", "frechet_distance", "frechet_floor", "precision", "recall"),
    *("class_distance_synthetic", "class_distance_real"),
    *("nearest_real_distance", "nearest_real_reference", "fid", "fid_reason"),
}


@pytest.fixture(autouse=True)
def no_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_NAME, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "no-hub"))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bars(count: int, seed: int) -> ImageData:
    """Three classes: a bright bar at one of three heights, on noise."""
    labels = torch.arange(count) % 3
    images = 0.3 * torch.rand(count, 1, 12, 12, generator=generator(seed))
    for row, label in enumerate(labels.tolist()):
        images[row, :, 4 * label : 4 * label + 2] += 0.6
    return ImageData("bars", images, labels, ("top", "middle", "bottom"))


def test_a_pass_over_larger_images_takes_as_long() -> None:
    whole = EvaluationSettings(synthetic_records=20_000, real_records=10_000)
    assert whole.for_side(28) == whole.for_side(32) == whole
    half = whole.for_side(64)
    assert (half.synthetic_records, half.real_records) == (5_000, 2_500)
    assert half == replace(whole, synthetic_records=5_000, real_records=2_500)
    assert whole.for_side(128) == half  # which are seen at 64
    assert SETTINGS.for_side(48).synthetic_records == 133
    assert EvaluationSettings(synthetic_records=12, real_records=12).for_side(64).real_records == 10


def in_bytes(data: ImageData) -> ImageData:
    return replace(data, images=to_bytes(data.images))


def test_bytes_count_as_the_floats_that_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set in bytes, in blocks that do not divide its size."""
    monkeypatch.setattr(metrics, "at_once", lambda shape, most: 23)
    settings = replace(SETTINGS, classifier_epochs=2)
    sets = [in_bytes(bars(count, seed=count)) for count in (90, 70, 50)]
    floats = [replace(data, images=to_floats(data.images)) for data in sets]
    found, wanted = (evaluate(*each, settings=settings, seed=0) for each in (sets, floats))
    assert found == wanted


@pytest.mark.parametrize("block", [7, 23, 100])
def test_the_nearest_record_is_found_in_whatever_block(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "at_once", lambda shape, most: block)
    images, records = (in_bytes(bars(count, seed=count)).images for count in (50, 90))
    flat = [to_floats(part).flatten(1).double() for part in (images, records)]
    wanted = (flat[0][:, None] - flat[1][None]).norm(dim=2).min(1).values.median()
    assert nearest_distance(images, records) == pytest.approx(float(wanted), rel=1e-6)


def with_moments(mean: Tensor, covariance: Tensor, seed: int) -> Tensor:
    """A sample whose empirical mean and covariance are exactly these."""
    raw = torch.randn(50, len(mean), generator=generator(seed), dtype=torch.float64)
    raw = raw - raw.mean(0)
    white = raw @ torch.linalg.inv(torch.linalg.cholesky(raw.T.cov())).T
    return white @ torch.linalg.cholesky(covariance).T + mean


def test_frechet_distance_has_the_closed_form_of_two_gaussians() -> None:
    mean = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator(0), dtype=torch.float64)).Q
    spread, other = torch.tensor([4.0, 1.0, 9.0]).double(), torch.tensor([1.0, 16.0, 4.0]).double()
    # covariances that commute: the trace term is the squared distance of the standard deviations
    first = with_moments(mean, turn @ spread.diag() @ turn.T, 1)
    second = with_moments(torch.zeros(3).double(), turn @ other.diag() @ turn.T, 2)
    expected = 1.0 + 4.0 + 0.25 + 1.0 + 9.0 + 1.0
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-9)
    # 2 x 2 covariances that do not: tr sqrt(AB) = sqrt(tr AB + 2 sqrt(det A det B))
    a = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, -0.7], [-0.7, 3.0]], dtype=torch.float64)
    product = (a @ b).trace() + 2 * (a.det() * b.det()).sqrt()
    expected = float(a.trace() + b.trace() - 2 * product.sqrt())
    zero = torch.zeros(2, dtype=torch.float64)
    measured = frechet_distance(with_moments(zero, a, 3), with_moments(zero, b, 4))
    assert measured == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_singular_sets() -> None:
    constant = torch.full((20, 128), 0.3)
    assert frechet_distance(constant, constant) == pytest.approx(0.0, abs=1e-9)
    spread = torch.randn(20, 128, generator=generator(1))  # rank 19 of 128
    assert frechet_distance(spread, spread) == pytest.approx(0.0, abs=1e-4)
    expected = float((spread.mean(0) - 0.3).square().sum() + spread.T.cov().trace())
    assert frechet_distance(constant, spread) == pytest.approx(expected, rel=1e-4)


def test_inception_score_ends_of_its_range() -> None:
    sure = torch.eye(7).repeat(5, 1)
    assert inception_score(sure) == pytest.approx(7.0, rel=1e-6)
    assert inception_score(sure[torch.zeros(9, dtype=torch.long)]) == pytest.approx(1.0, rel=1e-6)
    assert inception_score(torch.full((9, 7), 1 / 7)) == pytest.approx(1.0, rel=1e-6)
    # two of seven classes, the one three times as often: exp of the entropy of (3/4, 1/4)
    uneven = torch.eye(7)[torch.tensor([0, 0, 0, 4])]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert inception_score(uneven) == pytest.approx(math.exp(entropy), rel=1e-6)
    with pytest.raises(InvalidArgument, match="sum to 1"):
        inception_score(torch.randn(5, 3, generator=generator(0)))


def test_precision_and_recall_on_constructed_sets() -> None:
    first = torch.randn(100, 5, generator=generator(1))
    far = first + 100.0
    assert precision_recall(first, first) == (1.0, 1.0)
    assert precision_recall(first, far) == (0.0, 0.0)
    both = torch.cat([first, far])
    # made covers one of two modes: all it makes is good, half of the truth is missed
    assert precision_recall(both, first) == (1.0, 0.5)
    assert precision_recall(first, both) == (0.5, 1.0)
    collapsed = first[:1].repeat(50, 1)
    precision, recall = precision_recall(first, collapsed)
    assert precision == 1.0 and recall == 0.01  # only the copied point itself is covered


def test_ball_radius_is_the_distance_to_the_kth_other_point() -> None:
    line = torch.arange(10.0)[:, None]  # distances to the 1st, 2nd, 3rd neighbor: 1, 1, 2 inside
    for neighbors, reach in ((1, 1.0), (2, 2.0), (3, 3.0)):  # of the last point, at 9
        inside, outside = torch.tensor([[9 + reach - 0.01]]), torch.tensor([[9 + reach + 0.01]])
        assert precision_recall(line, inside, neighbors)[0] == 1.0
        assert precision_recall(line, outside, neighbors)[0] == 0.0


def test_pixel_distances() -> None:
    images = torch.zeros(5, 1, 2, 2)
    images[1] += 1.0  # distance 2 from the first; class 0
    images[3] += 0.5  # distance 1 from the third; class 1
    labels = torch.tensor([0, 0, 1, 1, 2])
    assert class_distance(images, labels) == pytest.approx(1.5)
    assert class_distance(images, torch.arange(5)) is None
    records = torch.rand(700, 1, 6, 6, generator=generator(1))
    assert nearest_distance(records[:60], records) == 0.0  # copies come out exactly
    moved = records[:60].clone()
    moved[:, 0, 0, 0] += 0.01
    assert nearest_distance(moved, records) == pytest.approx(0.01, rel=1e-3)


@pytest.fixture(scope="module")
def real() -> tuple[ImageData, ImageData]:
    return bars(400, 1), bars(200, 2)


def test_evaluation_end_to_end(real: tuple[ImageData, ImageData], tmp_path: Path) -> None:
    before = torch.get_rng_state()
    good = evaluate(bars(350, 3), *real, settings=SETTINGS, seed=0, cache_dir=tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert set(good) == KEYS
    assert json.loads(json.dumps(good, allow_nan=False)) == good
    # classifiers read from the cache give the very same figures
    assert good == evaluate(bars(350, 3), *real, settings=SETTINGS, seed=0, cache_dir=tmp_path)
    assert all(good[key] > 0.95 for key in ("g2r_cnn", "g2r_mlp", "r2g_cnn", "r2g_mlp"))
    assert 2.5 < good["inception_score"] <= 3.0
    assert good["fid"] is None and WEIGHTS_FILE in str(good["fid_reason"])
    assert min(good["precision"], good["recall"]) > 0.7
    # noise with random labels is worse in every respect
    noise = replace(bars(350, 3), images=torch.rand(350, 1, 12, 12, generator=generator(4)))
    bad = evaluate(noise, *real, settings=SETTINGS, seed=0, cache_dir=tmp_path)
    assert bad["frechet_floor"] == good["frechet_floor"]
    assert bad["frechet_distance"] > 5 * max(good["frechet_distance"], good["frechet_floor"])
    for key in ("g2r_cnn", "r2g_cnn", "r2g_mlp", "precision", "inception_score"):
        assert bad[key] < good[key], key
    assert bad["nearest_real_distance"] > 1.5 * bad["nearest_real_reference"]
    assert bad["class_distance_synthetic"] > 1.5 * bad["class_distance_real"]


def test_copies_of_training_records_outside_the_subset_are_seen(
    real: tuple[ImageData, ImageData],
) -> None:
    settings = replace(SETTINGS, real_records=20, classifier_epochs=1)
    copied = evaluate(real[0], *real, settings=settings, seed=0)
    assert copied["nearest_real_distance"] == 0.0
    assert copied["nearest_real_reference"] > 0.1


def test_test_records_train_nothing(
    real: tuple[ImageData, ImageData], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = real
    made = bars(120, 3)
    known = {image.numpy().tobytes() for image in test.images}
    seen: list[int] = []

    def watched(images: Tensor, labels: Tensor, **options: object) -> object:
        assert not known & {image.numpy().tobytes() for image in images}
        seen.append(len(images))
        return original(images, labels, **options)  # type: ignore[arg-type]

    original = metrics.train_classifier
    monkeypatch.setattr(metrics, "train_classifier", watched)
    monkeypatch.setattr("dpgen_core.evaluation.classifiers.train_classifier", watched)
    settings = replace(SETTINGS, synthetic_records=100, real_records=150, classifier_epochs=1)
    evaluate(made, train, test, settings=settings, seed=0)
    assert sorted(seen) == [100, 100, 150, 150]


@pytest.mark.parametrize("kind", ["missing class", "constant"])
def test_degenerate_samples_give_finite_figures(
    kind: str, real: tuple[ImageData, ImageData]
) -> None:
    made = bars(120, 3)
    if kind == "missing class":
        keep = made.labels != 1
        made = replace(made, images=made.images[keep], labels=made.labels[keep])
    else:
        made = replace(made, images=torch.full_like(made.images, 0.5))
    values = evaluate(made, *real, settings=replace(SETTINGS, classifier_epochs=2), seed=0)
    assert set(values) == KEYS
    json.dumps(values, allow_nan=False)
    if kind == "missing class":
        assert values["g2r_cnn"] < 0.7  # a third of the test set cannot be learned
        assert values["inception_score"] < 2.5
        assert values["recall"] < values["precision"]
    else:
        assert values["inception_score"] == pytest.approx(1.0, abs=1e-6)
        assert values["class_distance_synthetic"] == 0.0
        assert values["frechet_distance"] > values["frechet_floor"]
        assert values["recall"] < 0.05


def spoiled(data: ImageData, value: float) -> ImageData:
    """`data` with one pixel overwritten, past the check of its constructor."""
    images = data.images.clone()
    copy = replace(data, images=images)
    images[3, 0, 2, 2] = value
    return copy


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 1.5])
def test_refuses_images_that_are_no_images(
    place: int, value: float, real: tuple[ImageData, ImageData]
) -> None:
    sets = [bars(60, 3), *real]
    sets[place] = spoiled(sets[place], value)
    name = ("synthetic", "real_train", "real_test")[place]
    with pytest.raises(InvalidArgument, match=f"^{name}: .*(finite|in \\[0, 1\\])"):
        evaluate(*sets, settings=SETTINGS, seed=0)


def test_refuses_sets_that_do_not_belong_together(real: tuple[ImageData, ImageData]) -> None:
    made = bars(60, 3)
    for other in (
        replace(made, images=made.images[:, :, :10]),
        replace(made, class_names=("top", "middle", "bottom", "none")),
        replace(made, images=made.images[:1], labels=made.labels[:1]),
    ):
        with pytest.raises(InvalidArgument, match="synthetic"):
            evaluate(other, *real, settings=SETTINGS, seed=0)
    with pytest.raises(InvalidArgument, match="neighbor_records"):
        replace(SETTINGS, neighbor_records=0)
