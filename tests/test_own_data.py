"""A folder of images: public slots, clear errors, and what may be handed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpgen_core import experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import COLORED, EXTRAS, METHODS, SHARED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import folders, sets as data
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.delivery.handover import hand_over
from dpgen_core.evaluation.classifiers import machine_cache
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.experiment import run_experiment
from dpgen_core.pixels import to_bytes, to_floats
from dpgen_core.records.record import Record
from dpgen_core.training.sampler import load
from dpgen_core.training.workspace import Workspace, work_folder


def _write(folder: Path, count: int, classes: int = 3) -> Path:
    """Images whose top left pixel is the record's number."""
    for number in range(count):
        pixels = np.full((28, 28), 9, dtype=np.uint8)
        pixels[0, 0] = number
        target = folder / "abc"[number % classes] / f"{number:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)
    return folder


def _numbers(loaded: data.ImageData) -> list[int]:
    return (loaded.images[:, 0, 0, 0] * 255).round().int().tolist()


def test_splits_are_disjoint_whole_and_in_the_order_of_names(tmp_path: Path) -> None:
    root = _write(tmp_path / "mine", 60)
    train, test = (data.load("folder_gray", split, root=root) for split in ("train", "test"))
    assert sorted(_numbers(train) + _numbers(test)) == list(range(60))
    assert len(test.images) == 10
    assert _numbers(train) == sorted(_numbers(train))
    assert train.labels.tolist() == [number % 3 for number in _numbers(train)]
    assert train.class_names == ("a", "b", "c")
    assert data.train_size("folder_gray", root=root) == 50
    assert data.load("folder_color", "test", root=root).images.shape == (10, 3, 32, 32)
    part = data.load("folder_gray", "train", root=root, num_records=7)
    assert len(part.images) == 7


def test_under_a_key_splits_are_the_same_records_in_another_order(tmp_path: Path) -> None:
    root = _write(tmp_path / "mine", 60)
    assert _numbers(data.load("folder_gray", "all", root=root)) == list(range(60))
    pool = folders.load_pool("folder_gray", root, shape=(1, 28, 28))
    seen = set()
    for key in ("one", "another"):
        splits = [data.load("folder_gray", s, root=root, key=key) for s in ("train", "test")]
        numbers = [number for split in splits for number in _numbers(split)]
        assert sorted(numbers) == list(range(60)) and len(splits[1].images) == 10
        for split, name in zip(splits, ("train", "test"), strict=True):
            assert split.labels.tolist() == [number % 3 for number in _numbers(split)]
            again = data.split_pool(pool, name, num_records=None, seed=0, key=key)
            assert torch.equal(to_floats(again.images), split.images)
            assert torch.equal(again.labels, split.labels)
        seen.add(tuple(numbers))
    assert len(seen) == 2


def test_a_secret_run_takes_its_order_from_its_key_and_a_seeded_one_from_the_names(
    glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []
    honest = folders.rows_of_split

    def listening(count: int, split: str, key: str | None, **how: bool) -> torch.Tensor:
        asked.append((split, key))
        return honest(count, split, key, **how)

    for source in ("secret", "seeded"):
        config = _smoke(glyph_folder, noise_source=source)
        with monkeypatch.context() as patch:
            patch.setattr(folders, "rows_of_split", listening)
            run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    keys = {split: [key for s, key in asked if s == split] for split in ("train", "test")}
    secret, seeded = ([k for k in keys[s] if k] for s in ("train", "test"))
    assert len(set(secret)) == 1 and secret == seeded  # both splits of the one secret run
    assert len(secret[0]) == 64


def test_equal_names_in_two_classes_are_two_records(tmp_path: Path) -> None:
    root = _write(tmp_path / "mine", 12)
    (root / "c" / "0000.png").write_bytes((root / "a" / "0000.png").read_bytes())
    pool = data.load("folder_gray", "all", root=root)
    assert pool.labels.tolist()[:2] == [0, 2] and _numbers(pool)[:2] == [0, 0]


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="one subfolder of images per class"):
        make_config(dataset="folder_gray", root=tmp_path / "nowhere")
    root = _write(tmp_path / "mine", 12)
    for path in root.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InvalidArgument, match="readable: 12 are not"):
        data.load("folder_gray", "train", root=root)


