"""Picture sheets of the book: the records' sample sheets side by side.

CelebA's license forbids sharing its images, and pictures learned from it are treated alike: no
sheet of that data set is shown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from companion.book.tables import book_order
from dpgen_core.checks import check_choice
from dpgen_core.config.presets import WHOLE
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import UNPUBLISHED, Record


def gallery(records: Sequence[Record], *, dataset: str, per_row: int = 3) -> bytes:
    """The sample sheets of one data set side by side, as one PNG.

    One sheet per method, profile and budget, that of the lowest seed, so that none is picked by
    eye. Runs with a switched part are left out.

    Args:
        records: from `committed_records`.
        dataset: a key of `DATASETS`, but none whose pictures may not be published.
        per_row: sheets beside each other.

    Raises:
        InvalidArgument: CelebA, or an unknown data set.
    """
    allowed = [name for name in DATASETS if name not in UNPUBLISHED]
    check_choice("dataset", dataset, allowed)
    chosen: dict[tuple[int, str, str, float], Record] = {}
    for record in sorted(records, key=lambda r: r.config.seed):
        config = record.config
        if config.dataset == dataset and config.method in WHOLE:
            place = book_order(dataset, config.method)[1]
            chosen.setdefault(
                (place, config.method, config.profile, config.privacy.epsilon), record
            )
    sheets = []
    for _, record in sorted(chosen.items()):
        with Image.open(record.samples_png) as sheet:
            sheets.append(sheet.convert("RGB"))
    return _png(_tiled(sheets, per_row) if sheets else _notice(f"no committed record: {dataset}"))


def switched_gallery(
    records: Sequence[Record], *, dataset: str, methods: Sequence[str], epsilon: float
) -> bytes:
    """The lowest seed's sheets of some methods side by side, in the order asked for, as one PNG.

    Args:
        records: from `committed_records`.
        dataset: see `gallery`.
        methods: names as in the records, with or without a switch; those without a record are
            left out.
        epsilon: target budget.

    Raises:
        InvalidArgument: see `gallery`.
    """
    check_choice("dataset", dataset, [name for name in DATASETS if name not in UNPUBLISHED])
    sheets = []
    for method in methods:
        wanted = (dataset, method, epsilon)
        found = [
            r
            for r in records
            if (r.config.dataset, r.config.method, r.config.privacy.epsilon) == wanted
        ]
        if found:
            with Image.open(min(found, key=lambda r: r.config.seed).samples_png) as sheet:
                sheets.append(sheet.convert("RGB"))
    return _png(_tiled(sheets, 3) if sheets else _notice(f"no committed record: {dataset}"))


def _tiled(sheets: Sequence[Image.Image], per_row: int) -> Image.Image:
    """Sheets in rows of `per_row`, each cell as large as the largest sheet."""
    across = min(per_row, len(sheets))
    wide, high = max(s.width for s in sheets), max(s.height for s in sheets)
    board = Image.new("RGB", (across * wide, -(-len(sheets) // across) * high), "white")
    for index, sheet in enumerate(sheets):
        board.paste(sheet, (index % across * wide, index // across * high))
    return board


def _notice(text: str) -> Image.Image:
    board = Image.new("RGB", (480, 60), "white")
    ImageDraw.Draw(board).text((12, 22), text, fill="black")
    return board


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
