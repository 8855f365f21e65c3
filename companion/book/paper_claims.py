"""The paper's claims, limits and plans, each beside a figure of ours and a verdict.

What the paper says is known from its abstract and public summaries, so it is told in our words.
Verdicts that rest on paired runs are one family, see `effects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.book.effects import Comparison, Effect, decided, differences, effect, family_note
from companion.book.gpu_tables import load_gpu
from companion.book.measures import FRECHET, G2R, PRECISION, RECALL, Measure
from companion.book.part_form_tables import UNTESTED, form_effects, forms_text, words_by_form
from companion.book.published_tables import PAPER, published_figures, whole_title
from companion.book.tables import DATASET_TITLES, runs_frame
from companion.book.uneven_tables import uneven_effects, uneven_text
from companion.book.verdicts import BUDGET, NAMES, listed
from companion.studies.campaign import PAPER_SWITCHES
from companion.studies.committed import committed_records
from companion.studies.lineage_accounting import SETTINGS, claimed_epsilon, shared_draw_epsilon
from companion.studies.part_forms import load_part_forms
from companion.studies.record_counts import load_record_counts, shares
from companion.studies.resolutions import (
    METHODS,
    PLAIN,
    RADII,
    load_resolutions,
    means,
    usual_side,
)
from companion.studies.uneven_data import load_uneven_data
from dpgen_core.config.presets import DEFAULT_DELTA, VARIED

HOLDS, FAILS, OPEN = "holds", "does not hold here", "undecided"
MIXED = "in part"
NOT_HERE = "cannot be measured here"
CLAIM, LIMIT, PLAN = "claim", "limit", "plan"
ENOUGH = 0.9  # share of the accuracy above chance
_TWO, _THREE = ("mnist", "fashion_mnist"), ("mnist", "fashion_mnist", "celeba")


@dataclass(frozen=True)
class Tested:
    """A statement that paired runs can decide: `method` against `bases`, by these measures."""

    kind: str  #: CLAIM, LIMIT or PLAN
    says: str  #: what the paper says, in our words
    link: str  #: MyST: where in the book it is looked at
    method: str
    bases: tuple[str, ...]
    measures: tuple[Measure, ...]  #: those that the statement is about
    datasets: tuple[str, ...] = _TWO
    harm: bool = False  #: the statement is that `method` makes it worse


@dataclass(frozen=True)
class Row:
    """A line of the table; all texts are MyST."""

    kind: str
    says: str
    link: str
    found: str
    verdict: str


TESTED: tuple[Tested, ...] = (
    Tested(
        CLAIM,
        "Clipped error feedback undoes the bias of clipping, so that samples get better",
        "{ref}`what each part buys <what-each-part-buys>`",
        *("efsgd", PAPER_SWITCHES[:1], (G2R, FRECHET)),
    ),
    Tested(
        CLAIM,
        "The reconstruction loss gives more details and richer visual content",
        "{ref}`losses <losses>`, {ref}`what each part buys <what-each-part-buys>`",
        *("efsgd", PAPER_SWITCHES[1:2], (FRECHET, RECALL)),
    ),
    Tested(
        CLAIM,
        "Noise injection makes samples more varied",
        "{ref}`noise injection <noise-injection>`, {ref}`what each part buys <what-each-part-buys>`",
        *("efsgd", PAPER_SWITCHES[2:], (RECALL,)),
    ),
    Tested(
        CLAIM,
        "Together they are better than GS-WGAN and DP-GAN-DPAC (here: in our form, all three on our "
        "mechanism)",
        "{ref}`ablations <ablations>`",
        *("efsgd", ("gs-wgan", "dp-gan-dpac"), (G2R, FRECHET)),
    ),
    Tested(
        LIMIT,
        "Injected noise may reduce the clarity of images",
        "{ref}`noise injection <noise-injection>`",
        *("efsgd", PAPER_SWITCHES[2:], (FRECHET, PRECISION)),
        harm=True,
    ),
    Tested(
        PLAN,
        "Other strategies of noise injection (here: noise on brightness, place, size and slant)",
        "{ref}`appearance noise <appearance-measured>`",
        *(VARIED, ("efsgd",), (FRECHET, RECALL), _THREE),
    ),
    Tested(
        PLAN,
        "Higher fidelity (here: a one-shot prior, which the rounds refine)",
        "{ref}`results <results>`",
        *("efsgd-prior", ("efsgd",), (FRECHET, RECALL), _THREE),
    ),
)

# Of `part_forms.FORMS`, what the paper says that one form of them does.
OTHER_FORMS = {
    "error feedback": (CLAIM, "Error feedback makes samples better (here: in other forms)"),
    "reconstruction": (CLAIM, "A reconstruction loss gives more details (here: in other forms)"),
    "noise injection": (
        PLAN,
        "Other strategies of noise injection (here: where and how it is drawn)",
    ),
}


def paper_claims(results: Path, published: Path) -> str:
    """The whole table, in MyST, with the rule of its verdicts below it.

    Args:
        results: the folder of records and studies.
        published: ``book/published.csv``.
    """
    records = committed_records(results)
    pairs = [
        (stated, Comparison(dataset, stated.method, base, BUDGET), measure)
        for stated in TESTED
        for base in _full(stated.bases)
        for dataset in stated.datasets
        for measure in stated.measures
    ]
    runs = runs_frame(records)
    found = decided([effect(pair, by, differences(runs, pair, by.column)) for _, pair, by in pairs])
    by_claim = {
        stated: [e for (of, _, _), e in zip(pairs, found, strict=True) if of is stated and e.n]
        for stated in TESTED
    }
    rows = [_tested(stated, of_it) for stated, of_it in by_claim.items()]
    rows += [*_forms(load_part_forms(results)), _uneven(load_uneven_data(results))]
    rows += [_accounting(), _fid(published)]
    rows += [_size(load_record_counts(results)), _resolution(load_resolutions(results))]
    rows += [_diffusion(load_gpu(results))]
    order = {kind: place for place, kind in enumerate((CLAIM, LIMIT, PLAN))}
    rows.sort(key=lambda row: order[row.kind])
    return f"{_table(rows)}\n\n{family_note([e for e in found if e.n])}\n"


def verdict(found: Sequence[Effect], *, harm: bool = False) -> str:
    """The word for a statement: that something gets better, or worse where `harm` is set."""
    words = {e.verdict for e in found}
    good, bad = ("worse", "better") if harm else ("better", "worse")
    if {good, bad} <= words:
        return MIXED
    return HOLDS if good in words else FAILS if bad in words else OPEN


def _by_data_set(holds: Sequence[bool]) -> str:
    """The word for a statement that holds, or does not, on each of some data sets."""
    return OPEN if not holds else HOLDS if all(holds) else MIXED if any(holds) else FAILS


def _full(bases: Sequence[str]) -> list[str]:
    """Names of methods; a switch stands for the method without that part."""
    return [f"efsgd/{base}" if base in PAPER_SWITCHES else base for base in bases]


def _tested(stated: Tested, found: Sequence[Effect]) -> Row:
    parts = []
    for base in _full(stated.bases):
        for measure in stated.measures:
            some = [e for e in found if e.base == base and e.measure == measure]
            if some:
                said = [f"{DATASET_TITLES[e.dataset]} {e.text()}" for e in some]
                against = f" against `{base}`" if len(stated.bases) > 1 else ""
                parts.append(f"{NAMES[measure]}{against}: {listed(said)}")
    text = "; ".join(parts) or "No record is committed yet"
    word = verdict(found, harm=stated.harm)
    return Row(stated.kind, stated.says, stated.link, text, word)


def _forms(found: Mapping[str, Any]) -> list[Row]:
    """A row for each part, decided in a family of its own."""
    rows = []
    for part, (kind, says) in OTHER_FORMS.items():
        family = form_effects(found, part)
        text = forms_text(family).removesuffix(".") if family else "Not measured yet"
        word = some_form(list(words_by_form(family).values()))
        rows.append(Row(kind, says, "{ref}`other forms <other-forms>`", text, word))
    return rows


def _uneven(found: Mapping[str, Any]) -> Row:
    """Decided in a family of its own, which has every measure of that study."""
    family = uneven_effects(found)
    return Row(
        CLAIM,
        "Error feedback undoes the bias of clipping (here: where it has cause, as owners hold "
        "few classes, or one class is rare)",
        "{ref}`owners who differ <uneven-data>`",
        uneven_text(family) or "Not measured yet",
        verdict(family),
    )


def some_form(words: Sequence[set[str]]) -> str:
    """The word for "some form helps and harms nothing", from the verdicts on each form.

    A form that is untested somewhere may yet do harm there.
    """
    if any("better" in one and not {"worse", UNTESTED} & one for one in words):
        return HOLDS
    if any({"better", "worse"} <= one for one in words):
        return MIXED
    return FAILS if words and all("worse" in one for one in words) else OPEN


def _accounting() -> Row:
    settings: dict[str, Any] = {**SETTINGS["MNIST"], "delta": DEFAULT_DELTA}
    claimed, shared = claimed_epsilon(**settings), shared_draw_epsilon(**settings)
    return Row(
        CLAIM,
        "Renyi accounting with gradient sanitization gives the stated epsilon",
        "{ref}`the literature <published-figures>`, {ref}`audit <audit>`",
        "Its rule is not public. The accounting of the papers that it extends counts one shared draw "
        f"as many: it says epsilon {claimed:.1f} at their settings for MNIST, where {shared:.0f} is spent",
        NOT_HERE,
    )


def _fid(published: Path) -> Row:
    figures = published_figures(published)
    figures = figures[(figures["bibkey"] == PAPER) & (figures["metric"] == "fid")]
    unknown = int((figures["epsilon"] == "not stated").sum())
    return Row(
        CLAIM,
        f"FID on {listed([whole_title(name) for name in figures['dataset']])}",
        "{ref}`where FID weights are looked for <fid-weights>`",
        "No FID without the published Inception weights; the Frechet distance of this book has another "
        f"scale. Of the {len(figures)} published figures {unknown} do not say at which epsilon",
        NOT_HERE,
    )


def _size(counted: Mapping[str, Any]) -> Row:
    """It holds where the fewest records leave less than `ENOUGH`; one seed decides nothing."""
    made, said, left = shares(counted), [], []
    seeds: dict[str, set[int]] = {}
    for point in counted.get("points", {}).values():
        seeds.setdefault(point["dataset"], set()).add(point["seed"])
    for name, rows in made[made["epsilon"] == BUDGET].groupby("dataset", sort=False):
        ends = rows.sort_values("num_records")
        few, many = ends.iloc[0], ends.iloc[-1]
        left.append(few["share"] / many["share"])
        said.append(
            f"{DATASET_TITLES[str(name)]} {100 * few['accuracy']:.0f} % with "
            f"{few['num_records']:,.0f} records and {100 * many['accuracy']:.0f} % with "
            f"{many['num_records']:,.0f}"
        )
    poor = [share < ENOUGH for share in left]
    return Row(
        LIMIT,
        "The method needs many records (here: the prior that is recommended for each kind of image)",
        "{ref}`records and budgets <how-many-records>`",
        f"g2r {listed(said)}" if said else "Not measured yet",
        _by_data_set(poor) if seeds and min(map(len, seeds.values())) > 1 else OPEN,
    )


def _resolution(found: Mapping[str, Any]) -> Row:
    """By what is left of the fine detail of real pictures; one seed decides nothing."""
    measured = means(found)
    said, less, seeds = [], [], []
    for name, method in METHODS.items() if len(measured) else ():
        rows = measured[(measured["dataset"] == name) & (measured["method"] == method)]
        rows = rows[rows["epsilon"] == BUDGET]
        usual = rows[(rows["image_size"] == usual_side(name)) & (rows["repair"] == PLAIN)]
        grown = rows[rows["repair"] == RADII].nlargest(1, "image_size")
        if usual.empty or grown.empty:
            continue
        first, last = usual.iloc[0], grown.iloc[0]
        less.append(last["detail"] < first["detail"])
        seeds.append(min(first["n"], last["n"]))
        said.append(
            f"{whole_title(name)} from {first['image_size']:.0f} to "
            f"{last['image_size']:.0f} pixels: g2r {100 * first['g2r_cnn']:.0f} % to "
            f"{100 * last['g2r_cnn']:.0f} %, recall {first['recall']:.2f} to {last['recall']:.2f}, fine "
            f"detail {100 * first['detail']:.0f} % to {100 * last['detail']:.0f} % of that of real pictures"
        )
    return Row(
        LIMIT,
        "Images of high resolution, which are planned, too (here: the recommended prior alone)",
        "{ref}`how large the pictures may be <resolution>`",
        "; ".join(said) or "Not measured yet",
        _by_data_set(less) if seeds and min(seeds) > 1 else OPEN,
    )


def _diffusion(gpu: Mapping[str, Any]) -> Row:
    """One run each, so nothing is decided, whatever the figures."""
    far = {
        name.split(",")[0]: answer["frechet_distance"]
        for name, answer in gpu.get("quick", {}).items()
        if name.endswith(", diffusion")
    }
    said = [f"{value:.1f} on {DATASET_TITLES[name]}" for name, value in far.items()]
    text = f"Frechet distance {listed(said)}, one seed on a GPU" if said else "Not measured yet"
    return Row(
        PLAN,
        "Higher fidelity, by a stronger generator (here: a diffusion model from the prior on)",
        "{ref}`diffusion <diffusion>`",
        *(text, OPEN),
    )


def _table(rows: Sequence[Row]) -> str:
    """Two columns, as a narrow screen has no room for more."""
    lines = [f"| The paper, and our verdict | What we found at epsilon {BUDGET:g} |"]
    lines += ["| --- | --- |"]
    lines += [
        f"| {row.kind.capitalize()}: {row.says}. **{row.verdict.capitalize()}** "
        f"| {row.found}. See {row.link} |"
        for row in rows
    ]
    return "\n".join(lines)
