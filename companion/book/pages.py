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
from dpgen_core.config.schema import ExperimentConfig
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


def banner(config: ExperimentConfig, instead: Record | None = None) -> Markdown | None:
    """A notice when the page shows less than a run of its own; None otherwise.

    Args:
        config: what the page runs, if its data are there.
        instead: the committed record that is shown in its place, from `committed_instead`.
    """
    if instead is not None:
        title, run = DATASET_TITLES[instead.config.dataset], instead.run
        also = ""
        if config.dataset != instead.config.dataset:
            also = (
                f" The run on this page is on <code>{config.dataset}</code>, the built-in data set."
            )
        heading, notice = (
            "Not run here: a committed record",
            f"<b>The figures and pictures below are those of the committed record</b> on {title} "
            f"(profile <code>{instead.config.profile}</code>, {run['device']}, "
            f"{run['threads']} of {run['cores']} cores). {title} was not on disk when this page "
            f"was made and could not be downloaded.{also} Put it into the folder that "
            "<code>DPGEN_DATA</code> names, and the page runs the experiment itself. "
            f"<code>make verify RECORD=results/{instead.path.name}</code> checks the record.",
        )
    elif config.profile == "smoke":
        heading, notice = (
            "This page is not the full result",
            "This page was built with the <code>smoke</code> profile, which only shows that the "
            "code runs: <b>pictures and figures mean nothing</b>. <code>make book</code> uses "
            "<code>quick</code>.",
        )
    else:
        return None
    title = f'<p class="admonition-title">{heading}</p>'
    return Markdown(f'<div class="admonition warning">{title}<p>{notice}</p></div>')


def history_image(record: Record) -> Image | None:
    """Public figures per round as a picture; None for a method without rounds."""
    if record.history.empty:
        return None
    return Image(
        png_bytes(plot_history(record.history)),
        alt=f"Curves over the rounds: epsilon spent, and the norm of the releases{_drawn_by(record)}",
    )


def diagnostics_image(record: Record) -> Image | None:
    """Private figures per round as a picture; None for a method without rounds."""
    if record.diagnostics.empty:
        return None
    return Image(
        png_bytes(plot_diagnostics(record.diagnostics)),
        alt=f"Curves over the rounds: what clipping does to the contributions{_drawn_by(record)}",
    )


def samples_image(record: Record) -> Image | Markdown:
    """The record's sheet of samples, or a notice where they may not be shown."""
    if record.config.dataset in UNPUBLISHED:
        return Markdown(
            "*Pictures are withheld: this data set's license forbids sharing its images, and "
            "pictures learned from it are treated alike. They are in the record's folder "
            "`private/`.*"
        )
    return Image(filename=str(record.samples_png), alt=f"Samples{_drawn_by(record)}")


def rounds_image(record: Record) -> Image | Markdown | None:
    """The same latents after ever more rounds; None for a method without rounds."""
    if record.rounds_png is None:
        return None
    if record.config.dataset in UNPUBLISHED:
        return Markdown("*Withheld, as above.*")
    alt = f"The same latents after ever more rounds{_drawn_by(record)}"
    return Image(filename=str(record.rounds_png), alt=alt)


def caveats(record: Record) -> Markdown:
    """What the guarantee of a record does not cover, as listed in the record."""
    lines = list(record.privacy["outside_the_guarantee"])
    if not record.privacy["releasable"]:
        lines.insert(0, record.privacy["why_not_releasable"])
    return Markdown("\n".join(f"- {line}" for line in lines))


def statement_block(records: Sequence[Record]) -> Markdown:
    """The privacy statement of the default run: method, budget and seed of `make_config`, on MNIST.

    Args:
        records: from `committed_records`.
    """
    wanted = ("mnist", "efsgd-prior", 10.0, 0)
    for record in records:
        config = record.config
        if (config.dataset, config.method, config.privacy.epsilon, config.seed) == wanted:
            return statement_markdown(record)
    return Markdown("No record of the default method is committed yet.")


def statement_markdown(record: Record) -> Markdown:
    """A record's privacy statement, its headings in bold."""
    text = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
    return Markdown(bold_headings(text))


def bold_headings(text: str) -> str:
    """Markdown to put into a page, whose own headings it must not join."""
    return re.sub(r"^#+ (.+)$", r"**\1**", text, flags=re.MULTILINE)


def _drawn_by(record: Record) -> str:
    """The end of a sentence that says what a picture shows."""
    config = record.config
    title, epsilon = DATASET_TITLES.get(config.dataset, "own data"), config.privacy.epsilon
    return f", by {config.method} on {title} at epsilon {epsilon:g}."


def _closest(name: str, allowed: Collection[str]) -> str:
    return (get_close_matches(name, allowed, n=1, cutoff=0.0) or list(allowed))[0]
