"""A folder of images: public slots, clear errors, and what may be handed over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpgen_core import cli as own_data
from dpgen_core.checks import InvalidArgument
from dpgen_core.cli import hand_over
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import COLORED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import folders
from dpgen_core.data import sets as data
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record
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


def test_a_record_with_another_label_leaves_all_others_in_place(tmp_path: Path) -> None:
    """Neighbors under replace-one: were slots counted by class, every later record would move."""
    root = _write(tmp_path / "mine", 60)
    before = data.load("folder_gray", "train", root=root)
    moved = next(number for number in _numbers(before) if number % 3 == 0)
    (root / "a" / f"{moved:04d}.png").rename(root / "c" / f"{moved:04d}.png")
    after = data.load("folder_gray", "train", root=root)
    assert torch.equal(before.images, after.images)
    changed = (before.labels != after.labels).nonzero()[:, 0].tolist()
    assert [_numbers(before)[row] for row in changed] == [moved]


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="one subfolder of images per class"):
        make_config(dataset="folder_gray", root=tmp_path / "nowhere")
    root = _write(tmp_path / "mine", 12)
    (root / "c" / "0000.png").write_bytes((root / "a" / "0000.png").read_bytes())
    with pytest.raises(InvalidArgument, match=r"unique.*running number"):
        data.load("folder_gray", "train", root=root)
    (root / "c" / "0000.png").unlink()
    for path in root.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InvalidArgument, match="cannot be read"):
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


def test_from_a_folder_to_a_set_to_hand_over(
    glyph_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "released"
    results = tmp_path / "results"
    command = [
        "synthesize",
        str(glyph_folder),
        str(target),
        "--epsilon",
        "8",
        "--results",
        str(results),
    ]
    assert own_data.main([*command, "--method", "efsgd", "--profile", "smoke"]) == 0
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [*(f"digit-{digit}" for digit in range(10)), "privacy.json", "statement.md"]
    )
    pictures = sorted(target.glob("*/*.png"))
    assert len(pictures) == 400
    assert Image.open(pictures[0]).size == (28, 28)
    privacy = json.loads((target / "privacy.json").read_text())
    assert privacy["releasable"] and max(privacy["epsilon"].values()) <= 8
    assert privacy["num_records"] == 600
    assert "Not fit" not in (target / "statement.md").read_text()
    assert not [path for path in target.rglob("*") if "metrics" in path.name]
    capsys.readouterr()
    assert own_data.main([*command, "--profile", "smoke"]) == 2
    assert "does not exist yet" in capsys.readouterr().err


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
            released = hand_over(record, tmp_path / method, root=glyph_folder)
            assert list((released / "rare").glob("*.png"))
    finally:
        (glyph_folder / "rare").rmdir()


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
        patch.setattr(Workspace, "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    record = Record(tmp_path / config.record_name())
    key = work_folder(tmp_path, config.record_name()) / "secret"
    assert key.exists()
    with pytest.raises(InvalidArgument, match="secret: .*deleted before anything leaves"):
        hand_over(record, tmp_path / "released", root=glyph_folder)
    assert not list(tmp_path.glob("released*"))
    stamp = (record.path / "privacy.json").stat().st_mtime_ns
    run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    assert not key.parent.exists()
    assert (record.path / "privacy.json").stat().st_mtime_ns == stamp  # nothing released again
    hand_over(record, tmp_path / "released", root=glyph_folder)


def test_a_run_with_public_noise_is_not_handed_over(glyph_folder: Path, tmp_path: Path) -> None:
    config = make_config(
        dataset="folder_gray", method="efsgd", profile="smoke", epsilon=8, root=glyph_folder
    )
    record = run_experiment(config, results_dir=tmp_path, root=glyph_folder, progress=False)
    with pytest.raises(InvalidArgument, match="secret"):
        hand_over(record, tmp_path / "released", root=glyph_folder)
    assert not list(tmp_path.glob("released*"))


def test_folder_shapes_are_among_the_names() -> None:
    assert set(folders.SHAPES) < set(data.NAMES)