def test_wide_images_are_cut_to_their_middle(tmp_path: Path) -> None:
    root = _write(tmp_path / "mine", 12)
    wide = np.zeros((28, 84), dtype=np.uint8)
    wide[:, 28:56] = 255
    for path in root.glob("*/*.png"):
        Image.fromarray(wide).save(path)
    assert data.load("folder_gray", "train", root=root).images.min() == 1.0


@pytest.fixture(scope="module")
def glyph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("glyphs")
    images, labels = draw_glyphs(720, seed=3)
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        target = root / f"digit-{label}" / f"{number:05d}.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(target)
    return root


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("method", [*METHODS, *EXTRAS, SHARED])
def test_every_method_makes_every_size(
    method: str, size: int, glyph_folder: Path, tmp_path: Path
) -> None:
    """Two rounds, few images: the networks, bases, priors and sheets of each size fit together."""
    color = method in COLORED
    settings: dict[str, object] = {"rounds": 2, "num_shards": 20, "synthetic_records": 20}
    if method.startswith(("gaussian", "mixture")):
        settings["rounds"] = 0
    if color:
        settings |= {"prior_modes": 6} if "color" in method else {}
    if method == "gs-wgan":
        settings["critic"] = "conv"
    config = make_config(
        dataset="folder_color" if color else "folder_gray",
        method=method,
        profile="smoke",
        root=glyph_folder,
        image_size=size,
        evaluated=False,
        num_records=200,
        **settings,  # type: ignore[arg-type]
    )
    record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    made = load(record.path).sample(per_class=1)
    assert made.images.shape == (10, 3 if color else 1, size, size)
    width, height = Image.open(record.samples_png).size
    assert width > 10 * size and height > 10 * size


