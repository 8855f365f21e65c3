# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (diffusion)=
# # A private diffusion model, from the prior on
#
# The prior of this book is a mixture of Gaussians. It has no edge, no flat ground and no texture,
# and a deep classifier that learns from its samples learns that signature instead of the classes.
# The best published results are from diffusion models {cite:p}`dockhorn2023dpdm,li2025dpfeta`. This
# page starts one from the prior's samples and trains it with a few minutes of one GPU. It is a
# study: no method name of `make_config` runs it yet.
#
# 1. **Release the prior** with a part of the budget.
# 2. **Pre-train a denoiser on the prior's samples.** They were released, so this costs no privacy.
# 3. **Train it by DP-SGD on the records.** A record is seen at several noise levels in a round, and
#    the sum of these gradients is clipped once (noise multiplicity, DPDM).
#
# The second step stands where DP-FETA {cite:p}`li2025dpfeta` has noisy central images, and FETA-Pro
# {cite:p}`gong2026fetapro` images matched to noisy frequency features, of which the prior is a
# closed-form relative. Nothing here is claimed to be new.

# %% tags=["hide-input"]
import torch
from IPython.display import Image, Markdown

from companion.book.gpu_tables import diffusion_table, judge_table, load_gpu, quick_table
from companion.studies.committed import project_root
from companion.studies.diffusion.network import Denoiser, denoising_loss, random_levels
from companion.studies.diffusion.per_sample import recorded, recording_layers
from dpgen_core import epsilon_spent
from dpgen_core.data import load
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.streams import HiddenStream, stream

results = project_root() / "results"
found = load_gpu(results)

# %% [markdown]
# ## One round, in open steps
#
# The denoiser is a small U-Net in the parametrization of EDM {cite:p}`karras2022edm`. It gets a
# noisy image, the noise's standard deviation and a label, and answers the image it expects behind
# the noise.

# %%
records = load("glyphs", "train", num_records=400)
torch.manual_seed(0)  # the weights
denoiser = Denoiser((1, 28, 28), num_classes=10, width=8)
weights = list(denoiser.parameters())
sum(p.numel() for p in weights)

# %% [markdown]
# Each record joins by a hidden coin and is seen at several noise levels. `recorded` keeps the
# gradient of each record; it is clipped to norm $C$ as a whole, whatever the number of views.

# %%
views, C, sigma, q = 4, 0.5, 1.0, 0.05
coins = HiddenStream("key", "coins", 0, 0).uniform(len(records.labels))
joined = (coins < q).nonzero()[:, 0]

generator = stream(0, "levels", 0)
images = (records.images[joined] * 2 - 1).repeat_interleave(views, 0)
labels = records.labels[joined].repeat_interleave(views)
level = random_levels(len(images), generator)
noise = torch.randn(images.shape, generator=generator)
with recorded(recording_layers(denoiser), views) as gradients:
    denoising_loss(denoiser, images, labels, level, noise).sum().backward()
    raw = gradients() / views  # (records, P)
clipped, norms = clip_rows(raw, C)
{
    "records": len(joined),
    "largest norm before": float(norms.max()),
    "after": float(clipped.norm(dim=1).max()),
}

# %% [markdown]
# The release is the clipped sum plus noise, over the *expected* number of records; a step of Adam
# on it is post-processing. Replacing a record moves the sum by at most $2C$, which is what the
# ledger charges: a sampled Gaussian, the same event as of {ref}`one critic <critic-measured>`.

# %%
total = clipped.double().sum(0)
release = total + sigma * C * HiddenStream("key", "noise", 0, 0).normal(total.shape)
step = release / (q * len(records.labels))
epsilon_spent(noise_multiplier=sigma, sampling_rate=q, rounds=100, delta=1e-5)

# %% [markdown]
# `companion/studies/diffusion` has the same with what a GPU needs: bfloat16 inside the network,
# microbatches of one size, and a moving average of the weights, from which Heun's method samples.
#
# ## What it reached
#
# We had the GPU for a quarter of an hour, so each data set got one run, one seed, and no search over
# settings.

# %% tags=["hide-input"]
made_with = found["made_with"]
Markdown(f"Measured on one {made_with['device']}, at commit `{made_with['commit']}`.")

# %% tags=["hide-input"]
diffusion_table(found)

# %% [markdown]
# A ResNet-8 learns from the synthetic images for four epochs and is tested on real ones, three
# seeds of it; the epoch is chosen on held-out *synthetic* images. It is a small relative of the nets
# of DPImageBench {cite:p}`gong2025dpimagebench`, so its figures are for comparing the rows of this
# table, and are not that benchmark's. It is an earlier form of the protocol `deep` ({ref}`the
# yardsticks <yardsticks>`): its rate fell in a straight line and its weights were not averaged.
# *Dithered* sets carry plain pixel noise of standard deviation
# `0.08`, the control that every cleverer repair has to beat. The last column says how far accuracy
# fell from its best epoch to the last. A set that is missing was not judged before our time on the
# GPU ended.

# %% tags=["hide-input"]
judge_table(found)

# %% [markdown]
# The mixture spends the whole budget on the prior, the diffusion model a fifth of it. On
# Fashion-MNIST the diffusion model is ahead of the mixture, and about level with the dithered
# mixture: what the one gains by sharpness, the other gains by hiding its artifacts. The diffusion
# model's samples do not need the dither.
#
# The usual metrics of the same sets, before the private rounds and after them. The rounds cut the
# Frechet distance to a fraction and cover far more of the real images (recall); the small
# classifiers, which forgive what a deep net does not, see less of a change.

# %% tags=["hide-input"]
quick_table(found)

# %% [markdown]
# ## Samples
#
# The same labels and starts; left of the private rounds, what pre-training alone makes of the
# prior's samples, and then what the rounds add.

# %% mystnb={"figure": {"caption": "Fashion-MNIST after pre-training on the prior's samples. No record was seen but through the prior.", "name": "fig-gpu-fashion-before"}, "image": {"alt": "Ten rows of blurred clothes with gray, blotchy surfaces"}} tags=["hide-input"]
Image(results / "gpu-fashion_mnist-pretrained.png")

# %% mystnb={"figure": {"caption": "Fashion-MNIST after the private rounds.", "name": "fig-gpu-fashion-after"}, "image": {"alt": "The same clothes with sharp outlines, sleeves, seams and a black ground"}} tags=["hide-input"]
Image(results / "gpu-fashion_mnist-diffusion.png")

# %% mystnb={"figure": {"caption": "MNIST after the private rounds.", "name": "fig-gpu-mnist-after"}, "image": {"alt": "Ten rows of sharp handwritten digits, most of them well formed, a few broken"}} tags=["hide-input"]
Image(results / "gpu-mnist-diffusion.png")

# %% [markdown]
# ## What would come next
#
# * More rounds. DPDM and DP-FETA train for hours.
# * A share of the budget, a clip bound and a learning rate that were searched for, on held-out
#   training records.
# * A method of its own in `make_config`, so that `run_experiment` writes its record and statement.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# Why is the gradient of a record clipped after its views are summed, and not view by view?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Clipping view by view would let a record contribute once per view, and its sensitivity would grow
# with their number. Clipped as a whole, more views make the record's direction steadier and cost
# nothing.
# :::
#
# :::{admonition} Exercise 2
# The levels and the noise that the denoiser must remove come from a public seed. Why does that not
# weaken the guarantee?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# They only choose which function of the record is clipped. The bound on the sum holds for every
# choice, and the noise that protects the sum comes from the hidden stream.
# :::
#
# **Read next:** {doc}`what published figures say </book/_executed/literature>`.
