"""Picture sheets of the book: what methods generate at one budget, side by side.

CelebA's license forbids sharing its images, and pictures learned from it are treated alike: no
sheet of that data set is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image

from companion.book.alt_text import shown
from companion.book.overview import first_by_method, images_of
from companion.book.tables import DATASET_TITLES, runs_frame
from dpgen_core.checks import check_choice
from dpgen_core.config.presets import WHOLE
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import UNPUBLISHED, Record
from dpgen_core.records.sheets import new_figure

_ACROSS, _PER_CLASS = 2, 4  # sheets beside each other; images of a class below each other
_GRAYS = 24  # shades of the PNG


def gallery(
    records: Sequence[Record], *, dataset: str, epsilon: float, methods: Sequence[str] = WHOLE
) -> Shown:
    """Sample sheets of one data set at one budget, with mean g2r and recall over the seeds.

    A sheet is that of the lowest seed, so that none is picked by eye.

    Args:
        records: from `committed_records`.
        dataset: a key of `DATASETS`, but none whose pictures may not be published.
        epsilon: target budget.
        methods: in this order; those without a record are left out.

    Raises:
        InvalidArgument: CelebA, or an unknown data set.
    """
    check_choice("dataset", dataset, [name for name in DATASETS if name not in UNPUBLISHED])
    at = [r for r in records if (r.config.dataset, r.config.privacy.epsilon) == (dataset, epsilon)]
    first = first_by_method(at)
    found = [name for name in methods if name in first]
    what = f"{DATASET_TITLES[dataset]} at epsilon {epsilon:g}"
    if not found:
        return shown(_notice(what), f"A notice: no record of {what} is committed.")
    table = runs_frame([r for r in at if r.config.method in found])
    means = table.groupby("method")[["g2r_cnn", "recall"]].mean()
    rows = -(-len(found) // _ACROSS)
    figure = new_figure(6.4, 1.82 * rows)
    for place, name in enumerate(found):
        axes = figure.add_subplot(rows, _ACROSS, place + 1)
        with Image.open(first[name].samples_png) as sheet:
            axes.imshow(_tile(images_of(sheet)), cmap="gray", vmin=0, vmax=255)
        accuracy, recall = means.loc[name]
        figures = f"g2r {accuracy:.1f} %" + ("" if recall != recall else f", recall {recall:.2f}")
        axes.set_title(f"{name}\n{figures}", fontsize=11)
        axes.set_axis_off()
    listed = ", ".join(found)
    alt = f"Sheets of generated {what}, {_PER_CLASS} images of each class by each method: {listed}."
    return shown(figure, alt, colors=_GRAYS)


def _tile(images: np.ndarray) -> np.ndarray:
    """A column per class, with its first images below each other."""
    columns = [np.concatenate(list(of_class[:_PER_CLASS])) for of_class in images]
    return np.concatenate(columns, axis=1)


def _notice(what: str) -> Figure:
    figure = new_figure(5.0, 0.6)
    figure.text(0.5, 0.5, f"no committed record: {what}", ha="center", va="center")
    return figure
