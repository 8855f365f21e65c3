"""What the notebooks call: checked parameters, notices, pictures and statements.

Notebooks hold no logic of their own; tables come from `tables`, `summary` and their neighbors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from types import ModuleType

from IPython.display import Image, Markdown

from companion.book.figures import plot_diagnostics, plot_history
from companion.book.tables import DATASET_TITLES
from dpgen_core.checks import require
from dpgen_core.records.record import UNPUBLISHED, Record
from dpgen_core.records.sheets import png_bytes
from dpgen_core.records.statement import privacy_statement

BOOK_DATASET = "mnist"
EXPERIMENT_PARAMETERS = (
    "dataset",
    "method",
    "epsilon",
    "delta",
    "profile",
    "accountant",
    "seed",
    "num_records",
    "results_dir",
    "wanted",
)
_SHELL_NAMES = ("In", "Out")  # IPython puts these beside the notebook's own names


def check_parameters(
    namespace: Mapping[str, object], allowed: Collection[str] = EXPERIMENT_PARAMETERS
) -> None:
    """Refuse parameters that the notebook does not have.

    papermill only warns about an unknown name and goes on with the default. Call this in the
    first cell after the parameters, before anything else is defined.

    Args:
        namespace: the notebook's ``globals()``.
        allowed: the parameters' names; default: those of the experiment.

    Raises:
        InvalidArgument: names the unknown parameter and the allowed ones.

    Example:
        >>> check_parameters({"epsilon": 3, "epsilom": 4}, ("epsilon", "delta"))
        Traceback (most recent call last):
        ...
        dpgen_core.checks.InvalidArgument: parameter: received 'epsilom', but it must be one of ...
    """
    for name, value in namespace.items():
        imported = callable(value) or isinstance(value, ModuleType)
        if name in allowed or name in _SHELL_NAMES or name.startswith("_") or imported:
            continue
        likely = _closest(name, allowed)
        rule = f"one of {', '.join(allowed)}"
        require(False, "parameter", name, rule, f"-p {likely} VALUE")


def banner(dataset: str, profile: str, wanted: str = BOOK_DATASET) -> Markdown | None:
    """A notice when the page shows less than it should; None otherwise.

    Args:
        dataset: what the notebook ran on.
        profile: how much work it spent.
        wanted: the data set that the page is about.
    """
    notices = []
    if dataset == "glyphs" and wanted != "glyphs":
        title = DATASET_TITLES[wanted]
        notices.append(
            f"This page shows <code>glyphs</code>, the built-in data set, and <b>not {title}</b>. "
            f"The book falls back to it when {title} is not on disk and cannot be downloaded. Set "
            f"<code>DPGEN_DATA</code> to a folder that holds {title}, or go online, and run "
            "<code>make book</code> again."
        )
    if profile == "smoke":
        notices.append(
            "This page was built with the <code>smoke</code> profile, which only shows that the "
            "code runs: <b>pictures and figures mean nothing</b>. <code>make book</code> uses "
            "<code>quick</code>."
        )
    if not notices:
        return None
    body = "".join(f"<p>{notice}</p>" for notice in notices)
    title = '<p class="admonition-title">This page is not the full result</p>'
    return Markdown(f'<div class="admonition warning">{title}{body}</div>')


def history_image(record: Record) -> Image | None:
    """Public figures per round as a picture; None for a method without rounds."""
    if record.history.empty:
        return None
    return Image(png_bytes(plot_history(record.history)), alt="Epsilon and norms per round")


def diagnostics_image(record: Record) -> Image | None:
    """Private figures per round as a picture; None for a method without rounds."""
    if record.diagnostics.empty:
        return None
    return Image(png_bytes(plot_diagnostics(record.diagnostics)), alt="Clipping per round")


def samples_image(record: Record) -> Image | Markdown:
    """The record's sheet of samples, or a notice where they may not be shown."""
    if record.config.dataset in UNPUBLISHED:
        return Markdown(
            "*Pictures are withheld: this data set's license forbids sharing its images, and "
            "pictures learned from it are treated alike. They are in the record's folder "
            "`private/`.*"
        )
    return Image(filename=str(record.samples_png), alt=f"Samples of {record.config.method}")


def rounds_image(record: Record) -> Image | Markdown | None:
    """The same latents after ever more rounds; None for a method without rounds."""
    if record.rounds_png is None:
        return None
    if record.config.dataset in UNPUBLISHED:
        return Markdown("*Withheld, as above.*")
    return Image(filename=str(record.rounds_png), alt="The same latents after ever more rounds")


def caveats(record: Record) -> Markdown:
    """What the guarantee of a record does not cover, as listed in the record."""
    lines = list(record.privacy["outside_the_guarantee"])
    if not record.privacy["releasable"]:
        lines.insert(0, record.privacy["why_not_releasable"])
    return Markdown("\n".join(f"- {line}" for line in lines))


def statement_block(records: Sequence[Record]) -> Markdown:
    """The privacy statement of the default method on MNIST, its headings in bold.

    Args:
        records: from `committed_records`.
    """
    wanted = ("mnist", "efsgd-prior", 0)
    for record in records:
        config = record.config
        if (config.dataset, config.method, config.seed) == wanted:
            return statement_markdown(record)
    return Markdown("No record of the default method is committed yet.")


def statement_markdown(record: Record) -> Markdown:
    """A record's privacy statement, its headings in bold."""
    text = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
    return Markdown(re.sub(r"^#+ (.+)$", r"**\1**", text, flags=re.MULTILINE))


def _closest(name: str, allowed: Collection[str]) -> str:
    return (get_close_matches(name, allowed, n=1, cutoff=0.0) or list(allowed))[0]
