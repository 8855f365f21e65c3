"""What an experiment page shows where the data set it is about is not on disk.

Then the committed record of that data set stands in for a run, clearly marked. In the book one page
also runs on `glyphs`, so that a build without data still shows the whole way from data to record.
"""

from __future__ import annotations

import os
from pathlib import Path

from IPython.display import Markdown

from companion.book.tables import DATASET_TITLES
from companion.studies.committed import committed_records, project_root
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import sets
from dpgen_core.records.record import Record


def committed_instead(config: ExperimentConfig, wanted: str | None) -> Record | None:
    """The committed record to show in place of a run; None where the run is what the page is about.

    Args:
        config: what the page would run.
        wanted: the data set the page is about, where it may differ from the one it runs on.

    Returns:
        A record on `wanted` of the same method, budget and seed. None if the data of `config` are
        what is wanted and can be had, or if no such record is committed: then a run has to do, and
        says itself what is missing.
    """
    about = wanted or config.dataset
    if about == config.dataset and sets.available(about):
        return None
    results = Path(os.path.relpath(project_root())) / "results"
    for record in committed_records(results):
        if record.config.dataset == about and _key(record.config) == _key(config):
            return record
    return None


def stand_in_note(ran: Record | None, shown: Record) -> Markdown | None:
    """A line on the run on other data beside the record that is shown; None if it is that record."""
    if ran is None or ran.path == shown.path:
        return None
    title, spent = DATASET_TITLES[shown.config.dataset], ran.privacy["epsilon"]["rdp"]
    accuracy, dataset = 100 * ran.metrics["g2r_cnn"], ran.config.dataset
    return Markdown(
        f"The run above, on `{dataset}`, spent epsilon {bound_text(spent)} and its images teach a "
        f"classifier to read {accuracy:.1f} % of the real ones. **From here on the page shows the "
        f"committed record on {title}.**"
    )


def _key(config: ExperimentConfig) -> tuple[object, ...]:
    privacy = config.privacy
    return config.method, privacy.epsilon, privacy.delta, privacy.accountant, config.seed
