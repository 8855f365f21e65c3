"""Tables of the book, built from records and nothing else.

No figure of the book is typed: pages show what these functions read from the committed records.
`includes` writes those that the introduction includes; `readme` writes the README's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pandas as pd

from companion.studies.campaign import NON_PRIVATE
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.checks import InvalidArgument, check_choice
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import METHODS, WHOLE
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import Record

MISSING = "n/a"

DATASET_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "mnist": "MNIST",
        "fashion_mnist": "Fashion-MNIST",
        "celeba": "CelebA 32x32 subset",
        "glyphs": "glyphs",
        "kmnist": "Kuzushiji-MNIST",
        "emnist_letters": "EMNIST letters",
        "emnist_balanced": "EMNIST balanced",
        "cifar10": "CIFAR-10",
        "svhn": "SVHN",
        "pneumoniamnist": "PneumoniaMNIST",
    }
)

# Columns of the views: name of the raw column, title, decimals (None: text).
Columns = tuple[tuple[str, str, int | None], ...]

_WHO: Columns = (
    ("method", "method", None),
    ("profile", "profile", None),
    ("seed", "seed", 0),
    ("epsilon_rdp", "epsilon (RDP)", 2),
    ("epsilon_pld", "epsilon (PLD)", 2),
)

VIEWS: Mapping[str, Columns] = MappingProxyType(
    {
        "quality": (
            *_WHO,
            ("g2r_cnn", "g2r CNN (%)", 1),
            ("g2r_mlp", "g2r MLP (%)", 1),
            ("r2g_cnn", "r2g CNN (%)", 1),
            ("inception_score", "inception score (own classifier)", 2),
            ("frechet_distance", "Frechet distance (own classifier)", 2),
            ("frechet_floor", "its floor, real against real", 2),
            ("fid", "FID", 1),
            ("precision", "precision", 2),
            ("recall", "recall", 2),
            ("spread", "spread (real = 1)", 2),
            ("curve", "contrast curve", None),
        ),
        "privacy": (
            *_WHO,
            ("delta", "delta", None),
            ("num_records", "N", 0),
            ("noise_multiplier", "sigma", 3),
            ("prior_noise_multiplier", "prior noise", 3),
            ("sampling_rate", "q", 4),
            ("rounds", "T", None),
            ("num_shards", "K", 0),
            ("noise_source", "noise", None),
        ),
        "cost": (
            *_WHO,
            ("minutes", "training minutes", 1),
            ("peak_memory_gb", "peak memory (GB)", 2),
            ("device", "device", None),
            ("cores", "cores", 0),
            ("command", "command", None),
        ),
    }
)

_ALWAYS = ("dataset", "target_epsilon", "real_cnn")  # beside what is viewed, even without records

_FRONT_DOOR = (
    "dataset",
    "method",
    "profile",
    "epsilon",
    "delta",
    "accountant",
    "seed",
    "num_records",
)

_COMPUTED = ("noise_multiplier", "prior_noise_multiplier", "relation", "image_shape", "num_classes")

_AVERAGED = ("epsilon_rdp", "epsilon_pld", "g2r_cnn", "g2r_mlp", "frechet_distance", "minutes")

_FINDINGS: Columns = (
    ("title", "data set", None),
    ("method", "method", None),
    ("profile", "profile", None),
    ("epsilon_rdp", "epsilon (RDP)", 2),
    ("epsilon_pld", "epsilon (PLD)", 2),
    ("g2r_cnn", "g2r CNN (%)", 1),
    ("frechet_distance", "Frechet distance", 1),
    ("minutes", "minutes", 1),
    ("runs", "runs", 0),
)


def command(record: Record) -> str:
    """How to make the record again: a papermill line, or Python where settings were overridden."""
    config = record.config
    settings = config.to_dict()
    front = {name: settings[name] for name in _FRONT_DOOR}
    preset: dict[str, object] = {}
    with suppress(InvalidArgument):  # the preset is gone, or there are fewer records: name all
        preset = make_config(**front, noise_source=config.privacy.noise_source).to_dict()
    changed = {
        name: value
        for name, value in settings.items()
        if name not in _COMPUTED and (name not in preset or value != preset[name])
    }
    if config.privacy.noise_source != "seeded":
        changed["noise_source"] = config.privacy.noise_source
    if not changed:
        given = " ".join(f"-p {name} {_plain(value)}" for name, value in front.items())
        return f"papermill notebooks/experiment.ipynb out.ipynb {given}"
    given = ", ".join(f"{name}={value!r}" for name, value in (front | changed).items())
    return f"run_experiment(make_config({given}))"


def runs_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row per record with everything the views choose from, as numbers.

    Accuracies are in percent; a figure that a record does not have is NaN. Rows are ordered by data
    set, method, profile, epsilon, seed.
    """
    rows = [_row(record) for record in records]
    viewed = (name for view in VIEWS.values() for name, *_ in view)
    columns = list(rows[0]) if rows else list(dict.fromkeys([*_ALWAYS, *viewed]))
    table = pd.DataFrame(rows, columns=columns)
    if table.empty:
        return table
    keys = ["method", "profile", "target_epsilon", "seed"]
    pairs = zip(table["dataset"], table["method"], strict=True)
    table["_order"] = [book_order(dataset, method) for dataset, method in pairs]
    return table.sort_values(["_order", *keys]).drop(columns="_order").reset_index(drop=True)