@pytest.mark.parametrize("size", [28, 64])
def test_large_images_are_judged_as_they_are_handed_over(
    size: int, glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Floats of twenty thousand at 128x128 in color would take four gigabytes."""
    seen: list[data.ImageData] = []
    by: list[EvaluationSettings] = []

    def look(
        *given: data.ImageData, settings: EvaluationSettings, **how: object
    ) -> dict[str, object]:
        seen.extend(given)
        by.append(settings)
        return {}

    monkeypatch.setattr(experiment, "evaluate", look)
    config = make_config(
        dataset="folder_gray",
        method="gaussian",
        profile="smoke",
        root=glyph_folder,
        image_size=size,
        num_records=200,
        synthetic_records=20,
    )
    record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    made, train, test = seen
    assert by == [config.evaluation.for_side(size)]
    assert (by[0] == config.evaluation) == (size == 28)
    assert train.images.dtype == test.images.dtype == torch.uint8
    assert made.images.dtype == (torch.float32 if size == 28 else torch.uint8)
    with np.load(record.path / "synthetic.npz") as kept:
        assert np.array_equal(to_bytes(made.images).numpy(), kept["images"])
    assert torch.equal(load(record.path).sample().images, made.images) or size == 64


@pytest.mark.parametrize("method", COLORED)
def test_priors_for_photographs_run_on_colors(
    method: str, glyph_folder: Path, tmp_path: Path
) -> None:
    config = make_config(
        dataset="folder_color",
        method=method,
        profile="smoke",
        root=glyph_folder,
        prior_modes=10,
        **({"rounds": 2, "prior_cells": 2} if method.startswith("efsgd") else {}),
    )
    record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon
    with np.load(record.path / "synthetic.npz") as made:
        images = torch.from_numpy(made["images"].astype(np.float32) / 255)  # (n, 3, 32, 32)
    chroma = images - images.mean(1, keepdim=True)
    # What was gray stays nearly gray: colors were released on a scale of their own.
    assert float(chroma.std()) < 0.5 * float(images.mean(1).std())


def _smoke(folder: Path, **changes: object) -> ExperimentConfig:
    values = {"dataset": "folder_gray", "method": "gaussian", "profile": "smoke", "epsilon": 8.0}
    return make_config(**values | {"noise_source": "secret", "root": folder} | changes)  # type: ignore[arg-type]


def test_an_empty_class_is_no_error(glyph_folder: Path, tmp_path: Path) -> None:
    """Refused, it would show with certainty that a class has a record, whatever epsilon is."""
    (glyph_folder / "rare").mkdir()
    try:
        for method in ("gaussian", "efsgd", "mixture"):
            config = _smoke(glyph_folder, method=method, num_shards=60)
            record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
            released = hand_over(record, tmp_path / method)
            assert list((released / "images" / "rare").glob("*.png"))
    finally:
        (glyph_folder / "rare").rmdir()


def test_judges_of_private_images_stay_beside_their_results(
    glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    config = _smoke(glyph_folder)
    run_experiment(config, results_dir=tmp_path / "results", root=glyph_folder, progress=False)
    assert list((tmp_path / "results/.work/classifiers").iterdir())
    assert not machine_cache().exists()
    public = make_config(dataset="glyphs", method="gaussian", profile="smoke", num_records=600)
    run_experiment(public, results_dir=tmp_path / "public", progress=False)
    assert list(machine_cache().iterdir())
    assert not (tmp_path / "public/.work/classifiers").exists()


@pytest.mark.parametrize("noise_source", ["secret", "seeded"])
def test_a_record_of_other_data_is_not_taken_for_these(
    noise_source: str, glyph_folder: Path, tmp_path: Path
) -> None:
    """The name of a record holds its settings, not its data: a folder may change under it."""
    config = _smoke(glyph_folder, noise_source=noise_source)
    first = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    again = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    assert again.path == first.path
    kept = data.load("folder_gray", "train", root=glyph_folder)
    picture = sorted(glyph_folder.glob("*/*.png"), key=lambda path: path.name)
    changed, before = None, b""
    for path in picture:  # the first record that is not held out
        before = path.read_bytes()
        Image.fromarray(np.full((28, 28), 77, dtype=np.uint8)).save(path)
        if not torch.equal(
            data.load("folder_gray", "train", root=glyph_folder).images, kept.images
        ):
            changed = path
            break
        path.write_bytes(before)
    assert changed is not None
    try:
        with pytest.raises(InvalidArgument, match="learned from the data at hand"):
            run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    finally:
        changed.write_bytes(before)


def test_nothing_is_handed_over_while_the_key_exists(
    glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run killed between its record and the end of its work folder; the next call must clear up."""
    config = _smoke(glyph_folder)

    def killed(_: Workspace) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "remove_key", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    record = Record(tmp_path / config.record_name())
    key = work_folder(tmp_path, config.record_name()) / "secret"
    assert key.exists()
    with pytest.raises(InvalidArgument, match="record: .*whose key was removed"):
        hand_over(record, tmp_path / "released")
    # Nor is a copy of it, which lies where there is no key.
    elsewhere = Path(shutil.copytree(record.path, tmp_path / "elsewhere" / record.path.name))
    with pytest.raises(InvalidArgument, match="record: .*whose key was removed"):
        hand_over(Record(elsewhere), tmp_path / "released")
    assert not list(tmp_path.glob("released*"))
    stamp = (record.path / "privacy.json").stat().st_mtime_ns
    run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    assert not key.parent.exists()
    assert (record.path / "privacy.json").stat().st_mtime_ns == stamp  # nothing released again
    mine = tmp_path / "released.partial"
    mine.mkdir()
    (mine / "notes").write_text("not made by us")
    hand_over(record, tmp_path / "released")
    assert (mine / "notes").read_text() == "not made by us"
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith(".released")}


def test_a_key_removed_just_before_a_kill_is_noted_by_the_next_call(
    glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _smoke(glyph_folder)

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "note_key_removed", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    record = Record(tmp_path / config.record_name())
    assert not record.key_removed
    again = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    assert again.key_removed and not work_folder(tmp_path, config.record_name()).exists()


def test_a_run_with_public_noise_is_not_handed_over(glyph_folder: Path, tmp_path: Path) -> None:
    config = make_config(
        dataset="folder_gray", method="efsgd", profile="smoke", epsilon=8, root=glyph_folder
    )
    record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    with pytest.raises(InvalidArgument, match="secret"):
        hand_over(record, tmp_path / "released")
    assert not list(tmp_path.glob("released*"))


def test_folder_shapes_are_among_the_names() -> None:
    assert set(folders.SHAPES) < set(data.NAMES)
