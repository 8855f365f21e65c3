"""What a set from a folder of one's own takes, from the committed measurements."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pandas as pd

from companion.book.benchmark_tables import Columns, measurements
from companion.book.tables import MISSING
from companion.studies.benchmarks.own_images import Folder


def own_images_table(found: dict[str, Any]) -> pd.DataFrame:
    """Time, memory and accuracies by folder, the smallest first; `found` from `load_own_images`."""
    columns: Columns = {
        "images": lambda row: _folder(row).name(),
        "seconds": itemgetter("seconds"),
        "forecast (s)": itemgetter("forecast_seconds"),
        "of processors (s)": itemgetter("processor_seconds"),
        "load before": itemgetter("load_average"),
        "memory (GB)": itemgetter("memory_gb"),
        "forecast (GB)": itemgetter("forecast_gb"),
        "g2r (CNN)": itemgetter("g2r_cnn"),
        "real (CNN)": itemgetter("real_cnn"),
    }
    rows = sorted(found.get("folders", {}).values(), key=lambda row: _folder(row).order())
    return measurements({"folders": rows}, "folders", columns).astype(object).fillna(MISSING)


def load_note(found: dict[str, Any]) -> str:
    """A sentence on what ran beside the measurements; empty where nothing was measured or did."""
    rows = list(found.get("folders", {}).values())
    busy = [row["load_average"] for row in rows if row["load_average"] > 0.5]
    if not busy:
        return ""
    cores = " or ".join(str(cores) for cores in sorted({row["cores"] for row in rows}))
    return (
        f"Other jobs ran beside {len(busy)} of the {len(rows)} runs, on {cores} cores: up to "
        f"{max(busy):.0f} processes wanted one before a run started. Its seconds would be fewer on "
        "an idle machine, where they are at least those of its processors over the number of cores."
    )


def _folder(row: dict[str, Any]) -> Folder:
    return Folder(row["images"], row["side"], row["color"], row["evaluated"])
