"""``dpgen``: experiments and your own images from the command line.

``dpgen run --dataset mnist --method efsgd --epsilon 10`` runs one experiment in this process;
``torchrun --nproc-per-node=2 -m dpgen_core.cli run ...`` shares the owners between two processes.
Both write the record that `run_experiment` writes, and either resumes the other's unfinished run.

``dpgen synthesize IMAGES TARGET --epsilon 3`` goes from a folder of your images to a synthetic set
to hand over: images by class, the privacy statement and its figures, all inside the guarantee.
Metrics and diagnostics are computed from the private images and stay in the record.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dpgen_core.checks import InvalidArgument, require
from dpgen_core.config.presets import DEFAULT_DELTA, PROFILES, method_names

if TYPE_CHECKING:  # what is slow to import waits until a command needs it
    import numpy as np

    from dpgen_core.records.record import Record

ARCHIVE_FILE = "synthetic.npz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when done, 2 for a bad setting, which is one line on standard error."""
    parser = argparse.ArgumentParser(prog="dpgen", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a named experiment and write its record")
    add_run_options(run)
    run.add_argument("--epsilon", type=float, default=10.0)
    run.add_argument("--seed", type=int, default=0)
    help_text = "from a folder of images to a synthetic set"
    _add_synthesize_options(commands.add_parser("synthesize", help=help_text))
    options = parser.parse_args(arguments)
    try:
        return _run(options) if options.command == "run" else _synthesize(options)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What one run and a sweep have in common; budget and seed are theirs to add."""
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--method", default="efsgd-prior")
    parser.add_argument("--profile", default="quick", help="smoke, quick or paper")
    parser.add_argument("--num-records", type=int, default=None, help="default: all there are")
    parser.add_argument("--noise-source", default="seeded", help="seeded (research) or secret")
    parser.add_argument("--results", type=Path, default=Path("results/local"))


def _run(options: argparse.Namespace) -> int:
    """Run; the record's path is printed last."""
    from dpgen_core.config.make import make_config
    from dpgen_core.experiment import run_experiment
    from dpgen_core.training.ranks import connected

    asked = dict(vars(options))  # but for these two, every option is a setting
    results = asked.pop("results")
    del asked["command"]
    config = make_config(**asked)
    with connected() as ranks:
        record = run_experiment(config, results_dir=results, ranks=ranks, device=ranks.device.type)
        if ranks.first:
            print(record.path)
    return 0


def _add_synthesize_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="folder with one subfolder of images per class")
    parser.add_argument("target", type=Path, help="folder to write, not there yet")
    parser.add_argument("--color", action="store_true", help="32x32 in color; default: 28x28 gray")
    parser.add_argument("--epsilon", type=float, required=True, help="the budget")
    parser.add_argument("--delta", type=float, default=DEFAULT_DELTA, help="below one over N")
    parser.add_argument("--method", choices=method_names(), default="mixture")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--title", default="", help="of the data, for the statement")
    parser.add_argument("--description", default="", help="of the data, for the statement")
    parser.add_argument("--results", type=Path, default=Path("results/local"))


def _synthesize(options: argparse.Namespace) -> int:
    """Train on a folder, hand over the synthetic set."""
    from dpgen_core.config.make import make_config
    from dpgen_core.experiment import run_experiment

    _check_target(options.target)
    dataset = "folder_color" if options.color else "folder_gray"
    named = ("method", "profile", "epsilon", "delta", "title", "description")
    asked = {name: getattr(options, name) for name in named}
    config = make_config(dataset=dataset, noise_source="secret", root=options.images, **asked)
    record = run_experiment(config, results_dir=options.results, root=options.images)
    print(f"record, with private metrics: {record.path}")
    print(f"to hand over: {hand_over(record, options.target, root=options.images)}")
    return 0


def hand_over(record: Record, target: Path, *, root: Path | str | None = None) -> Path:
    """Write what may leave: ``target/<class>/<number>.png``, and the archive, statement and figures.

    The `target` must not exist; it appears whole or not at all. `root` is the folder that the run
    learned from, for class names. Refuses a record whose noise follows from a public seed, whose
    key was not removed, or whose synthetic images are gone.
    """
    import numpy as np

    from dpgen_core.data.sets import dataset_spec
    from dpgen_core.records.statement import STATEMENT_FILE

    rule = "'secret' for a release: seeded noise can be subtracted by whoever knows the seed"
    fix = "make_config(..., noise_source='secret') and a new run"
    source = record.config.privacy.noise_source
    require(record.privacy["releasable"], "noise_source", source, rule, fix)
    rule = "one whose key was removed: whoever has the key can subtract the noise"
    fix = "run_experiment(config) again, where the run was made: it removes the key"
    require(record.key_removed, "record", str(record.path), rule, fix)
    _check_target(target)
    archive = record.path / ARCHIVE_FILE
    rule = "one whose synthetic.npz is there"
    require(archive.exists(), "record", str(record.path), rule, "a new run")
    with np.load(archive, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    names = dataset_spec(record.config.dataset, root=root).class_names
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        whole = Path(scratch) / target.name
        write_images(whole, images, labels, names)
        for file in (STATEMENT_FILE, "privacy.json", ARCHIVE_FILE):
            shutil.copy(record.path / file, whole / file)
        os.replace(whole, target)
    return target


def write_images(
    folder: Path, images: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> None:
    """One PNG per image, in a subfolder per class; a running number over all is the file name.

    `images` are uint8 (n, c, h, w) with c 1 or 3, `labels` (n,) places in the class `names`.
    """
    from PIL import Image

    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)  # (h, w[, 3])
        Image.fromarray(pixels).save(folder / names[int(label)] / f"{number:06d}.png")


def _check_target(target: Path) -> None:
    rule = "a folder that does not exist yet"
    require(not target.exists(), "target", str(target), rule, "another name")


if __name__ == "__main__":
    sys.exit(main())
