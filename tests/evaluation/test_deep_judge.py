"""The deep judge: published networks, a seeded protocol, an epoch that the test set did not choose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_bars import bars
from torch import nn

from dpgen_core.checks import InvalidArgument
from dpgen_core.evaluation import deep_features, deep_judge
from dpgen_core.evaluation.deep_features import reference_features
from dpgen_core.evaluation.deep_judge import Judged, accuracy_of, features_of, train_judge
from dpgen_core.evaluation.protocols import DeepProtocol
from dpgen_core.evaluation.residual_nets import NETWORKS, build_network

FEW = DeepProtocol(epochs=3, batch_size=32, held_out=40, synthetic_records=300, rate_falls_at=())


def judged(seed: int = 0, **changes: object) -> Judged:
    options = {"network": "resnet-8", "seed": seed, "device": "cpu"} | changes
    return train_judge(bars(240, 1), bars(90, 2), FEW, **options)  # type: ignore[arg-type]


# Counted from the benchmark's own classes, for one channel and ten classes.
@pytest.mark.parametrize(
    "name, weights",
    [
        ("resnet-8", 77_754),
        ("resnet-110", 1_730_426),
        ("wrn-40-4", 8_948_922),
        ("resnext-29", 34_425_546),
    ],
)
def test_networks_are_of_the_published_size(name: str, weights: int) -> None:
    with torch.device("meta"):
        net = build_network(name, channels=1, num_classes=10)
    assert sum(p.numel() for p in net.parameters()) == weights


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "resnext-29"])
def test_a_network_halves_the_image_twice(name: str) -> None:
    net = build_network(name, channels=3, num_classes=4).eval()
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 4)
    assert net.blocks(net.stem(torch.zeros(1, 3, 16, 16))).shape[2:] == (4, 4)


def test_it_learns_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first = judged()
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.accuracy > 0.9 and len(first.accuracy_by_epoch) == FEW.epochs
    again, other = judged(), judged(seed=1)
    assert again.accuracy_by_epoch == first.accuracy_by_epoch
    weight, same, different = (j.network.head.weight for j in (first, again, other))
    assert torch.equal(weight, same) and not torch.equal(weight, different)


def test_the_chosen_epoch_is_the_one_best_on_held_out_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # after each epoch the test set is asked first, then what is held out
    answers = iter([0.9, 0.5, 0.3, 0.7, 0.2, 0.7])
    monkeypatch.setattr(deep_judge, "accuracy_of", lambda *_: next(answers))
    found = judged()
    assert found.accuracy == 0.2 and found.held_out_accuracy == 0.7
    assert found.accuracy_by_epoch == [0.9, 0.3, 0.2]
    assert found.fall == pytest.approx(0.7)


def test_the_weights_given_back_are_those_of_the_chosen_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([0.1, 0.9, 0.1, 0.5, 0.1, 0.4])
    monkeypatch.setattr(deep_judge, "accuracy_of", lambda *_: next(answers))
    best_is_first = judged().network
    monkeypatch.undo()
    once = train_judge(
        *(bars(240, 1), bars(90, 2), replace(FEW, epochs=1)),
        **{"network": "resnet-8", "seed": 0, "device": "cpu"},
    ).network
    pairs = zip(best_is_first.state_dict().values(), once.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_held_out_images_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(deep_judge, "accuracy_of", lambda _, data: asked.append(data.images) or 0.5)
    trained: list[torch.Tensor] = []
    ready = deep_judge._ready
    monkeypatch.setattr(
        deep_judge, "_ready", lambda images, device: trained.append(images) or ready(images, device)
    )
    judged()
    held, seen = (
        {x.numpy().tobytes() for x in asked[1]},
        {x.numpy().tobytes() for batch in trained for x in batch},
    )
    assert len(held) == 24 and len(seen) == 240 - 24 and not held & seen  # a tenth of a small set


def test_real_images_choose_where_they_are_given() -> None:
    chosen = bars(60, 7)
    assert judged(choose_on=chosen).held_out_accuracy == pytest.approx(
        accuracy_of(judged(choose_on=chosen).network, chosen)
    )


def test_the_average_follows_the_weights() -> None:
    average, model = (build_network("resnet-8", channels=1, num_classes=2) for _ in range(2))
    start = average.head.weight.clone()
    deep_judge._follow(average, model, 0.75)
    torch.testing.assert_close(average.head.weight, 0.75 * start + 0.25 * model.head.weight)
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean += 1
    deep_judge._follow(average, model, 1.0)
    copied = next(m for m in average.modules() if isinstance(m, nn.BatchNorm2d))
    assert torch.equal(copied.running_mean, norm.running_mean)


def test_refuses_sets_that_do_not_belong_together() -> None:
    options = {"network": "resnet-8", "seed": 0, "device": "cpu"}
    other = replace(bars(60, 1), class_names=("a", "b", "c"))
    with pytest.raises(InvalidArgument, match="learned"):
        train_judge(other, bars(60, 2), FEW, **options)
    with pytest.raises(InvalidArgument, match="choose_on"):
        train_judge(bars(60, 1), bars(60, 2), FEW, choose_on=other, **options)
    with pytest.raises(InvalidArgument, match="at least 4"):
        train_judge(bars(3, 1), bars(60, 2), FEW, **options)
    with pytest.raises(InvalidArgument, match="network"):
        build_network("resnet-9", channels=1, num_classes=2)


def test_features_from_the_cache_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = bars(120, 1), bars(60, 2)
    protocol = replace(FEW, epochs=1)
    options = {"device": "cpu", "cache_dir": tmp_path}
    first = reference_features(train, test, protocol, **options)(test.images)
    assert first.shape == (60, 64)
    (kept,) = tmp_path.iterdir()
    calls = []
    train_again = deep_features.train_judge
    monkeypatch.setattr(
        deep_features, "train_judge", lambda *a, **k: calls.append(1) or train_again(*a, **k)
    )
    assert torch.equal(first, reference_features(train, test, protocol, **options)(test.images))
    assert not calls
    # other data, other settings and a damaged file are learned anew
    reference_features(bars(120, 3), test, protocol, **options)
    reference_features(train, test, replace(protocol, batch_size=16), **options)
    assert len(list(tmp_path.iterdir())) == 3 and len(calls) == 2
    kept.write_bytes(b"damaged")
    assert torch.equal(first, reference_features(train, test, protocol, **options)(test.images))


def test_features_come_in_blocks_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    net, images = build_network("resnet-8", channels=1, num_classes=2).eval(), bars(9, 1).images
    whole = features_of(net, images)
    monkeypatch.setattr(deep_judge, "_BLOCK", 4)
    torch.testing.assert_close(features_of(net, images), whole)
