"""Protocols by name, and one call that judges a set in memory or on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_bars import bars

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.presets import PROFILES
from dpgen_core.data import dither
from dpgen_core.data.dither import GRAIN, add_dither, add_grain, dithered, grained
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation import deep_judge, judging, stored
from dpgen_core.evaluation.__main__ import main
from dpgen_core.evaluation.judging import judge_set
from dpgen_core.evaluation.looks import looks, sharpness, zero_share
from dpgen_core.evaluation.metrics import EvaluationSettings, evaluate
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol, describe
from dpgen_core.evaluation.simple_judges import simple_accuracies
from dpgen_core.streams import stream

FEW = DeepProtocol(epochs=1, batch_size=32, synthetic_records=120, simple_records=60)


def test_quick_is_the_profile_of_the_same_name() -> None:
    settings = EvaluationSettings(
        **{n: v for n, v in PROFILES["quick"].items() if n in vars(EvaluationSettings())}
    )
    assert PROTOCOLS["quick"] == settings


def test_the_benchmarks_protocol_is_as_published() -> None:
    field = PROTOCOLS["dpimagebench"]
    assert isinstance(field, DeepProtocol)
    assert field.networks == ("resnet-110", "wrn-40-4", "resnext-29")
    assert (field.epochs, field.batch_size, field.learning_rate) == (50, 256, 0.01)
    assert (field.rate_factor, field.ema_decay) == (0.2, 0.9999)
    falls = [epoch / 50 for epoch in (0, 19, 20, 39, 40, 49)]
    rates = [deep_judge._rate(field, done) for done in falls]
    assert rates == pytest.approx([0.01, 0.01, 0.002, 0.002, 0.0004, 0.0004])
    assert (field.synthetic_records, field.held_out, field.chosen_on) == (60_000, 5_000, "real")
    # the smaller relative differs in size and in what chooses its epoch, and in nothing else
    changed = {"networks", "epochs", "chosen_on"}
    deep = PROTOCOLS["deep"]
    assert {n for n in vars(field) if getattr(field, n) != getattr(deep, n)} == changed


@pytest.mark.parametrize(
    "wrong",
    [{"networks": ()}, {"networks": ("vgg",)}, {"epochs": 0}, {"chosen_on": "test"}],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        replace(FEW, **wrong)


def test_a_record_of_the_judging_names_its_protocol() -> None:
    for name, protocol in PROTOCOLS.items():
        kept = describe(protocol)
        assert kept["name"] == name and json.loads(json.dumps(kept)) == kept
    assert describe(FEW)["name"] is None


def test_deep_judges_all_there_is_to_judge(tmp_path: Path) -> None:
    made, train, test = bars(300, 3), bars(240, 1), bars(90, 2)
    found = judge_set(made, train, test, protocol=FEW, seeds=(0, 1), cache_dir=tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["protocol"] == describe(FEW) and found["images"] == 120
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert found["accuracy"] == np.mean([run["accuracy"] for run in found["runs"]])
    for run in found["runs"]:
        assert run["forest"] > 0.9 and run["linear"] > 0.9
        assert len(run["networks"]["resnet-8"]["accuracy_by_epoch"]) == FEW.epochs
    assert found["frechet_deep_floor"] < found["frechet_deep"] + 1
    assert found == judge_set(made, train, test, protocol=FEW, seeds=(0, 1), cache_dir=tmp_path)


def test_real_records_choose_only_where_the_protocol_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []
    train_judge = judging.train_judge
    monkeypatch.setattr(
        judging,
        "train_judge",
        lambda *sets, choose_on=None, **rest: given.append(choose_on) or train_judge(*sets, **rest),
    )
    made, train, test = bars(60, 3), bars(90, 1), bars(60, 2)
    judge_set(made, train, test, protocol=FEW, seeds=(0,))
    judge_set(made, train, test, protocol=replace(FEW, chosen_on="real", held_out=20), seeds=(0,))
    assert given[0] is None
    known = {x.numpy().tobytes() for x in train.images}
    assert {x.numpy().tobytes() for x in given[1].images} <= known and len(given[1].images) == 20


def test_quick_gives_the_metrics_of_a_record() -> None:
    settings = EvaluationSettings(60, 60, 1, 20)
    sets = bars(90, 3), bars(90, 1), bars(60, 2)
    (run,) = judge_set(*sets, protocol=settings, seeds=(4,))["runs"]
    assert run == {"seed": 4} | evaluate(*sets, settings=settings, seed=4)


def test_refuses_what_it_cannot_judge() -> None:
    sets = bars(60, 3), bars(60, 1), bars(60, 2)
    with pytest.raises(InvalidArgument, match="protocol: received 'slow'"):
        judge_set(*sets, protocol="slow")
    with pytest.raises(InvalidArgument, match="seeds"):
        judge_set(*sets, protocol=FEW, seeds=())


def test_flat_grounds_and_fine_detail_are_seen() -> None:
    images = torch.zeros(2, 1, 16, 16)
    images[:, :, ::2] = 1.0  # stripes of one pixel
    assert zero_share(images) == 0.5
    assert zero_share(torch.full((1, 1, 2, 2), 0.0021)) == 0  # 0.54 of 255
    assert sharpness(images, 12) > 0.75
    place = torch.linspace(0, 1, 16).expand(2, 1, 16, 16)  # a ramp
    assert sharpness(place, 12) < 1e-3
    assert sharpness(torch.full((2, 1, 16, 16), 0.5), 12) == 0
    assert sharpness(images, 16) == pytest.approx(0, abs=1e-6)
    assert looks(images)["sharpness"] == sharpness(images, 12)
    noisy = add_dither(torch.full((4, 1, 16, 16), 0.5), 0.1, stream(0, "noise"))
    assert sharpness(noisy, 12) == pytest.approx(1 - 143 / 255, abs=0.08)  # white noise


def test_sharpness_does_not_depend_on_brightness() -> None:
    images = 0.4 * torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert sharpness(images + 0.5, 12) == pytest.approx(sharpness(images, 12), rel=1e-4)


def test_simple_judges_learn_and_repeat() -> None:
    made, test = bars(90, 3, noise=0.05), bars(60, 2)
    found = simple_accuracies(made, test, seed=0)
    assert min(found.values()) > 0.95 and found == simple_accuracies(made, test, seed=0)
    one = replace(made, labels=torch.zeros_like(made.labels))
    assert simple_accuracies(one, test, seed=0)["linear"] == pytest.approx(1 / 3)


def test_dither_adds_noise_of_its_size_inside_the_range() -> None:
    data = load("glyphs", "test", num_records=50)
    made = dithered(data, std=0.08, seed=3)
    expected = data.images + 0.08 * torch.randn(data.images.shape, generator=stream(3, "dither"))
    torch.testing.assert_close(made.images, expected.clamp(0, 1))
    assert torch.equal(dithered(data, std=0.0).images, data.images)
    with pytest.raises(InvalidArgument, match=f"dither.*{dither.DITHER}"):
        dithered(data, std=-0.1)


def test_grain_spares_black_and_is_of_another_strength_for_each_image() -> None:
    images = torch.cat([torch.zeros(400, 1, 8, 8), torch.full((400, 1, 8, 8), 0.5)], dim=3)
    made = add_grain(images, 0.2, stream(0, "grain"))
    assert not made[..., :8].any() and 0 <= made.min() <= made.max() <= 1
    levels = (made - images)[..., 8:].flatten(1).std(1)
    assert levels.min() < 0.02 and 0.17 < levels.max() < 0.26
    assert float(levels.mean()) == pytest.approx(0.1, abs=0.01)
    faint = add_grain(torch.full((400, 1, 8, 8), 0.02), 0.2, stream(0, "grain"))
    assert (faint - 0.02).std() < 0.2 * levels.mean()

    data = load("glyphs", "test", num_records=50)
    assert torch.equal(
        grained(data, seed=3).images, add_grain(data.images, GRAIN, stream(3, "grain"))
    )
    assert torch.equal(grained(data, largest=0.0).images, data.images)
    with pytest.raises(InvalidArgument, match=f"grain.*{GRAIN}"):
        grained(data, largest=1.5)


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a set of glyphs and its configuration; `deep` made small."""
    data = load("glyphs", "train", num_records=80, seed=5)
    images = (data.images * 255).round().to(torch.uint8).numpy()
    folder = tmp_path / "record"
    folder.mkdir()
    np.savez(folder / "synthetic.npz", images=images, labels=data.labels.numpy())
    config = {"dataset": "glyphs", "num_records": 90, "seed": 3}
    (folder / "config.json").write_text(json.dumps({"config": config}))
    monkeypatch.setitem(PROTOCOLS, "deep", FEW)
    monkeypatch.setattr(
        stored, "load", lambda name, split, **of: load(name, split, **({"num_records": 60} | of))
    )
    return folder


