"""``dpgen``: synthetic images of your own under differential privacy, and the named experiments.

``dpgen check IMAGES --epsilon 3`` looks at a folder of images and says what can be hoped for;
``dpgen synthesize IMAGES TARGET --epsilon 3`` writes a set to hand over, with its privacy statement
and the released generator; ``dpgen sample GENERATOR TARGET`` draws more from that at no further
cost; ``dpgen evaluate SET --images IMAGES`` compares a set with real images, which is private.

``dpgen run --dataset mnist --method efsgd --epsilon 10`` runs one experiment in this process;
``torchrun --nproc-per-node=2 -m dpgen_core.cli run ...`` shares the owners between two processes.
Both write the record that `run_experiment` writes, and either resumes the other's unfinished run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.presets import DEFAULT_DELTA, PROFILES, RECOMMENDED

RESULTS = Path("results/local")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose help shows every default there is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Help(argparse.HelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        shown = action.help or ""
        said = "default" in shown or action.default in (None, False, argparse.SUPPRESS)
        return shown if said else f"{shown} (default: %(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when done, 2 for a bad setting, which is one line on standard error."""
    options = _parser().parse_args(arguments)
    values = dict(vars(options))
    command = values.pop("command")
    try:
        globals()[f"_{command}"](values)
    except (InvalidArgument, OSError, MemoryError) as error:
        print(f"dpgen {command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What one run and a sweep have in common; budget and seed are theirs to add."""
    rest = "or another; a wrong name is answered with all of them"
    parser.add_argument("--dataset", default="mnist", help=f"mnist, fashion_mnist, celeba {rest}")
    parser.add_argument(
        "--method", default="efsgd-prior", help=f"efsgd, efsgd-prior, mixture {rest}"
    )
    parser.add_argument("--profile", default="quick", help="smoke, quick or paper")
    parser.add_argument("--num-records", type=int, default=None, help="default: all there are")
    parser.add_argument("--noise-source", default="seeded", help="seeded (research) or secret")
    parser.add_argument("--results", type=_path, default=RESULTS, help="where the record goes")


def _parser() -> argparse.ArgumentParser:
    first = (__doc__ or "").partition("\n")[0]
    parser = _Parser(prog="dpgen", description=first.replace("``", ""))
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    look = command("check", "look at a folder of images; nothing is written or spent")
    _add_own_options(look)
    make = command("synthesize", "from a folder of images to a synthetic set to hand over")
    _add_own_options(make)
    make.add_argument("target", type=_path, help="folder to write, not there yet")
    _add_numbers(make, "20,000 with the profile quick")
    make.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    again = "although the books have a release from the same images"
    make.add_argument("--again", action="store_true", help=again)
    more = command("sample", "draw more images from a released generator, at no further cost")
    more.add_argument("generator", type=_path, help="folder that synthesize wrote, or its file")
    more.add_argument("target", type=_path, help="folder to write, not there yet")
    _add_numbers(more, "as many as the run drew")
    more.add_argument(
        "--seed", type=int, help="default: the run's own, which draws its images again"
    )
    more.add_argument("--device", default="cpu", help="cpu or cuda")
    judge = command("evaluate", "compare a set with real images; what comes out is private")
    judge.add_argument("synthetic", type=_path, help="folder that synthesize or sample wrote")
    judge.add_argument("--images", type=_path, required=True, help="folder of real images")
    judge.add_argument("--maximum", type=float, help=_MAXIMUM)
    judge.add_argument("--epochs", type=int, default=8, help="passes of each classifier")
    judge.add_argument("--seed", type=int, default=0)
    judge.add_argument("--results", type=_path, default=RESULTS, help="below it, in private/")
    run = command("run", "run a named experiment and write its record")
    add_run_options(run)
    run.add_argument("--epsilon", type=float, default=10.0)
    run.add_argument("--seed", type=int, default=0)
    return parser


_IMAGES = "folder with one subfolder of images per class or a labels.csv, or an .npz"
_MAXIMUM = "value shown as white in files of more than 8 bits: 65535, 4095, 1"


def _add_own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=_path, help=_IMAGES)
    parser.add_argument("--epsilon", type=float, required=True, help="the budget")
    parser.add_argument("--delta", type=float, default=DEFAULT_DELTA, help="below one over N")
    parser.add_argument("--size", type=int, dest="image_size", help="side in pixels, a multiple of 4 "
                        "from 16 to 128; default: 28 in gray, 32 in color")  # fmt: skip
    colors = parser.add_mutually_exclusive_group()
    colors.add_argument("--gray", action="store_false", dest="color", help="the default")
    colors.add_argument("--color", action="store_true", dest="color", help="in red, green and blue")
    parser.set_defaults(color=False)
    kinds = "; ".join(f"{kind}: {text}" for kind, (_, text) in RECOMMENDED.items())
    usual = "default: drawings in gray, photographs in color"
    parser.add_argument("--kind", choices=list(RECOMMENDED), help=f"{kinds}; {usual}")
    parser.add_argument("--method", metavar="NAME", help="in place of --kind, any method by name")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick", help="how much work")
    shards = "data owners of methods with rounds; default: 1000, or N / 10 where that is less"
    parser.add_argument("--shards", type=int, dest="num_shards", help=shards)
    parser.add_argument("--maximum", type=float, help=_MAXIMUM)
    units = "whom the budget is for; a person is named in the column person of a labels.csv"
    parser.add_argument("--unit", choices=["image", "person"], default="image", help=units)
    most = "keep at most M images of each person, with --unit person; M is public"
    parser.add_argument("--per-person", type=int, metavar="M", dest="images_per_person", help=most)
    none_held = "compute no metrics and learn from all images"
    parser.add_argument("--no-evaluation", action="store_false", dest="evaluated", help=none_held)
    parser.add_argument("--seed", type=int, default=0, help="public: of latents and first weights")
    parser.add_argument("--title", default="", help="of the data, for the statement")
    parser.add_argument("--description", default="", help="of the data, for the statement")
    kept = "where the record and the books go, with what stays private"
    parser.add_argument("--results", type=_path, default=RESULTS, help=kept)


