"""The README's figures, written from the committed records and timings.

``make results`` rewrites the text between the two markers. A test compares the README with the
records, so that no figure in it is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from companion.book.tables import book_order
from companion.studies import clone_timings
from companion.studies.committed import committed_records, project_root, write_whole
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.checks import require
from dpgen_core.config.presets import WHOLE
from dpgen_core.records.record import Record

BEGIN, END = "<!-- figures: begin (make results) -->", "<!-- figures: end -->"


def figures(records: Sequence[Record], root: Path) -> str:
    """The block between the markers: a picture with its epsilon, and one row per whole method.

    Args:
        records: from `committed_records`.
        root: the clone; the picture is linked relative to it.
    """
    lines = _timings(root)
    chosen = [r for r in records if _headline(r)]
    if not chosen:
        return "\n".join([*lines, "No record is committed yet."]) + "\n"
    refined = [r for r in chosen if r.config.method.startswith("efsgd-prior")]
    if refined:
        # The name with a switch comes last, and its picture first.
        record = max(refined, key=lambda r: (r.config.privacy.epsilon, r.config.method))
        where = record.samples_png.relative_to(root)
        spent = record.privacy["epsilon"]
        lines += [
            f"![Generated digits, one row per class]({where})",
            "",
            f"*MNIST digits generated at epsilon {bound_text(spent['rdp'], 2)} by Renyi accounting "
            f"({bound_text(spent['pld'], 2)} by PLD), delta {record.privacy['delta']:g}, "
            "replace-one.*",
            "",
        ]
    lines += [
        "| command | epsilon (RDP / PLD) | g2r CNN | training | evaluation | memory | hardware |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in sorted(chosen, key=_row_order):
        config, metrics, spent = record.config, record.metrics, record.privacy["epsilon"]
        lines.append(
            f"| `make experiment METHOD={config.method} EPSILON={config.privacy.epsilon:g}` "
            f"| {bound_text(spent['rdp'], 2)} / {bound_text(spent['pld'], 2)} "
            f"| {metrics['g2r_cnn']:.3f} "
            f"| {metrics['training_seconds'] / 60:.1f} min "
            f"| {metrics['evaluation_seconds'] / 60:.1f} min "
            f"| {metrics['peak_memory_gb']:.1f} GB "
            f"| {record.run['device']}, {record.run['cores']} cores |"
        )
    return "\n".join(lines) + "\n"


def _headline(record: Record) -> bool:
    """Whole methods on MNIST at the two budgets of the paper; the book has the rest."""
    config = record.config
    whole = config.dataset == "mnist" and config.method in WHOLE
    return whole and config.seed == 0 and config.privacy.epsilon in (1.0, 10.0)


def _row_order(record: Record) -> tuple[object, ...]:
    config = record.config
    return book_order("mnist", config.method), config.privacy.epsilon, config.seed


def _timings(root: Path) -> list[str]:
    """Minutes of the two commands on a fresh clone, where they were measured."""
    rows = clone_timings.read(root / "results")
    shown = [
        f"`{row['command']}`: {row['minutes']:g} minutes on {row['cores']} cores "
        f"({row['system']}, no GPU)"
        for row in rows
    ]
    if not shown:
        return []
    return [f"On a fresh clone, one after the other, set-up included: {'; '.join(shown)}.", ""]


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
    """Rewrite the README of the current clone."""
    root = project_root()
    readme = root / "README.md"
    block = figures(committed_records(root / "results"), root)
    write_whole(readme, updated(readme.read_text(), block))


if __name__ == "__main__":
    main()