def test_the_answer_of_a_record_lies_with_its_metrics(
    on_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (on_disk / "metrics.json").write_text("{}")
    assert main([str(on_disk), "--seeds", "0"]) == 0
    target = on_disk / "judged-deep.json"
    assert capsys.readouterr().out.split() == [str(target)]
    found = json.loads(target.read_text())
    assert found["dataset"] == "glyphs" and found["real_records"] == 90 and found["images"] == 80
    # a secret run's metrics are private, and so is every answer; withheld pictures lie there too
    hidden = on_disk / "private"
    hidden.mkdir()
    for name in ("metrics.json", "synthetic.npz"):
        (on_disk / name).rename(hidden / name)
    target.unlink()
    assert main([str(on_disk), "--seeds", "0", "--dither", "0.08"]) == 0
    noisy = json.loads((hidden / "judged-deep.json").read_text())
    assert noisy["dither"] == 0.08 and noisy["looks"] != found["looks"]
    assert main([str(on_disk), "--seeds", "0", "--grain", "0.5"]) == 0
    grainy = json.loads((hidden / "judged-deep.json").read_text())
    assert grainy["grain"] == 0.5 and grainy["looks"] not in (found["looks"], noisy["looks"])
    assert not target.exists()


def test_nothing_is_written_into_what_is_handed_over(on_disk: Path) -> None:
    handed = on_disk.with_name("handed")
    handed.mkdir()
    (on_disk / "synthetic.npz").rename(handed / "synthetic.npz")
    options = {"dataset": "glyphs", "seeds": (0,)}
    assert stored.judge_stored(handed, **options).parent == handed.parent
    assert [path.name for path in handed.iterdir()] == ["synthetic.npz"]


@pytest.mark.parametrize(
    "arguments, names",
    [
        (["--protocol", "slow"], "protocol"),
        (["--dataset", "folder_gray"], "dataset"),
        (["--dither", "2"], "dither"),
        (["--grain", "-1"], "grain"),
        (["--seeds", "-1"], "seeds"),
    ],
)
def test_a_wrong_option_writes_nothing(
    on_disk: Path, arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(on_disk.iterdir())
    assert main([str(on_disk), *arguments]) == 2
    assert capsys.readouterr().err.startswith(names)
    assert sorted(on_disk.iterdir()) == before


def test_a_folder_without_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="synthetic.npz"):
        stored.judge_stored(tmp_path)
    archive = tmp_path / "synthetic.npz"
    for arrays, names in (
        ({"images": np.zeros((2, 1, 28, 28))}, "'images' and 'labels'"),
        ({"images": np.zeros((2, 1, 28, 28)), "labels": np.zeros(2)}, "uint8"),
    ):
        np.savez(archive, **arrays)
        with pytest.raises(InvalidArgument, match=names):
            stored.read_set(archive, load("glyphs", "test", num_records=10))


def test_an_archive_keeps_its_values(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=draw)
    np.savez(tmp_path / "a.npz", images=images.numpy(), labels=np.arange(6))
    like = load("glyphs", "test", num_records=10)
    made = stored.read_set(tmp_path / "a.npz", like)
    assert isinstance(made, ImageData) and torch.equal(made.images, images.float() / 255)
