"""Data of the book's two interactive pages, written as static files beside them.

``python -m companion.book.site`` writes ``book/_static/explorer-data.js`` (Renyi curves of one
round, from `rdp.sampled_gaussian_rdp`) and ``book/_static/browser-data.js`` with figures of the
committed records, and small copies of their sheets. The pages' scripts, ``explorer.js`` and
``browser.js``, only compose, convert and show. There is no server, so the pages work from disk and
with the network off; a picture is loaded when it is chosen.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from companion.book.tables import DATASET_TITLES, MISSING, book_order, spent_text
from companion.book.weight import is_gray
from companion.studies.committed import committed_records, project_root
from dpgen_core.accounting.rdp import ORDERS, sampled_gaussian_rdp
from dpgen_core.config.presets import WHOLE
from dpgen_core.files import write_whole
from dpgen_core.records.record import UNPUBLISHED, Record

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# Denser where the curves bend: below a multiplier of two they leave their low branch.
NOISES = tuple(float(x) for x in (*np.geomspace(0.3, 2, 60), *np.geomspace(2, 200, 41)[1:]))
_WIDTHS = {"samples": 520, "rounds": 900}  # pixels at most of a sheet; a page shows two
_QUALITY = 45  # of WebP: sheets of small gray images show no loss at it
_EVERY = 2  # orders kept; a coarser set can only raise epsilon


def explorer_data(
    rates: Sequence[float] = RATES, noises: Sequence[float] = NOISES
) -> dict[str, Any]:
    """Logarithms of one round's Renyi curves under replace-one, on a grid of rates and noises.

    Args:
        rates: sampling rates.
        noises: noise multipliers, rising.

    Returns:
        ``orders`` (a,), ``rates`` (q,), ``log_noises`` (s,), and ``log_rdp`` (q, s, a) with None
        where a curve is infinite. The page interpolates linearly between the logarithms.
    """
    orders = ORDERS[::_EVERY]
    curves = [[sampled_gaussian_rdp(s, q, "replace-one", orders) for s in noises] for q in rates]
    return {
        "orders": [round(float(order), 6) for order in orders],
        "rates": list(rates),
        "log_noises": [round(math.log(s), 6) for s in noises],
        "log_rdp": [[[_log(v) for v in curve] for curve in row] for row in curves],
    }


def browser_data(records: Sequence[Record], folder: Path) -> list[dict[str, Any]]:
    """Small copies of the sheets of records whose pictures may be shown; one entry per record.

    Args:
        records: from `committed_records`.
        folder: where the pictures go; emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shown = [r for r in sorted(records, key=_order) if r.config.dataset not in UNPUBLISHED]
    with ThreadPoolExecutor() as pool:  # pictures are coded outside of the interpreter's lock
        return list(pool.map(lambda record: _entry(record, folder), shown))


def _entry(record: Record, folder: Path) -> dict[str, Any]:
    row = _figures(record)
    for kind, path in (("samples", record.samples_png), ("rounds", record.rounds_png)):
        if path is not None:
            name = f"{record.path.name}-{kind}.webp"
            _shrink(path, folder / name, _WIDTHS[kind])
            row[kind] = f"{folder.name}/{name}"
    return row


def _figures(record: Record) -> dict[str, Any]:
    """What the pages print; ``plan`` is (delta, q, T, K), None where rounds are not alone."""
    config, metrics = record.config, record.metrics
    privacy = config.privacy
    alone = privacy.rounds > 0 and not config.prior.modes and privacy.learner == "owners"
    plan = [privacy.delta, privacy.sampling_rate, privacy.rounds, privacy.num_shards]
    return {
        "dataset": DATASET_TITLES[config.dataset],
        "method": config.method,
        "epsilon": privacy.epsilon,
        "seed": config.seed,
        "spent": spent_text(record.privacy["epsilon"]["rdp"]),
        "g2r": f"{100 * metrics['g2r_cnn']:.1f} %",
        "recall": _figure(metrics.get("recall"), 2),
        "frechet": _figure(metrics.get("frechet_distance"), 1),
        "plan": plan if alone else None,
    }


def _figure(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def _shrink(source: Path, target: Path, width: int) -> None:
    """A small WebP of a sheet: in gray if the sheet is."""
    with Image.open(source) as sheet:
        colors = sheet.convert("RGB")
    gray = is_gray(colors, within=2)
    colors.thumbnail((width, width))
    picture = colors.convert("L") if gray else colors
    picture.save(target, quality=_QUALITY)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m companion.book.site")
    parser.add_argument("--root", type=Path, default=None, help="the clone; default: found")
    root = project_root(parser.parse_args(arguments).root)
    static = root / "book" / "_static"
    static.mkdir(exist_ok=True)
    records = browser_data(committed_records(root / "results"), static / "records")
    _write(static / "explorer-data.js", "DPGEN_CURVES", explorer_data())
    _write(static / "browser-data.js", "DPGEN_RECORDS", records)


def _log(value: float) -> float | None:
    return round(math.log(value), 5) if 0 < value < math.inf else None


def _order(record: Record) -> tuple[object, ...]:
    config = record.config
    return (
        *book_order(config.dataset, config.method),
        config.method not in WHOLE,
        config.method,
        -config.privacy.epsilon,
        config.seed,
    )


def _write(path: Path, name: str, value: object) -> None:
    """Write a script that sets one global: a page opened from disk cannot fetch."""
    write_whole(path, f"window.{name} = {json.dumps(value, allow_nan=False)};\n")


if __name__ == "__main__":
    main()
