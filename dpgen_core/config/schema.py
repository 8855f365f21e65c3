"""One frozen configuration holds every setting of a run, in the groups of `config.groups`.

`config.make.make_config` builds a configuration from a few arguments.

Every setting also has a *flat* name, ``critic_width`` for ``config.critic.width``: the format of
``config.json``, overrides, ``results/tuning.csv`` and a record's hash. `groups.FLAT` translates.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dpgen_core.checks import check_int, check_real, require
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.groups import (
    FLAT,
    GROUPS,
    ContributionConfig,
    CriticConfig,
    GeneratorConfig,
    PriorConfig,
    PrivacyConfig,
)
from dpgen_core.data.folders import SHAPES
from dpgen_core.data.pictures import check_size
from dpgen_core.evaluation.metrics import EvaluationSettings

# Set by calibration and data set, never by a caller.
COMPUTED = frozenset({"noise_multiplier", "prior_noise_multiplier", "relation", "image_shape"})
_CALIBRATED = ("noise_multiplier", "prior_noise_multiplier")
OPTIONS = ("checkpoint_every", "evaluated", "maximum")  # settings outside the groups
NOTES = ("title", "description")  # for the reader of a statement; they change nothing in a run


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides a run. Norms are Euclidean, in image space (pixels in [0, 1])."""

    dataset: str  #: a name in `data.sets.NAMES`
    method: str  #: a name in `presets.method_names()`
    profile: str  #: ``smoke``, ``quick`` or ``paper``
    seed: int  #: public seed
    num_classes: int  #: number of labels
    image_shape: tuple[int, int, int]  #: (c, h, w)
    privacy: PrivacyConfig
    contribution: ContributionConfig = field(default_factory=ContributionConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    checkpoint_every: int = 50  #: rounds from one checkpoint to the next
    evaluated: bool = True  #: compute metrics; if not, one's own folder holds no images out
    maximum: float | None = None  #: shown as white in one's own files of more than 8 bits
    title: str = ""  #: of the data, for the privacy statement
    description: str = ""  #: of the data, for the statement: where from, whom they show

    def __post_init__(self) -> None:
        check_int("seed", self.seed, low=0, fix="seed=0")
        object.__setattr__(self, "seed", int(self.seed))
        check_int("checkpoint_every", self.checkpoint_every, low=1, fix="checkpoint_every=50")
        require(isinstance(self.evaluated, bool), "evaluated", self.evaluated, "a bool", "True")
        if self.maximum is not None:
            check_real("maximum", self.maximum, low=0, low_open=True, fix="maximum=65535")
        for name in NOTES:
            note = getattr(self, name)
            require(isinstance(note, str), name, note, "text", f"{name}='Scans of 2024'")
        check_int("num_classes", self.num_classes, low=2, fix="num_classes=10")
        channels, *sides = self.image_shape
        shaped = channels in (1, 3) and len(sides) == 2 and sides[0] == sides[1]
        rule = "(1 or 3, side, side)"
        require(shaped, "image_shape", self.image_shape, rule, "a fresh make_config(...)")
        check_size(sides[0])
        m, rule = self.privacy.images_per_person, "None but for one's own images with a person each"
        fix = "unit='image'; of a named data set nobody here knows whom an image shows"
        require(m is None or self.dataset in SHAPES, "images_per_person", m, rule, fix)
        modes = {"basis_modes": self.contribution.basis_modes, "prior_modes": self.prior.modes}
        for name, count in modes.items():
            fix = f"{name}={min(12, sides[0])}"
            check_int(name, count, low=0, high=sides[0], fix=fix)
        from_scratch = self.privacy.rounds > 0 and not self.prior.modes
        rule = "off where a prior makes the images: it has a spread of its own"
        fix = "method='efsgd' with this setting"
        noisy, framed = self.generator.appearance_noise, self.generator.framed
        require(from_scratch or not noisy, "appearance_noise", True, rule, fix)
        require(from_scratch or not framed, "rounds_frame", True, rule, fix)
        gray, chroma = self.image_shape[0] != 3, self.prior.chroma
        rule = "None but for images of three channels"
        require(not gray or chroma is None, "prior_chroma", chroma, rule, "a method without color")
        LEARNERS[self.privacy.learner].check(self)
        kind, rule = self.critic.kind, "'mlp' with rounds_frame: codes with a frame are no image's"
        require(kind == "mlp" or not framed, "critic", kind, rule, "'mlp'")
        pool, classes = self.critic.fake_pool, self.num_classes
        rule = f"at least one fake of each of the {classes} classes"
        enough = pool >= classes or not self.privacy.rounds
        require(enough, "fake_pool", pool, rule, f"fake_pool={4 * classes}")

    def record_name(self) -> str:
        """Folder name of the record: readable, and unique to these settings.

        The hash leaves out settings at their default, so a new one does not rename old records.
        """
        usual = defaults()
        chosen = {n: v for n, v in self.deciding().items() if n not in usual or v != usual[n]}
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
        method, epsilon = self.method.replace("/", "_"), self.privacy.epsilon
        return f"{self.dataset}-{method}-eps{epsilon:g}-{self.profile}-seed{self.seed}-{digest}"

    def deciding(self) -> dict[str, Any]:
        """`to_dict` without the notes: what a run's outcome depends on.

        Noise to four digits: the calibration's last ones depend on the processor, and a run begun on
        one machine has to be found on the next.
        """
        found = {name: value for name, value in self.to_dict().items() if name not in NOTES}
        return found | {name: float(f"{found[name]:.4g}") for name in _CALIBRATED}

    def to_dict(self) -> dict[str, Any]:
        """All settings by flat name, JSON-ready."""
        top = {n: getattr(self, n) for n in _TOP} | {"image_shape": list(self.image_shape)}
        return top | {n: getattr(getattr(self, g), f) for n, (g, f) in FLAT.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExperimentConfig:
        """Inverse of `to_dict`; settings that are not named take their default."""
        unknown = sorted(set(values) - set(FLAT) - set(_TOP))
        require(not unknown, "config", unknown, "made of known fields only", "a fresh config")
        top = {n: v for n, v in values.items() if n in _TOP}
        top["image_shape"] = tuple(values["image_shape"])
        grouped: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        for name, (group, entry) in FLAT.items():
            if name in values:
                grouped[group][entry] = values[name]
        return cls(**top, **{group: kind(**grouped[group]) for group, kind in GROUPS.items()})

    def replace(self, **settings: Any) -> ExperimentConfig:
        """A copy with some settings changed, by flat name; every check runs again."""
        return ExperimentConfig.from_dict(self.to_dict() | settings)


_TOP = tuple(e.name for e in dataclasses.fields(ExperimentConfig) if e.name not in GROUPS)


def defaults() -> dict[str, Any]:
    """Settings that have a default, by flat name."""
    # These were without a default when the first records were named.
    required = COMPUTED | {"relation", "accountant", "noise_source"}
    found = {
        name: getattr(ExperimentConfig, name)
        for name in _TOP
        if name not in NOTES and hasattr(ExperimentConfig, name)
    }
    for name, (group, entry) in FLAT.items():
        if name not in required and hasattr(GROUPS[group], entry):
            found[name] = getattr(GROUPS[group], entry)
    return found
