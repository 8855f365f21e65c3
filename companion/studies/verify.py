"""Check a record: derive its epsilon again, and run again what runs in minutes.

``python -m companion.studies.verify [RECORD] [--rerun]``, or ``make verify RECORD=results/NAME``.
The first part reads the record alone and takes seconds (`record_checks`). The second makes the
record again in a temporary folder and compares the figures. It is skipped where the run would take
long (until ``--rerun`` asks for it), and where the data are not to be had. Without a name the
record on `glyphs` is checked, which needs no data.

When figures agree: a run that computed the same bits must show the same figures, up to `SAME_RUN`.
On another processor, or with other versions, the last digits differ, and a run then is like one
with another seed. Its figures may differ by `NOISE` standard deviations of a difference between two
seeds, estimated from the committed records of the same method.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from companion.studies.campaign import WITHOUT_DATA, names
from companion.studies.committed import committed_records, project_root
from companion.studies.record_checks import Check, ledger_checks
from dpgen_core.checks import InvalidArgument, require
from dpgen_core.data import sets
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record
from dpgen_core.training.threads import using_threads

NOISE = 3.0  # standard deviations
SAME_RUN = 3e-4  # of the figure: three test images in 10,000 on the other side of a boundary
_DIGITS = 1e-9  # relative: two runs with other bits do not meet so closely in a real-valued figure
_MINUTES = ("gaussian", "mixture")  # methods without rounds
_REAL_VALUED = ("inception_score", "frechet_distance", "frechet_floor", "class_distance_synthetic")
_OF_THE_MACHINE = ("training_seconds", "evaluation_seconds", "peak_memory_gb")
_SAME_MACHINE = ("processor", "device", "threads", "versions")


def find_record(name: str | None, results: Path) -> Record:
    """The record of that folder, or of that name in `results`; None: the one on `glyphs`.

    Raises:
        InvalidArgument: there is no such record, or it is not whole.
    """
    if name is None:
        now, former = (results / known for known in names(WITHOUT_DATA))
        return Record(former if former.exists() and not now.exists() else now)
    path = next((p for p in (Path(name), results / name) if p.is_dir()), None)
    rule, fix = "a record's folder", f"one of those in {results.name}/"
    require(path is not None, "RECORD", name, rule, fix)
    assert path is not None
    return Record(path.resolve())


def why_no_rerun(record: Record, *, asked: bool) -> str | None:
    """Why the record is not made again here, and what to do about it; None if it can be.

    Args:
        record: the committed one.
        asked: whether a run of many minutes is welcome.
    """
    config = record.config
    if config.privacy.noise_source == "secret":
        return "its coins and noise came from a secret key that is gone: nobody can repeat the run"
    quick = config.method.partition("/")[0] in _MINUTES or config.dataset == "glyphs"
    if not (quick or asked):
        seconds = record.metrics["training_seconds"] + record.metrics["evaluation_seconds"]
        run = record.run
        where = f"{run['device']}, {run['threads']} of {run['cores']} cores"
        return f"the run took {seconds / 60:.0f} minutes ({where}): ask for it with RERUN=1"
    if not sets.available(config.dataset):
        return (
            f"the data set {config.dataset} is not on disk and could not be downloaded: put it "
            "below $DPGEN_DATA or ./data, laid out as under 'Data and licenses' in the book's "
            "chapter 'Do it again'"
        )
    return None


def rerun(record: Record, folder: Path) -> Record:
    """Make the record again below `folder`, with as many threads as the committed run had."""
    threads = min(int(record.run.get("threads", 1)), torch.get_num_threads())
    with using_threads(threads):
        device = "cpu" if record.run["device"] == "cpu" else None
        progress = record.config.privacy.rounds > 0
        return run_experiment(record.config, results_dir=folder, progress=progress, device=device)


def figure_checks(
    committed: Mapping[str, object], yours: Mapping[str, object], noise: Mapping[str, float]
) -> list[Check]:
    """The figures of two records of one setting, with what they may differ by.

    Args:
        committed: metrics of the committed record.
        yours: metrics of the run here.
        noise: from `seed_noise`.
    """
    one, two = _numbers(committed), _numbers(yours)
    same = same_bits(committed, yours)
    rows = []
    for name in sorted(one.keys() | two.keys(), key=list(committed).index):
        a, b = one.get(name), two.get(name)
        if a is None or b is None:
            rows.append(Check(name, "none" if a is None else a, "none" if b is None else b))
            continue
        spread = NOISE * np.sqrt(2) * noise.get(name, 0.0) * (1.0 if _is_share(name) else abs(a))
        rows.append(Check(name, a, b, SAME_RUN * abs(a) if same else float(spread)))
    return rows


def same_bits(committed: Mapping[str, object], yours: Mapping[str, object]) -> bool:
    """Whether the two runs computed the same bits.

    Then real-valued figures are the same in all digits. One may differ: it was edited.
    """
    one, two = _numbers(committed), _numbers(yours)
    shared = [name for name in _REAL_VALUED if name in one and name in two]
    equal = [name for name in shared if abs(one[name] - two[name]) <= _DIGITS * abs(one[name])]
    return len(equal) >= max(2, len(shared) - 1)


def seed_noise(records: Sequence[Record], method: str) -> dict[str, float]:
    """Standard deviation over seeds of each figure, pooled over data sets and budgets.

    Absolute for figures in [0, 1], relative for others. Methods with a switched part count with
    their base; where that has no repeated runs, all methods count.
    """
    rows = [(r.config.method.partition("/")[0], _setting(r), _numbers(r.metrics)) for r in records]
    base = method.partition("/")[0]
    chosen = [row for row in rows if row[0] == base]
    if len({setting for _, setting, _ in chosen}) == len(chosen):
        chosen = rows
    frame = pd.DataFrame([n for *_, n in chosen], index=[s for _, s, _ in chosen])
    found = {}
    for name in frame:
        values = frame[name].dropna()
        groups = values.groupby(level=0)
        scale = pd.Series(1.0, values.index) if _is_share(str(name)) else groups.transform("mean")
        away = (values - groups.transform("mean")) / scale
        freedom = len(values) - groups.ngroups
        if freedom:
            found[str(name)] = float(np.sqrt((away**2).sum() / freedom))
    return found


def report(checks: Sequence[Check]) -> str:
    """The checks as a text table: committed, yours, difference, verdict."""
    rows = [
        {
            "figure": check.what,
            "committed": _text(check.committed),
            "yours": _text(check.yours),
            "difference": _difference(check),
            "allowed": f"{check.allowed:.1g}" if check.allowed else "0",
            "verdict": "agrees" if check.agrees else "DISAGREES",
        }
        for check in checks
    ]
    return pd.DataFrame(rows).to_string(index=False)


def verify(record: Record, *, asked: bool, known: Sequence[Record]) -> bool:
    """Print both parts for one record; whether everything that was checked agrees.

    Args:
        record: the record to check.
        asked: run even what takes many minutes.
        known: committed records, from which the noise between seeds is estimated.
    """
    print(f"{record.path.name}\n\nFrom the record alone, derived again:\n")
    checks = ledger_checks(record)
    print(report(checks))
    sound = _agree(checks)
    reason = why_no_rerun(record, asked=asked) if sound else None
    if sound and reason is not None:
        print(f"\nThe figures were not checked, only the ledger: {reason}.")
    elif sound:  # an edited record is not worth the minutes
        print("\nRun again here:", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            again = rerun(record, Path(scratch))
            noise = seed_noise(known, record.config.method)
            figures = figure_checks(record.metrics, again.metrics, noise)
            print(f"\n{report(figures)}\n\n{_rule(record, again)}")
        sound = _agree(figures)
    print("\nVerdict: " + ("everything checked agrees." if sound else "the record DISAGREES."))
    return sound


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when all that was checked agrees, 1 when not, 2 for a wrong name."""
    parser = argparse.ArgumentParser(prog="python -m companion.studies.verify")
    parser.add_argument("record", nargs="?", help="folder or name; default: the one on glyphs")
    parser.add_argument("--rerun", action="store_true", help="run again even what takes long")
    parser.add_argument("--results", type=Path, default=None, help="default: results of the clone")
    options = parser.parse_args(arguments)
    results = options.results or project_root() / "results"
    try:
        record = find_record(options.record, results)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    agree = verify(record, asked=options.rerun, known=committed_records(results))
    return 0 if agree else 1


