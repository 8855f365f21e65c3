"""One record as readable tables: what was released, at which cost, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from dpgen_core.accounting.ledger import bound_text
from dpgen_core.records.record import Record

_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "g2r_cnn": "g2r accuracy, CNN",
        "g2r_mlp": "g2r accuracy, MLP",
        "r2g_cnn": "r2g accuracy, CNN",
        "r2g_mlp": "r2g accuracy, MLP",
        "real_cnn": "real accuracy, CNN (ceiling)",
        "real_mlp": "real accuracy, MLP (ceiling)",
        "inception_score": "Inception Score, own classifier",
        "frechet_distance": "Frechet distance, own classifier's features",
        "frechet_floor": "Frechet distance, real train to real test (floor)",
        "fid": "FID",
        "precision": "precision",
        "recall": "recall",
        "class_distance_synthetic": "mean distance within a class, synthetic",
        "class_distance_real": "mean distance within a class, real",
        "nearest_real_distance": "median distance to the nearest training record, synthetic",
        "nearest_real_reference": "median distance to the nearest training record, real test",
        "training_seconds": "training, seconds",
        "evaluation_seconds": "evaluation, seconds",
        "peak_memory_gb": "peak memory, GB",
    }
)


def privacy_table(record: Record) -> pd.DataFrame:
    """The ledger of a record and the guarantee that follows, two columns."""
    privacy = record.privacy
    rows: list[tuple[str, Any]] = [
        ("unit of privacy", privacy["unit"]),
        ("neighboring relation", privacy["relation"]),
        ("records N", f"{privacy['num_records']:,}"),
        ("delta", f"{privacy['delta']:g}"),
        ("epsilon, Renyi", bound_text(privacy["epsilon"]["rdp"])),
        ("epsilon, PLD (tight)", bound_text(privacy["epsilon"]["pld"])),
    ]
    for event in privacy["ledger"]["events"]:
        rate = f", q = {event['sampling_rate']:g}" if "sampling_rate" in event else ""
        what = f"noise multiplier {event['noise_multiplier']:.3f}{rate}, {event['count']} time(s)"
        rows.append((f"event {event['name']}", what))
    rows.append(("fit for release", _release_note(privacy)))
    return _two_columns(rows, "privacy")


def fid_note(records: Sequence[Record]) -> str:
    """A sentence of MyST: how many records have a FID, and what stands in its place."""
    have = sum(record.metrics.get("fid") is not None for record in records)
    return (
        f"Of the {len(records)} records in the tables, {have or 'none'} {'has' if have < 2 else 'have'} "
        "a FID, which needs {ref}`the published Inception weights <fid-weights>`. The Frechet distance "
        "beside it is taken in features of our own classifier and has another scale."
    )


def metrics_table(record: Record) -> pd.DataFrame:
    """The metrics of a record with their full names, two columns."""
    metrics = record.metrics
    rows = [(title, _value(metrics.get(key))) for key, title in _METRICS.items()]
    if metrics.get("fid") is None:
        rows.append(("why there is no FID", metrics.get("fid_reason", "")))
    return _two_columns(rows, "metric")


def _release_note(privacy: Mapping[str, Any]) -> str:
    """Short enough not to be cut off in a table; `pages.caveats` gives the reason."""
    return "yes" if privacy["releasable"] else "no, see below"


def _two_columns(rows: list[tuple[str, Any]], name: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=[name, "value"])
    return table.set_index(name)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "n/a"
