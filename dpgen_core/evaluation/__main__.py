"""``python -m dpgen_core.evaluation SET --protocol deep``: judge a finished set again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dpgen_core.checks import InvalidArgument
from dpgen_core.evaluation.judging import SEEDS
from dpgen_core.evaluation.protocols import PROTOCOLS
from dpgen_core.evaluation.stored import judge_stored


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes; a command line that has it as one of several takes the same."""
    parser.add_argument("path", metavar="SET", help="a record, a handed-over folder, or an .npz")
    parser.add_argument("--protocol", default="deep", help=f"of {', '.join(PROTOCOLS)}")
    parser.add_argument("--dataset", default=None, help="to compare with; default: the record's")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the judges")
    parser.add_argument("--dither", type=float, default=0.0, help="std of pixel noise to add first")
    parser.add_argument(
        "--grain", type=float, default=0.0, help="largest std of grain to add first"
    )
    parser.add_argument("--root", type=Path, default=None, help="data folder")
    parser.add_argument("--out", type=Path, default=None, help="default: beside the set")


def run(options: argparse.Namespace) -> Path:
    """Judge and write; the path of the answer."""
    names = ("path", "protocol", "dataset", "seeds", "dither", "grain", "root", "out")
    return judge_stored(**{name: getattr(options, name) for name in names})


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when done, 2 for a bad setting, which is one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m dpgen_core.evaluation", description=__doc__)
    add_options(parser)
    try:
        print(run(parser.parse_args(arguments)))
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
