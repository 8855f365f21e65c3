"""How a synthetic set is judged, by name: each protocol is one frozen object, kept with its figures.

================  ===============================================================================
protocol          what it is
================  ===============================================================================
``quick``         a small CNN and a small MLP on 20,000 images, and all of `metrics.evaluate`
``deep``          a ResNet-8 on 60,000 images, and forest, linear classifier and looks beside it
``dpimagebench``  the published protocol of DPImageBench (Gong et al. 2025): three nets, for a GPU
================  ===============================================================================

``deep`` is ``dpimagebench`` cut down to what two cores do in a minute or two. Its epoch is chosen
on held-out *synthetic* images. The benchmark chooses on real training images, and adds no noise to
that choice: its figures are those of whoever holds the records.

>>> deep, field = PROTOCOLS["deep"], PROTOCOLS["dpimagebench"]
>>> deep.chosen_on, field.chosen_on, field.networks
('synthetic', 'real', ('resnet-110', 'wrn-40-4', 'resnext-29'))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dpgen_core.checks import check_choice, check_int, check_real, require
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.evaluation.residual_nets import NETWORKS

ChosenOn = Literal["synthetic", "real"]


@dataclass(frozen=True)
class DeepProtocol:
    """How the residual networks are trained, and what is judged beside them."""

    networks: tuple[str, ...] = ("resnet-8",)  #: of `residual_nets.NETWORKS`; figures are averaged
    epochs: int = 2  #: passes of each network
    batch_size: int = 256
    learning_rate: float = 0.01  #: of Adam
    rate_falls_at: tuple[float, ...] = (0.4, 0.8)  #: shares of the training after which the rate
    rate_factor: float = 0.2  #: is multiplied by this; the benchmark's epochs 20 and 40 of 50
    ema_decay: float = 0.9999  #: of the judged weights, at most; lower in the first steps
    synthetic_records: int = 60_000  #: synthetic images used at most, those held out among them
    held_out: int = 5_000  #: images that choose the epoch; a tenth of a smaller set
    chosen_on: ChosenOn = "synthetic"  #: what these are; ``real`` ones are training records
    simple_records: int = 10_000  #: synthetic images that forest and linear classifier learn from
    feature_records: int = 10_000  #: images a side of the Frechet distance

    def __post_init__(self) -> None:
        require(bool(self.networks), "networks", self.networks, "at least one", f"{NETWORKS[:1]}")
        for name in self.networks:
            check_choice("networks", name, NETWORKS)
        counts = ("epochs", "batch_size", "held_out", "simple_records", "feature_records")
        for name in counts:
            check_int(name, getattr(self, name), low=1, fix=f"{name}=10")
        check_int("synthetic_records", self.synthetic_records, low=10, fix="60000")
        check_real("learning_rate", self.learning_rate, low=0, low_open=True, fix="0.01")
        for name in ("rate_factor", "ema_decay"):
            check_real(name, getattr(self, name), low=0, high=1, fix=f"{name}=0.2")
        for share in self.rate_falls_at:
            check_real("rate_falls_at", share, low=0, high=1, fix="rate_falls_at=(0.4, 0.8)")
        check_choice("chosen_on", self.chosen_on, ("synthetic", "real"))


Protocol = EvaluationSettings | DeepProtocol

PROTOCOLS: Mapping[str, Protocol] = {
    "quick": EvaluationSettings(synthetic_records=20_000),
    "deep": DeepProtocol(),
    "dpimagebench": DeepProtocol(
        networks=("resnet-110", "wrn-40-4", "resnext-29"), epochs=50, chosen_on="real"
    ),
}


def describe(protocol: Protocol) -> dict[str, Any]:
    """All settings, JSON-ready, with the protocol's name, or None if it is none of `PROTOCOLS`."""
    names = [name for name, known in PROTOCOLS.items() if known == protocol]
    settings = {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(protocol).items()}
    return {"name": names[0] if names else None, **settings}
