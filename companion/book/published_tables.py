"""Tables of published figures, from ``book/published.csv`` and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from companion.book.tables import DATASET_TITLES, markdown_table
from dpgen_core.checks import check_choice
from dpgen_core.data.sets import DATASETS

_PUBLISHED: Mapping[str, str] = MappingProxyType(
    {
        "method": "method",
        "epsilon": "epsilon (as published)",
        "delta": "delta",
        "metric": "metric",
        "value": "value",
        "source": "source",
        "checked": "how we know",
        "note": "caveat",
    }
)

PAPER = "ma2026efsgd"  # in the bibliography

_METRICS = {
    "fid": "FID",
    "is": "inception score",
    "g2r": "g2r (%)",
    "g2r_cnn": "g2r CNN (%)",
    "g2r_mlp": "g2r MLP (%)",
}


def published_table(path: Path, *, dataset: str) -> pd.DataFrame:
    """Published figures of others, with source and caveat; unchecked ones are left out.

    Args:
        path: ``book/published.csv``; accuracies are in percent there.
        dataset: a key of `DATASETS`.
    """
    check_choice("dataset", dataset, DATASETS)
    table = published_figures(path)
    table = table[table["dataset"] == dataset].copy()
    table["metric"] = table["metric"].map(lambda name: _METRICS.get(name, name))
    return table.rename(columns=_PUBLISHED)[list(_PUBLISHED.values())].reset_index(drop=True)


def whole_title(dataset: str) -> str:
    """Title of a data set as others have it, who do not have our subset."""
    return DATASET_TITLES.get(dataset, dataset).replace(" 32x32 subset", "")


def claims(path: Path, *, key: str = PAPER) -> str:
    """What the paper reports, as a Markdown table from ``book/published.csv``."""
    table = published_figures(path)
    table = table[table["bibkey"] == key].copy()
    table["dataset"] = table["dataset"].map(whole_title)
    table["metric"] = table["metric"].map(lambda name: _METRICS.get(name, name))
    return markdown_table(table[["dataset", "metric", "value", "source", "note"]])


def published_figures(path: Path) -> pd.DataFrame:
    """Rows of ``book/published.csv``, all cells as text; unchecked figures are dropped."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table[table["checked"] != "no"]
