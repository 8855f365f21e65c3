"""From the command to the folder: what comes out, and that nothing is spent where something is wrong."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dpgen_core
from companion.studies.fork_server import fork_server
from dpgen_core import cli
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.delivery.books import Books
from dpgen_core.delivery.handover import write_images

SMOKE = ("--profile", "smoke", "--epsilon", "8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mine") / "images"
    images, labels = draw_glyphs(720, seed=3)
    write_images(root, images.numpy(), labels.numpy(), [f"digit-{digit}" for digit in range(10)])
    return root


def odd_folder(root: Path, count: int = 24) -> Path:
    """Class names that Markdown, matplotlib and formats read their own way."""
    names = ["$0-$50", "$50_$100", "50%{x}", "grün"]
    pixels = np.random.default_rng(0).integers(0, 255, (count, 1, 28, 28)).astype(np.uint8)
    write_images(root, pixels, np.arange(count) % 4, names)
    return root


def nothing_written(where: Path) -> bool:
    return not where.exists() or not [path for path in where.rglob("*") if path.is_file()]


def test_what_comes_out_is_whole_and_agrees(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, target = tmp_path / "results", tmp_path / "released"
    command = ["synthesize", str(folder), str(target), *SMOKE, "--results", str(results)]
    assert cli.main([*command, "--method", "efsgd"]) == 0
    assert sorted(path.name for path in target.iterdir()) == [
        *("README.md", "SHA256SUMS", "config.json", "generator.safetensors", "images"),
        *("labels.csv", "privacy.json", "statement.md", "synthetic.npz"),
    ]
    pictures = sorted((target / "images").rglob("*.png"))
    assert len(pictures) == 400
    with open(target / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(target / "synthetic.npz") as archive:
        arrays = {name: archive[name] for name in archive}
    assert arrays["train_images"].shape == (400, 28, 28) and arrays["test_images"].shape[0] == 0
    assert arrays["train_labels"].shape == (400, 1)
    for row, image, label in zip(rows, arrays["train_images"], arrays["train_labels"], strict=True):
        assert row["label"] == f"digit-{label[0]}" == Path(row["file"]).parent.name
        assert np.array_equal(np.asarray(Image.open(target / row["file"])), image)
    sums = [line.split("  ", 1) for line in (target / "SHA256SUMS").read_text().splitlines()]
    assert len(sums) == 400 + 7
    for digest, name in sums:
        assert hashlib.sha256((target / name).read_bytes()).hexdigest() == digest
    privacy = json.loads((target / "privacy.json").read_text())
    assert privacy["releasable"] and max(privacy["epsilon"].values()) <= 8
    assert privacy["num_records"] == 600
    statement = (target / "statement.md").read_text()
    assert "Not fit" not in statement
    assert f"400 in synthetic.npz, whose SHA-256 is {privacy['synthetic']['sha256']}" in statement
    assert dict((name, digest) for digest, name in sums)["synthetic.npz"] in statement
    assert not [path for path in target.rglob("*") if "metrics" in path.name]
    capsys.readouterr()
    assert cli.main(command) == 2
    shown = capsys.readouterr()
    assert "does not exist yet" in shown.err and shown.err.count("\n") == 1


def test_the_released_generator_draws_the_same_again_in_another_process(
    folder: Path, tmp_path: Path
) -> None:
    results, target = tmp_path / "results", tmp_path / "released"
    own = ["synthesize", str(folder), str(target), *SMOKE, "--results", str(results)]
    assert cli.main([*own, "--no-evaluation", "--method", "efsgd-prior", "--seed", "5"]) == 0
    samples = [["sample", str(target), str(tmp_path / seed), "--seed", seed] for seed in ("5", "6")]
    same_threads = {"initializer": torch.set_num_threads, "initargs": (torch.get_num_threads(),)}
    with ProcessPoolExecutor(1, mp_context=fork_server(), **same_threads) as pool:
        assert list(pool.map(cli.main, samples)) == [0, 0]

    def pixels(where: Path) -> np.ndarray:
        with np.load(where / "synthetic.npz") as archive:
            return archive["train_images"]

    assert np.array_equal(pixels(tmp_path / "5"), pixels(target))
    assert not np.array_equal(pixels(tmp_path / "6"), pixels(target))
    more = dpgen_core.load(target).sample(per_class=7, seed=2)
    assert more.labels.bincount().tolist() == [7] * 10
    assert more.class_names == tuple(f"digit-{digit}" for digit in range(10))


def test_shares_are_those_that_were_released(folder: Path, tmp_path: Path) -> None:
    results, target = tmp_path / "results", tmp_path / "released"
    own = ["synthesize", str(folder), str(target), *SMOKE, "--results", str(results)]
    shares = ["--no-evaluation", "--method", "gaussian", "--count", "97", "--proportional"]
    assert cli.main([*own, *shares]) == 0
    generator = dpgen_core.load(target)
    assert generator.prior is not None
    with np.load(target / "synthetic.npz") as archive:
        counts = np.bincount(archive["train_labels"][:, 0], minlength=10)
    assert counts.sum() == 97
    assert np.abs(counts - 97 * generator.prior.class_share.numpy()).max() < 1.0


def test_odd_class_names_are_shown_as_they_are(tmp_path: Path) -> None:
    root, target = odd_folder(tmp_path / "images"), tmp_path / "released"
    own = ["synthesize", str(root), str(target), *SMOKE, "--results", str(tmp_path / "results")]
    assert cli.main([*own, "--method", "gaussian"]) == 0
    text = (target / "statement.md").read_text()
    assert "**Classes**: `$0-$50`, `$50_$100`, `50%{x}`, grün; these names are public." in text
    assert {p.name for p in (target / "images").iterdir()} == {p.name for p in root.iterdir()}
    assert "| 2 | `50%{x}` |" in (target / "README.md").read_text()


def test_two_images_of_each_class_are_enough_for_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, target = odd_folder(tmp_path / "images", count=8), tmp_path / "released"
    own = ["synthesize", str(root), str(target), *SMOKE, "--results", str(tmp_path / "results")]
    assert cli.main(own) == 0
    shown = capsys.readouterr().out
    assert "warning: 2 records per class at epsilon 8 are hopeless" in shown
    assert "learned from: 8, held out for metrics: 0" in shown


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--epsilon", "-1"], "epsilon"),
        (["--delta", "0.5"], "delta"),
        (["--size", "30"], "image_size"),
        (["--maximum", "0"], "maximum"),
        (["--method", "gan"], "method"),
        (["--kind", "photographs", "--gray"], "kind"),
        (["--shards", "0"], "num_shards"),
        (["--seed", "-1"], "seed"),
        (["--count", "0"], "count"),
        (["--per-class", "-5"], "per_class"),
        (["--per-class", "5", "--proportional"], "per_class"),
        (["--proportional", "--method", "efsgd"], "proportional"),
        (["--device", "abacus"], "device"),
    ],
)
def test_a_bad_setting_is_one_line_and_spends_nothing(
    words: list[str], named: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, target = tmp_path / "results", tmp_path / "released"
    own = ["synthesize", str(folder), str(target), *SMOKE, "--results", str(results)]
    assert cli.main([*own, *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and named in error and "Traceback" not in error
    assert nothing_written(results) and not target.exists()


@pytest.mark.parametrize("words", [["--count", "x"], ["--bogus"], ["--count", "5.5"], []])
def test_words_that_are_no_options_are_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["synthesize", "images", *words])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "dpgen synthesize --help" in error


@pytest.mark.parametrize("place", ["target", "results", "here"])
def test_nothing_is_written_among_the_images(
    place: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(folder.rglob("*"))
    places = {"target": tmp_path / "released", "results": tmp_path / "results"}
    if place in places:
        places[place] = folder / "made"
    words = [str(folder), str(places["target"]), *SMOKE, "--results", str(places["results"])]
    if place == "here":  # the current folder as images, with the usual results folder
        monkeypatch.chdir(folder)
        words = [".", str(places["target"]), *SMOKE]
    assert cli.main(["synthesize", *words]) == 2
    error = capsys.readouterr().err
    assert "outside the images" in error and error.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_a_second_release_is_named_and_has_to_be_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    own = ["--no-evaluation", "--method", "gaussian", "--profile", "smoke"]
    own += ["--results", str(results)]
    first = ["synthesize", str(folder), str(tmp_path / "one"), "--epsilon", "2", *own]
    assert cli.main(first) == 0
    # The same run once more releases nothing: its record is there.
    assert cli.main([*first[:2], str(tmp_path / "same"), *first[3:]]) == 0
    # Another budget does, and so does the same folder with an image more, under other names.
    other = tmp_path / "other"
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        copy = other / path.parent.name / f"renamed-{number}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(other / "digit-1" / "new.png")
    capsys.readouterr()
    for images, epsilon in ((folder, "1"), (other, "2")):
        again = ["synthesize", str(images), str(tmp_path / "two"), "--epsilon", epsilon, *own]
        assert cli.main(again) == 2
        shown = capsys.readouterr()
        assert "1 release(s) that share images with these" in shown.out
        assert "--again" in shown.err and shown.err.count("\n") == 1
    assert len(Books(results).entries()) == 1 and not (tmp_path / "two").exists()
    assert cli.main([*again, "--again"]) == 0
    # Two Gaussians of epsilon 2 together: more than one of them, less than their sum.
    total = float(capsys.readouterr().out.split("the total is epsilon ")[1].split()[0])
    assert 2.0 < total < 4.0
    # Who shares images with whom is a fact about the records: it must not leave.
    left = [
        path.read_text()
        for path in (tmp_path / "two").iterdir()
        if path.suffix != ".npz" and path.is_file() and path.suffix != ".safetensors"
    ]
    assert not [text for text in left if "earlier_releases" in text or "share images" in text]


def test_the_books_are_written_before_anything_is_released(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dpgen_core.delivery import own_images as made

    seen: list[int] = []

    def killed(*_: object, results_dir: Path, **__: object) -> None:
        seen.append(len(Books(results_dir.parent).entries()))
        raise KeyboardInterrupt

    monkeypatch.setattr(made, "run_experiment", killed)
    own = ["--no-evaluation", *SMOKE, "--results", str(tmp_path / "results")]
    assert cli.main(["synthesize", str(folder), str(tmp_path / "one"), *own]) == 130
    assert seen == [1]
    entry = next((tmp_path / "results" / ".books").glob("*.json"))
    assert entry.stat().st_mode & 0o077 == 0  # for nobody else to read
    entry.write_text(entry.read_text()[:50])
    assert cli.main(["synthesize", str(folder), str(tmp_path / "one"), *own]) == 2


def test_check_says_what_is_there_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".hidden").mkdir()
    try:
        own = ["check", str(folder), *SMOKE, "--results", str(tmp_path / "results")]
        assert cli.main(own) == 0
    finally:
        (folder / ".hidden").rmdir()
    shown = capsys.readouterr().out
    assert "images: 720 in 10 classes" in shown
    assert "of each class (private): digit-0 72, digit-1 72" in shown
    assert "left out: 1, hidden, or made by the system: .hidden" in shown
    assert "sides (private): 28 to 28 pixels; modes: L 720" in shown
    assert "learned from: 600, held out for metrics: 120" in shown
    assert "method: mixture, for shapes on an even ground" in shown
    assert "forecast: about" in shown and "GB of memory" in shown
    assert nothing_written(tmp_path / "results")


@pytest.mark.parametrize("command", ["check", "synthesize"])
def test_what_is_damaged_is_named_before_anything_is_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = odd_folder(tmp_path / "images")
    (root / "grün" / "000003.png").write_bytes(b"")
    half = root / "$0-$50" / "000000.png"
    half.write_bytes(half.read_bytes()[:300])
    words = [str(root), *([str(tmp_path / "released")] if command == "synthesize" else [])]
    assert cli.main([command, *words, *SMOKE, "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert "grün/000003.png (no picture)" in error and "$0-$50/000000.png (" in error
    assert error.count("\n") == 1 and nothing_written(tmp_path / "results")


def test_uneven_classes_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = odd_folder(tmp_path / "images")
    for path in sorted((root / "grün").iterdir())[1:]:
        path.unlink()
    assert cli.main(["check", str(root), *SMOKE, "--results", str(tmp_path / "results")]) == 0
    assert "classes are uneven (private): 1 to 6 images" in capsys.readouterr().out


def test_help_is_quick_and_shows_defaults() -> None:
    code = (
        "import sys; from dpgen_core import cli\n"
        "try: cli.main(['synthesize', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    text = " ".join(shown.stdout.split())
    for part in ("(default: 1e-05)", "default: 28 in gray, 32 in color", "(default: quick)"):
        assert part in text
    assert "strokes: light strokes on dark ground" in text


def test_a_finished_set_is_compared_apart_from_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = draw_glyphs(100, seed=4)
    names = [f"digit-{digit}" for digit in range(10)]
    write_images(tmp_path / "made", images.numpy(), labels.numpy(), names)
    results = tmp_path / "results"
    words = ["evaluate", str(tmp_path / "made"), "--images", str(folder), "--epochs", "1"]
    assert cli.main([*words, "--results", str(results)]) == 0
    path = Path(capsys.readouterr().out.split(": ", 1)[1].strip())
    assert path.parent == results / "private" and path.stat().st_mode & 0o077 == 0
    found = json.loads(path.read_text())
    assert found["images"] == {"synthetic": 100, "real": 720}
    assert 0 <= found["metrics"]["g2r_cnn"] <= 1
    odd = odd_folder(tmp_path / "odd")
    assert cli.main(["evaluate", str(odd), "--images", str(folder), "--epochs", "1"]) == 2
    assert "classes" in capsys.readouterr().err


def test_classes_that_differ_in_case_alone_get_folders_of_their_own(tmp_path: Path) -> None:
    pixels = np.zeros((6, 1, 28, 28), dtype=np.uint8)
    written = write_images(tmp_path, pixels, np.arange(6) % 3, ["A", "a", "a-1"])
    folders = [path.name for path in tmp_path.iterdir()]
    assert len({name.casefold() for name in folders}) == 3
    assert [name for _, name in written] == ["A", "a", "a-1"] * 2  # labels stay
    assert all((tmp_path / path).exists() for path, _ in written)
