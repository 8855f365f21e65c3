"""The privacy statement of a record, in words that can be filed: ``statement.md`` in its folder.

Everything in it is read from ``config.json`` and ``privacy.json``; its figures are computed anew
from the ledger, so that statement and ledger cannot drift apart. A record that was written before
an entry existed lacks its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dpgen_core.accounting.calibration import total_variation
from dpgen_core.accounting.ledger import Ledger, bound_text
from dpgen_core.config.budget import LEARNERS, events_of_prior
from dpgen_core.config.presets import preset
from dpgen_core.config.schema import ExperimentConfig, defaults
from dpgen_core.data.folders import SHAPES
from dpgen_core.data.pictures import PREPARED
from dpgen_core.records.bounds import (
    REACH,
    Privacy,
    delta_text,
    epsilon_curve,
    epsilon_of_group,
    group_epsilon,
    tail_delta,
)

STATEMENT_FILE = "statement.md"
_ONE_BY_ONE = "several records of one person are protected one by one, not together"
_COUNT_SHOWS = (
    "how many images of a person are among the records, as the number of records is public"
)
OUTSIDE_GUARANTEE = (
    "metrics.json and diagnostics.csv are computed from private records or private state",
    "choosing settings by looking at results on the same records spends budget nobody charged",
    _ONE_BY_ONE,
    "other releases from the same records, such as a second run, add to what this one reveals",
)
# What differs between the statement for an image and that for a person.
_WORDS: Mapping[bool, Mapping[str, str]] = {
    False: {
        "single": "any single record was the one it is",
        "known": "every record but one, holds two candidates for that one",
        "kind": "record was",
        "it": "it",
        "assumed": "Every image is one record",
    },
    True: {
        "single": "the images of any single person were the ones they are",
        "known": "every record but those of one person, holds two candidates for those",
        "kind": "person's images were",
        "it": "they",
        "assumed": "Every image is one record, and the table says rightly whom it shows",
    },
}
GROUPS = (2, 5, 10)  # images of one person
_NUMBERS = 10**9  # noise numbers counted per release; none has as many
_SEEDED = (
    "the noise follows from the public seed, so it can be subtracted; fit for public data "
    "and reproduction only. Use noise_source='secret' for a private release."
)
_PREPARED = {
    "celeba": "resized to this size",
    "glyphs": "drawn by this software",
    **dict.fromkeys(
        ("emnist_letters", "emnist_balanced"), "turned upright: files hold columns first"
    ),
    "folder_gray": PREPARED.format(color="in gray"),
    "folder_color": PREPARED.format(color="in RGB"),
}


def privacy_facts(
    config: ExperimentConfig,
    ledger: Ledger,
    spent: Mapping[str, float],
    *,
    rounds: int,
    restarts: int,
    class_names: Sequence[str] = (),
    num_held_out: int | None = None,
) -> dict[str, Any]:
    """What a run released and what it cost: the content of ``privacy.json``.

    `spent` is epsilon by accountant, `rounds` how many are done, `restarts` how often the run was
    resumed, `num_held_out` how many images of the same source only metrics use.
    """
    privacy = config.privacy
    prior = "class statistics in the frequency domain, with Gaussian noise"
    mechanism = [prior] if config.prior.modes else []
    mechanism += [LEARNERS[privacy.learner].mechanism] if privacy.rounds else []
    copied = ["relation", "num_records", "delta", "accountant", "num_shards", "sampling_rate"]
    copied += ["max_grad_norm", "noise_multiplier", "prior_noise_multiplier", "noise_source"]
    releasable = privacy.noise_source == "secret"
    unit, outside = "one image with its label", list(OUTSIDE_GUARANTEE)
    if (kept := privacy.images_per_person) is not None:
        copied.append("images_per_person")
        unit = f"one person, with at most {kept} image{'s' * (kept > 1)} and their labels"
        outside[outside.index(_ONE_BY_ONE)] = _COUNT_SHOWS
    facts = {
        "mechanism": "; ".join(mechanism),
        "unit": unit,
        **{name: getattr(privacy, name) for name in copied},
        "target_epsilon": privacy.epsilon,
        "epsilon": dict(spent),
        "rounds": rounds,
        "planned_rounds": privacy.rounds,
        "ledger": ledger.to_dict(),
        "restarts": restarts,
        "releasable": releasable,
        "why_not_releasable": None if releasable else _SEEDED,
        "outside_the_guarantee": outside,
    }
    if class_names:
        facts["class_names"] = list(class_names)
    if num_held_out is not None:
        facts["num_held_out"] = num_held_out
    return facts


def privacy_statement(*, config: ExperimentConfig, run: Mapping[str, Any], privacy: Privacy) -> str:
    """The statement as Markdown, from a record's `config`, `run` and `privacy`."""
    epsilon, delta = privacy["epsilon"], delta_text(privacy["delta"])
    ledger = Ledger.from_dict(privacy["ledger"])
    words = _WORDS["images_per_person" in privacy]
    asked = {name: ledger.settings()[name] for name in ("relation", "group_size")}
    variation = total_variation(ledger.events, **asked)
    curve = [(delta_text(d), bound_text(e)) for d, e in epsilon_curve(privacy).items()]
    refusal = f"**Not fit for a release of private data**: {privacy['why_not_releasable']}"
    where = "the record's subfolder `private/`" if privacy["releasable"] else "the record's folder"
    sections: dict[str, Sequence[str]] = {
        "In one sentence": [
            "Whoever sees the synthetic images, the generator and every intermediate release "
            f"learns almost the same whether or not {words['single']}: the "
            f"release is ({bound_text(epsilon['pld'])}, {delta})-differentially private "
            f"({bound_text(epsilon['rdp'])} by the looser Renyi accounting).",
            *([] if privacy["releasable"] else ["", refusal]),
        ],
        "What was released": _release(config, run, privacy),
        "The data": _data(config, privacy),
        "What is protected, and how": _protection(config, privacy, ledger),
        "Epsilon at other deltas": _table(("delta", "epsilon"), curve),
        f"Several images of one person, at delta {delta}": _several(privacy),
        "What it means": [
            f"Suppose somebody knows {words['known']} to be "
            "equally likely, and sees all that was released. They pick the right one with "
            f"probability {bound_text((1 + variation) / 2)} at most; a coin has 0.5. Whether the "
            f"{words['kind']} there at all, or what {words['it']} showed, are questions of this kind."
        ],
        "Assumptions": [
            f"* {words['assumed']}; nobody outside learns who joined a round.",
            "* Clip radii, frequency basis and settings do not depend on these records.",
            f"* {_settings(config, privacy)}",
            f"* {_randomness(config, ledger)}",
            "* Floating-point arithmetic is close to that of real numbers.",
            "* The code does what it says; its tests and the audit are part of the repository.",
        ],
        "What it does not cover": [
            *(f"* {_capital(line)}." for line in privacy["outside_the_guarantee"]),
            "* Facts about everybody: what the data teach about all people alike is not hidden, "
            "and is meant to be learned.",
        ],
        "Private material that stays": [
            "* The images themselves, where they were.",
            f"* In {where}: metrics.json, diagnostics.csv, the fingerprint of settings and images.",
            "* In `.work/classifiers` beside the record: classifiers trained on private images.",
            "* The run's own folder in `.work`, with checkpoints and the key of coins and noise, "
            "is removed from the file system when the run ends, not wiped.",
        ],
    }
    title = " ".join(config.title.split()) or f"{config.dataset}, {config.method}"
    parts = (f"## {name}\n\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
    return "\n".join((f"# Privacy statement: {title}\n", *parts))


def _several(privacy: Privacy) -> list[str]:
    """What the guarantee becomes for several images of one person, as a table."""
    kept = privacy.get("images_per_person")
    if kept is None:
        groups = {size: group_epsilon(privacy, size) for size in GROUPS}
    else:
        ledger, delta = privacy["ledger"], privacy["delta"]
        groups = {size: epsilon_of_group(ledger, delta, size) for size in sorted({1, kept})}
    rows = [(k, "no useful bound" if e is None else bound_text(e)) for k, e in groups.items()]
    return _table(("images", "epsilon"), rows)


def _capital(line: str) -> str:
    return line if line.startswith("metrics.json") else line[0].upper() + line[1:]


def verbatim(name: str) -> str:
    """A name that Markdown shows as it is: a code span where a character might mean something."""
    if re.fullmatch(r"[\w \-]*", name) and "_" not in name:
        return name
    fence = "`" * (1 + max(map(len, re.findall("`+", name)), default=0))
    pad = " " if "`" in name else ""
    return f"{fence}{pad}{name}{pad}{fence}"


def _bullets(entries: Mapping[str, str | None]) -> list[str]:
    return [f"* **{name}**: {' '.join(text.split())}." for name, text in entries.items() if text]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [" | ".join(map(str, row)) for row in (header, *rows)]
    return [f"| {cells[0]} |", "|---" * len(header) + "|", *(f"| {row} |" for row in cells[1:])]


def _release(config: ExperimentConfig, run: Mapping[str, Any], privacy: Privacy) -> list[str]:
    """Who, what and when, with blanks for what only a person knows."""
    files, signed = privacy.get("synthetic"), privacy["releasable"]
    made = [config.record_name(), f"code at commit {run.get('commit') or 'unknown'}"]
    if version := run.get("versions", {}).get("dpgen-core"):
        made.append(f"dpgen-core {version}")
    if "finished" in run:
        made.append(f"finished {run['finished']}")
    digest = files and f"{files['count']} in synthetic.npz, whose SHA-256 is {files['sha256']}"
    bullets = {
        "Released by": "______ (name, organization), on ______" if signed else None,
        "Synthetic images": digest,
        "Run": "; ".join(made),
        "Earlier releases from the same images": "______ (total: ______)" if signed else None,
    }
    return _bullets(bullets)


def _data(config: ExperimentConfig, privacy: Privacy) -> list[str]:
    channels, height, width = config.image_shape
    kind = "gray (1 channel)" if channels == 1 else f"color ({channels} channels)"
    prepared = _PREPARED.get(config.dataset, "as published")
    kept = privacy.get("images_per_person")
    most = f", at most {kept} of each person; both numbers are public" if kept else ""
    names, held_out = privacy.get("class_names"), privacy.get("num_held_out")
    if config.maximum is not None:
        prepared += f"; in files of more than 8 bits {config.maximum:g} is white and 0 black"
    use = "more images, for the metrics in metrics.json only; nothing released depends on them"
    bullets = {
        "Title": config.title,
        "Description": config.description.strip().rstrip("."),
        "Images": f"{height} x {width} pixels, {kind}, {prepared}; values scaled to [0, 1]",
        "Classes": names and f"{', '.join(map(verbatim, names))}; these names are public",
        "Number of records N": f"{privacy['num_records']}. So many images were trained on{most}",
        "Held out": held_out and f"{held_out} {use}",
    }
    return _bullets(bullets)


def _protection(config: ExperimentConfig, privacy: Privacy, ledger: Ledger) -> list[str]:
    learner = LEARNERS[config.privacy.learner]
    rounds = (
        f"{privacy['rounds']}, in each of which {learner.sentence(privacy)} a vector of norm at "
        f"most {privacy['max_grad_norm']:g}; noise of standard deviation "
        f"{privacy['noise_multiplier']:.4f} times that is added to the sum"
    )
    secret = privacy["noise_source"] == "secret"
    # Only a secret key hides the order of one's own files, see `data.folders`.
    same = "" if secret or config.dataset not in SHAPES else " of the same file name"
    exchanged = f"one record is exchanged for another{same}"
    if kept := privacy.get("images_per_person"):
        exchanged = (
            f"the images of one person, {kept} at most, are exchanged for as many of another person"
            f"{same and ', each for one of the same file name'}"
        )
    key = "from a 256-bit key of the operating system, removed (not wiped) after the run"
    bullets = {
        "Unit of privacy": privacy["unit"],
        "Neighboring relation": f"{privacy['relation']}. Two data sets are neighbors if "
        f"{exchanged}; the number of records is public",
        "Who is trusted": "whoever runs the program sees all records, coins and noise; the "
        "guarantee is central differential privacy with one trusted curator",
        "Mechanism": privacy["mechanism"],
        "Rounds": rounds if privacy["rounds"] else None,
        "Noise": key if secret else "from the public seed, for reproduction only",
    }
    releases = (
        (e["name"], f"{e['noise_multiplier']:.4f}", f"{e.get('sampling_rate', 1):g}", e["count"])
        for e in privacy["ledger"]["events"]
    )
    charges = (learner.event(config, index, 0) for index in range(privacy["rounds"]))
    once = [*events_of_prior(config), *(event for event in charges if event)]
    due, charged = (sum(event.count for event in events) for events in (once, ledger.events))
    repeats = (
        f"The ledger counts {charged} releases where a run without a break makes {due}: the run "
        "was resumed, and what could not be repeated bit for bit was drawn again with new coins "
        "and noise. Both draws are charged."
    )
    return [
        *_bullets(bullets),
        "\nEverything released, as charged to the ledger before it was used:\n",
        *_table(("release", "noise multiplier", "sampling rate", "times"), releases),
        *([] if charged == due else ["", repeats]),
    ]


def _settings(config: ExperimentConfig, privacy: Privacy) -> str:
    """Who chose the settings, on which data."""
    usual = defaults() | preset(config.method, config.profile, image_shape=config.image_shape)
    if LEARNERS[config.privacy.learner].single:
        del usual["num_shards"]
    found = config.to_dict()
    changed = sorted(name for name, v in usual.items() if v is not None and found[name] != v)
    but_for = f" but for {', '.join(changed)}" if changed else ""
    chosen = " Chosen for this run by ______, on these data: ______."
    return (
        f"The settings are the preset {config.method} at profile {config.profile}{but_for}. Its "
        "authors tuned it on MNIST, and the one for color on CelebA: on these data sets that is "
        f"spent budget nobody charged.{chosen if privacy['releasable'] else ''}"
    )


def _randomness(config: ExperimentConfig, ledger: Ledger) -> str:
    if config.privacy.learner == "efsgd":
        return "Noise from PyTorch's generator, which is not cryptographic, passes for random."
    added, size = 0.0, ledger.settings()["group_size"]
    for event in ledger.events:
        shift, rate = size / event.noise_multiplier, getattr(event, "sampling_rate", 0.0)
        # Both members of a sampled pair are shifted from their common center, in opposite ways.
        joined = min(1.0, size * rate)
        tails = tail_delta(shift, _NUMBERS) + joined * tail_delta(2 * shift, _NUMBERS)
        added += event.count * tails
    most = f"at most {delta_text(added, 2)}" if added < 1 else "an unknown amount"
    return (
        "Hidden coins and noise cannot be told from true randomness (SHAKE-256 under a key that "
        f"nobody else holds). Noise ends at {REACH:.1f} standard deviations, which adds {most} to "
        "delta."
    )