def _agree(checks: Sequence[Check]) -> bool:
    return all(check.agrees for check in checks)


def _rule(record: Record, again: Record) -> str:
    """Which rule the figures were held to, and how the two machines differ."""
    other = [name for name in _SAME_MACHINE if record.run.get(name) != again.run.get(name)]
    machine = (
        f"The two runs differ in: {', '.join(other)}."
        if other
        else "Kind of processor, threads and versions are those of the committed run."
    )
    if same_bits(record.metrics, again.metrics):
        rule = f"Both runs computed the same bits, so figures must agree to {SAME_RUN:.0e} of each."
    else:
        rule = (
            "The runs differ in their last digits, and so in their figures as two seeds do: "
            f"allowed are {NOISE:g} standard deviations of a difference between two seeds."
        )
    return f"{machine}\n{rule}"


def _numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and name not in _OF_THE_MACHINE
    }


def _setting(record: Record) -> str:
    return record.config.replace(seed=0).record_name()


def _is_share(name: str) -> bool:
    """Accuracies, precision and recall are shares, in [0, 1]."""
    return name.startswith(("g2r_", "r2g_", "real_", "precision", "recall"))


def _text(value: float | int | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _difference(check: Check) -> str:
    if isinstance(check.committed, str) or isinstance(check.yours, str):
        return "" if check.agrees else "other"
    change = check.yours - check.committed
    return f"{change:+.2g}" if change else "0"


if __name__ == "__main__":
    sys.exit(main())
