"""A residual network trained on one set and tested on another, epoch by epoch.

An accuracy that falls while training goes on says that the set is full of artifacts: the network
learns what is wrong with the images in place of what is in them.

Source: DPImageBench (Gong et al. 2025), for optimizer, average of the weights and inputs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.checks import require
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.classifiers import pick_device
from dpgen_core.evaluation.protocols import DeepProtocol
from dpgen_core.evaluation.residual_nets import ResidualNet, build_network
from dpgen_core.streams import stream

_BLOCK = 1000


@dataclass(frozen=True)
class Judged:
    """What one network learned; accuracies are shares of right answers."""

    network: ResidualNet  #: at the chosen epoch, with averaged weights, in evaluation mode
    accuracy: float  #: on the test set, at the chosen epoch
    accuracy_by_epoch: list[float]  #: on the test set
    held_out_accuracy: float  #: on the images that chose the epoch

    @property
    def fall(self) -> float:
        """How far accuracy on the test set fell from its best epoch to the last."""
        return max(self.accuracy_by_epoch) - self.accuracy_by_epoch[-1]

    def figures(self) -> dict[str, Any]:
        """Everything but the network, JSON-ready."""
        names = ("accuracy", "accuracy_by_epoch", "held_out_accuracy")
        return {name: getattr(self, name) for name in names}


def train_judge(
    learned: ImageData,
    test: ImageData,
    protocol: DeepProtocol,
    *,
    network: str,
    seed: int,
    device: str = "auto",
    choose_on: ImageData | None = None,
) -> Judged:
    """Train `network` on `learned`, in the order of the seed, and test it after each epoch.

    The epoch is chosen on `choose_on`, or on images of `learned` that are held out from training;
    of equal ones the last. The test set decides nothing. PyTorch's global generator is left alone.

    Raises:
        InvalidArgument: fewer than 4 images, or sets that differ in shape or classes.
    """
    count, fix = len(learned.labels), "more samples"
    require(count >= 4, "learned", count, "at least 4 images", fix)
    wanted = tuple(test.images.shape[1:]), test.class_names
    for name, data in (("learned", learned), ("choose_on", choose_on or learned)):
        found = tuple(data.images.shape[1:]), data.class_names
        require(found == wanted, name, found, f"(image shape, classes) {wanted}", "one data set")
    where = pick_device(device)
    order = torch.randperm(count, generator=stream(seed, "deep-split"))
    held = 0 if choose_on else min(protocol.held_out, count // 10 or 1)
    rows = order[held:]
    images, labels = learned.images.to(where), learned.labels.to(where)
    chosen = choose_on or learned.at(order[:held])
    size = max(2, min(protocol.batch_size, len(rows)))
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if where.type == "cuda":
            torch.cuda.manual_seed(seed)
        options = {"channels": wanted[0][0], "num_classes": len(test.class_names)}
        model = build_network(network, **options).to(where)
        average, best = copy.deepcopy(model), copy.deepcopy(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate, fused=True)
        by_epoch, on_held_out, taken = [], [], 0
        for epoch in range(protocol.epochs):
            model.train()
            generator = stream(seed, "deep-order", epoch)
            shuffled = rows[torch.randperm(len(rows), generator=generator)]
            # Batch statistics need two images: a last batch of one is left out.
            batches = [part for part in shuffled.split(size) if len(part) > 1]
            for batch in batches:
                for group in optimizer.param_groups:
                    group["lr"] = _rate(protocol, taken / (protocol.epochs * len(batches)))
                optimizer.zero_grad()
                logits = model(_ready(images[batch], where))
                F.cross_entropy(logits, labels[batch]).backward()
                optimizer.step()
                taken += 1
                _follow(average, model, min(protocol.ema_decay, (1 + taken) / (10 + taken)))
            average.eval()
            by_epoch.append(accuracy_of(average, test))
            on_held_out.append(accuracy_of(average, chosen))
            if on_held_out[-1] >= max(on_held_out):
                best.load_state_dict(average.state_dict())
    place = max(range(protocol.epochs), key=lambda epoch: (on_held_out[epoch], epoch))
    return Judged(best.eval(), by_epoch[place], by_epoch, on_held_out[place])


@torch.no_grad()
def features_of(network: ResidualNet, images: Tensor) -> Tensor:
    """Images in [0, 1], (n, c, h, w) -> features (n, width), on the CPU, in evaluation mode."""
    device = next(network.parameters()).device
    parts = images.split(_BLOCK)
    return torch.cat([network.features(_ready(part, device)).cpu() for part in parts])


@torch.no_grad()
def accuracy_of(network: ResidualNet, data: ImageData) -> float:
    """Share of `data` whose largest logit is that of its label; `network` in evaluation mode."""
    device, right = next(network.parameters()).device, 0
    for x, y in zip(data.images.split(_BLOCK), data.labels.split(_BLOCK), strict=True):
        right += int((network(_ready(x, device)).argmax(1).cpu() == y).sum())
    return right / len(data.labels)


def _rate(protocol: DeepProtocol, done: float) -> float:
    """The learning rate when this share of the training is done."""
    falls = sum(done >= share for share in protocol.rate_falls_at)
    return protocol.learning_rate * protocol.rate_factor**falls


@torch.no_grad()
def _follow(average: ResidualNet, model: ResidualNet, decay: float) -> None:
    """A step of the moving average; batch statistics are the model's own, as in the benchmark."""
    for mean, now in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for kept, seen in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(seen)


def _ready(images: Tensor, device: torch.device) -> Tensor:
    """[0, 1] -> [-1, 1], where and how the network wants it."""
    return (images.to(device) * 2 - 1).contiguous(memory_format=torch.channels_last)
