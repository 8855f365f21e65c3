"""The data card of what is handed over, as the Hugging Face Hub reads it: ``README.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dpgen_core.accounting.ledger import bound_text
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.records.bounds import delta_text
from dpgen_core.records.statement import verbatim

_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6))


def data_card(
    config: ExperimentConfig,
    privacy: Mapping[str, Any],
    class_names: Sequence[str],
    counts: Sequence[int],
) -> str:
    """The card as Markdown below a YAML header, from public facts alone.

    `privacy` is the content of ``privacy.json``, `counts` the synthetic images of each class.
    """
    total, (channels, height, width) = sum(counts), config.image_shape
    size = next((name for name, most in _SIZES if total < most), "n>1M")
    title = " ".join(config.title.split()) or f"Synthetic images: {config.dataset}"
    colors = "gray" if channels == 1 else "color"
    epsilon, delta = bound_text(privacy["epsilon"]["pld"]), delta_text(privacy["delta"])
    described = f"\n{config.description.strip()}\n" if config.description.strip() else ""
    listed = "\n".join(
        f"| {label} | {verbatim(name)} | {count} |"
        for label, (name, count) in enumerate(zip(class_names, counts, strict=True))
    )
    added = [n for n in ("dither", "grain") if getattr(config.generator, n)]
    noisy = (
        f"""
Noise was added to the finished images ({" and ".join(added)}). The private ones do not have it: it helps
networks that are trained on these images, and is not for the eye.
"""
        if added
        else ""
    )
    if (temperature := config.generator.temperature) != 1:
        wider = "more" if temperature > 1 else "less"
        noisy += f"""
The images were drawn at temperature {temperature:g}, so they differ {wider} than what was released says.
"""
    # JSON's strings are YAML's, whatever they hold.
    features = "\n".join(f"        '{k}': {json.dumps(name)}" for k, name in enumerate(class_names))
    return f"""---
pretty_name: {json.dumps(title)}
task_categories:
- image-classification
size_categories:
- {size}
tags:
- synthetic
- differential-privacy
configs:
- config_name: default
  data_dir: images
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
{features}
---

# {title}
{described}
{total} synthetic images, {height} x {width} pixels, {colors}. No picture is of anybody or anything:
all were drawn from a generator that was learned with differential privacy, epsilon {epsilon} at delta
{delta}, for {privacy["unit"]}. `statement.md` says what that means and what it does not cover.
{noisy}
| label | class | images |
|---|---|---|
{listed}

* `images/`: a folder of PNG files per class; `labels.csv` has file and class of each.
* `synthetic.npz`: the same in MedMNIST's form, as `train_images` and `train_labels`.
* `generator.safetensors`: draws more at no further cost in privacy,
  `dpgen sample . more --per-class 500`.
* `SHA256SUMS`: `sha256sum -c SHA256SUMS` checks every file.

The images are a stand-in for the private ones in the development and comparison of methods. Their
quality was measured on private data, and those figures are not part of this folder. A rare kind of
image may be missing: what one record alone shows cannot be learned, which is the point.
"""