def results_table(records: Sequence[Record], *, dataset: str, view: str) -> pd.DataFrame:
    """A table of the book: the records of one data set, formatted as text.

    Args:
        records: from `committed_records`.
        dataset: a key of `DATASETS`.
        view: ``quality``, ``privacy`` or ``cost``.

    Raises:
        InvalidArgument: unknown data set or view.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("view", view, VIEWS)
    chosen = [record for record in records if record.config.dataset == dataset]
    table = runs_frame(chosen)
    if view == "cost" and chosen:
        commands = {r.config.record_name(): command(r) for r in chosen}  # the slow column
        table["command"] = table["record"].map(commands)
    return _formatted(table, VIEWS[view])


def findings(records: Sequence[Record]) -> str:
    """The main results as a Markdown table: whole methods, averaged over seeds."""
    table = runs_frame([r for r in records if r.config.method in WHOLE])
    if table.empty:
        return "No record is committed yet.\n"
    keys = ["dataset", "title", "method", "profile", "target_epsilon"]
    means = table.groupby(keys, sort=False)[list(_AVERAGED)].mean()
    means["runs"] = table.groupby(keys, sort=False).size()
    return markdown_table(_formatted(means.reset_index(), _FINDINGS))


def book_order(dataset: str, method: str) -> tuple[int, int]:
    """Order of the book: data sets as listed, whole methods as listed, then parts off."""
    base = method.partition("/")[0]
    return list(DATASETS).index(dataset), list(METHODS).index(base)


def _has_curve(config: ExperimentConfig) -> bool:
    """Whether images pass the contrast curve of a prior."""
    return config.prior.modes > 0 and (config.prior.contrast or config.privacy.rounds > 0)


def _row(record: Record) -> dict[str, object]:
    config, privacy, metrics = record.config, record.privacy, record.metrics

    def metric(name: str, factor: float = 1.0) -> float:
        value = metrics.get(name)
        return float("nan") if value is None else factor * float(value)

    def of_rounds(name: str) -> float:  # without a meaning for a method that stops after the prior
        return getattr(config.privacy, name) if config.privacy.rounds else float("nan")

    return {
        "record": config.record_name(),
        "dataset": config.dataset,
        "title": DATASET_TITLES[config.dataset],
        "method": config.method,
        "profile": config.profile,
        "seed": config.seed,
        "target_epsilon": config.privacy.epsilon,
        "epsilon_rdp": float(privacy["epsilon"]["rdp"]),
        "epsilon_pld": float(privacy["epsilon"]["pld"]),
        "delta": f"{privacy['delta']:g}",
        "num_records": privacy["num_records"],
        "noise_multiplier": of_rounds("noise_multiplier"),
        "prior_noise_multiplier": config.privacy.prior_noise_multiplier or float("nan"),
        "sampling_rate": of_rounds("sampling_rate"),
        "rounds": _rounds(privacy),
        "curve": config.prior.curve if _has_curve(config) else MISSING,
        "num_shards": of_rounds("num_shards"),
        "noise_source": config.privacy.noise_source,
        **{
            name: metric(name, 100.0)
            for name in ("g2r_cnn", "g2r_mlp", "r2g_cnn", "r2g_mlp", "real_cnn")
        },
        **{
            name: metric(name)
            for name in (
                "inception_score",
                "frechet_distance",
                "frechet_floor",
                "fid",
                "precision",
                "recall",
                "peak_memory_gb",
            )
        },
        "spread": metric("class_distance_synthetic")
        / (metric("class_distance_real") or float("nan")),
        "minutes": metric("training_seconds", 1 / 60),
        "device": record.run.get("device", MISSING),
        "cores": record.run.get("cores", float("nan")),
    }


def _rounds(privacy: Mapping[str, Any]) -> str:
    """Rounds that were run; more are charged when a resumed run released some again."""
    run = int(privacy["rounds"])
    events = privacy.get("ledger", {}).get("events", [])
    charged = sum(event.get("count", 1) for event in events if event["name"] == "rounds")
    return f"{run} ({charged} charged)" if charged > run else str(run)


def _formatted(table: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The chosen columns under their titles, every cell as text."""
    out = pd.DataFrame(index=table.index)
    for name, title, decimals in columns:
        values = table[name] if name in table else pd.Series(dtype=object)
        bound = name in ("epsilon_rdp", "epsilon_pld")
        out[title] = [_cell(value, decimals, bound=bound) for value in values]
    return out.reset_index(drop=True)


def _cell(value: object, decimals: int | None, *, bound: bool = False) -> str:
    if decimals is None:
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    if number != number:
        return MISSING
    return spent_text(number, decimals) if bound else f"{number:.{decimals}f}"


def spent_text(epsilon: float, digits: int = 3) -> str:
    """An epsilon for a table, rounded up; in words where next to no noise was added.

    >>> spent_text(9.3141), spent_text(999978.66)
    ('9.315', 'no privacy (about 10^6)')
    """
    if epsilon < NON_PRIVATE / 10:
        return bound_text(epsilon, digits)
    return f"no privacy (about 10^{math.log10(epsilon):.0f})"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown_table(table: pd.DataFrame) -> str:
    """A pipe table; bars inside a cell are escaped."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    lines = ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
