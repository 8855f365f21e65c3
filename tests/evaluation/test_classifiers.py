"""Classifiers: they learn, choose their epoch on the given data alone, repeat, and are cached."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation import classifiers
from dpgen_core.evaluation.classifiers import (
    ARCHITECTURES,
    LARGEST_SIDE,
    TrainedClassifier,
    build_classifier,
    cached_classifier,
    train_classifier,
)

SHAPE = (1, 12, 12)


def bars(count: int, seed: int, noise: float = 0.2) -> tuple[Tensor, Tensor]:
    """Three classes: a bright horizontal bar at one of three heights, on noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = noise * torch.rand(count, *SHAPE, generator=generator)
    for row, label in enumerate(labels.tolist()):
        images[row, :, 4 * label : 4 * label + 2] += 0.7
    return images, labels


def fit(images: Tensor, labels: Tensor, **changes: object) -> TrainedClassifier:
    options = {"architecture": "cnn", "num_classes": 3, "seed": 5, "epochs": 2, "device": "cpu"}
    return train_classifier(images, labels, **(options | changes))  # type: ignore[arg-type]


def weights(classifier: TrainedClassifier) -> Tensor:
    return torch.cat([value.flatten() for value in classifier.model.state_dict().values()])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_learns_what_can_be_learned_and_nothing_else(architecture: str) -> None:
    images, labels = bars(900, seed=1)
    unseen, truth = bars(300, seed=2)
    assert fit(images, labels, architecture=architecture).accuracy(unseen, truth) > 0.98
    shuffled = labels[torch.randperm(900, generator=torch.Generator().manual_seed(3))]
    blind = fit(images, shuffled, architecture=architecture)
    assert blind.accuracy(unseen, truth) < 0.7


def test_shapes_and_evaluation_mode() -> None:
    images, labels = bars(60, seed=1)
    trained = fit(images, labels, epochs=1)
    assert trained.logits(images).shape == (60, 3)
    assert trained.features(images).shape == (60, 128)
    # dropout left on would make two calls differ
    assert torch.equal(trained.logits(images), trained.logits(images))
    assert torch.allclose(trained.model.head(trained.features(images)), trained.logits(images))
    wide = torch.rand(4, 3, 10, 15, generator=torch.Generator().manual_seed(0))
    assert fit(wide, torch.tensor([0, 1, 2, 0])).logits(wide).shape == (4, 3)


def test_large_images_are_seen_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations of a thousand at 128x128 would take gigabytes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (70, 3, 128, 128), dtype=torch.uint8, generator=generator)
    model = classifiers.build_classifier("cnn", images, 2)
    seen: list[int] = []
    model.body.register_forward_pre_hook(lambda body, given: seen.append(len(given[0])))
    classifiers.TrainedClassifier(model, torch.device("cpu")).features(images)
    assert seen == [62, 8]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_seed_is_bit_identical_and_another_differs(architecture: str) -> None:
    images, labels = bars(150, seed=1)
    first = weights(fit(images, labels, architecture=architecture))
    torch.rand(17)  # the state of the global generator must not matter
    assert torch.equal(first, weights(fit(images, labels, architecture=architecture)))
    assert not torch.equal(first, weights(fit(images, labels, architecture=architecture, seed=6)))


