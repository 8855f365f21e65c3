"""``--unit person``: what is learned from, what is said of it, and that the budget is a person's."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import brentq
from scipy.stats import norm

from dpgen_core import cli, experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data import folders
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.delivery.own_images import plan
from dpgen_core.pixels import to_bytes

SMOKE = ("--profile", "smoke", "--epsilon", "8", "--no-evaluation")
PERSON = ("--unit", "person", "--per-person")


def write(root: Path, counts: list[int]) -> Path:
    """Drawn digits in a table, so many of each person."""
    images, labels = draw_glyphs(sum(counts), seed=3)
    who = np.repeat(np.arange(len(counts)), counts)
    (root / "scans").mkdir(parents=True)
    with open(root / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", "person"))
        for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            Image.fromarray(image[0].numpy()).save(root / "scans" / f"{number:04d}.png")
            table.writerow((f"scans/{number:04d}.png", f"digit-{label}", f"P{who[number]}"))
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("mine") / "images", [1, 2, 3, 4, 5, 9] * 10)


def epsilon_of_gaussian(shift: float, delta: float) -> float:
    """Epsilon of a normal law against the one moved by so many standard deviations (exact)."""

    def excess(epsilon: float) -> float:
        near, far = shift / 2 - epsilon / shift, -shift / 2 - epsilon / shift
        return float(norm.cdf(near) - math.exp(epsilon) * norm.cdf(far)) - delta

    return float(brentq(excess, 0.0, 100.0))


@pytest.mark.parametrize("per_person", [1, 3])
def test_the_budget_is_kept_for_all_images_of_a_person(
    per_person: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "released"
    own = ["synthesize", str(folder), str(target), *SMOKE, *PERSON, str(per_person)]
    assert cli.main([*own, "--method", "gaussian", "--results", str(tmp_path / "results")]) == 0
    privacy = json.loads((target / "privacy.json").read_text())
    images = 60 if per_person == 1 else 150
    assert privacy["num_records"] == images
    # By hand: m records move a sum m times as far as one does, and shifts add up in squares.
    squares = [e["count"] / e["noise_multiplier"] ** 2 for e in privacy["ledger"]["events"]]
    exact = epsilon_of_gaussian(per_person * math.sqrt(sum(squares)), 1e-5)
    assert exact <= privacy["epsilon"]["pld"] * (1 + 1e-9) <= privacy["epsilon"]["rdp"] <= 8
    assert exact > 7  # and no more noise than that takes
    statement = (target / "statement.md").read_text()
    most = "1 image" if per_person == 1 else "3 images"
    assert f"**Unit of privacy**: one person, with at most {most} and their labels." in statement
    assert f"the images of one person, {per_person} at most, are exchanged for as many" in statement
    assert f"So many images were trained on, at most {per_person} of each person" in statement
    assert "the images of any single person were the ones they are" in statement
    assert "one by one" not in statement and "any single record" not in statement
    assert f"for one person, with at most {most}" in (target / "README.md").read_text()
    shown = capsys.readouterr().out
    left = 240 - images
    assert (
        f"9 at most, 4.0 on average; {per_person} of each are kept at most, {left} of 240" in shown
    )
    assert f"left out: {left}, beyond {per_person} of one person: scans/" in shown
    assert "budget: epsilon 8 at delta 1e-05 for a person" in shown
    single = epsilon_of_gaussian(math.sqrt(sum(squares)), 1e-5)
    said = float(shown.split("epsilon is ")[1].split()[0])
    assert single <= said <= single + 2e-3


def test_one_image_of_each_is_charged_as_images_are(folder: Path) -> None:
    for method in ("gaussian", "mixture", "efsgd", "efsgd-prior"):
        how = {"method": method, "profile": "smoke", "epsilon": 3.0, "evaluated": False}
        bounded = plan(folder, unit="person", images_per_person=1, **how).config  # type: ignore[arg-type]
        same = plan(folder, num_records=bounded.privacy.num_records, **how).config  # type: ignore[arg-type]
        assert bounded.replace(images_per_person=None) == same


def test_more_images_of_each_take_more_noise(folder: Path) -> None:
    for method in ("gaussian", "efsgd"):
        how = {"method": method, "profile": "smoke", "epsilon": 3.0, "num_records": 50}
        noise = []
        for most in (1, 2, 4):
            privacy = plan(folder, unit="person", images_per_person=most, **how).config.privacy  # type: ignore[arg-type]
            noise.append(privacy.prior_noise_multiplier or privacy.noise_multiplier)
        # Rounds of little noise gain from coins, so twice the images take a little less than twice.
        assert 1.8 < noise[1] / noise[0] < 2.05 and 3.2 < noise[2] / noise[0] < 4.1


def test_another_persons_images_change_so_many_records(folder: Path, tmp_path: Path) -> None:
    """What the run learns from, before its secret order: at most m records differ."""
    other = tmp_path / "images"
    (other / "scans").mkdir(parents=True)
    lines = (folder / "labels.csv").read_text().splitlines()
    for line in lines[1:]:
        (other / line.split(",")[0]).write_bytes((folder / line.split(",")[0]).read_bytes())
    gone = [line for line in lines if line.endswith(",P5")]  # nine images
    new = []
    for number, line in enumerate(gone + gone):  # and of somebody with twice as many
        Image.fromarray(np.full((28, 28), number, dtype=np.uint8)).save(other / f"0{number}.png")
        new.append(f"0{number}.png,{line.split(',')[1]},AA")
    (other / "labels.csv").write_text(
        "\n".join([lines[0], *new, *lines[1:]]).replace(",P5\n", ",AA\n")
    )

    def records(root: Path) -> Counter[bytes]:
        pool = folders.load_pool("folder_gray", root, shape=(1, 28, 28), per_person=3)
        return Counter(image.numpy().tobytes() for image in pool.images)

    here, there = records(folder), records(other)
    assert here.total() == there.total() == 150
    assert (here - there).total() <= 3


def test_a_run_learns_from_what_was_kept_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    honest = experiment.Session

    def listening(config, real, *rest):  # type: ignore[no-untyped-def]
        seen.append(real.images)
        return honest(config, real, *rest)

    monkeypatch.setattr(experiment, "Session", listening)
    for source in ("secret", "seeded"):
        config = make_config(
            dataset="folder_gray",
            method="gaussian",
            profile="smoke",
            root=folder,
            evaluated=False,
            images_per_person=2,
            noise_source=source,
        )
        record = experiment.run_experiment(
            config, results_dir=tmp_path, root=folder, progress=False
        )
        assert record.privacy["num_records"] == 110
        pool = folders.load_pool("folder_gray", folder, shape=(1, 28, 28), per_person=2)
        wanted = sorted(image.numpy().tobytes() for image in pool.images)
        learned = to_bytes(seen[-1])
        assert sorted(image.numpy().tobytes() for image in learned) == wanted
        text = (record.path / "statement.md").read_text()
        assert ("each for one of the same file name" in text) == (source == "seeded")


def test_a_plan_with_the_noise_for_a_record_is_refused(folder: Path, tmp_path: Path) -> None:
    how = {"method": "gaussian", "profile": "smoke", "epsilon": 3.0, "evaluated": False}
    config = plan(folder, unit="person", images_per_person=3, **how).config  # type: ignore[arg-type]
    noise = config.privacy.prior_noise_multiplier
    config = config.replace(prior_noise_multiplier=noise / 2)
    with pytest.raises(InvalidArgument, match="enough for epsilon 3: the planned releases spend"):
        experiment.run_experiment(config, results_dir=tmp_path / "results", root=folder)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--unit", "person"], "images_per_person: received None"),
        ([*PERSON, "0"], "images_per_person: received 0"),
        (["--per-person", "3"], "--unit person"),
    ],
)
@pytest.mark.parametrize("command", ["check", "synthesize"])
def test_a_unit_that_is_not_whole_is_one_line(
    command: str,
    words: list[str],
    named: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results"
    places = [str(folder), *([str(tmp_path / "made")] if command == "synthesize" else [])]
    assert cli.main([command, *places, *SMOKE, *words, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and named in error
    assert not results.exists() and not (tmp_path / "made").exists()


def test_the_books_total_for_a_person_where_every_release_was_bounded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--profile", "smoke", "--method", "gaussian", "--no-evaluation"]
    own += ["--results", str(tmp_path / "results")]
    totals = []
    for number, words in enumerate(([*PERSON, "3"], [*PERSON, "1"], [])):
        made = str(tmp_path / f"made{number}")
        more = ["--epsilon", "2", "--again"]
        assert cli.main(["synthesize", str(folder), made, *words, *more, *own]) == 0
        shown = capsys.readouterr().out
        if number:
            found, unit = (
                shown.split("the total is epsilon ")[1].split(", which")[0].split(" at delta ")
            )
            totals.append((float(found), unit.split(" for ")[1]))
    # A release with one image of each counts as one with three: together more than the sum of two.
    assert totals[0][1] == "a person" and totals[0][0] > 4
    # The last was not bounded, and a person's share of it is unknown.
    assert totals[1][1] == "one image" and 2 < totals[1][0] < 4
