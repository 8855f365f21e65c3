"""The README's figures, written from the committed records and timings.

``make results`` rewrites the text between the two markers. A test compares the README with the
records, so that no figure in it is typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from companion.book import overview
from companion.book.measures import G2R
from companion.book.tables import DATASET_TITLES, runs_frame
from companion.book.verdicts import PAPER_PARTS, best_at_one, part_effects, summary
from companion.book.yardstick_tables import best_by_deep
from companion.studies.benchmark_results import load_benchmarks
from companion.studies.committed import committed_records, project_root
from companion.studies.yardsticks import load_yardsticks
from dpgen_core.checks import require
from dpgen_core.files import write_whole
from dpgen_core.records.record import Record

BEGIN, END = "<!-- figures: begin (make results) -->", "<!-- figures: end -->"
_PURPOSE = {
    "make book": "this book, at `_build/html/index.html`",
    "make test": "the parts proved",
    overview.BASELINE: "the baseline",
    overview.PAPER: "the paper's parts",
}


def figures(records: Sequence[Record], root: Path) -> str:
    """The block between the markers: the first figure, what was found, and the commands.

    Args:
        records: from `committed_records`.
        root: the clone; its measured minutes are shown.
    """
    rows = overview.panels(records, root / "no-data")  # real images are not committed
    if not rows:
        return "No record is committed yet.\n"
    alt = " ".join(panel.alt for panels in rows for panel in panels[1:])
    lines = [
        overview.sentence(rows),
        "",
        f"![{alt}]({overview.PICTURE})",
        "",
        f"*{overview.caption(rows)}*",
        "",
        *_found(records),
        f"* {_plain(best_by_deep(load_yardsticks(root / 'results')))}",
        "",
        "| command | what it gives | minutes | accuracy |",
        "|---|---|---|---|",
        *_timings(root),
        *(_command(record) for record in _runs(records)),
        "",
        f"Minutes on {_hardware(records)}; set-up is part of the first two, on a fresh clone.",
    ]
    return "\n".join(lines) + "\n"


def _found(records: Sequence[Record]) -> list[str]:
    """A sentence on each of the paper's parts, and one on the best accuracy at epsilon 1."""
    family = part_effects(records)
    lines = []
    for name, switch in PAPER_PARTS:
        of_part = [effect for effect in family if effect.base == f"efsgd/{switch}"]
        accuracy = [
            f"{effect.text()} points on {DATASET_TITLES[effect.dataset]}"
            for effect in of_part
            if effect.measure == G2R
        ]
        lines.append(
            f"* **Does {name} help?** {summary(of_part)}. Accuracy changes by "
            f"{' and '.join(accuracy)} (95 % interval)."
        )
    return [*lines, f"* {_plain(best_at_one(runs_frame(records)))}"]


def _runs(records: Sequence[Record]) -> list[Record]:
    """The runs behind the figure: the panels' methods, lowest seed, on the first data set."""
    wanted = [panel.method for panel in overview.released(records, overview.SHOWN[0])]
    found = [
        record
        for record in records
        if record.config.dataset == overview.SHOWN[0]
        and record.config.privacy.epsilon == overview.EPSILON
        and record.config.seed == 0
        and record.config.method in wanted
    ]
    return sorted(found, key=lambda record: wanted.index(record.config.method))


def _command(record: Record) -> str:
    config, metrics = record.config, record.metrics
    minutes = (metrics["training_seconds"] + metrics["evaluation_seconds"]) / 60
    return (
        f"| `make experiment METHOD={config.method} EPSILON={config.privacy.epsilon:g}` "
        f"| {_PURPOSE.get(config.method, 'our best')}, {DATASET_TITLES[config.dataset]} "
        f"| {minutes:.1f} | {100 * metrics['g2r_cnn']:.1f} % |"
    )


def _timings(root: Path) -> list[str]:
    """Rows of the commands that were measured on a fresh clone."""
    measured = load_benchmarks(root / "results")
    return [
        f"| `{row['what']}` | {_PURPOSE[row['what']]} | {row['minutes']:.1f} | |"
        for part in ("test", "book")
        for row in measured.get(part, [])[:1]
    ]


def _hardware(records: Sequence[Record]) -> str:
    runs = {f"{r.run['device']}, {r.run['cores']} cores" for r in _runs(records)}
    return " or ".join(sorted(runs))


def _plain(text: str) -> str:
    """MyST without its references, which GitHub does not know."""
    return re.sub(r"\s*\{ref\}`[^`]*`\.?", "", text)


def updated(text: str, block: str) -> str:
    """README `text` with `block` between its markers.

    Raises:
        InvalidArgument: a marker is missing.
    """
    require(
        BEGIN in text and END in text, "README.md", "no markers", f"around {BEGIN}", "adding it"
    )
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{block}{END}{rest.split(END, 1)[1]}"


def main() -> None:
    """Rewrite the README of the current clone, and its picture."""
    root = project_root()
    readme = root / "README.md"
    records = committed_records(root / "results")
    block = figures(records, root)
    (root / overview.PICTURE).write_bytes(overview.picture(overview.panels(records)))
    write_whole(readme, updated(readme.read_text(), block))


if __name__ == "__main__":
    main()