def test_global_generator_is_undisturbed(tmp_path: Path) -> None:
    images, labels = bars(60, seed=1)
    data = ImageData("bars", images, labels, ("a", "b", "c"))
    before = torch.get_rng_state()
    fit(images, labels, epochs=1)
    for _ in range(2):  # trained, then read from the cache
        keep(data, tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_keeps_the_epoch_that_is_best_on_a_held_out_tenth_of_the_given_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = bars(200, seed=1)
    identity = {image.numpy().tobytes(): row for row, image in enumerate(images)}
    judged: list[set[int]] = []
    snapshots: list[Tensor] = []
    trained_on: set[int] = set()
    scores = iter([0.2, 0.9, 0.9, 0.5])

    def accuracy(self: TrainedClassifier, given: Tensor, truth: Tensor) -> float:
        rows = [identity[image.numpy().tobytes()] for image in given]
        assert torch.equal(truth, labels[rows])
        judged.append(set(rows))
        snapshots.append(weights(self).clone())
        return next(scores)

    def watch(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if module.training:
            trained_on.update(identity[image.numpy().tobytes()] for image in inputs[0])

    class Watched(classifiers.SmallCNN):
        def __init__(self, *shape: object) -> None:
            super().__init__(*shape)  # type: ignore[arg-type]
            self.register_forward_pre_hook(watch)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainedClassifier, "accuracy", accuracy)
    monkeypatch.setattr(classifiers, "SmallCNN", Watched)
    chosen = weights(fit(images, labels, epochs=4))
    assert len(judged) == 4 and len(judged[0]) == 20
    assert all(rows == judged[0] for rows in judged)
    assert not judged[0] & trained_on
    assert judged[0] | trained_on == set(range(200))
    # the third epoch: the best score, and the longest trained among equals
    assert [torch.equal(chosen, snapshot) for snapshot in snapshots] == [False, False, True, False]


def keep(data: ImageData, folder: Path | None, **changes: object) -> TrainedClassifier:
    options = {"architecture": "mlp", "num_classes": 3, "seed": 5, "epochs": 1, "device": "cpu"}
    return cached_classifier(data, cache_dir=folder, **(options | changes))  # type: ignore[arg-type]


def test_cache_repeats_training_exactly_and_is_keyed_by_data_and_settings(tmp_path: Path) -> None:
    images, labels = bars(60, seed=1)
    data = ImageData("bars", images, labels, ("a", "b", "c"))
    plain = weights(keep(data, None))
    assert not list(tmp_path.iterdir())
    made, read = weights(keep(data, tmp_path)), weights(keep(data, tmp_path))
    assert torch.equal(plain, made) and torch.equal(made, read)
    assert len(list(tmp_path.iterdir())) == 1
    others = [
        ImageData("bars", images.flip(0), labels, data.class_names),
        ImageData("bars", images, labels.flip(0), data.class_names),
        ImageData("bars", images.reshape(60, 1, 8, 18), labels, data.class_names),
    ]
    for other in others:
        keep(other, tmp_path)
    for changes in ({"seed": 6}, {"epochs": 2}, {"architecture": "cnn"}, {"num_classes": 4}):
        keep(data, tmp_path, **changes)
    files = list(tmp_path.iterdir())
    assert len(files) == 8
    assert all(file.suffix == ".safetensors" for file in files)


def test_cache_is_used_and_a_damaged_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = bars(60, seed=1)
    data = ImageData("bars", images, labels, ("a", "b", "c"))
    first = weights(keep(data, tmp_path))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert torch.equal(first, weights(keep(data, tmp_path)))
    assert file.read_bytes() == whole

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(classifiers, "train_classifier", refuse)
    assert torch.equal(first, weights(keep(data, tmp_path)))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    images, labels = bars(60, seed=1)
    (tmp_path / "file").write_bytes(b"")
    data = ImageData("bars", images, labels, ("a", "b", "c"))
    kept, unkept = keep(data, tmp_path / "folder"), keep(data, tmp_path / "file")
    assert torch.equal(weights(kept), weights(unkept))
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_large_images_are_seen_at_the_largest_side(architecture: str) -> None:
    side = 2 * LARGEST_SIDE
    large = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    model = build_classifier(architecture, large, 3).eval()
    known = build_classifier(architecture, large[..., :LARGEST_SIDE, :LARGEST_SIDE], 3).eval()
    known.load_state_dict(  # its layers count from another number
        dict(zip(known.state_dict(), model.state_dict().values(), strict=True))
    )
    means = large.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(model(large), known(means))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet"}, "one of cnn, mlp"),
        ({"epochs": 0}, "epochs"),
        ({"num_classes": 2}, "in 0..1"),
        ({"images": torch.full((60, *SHAPE), float("nan"))}, "finite"),
        ({"images": torch.zeros(59, *SHAPE)}, "one label each"),
        ({"images": torch.zeros(1, *SHAPE), "labels": torch.zeros(1).long()}, "n >= 2"),
    ],
)
def test_refuses(changes: dict[str, object], message: str) -> None:
    images, labels = bars(60, seed=1)
    arguments = {"images": images, "labels": labels} | changes
    with pytest.raises(InvalidArgument, match=message):
        fit(**arguments)  # type: ignore[arg-type]