def _add_numbers(parser: argparse.ArgumentParser, usual: str) -> None:
    numbers = parser.add_mutually_exclusive_group()
    numbers.add_argument("--count", type=int, help=f"images in all; default: {usual}")
    numbers.add_argument("--per-class", type=int, help="images of each class")
    shares = "classes in their released shares, rather than as many of each"
    parser.add_argument("--proportional", action="store_true", help=shares)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Options that were given: all others take the library's own defaults."""
    return {name: value for name, value in values.items() if value is not None}


# What is slow to import waits until a command needs it.
def _check(values: dict[str, Any]) -> None:
    from dpgen_core.delivery.own_images import check

    check(**_given(values))


def _synthesize(values: dict[str, Any]) -> None:
    from dpgen_core.delivery.own_images import synthesize

    synthesize(**_given(values))


def _sample(values: dict[str, Any]) -> None:
    from dpgen_core.delivery.handover import check_target, write_sample
    from dpgen_core.training.sampler import load

    target = values.pop("target")
    check_target(target)
    generator = load(values.pop("generator"), device=values.pop("device"))
    print(f"{write_sample(generator, target, **values)} images: {target}")


def _evaluate(values: dict[str, Any]) -> None:
    from dpgen_core.delivery.compare import compare

    print(f"private, not to be handed over: {compare(**_given(values))}")


def _run(values: dict[str, Any]) -> None:
    """Run; the record's path is printed last."""
    from dpgen_core.config.make import make_config
    from dpgen_core.experiment import run_experiment
    from dpgen_core.training.ranks import connected

    results = values.pop("results")  # every other option is a setting
    config = make_config(**values)
    with connected() as ranks:
        record = run_experiment(config, results_dir=results, ranks=ranks, device=ranks.device.type)
        if ranks.first:
            print(record.path)


if __name__ == "__main__":
    sys.exit(main())
