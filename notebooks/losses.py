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
# (losses)=
# # The losses
#
# *What the paper says:* adversarial training with a reconstruction loss of VAE type, on top of a dual-purpose
# classifier. Weights, encoder and annealing are not public. *What the lineage does:* Wasserstein critics with a
# gradient penalty; DP-GAN-DPAC adds a classifier, whose gradient is a second release. *What we do:* up to three
# terms, computed by each owner on its own records and added up **before** the clip, so that they cost nothing
# beyond the round:
#
# $$
# u_k = \nabla_x \Bigl[
# \underbrace{-\textstyle\sum_b D_k(x_b, y_b)}_{\text{adversarial}}
# + \lambda_{\mathrm{rec}} \underbrace{\tfrac12 \textstyle\sum_b \lVert x_b - r_k(x_b) \rVert^2}_{\text{reconstruction}}
# + \lambda_{\mathrm{cls}} \underbrace{\textstyle\sum_b \mathrm{CE}(C_k(x_b), y_b)}_{\text{classifier}}
# \Bigr].
# $$

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Image

from companion.book.figures import COLORS, compare_sheets
from companion.studies.reconstruction_diversity import follow_targets
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import METHODS
from dpgen_core.data import sets as data
from dpgen_core.losses import annealed, gradient_penalty
from dpgen_core.records.sheets import png_bytes

# %% [markdown]
# ## A critic with a bounded slope
#
# A critic $D$ learns to score real images higher than generated ones. What the generator needs is not the score
# but its *slope* at the generated images. A classic discriminator that tells the two apart with certainty has no
# slope left there. The Wasserstein critic maximizes $\mathbb E\, D(\text{real}) - \mathbb E\, D(\text{fake})$ among
# functions with slope at most one, so it always points from fake to real; the gradient penalty
# {cite:p}`gulrajani2017wgangp` asks for slope one between the two:
#
# $$
# \mathbb E\left[ D(\tilde x) - D(x) \right]
# + \lambda\, \mathbb E \left( \lVert \nabla D(\hat x) \rVert - 1 \right)^2,
# \qquad \hat x \text{ between } x \text{ and } \tilde x .
# $$
#
# For privacy this has a second use: slopes near one mean that the image gradients of all owners have about the
# same norm, so that a clip bound suits them all. {doc}`Clipping bias </book/_executed/clipping_bias>` measures what
# that buys. The penalty of three linear critics:

# %%
real, fake, labels = torch.randn(50, 4), torch.randn(50, 4) + 3, torch.zeros(50, dtype=torch.long)
direction = torch.tensor([-0.5, -0.5, -0.5, -0.5])
penalties = {
    slope: float(
        gradient_penalty(
            lambda codes, classes, slope=slope: slope * codes @ direction,
            real,
            fake,
            labels,
            torch.rand(50, 1),
        )
    )
    for slope in (0.0, 1.0, 3.0)
}
pd.Series(penalties, name="penalty").rename_axis("slope").to_frame().round(3)

# %% [markdown]
# ## Reconstruction with a public latent
#
# A VAE compares a decoded image with *the record that was encoded*. Here that is closed: with a latent made from a
# record, the generator's Jacobian becomes private ({doc}`sanitization </book/_executed/sanitization>`). So the
# latent is public, and each owner picks the record that a public image ought to become. Which one?
#
# **The nearest record collapses.** A young generator's images of a class are alike. They share one nearest
# record, and following it makes them more alike still. **The matched record does not**, for one owner: compare how an image
# deviates *from its class's mean, in units of its class's spread*, with how records deviate from theirs. Images
# that differ a little are then sent to records that differ a lot.
#
# To see it without anything else in the way, let images move freely along the gradient of this loss, with neither
# generator nor noise nor critic. They start as the class means plus a little noise.

# %%
records = data.load("glyphs", "train", num_records=1000)
runs = {
    target: follow_targets(records, target=target, images=40) for target in ("nearest", "matched")
}

# %% mystnb={"figure": {"caption": "Spread within a class, as a share of the records', while images follow the nearest and the matched record.", "name": "fig-collapse"}, "image": {"alt": "One curve falls towards zero, the other rises"}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.0))
for (name, (_, path)), color in zip(runs.items(), COLORS, strict=False):
    axis.plot(path["step"], path["spread"], color=color, label=name)
axis.axhline(1, color="black", linewidth=0.8, linestyle=":")
axis.set(xlabel="step", ylabel="spread (records = 1)", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% mystnb={"figure": {"caption": "Where the images end: one prototype per class against many.", "name": "fig-collapse-images"}, "image": {"alt": "Two sheets of digits, the left with equal digits in each row"}} tags=["hide-input"]
order = torch.arange(10).repeat_interleave(40)
Image(
    png_bytes(
        compare_sheets({name: (images, order) for name, (images, _) in runs.items()}, per_class=8)
    )
)

# %% [markdown]
# (cohort-targets)=
# ### A cohort's targets average
#
# That was one owner with all records. A round sums over a cohort of owners with few records each, every one of whom
# matches an image to a record of its own. The sum pulls the image to the *mean* of these records, which is nearer
# to the class mean than most of them. The same experiment with one owner, and with the records dealt to fifty:

# %% mystnb={"figure": {"caption": "Spread within a class while images follow the matched records of one owner, and the mean of fifty owners' matches.", "name": "fig-cohort-targets"}, "image": {"alt": "Two rising curves, that of fifty owners below that of one"}} tags=["hide-input"]
many = data.load("glyphs", "train", num_records=3000)
figure, axis = plt.subplots(figsize=(6.4, 3.0))
for owners, color in zip((1, 50), COLORS, strict=False):
    _, path = follow_targets(many, target="matched", owners=owners, images=40)
    label = f"{len(many.images) // owners} records each, owners: {owners}"
    axis.plot(path["step"], path["spread"], color=color, label=label)
axis.axhline(1, color="black", linewidth=0.8, linestyle=":")
axis.set(xlabel="step", ylabel="spread (records = 1)", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# So a cohort teaches what a class looks like and less of how its members differ, for all the care in matching.
# {doc}`The ablations </book/_executed/ablations>` have whole runs with this loss and without: with it, accuracy is
# higher and diversity lower.
#
# The formula, with the public spectrum that lets fine modes count, is equation {eq}`eq-matched` of
# {ref}`the method page <method>`. An owner without a record of the class stays silent there.
#
# ## Annealing
#
# Reconstruction gives structure early and would blur later. Its weight falls on a straight line:

# %% mystnb={"figure": {"caption": "Weight of the reconstruction loss over a run, for the presets.", "name": "fig-annealing"}, "image": {"alt": "Two falling lines"}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 2.6))
for method, color in zip(("efsgd", "efsgd-prior"), COLORS, strict=False):
    config = make_config(dataset="glyphs", method=method, profile="quick")
    loss, rounds = config.contribution, config.privacy.rounds
    weights = [
        annealed(loss.reconstruction_weight, t, rounds, loss.reconstruction_until)
        for t in range(rounds)
    ]
    axis.plot(weights, color=color, label=method)
axis.set(xlabel="round", ylabel=r"$\lambda_{\mathrm{rec}}$", ylim=(0, None))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# `efsgd-prior` starts from released class statistics that have the structure already, so it needs little of it.
#
# ## The dual-purpose classifier
#
# DP-GAN-DPAC {cite:p}`chen2023dpac` trains a classifier in turn on real and on generated images and uses its
# cross-entropy to make images typical of their label. In its procedure the classifier is one network, trained on
# private records, whose gradient is released beside the critic's. Here each owner has its own, and its gradient is
# a term of the same contribution. It is on in these presets:

# %%
pd.Series(
    {
        method: make_config(dataset="glyphs", method=method).contribution.classifier_weight
        for method in METHODS
    },
    name="classifier weight",
).to_frame()

# %% [markdown]
# What each loss buys, with its spread over seeds, is in {doc}`the ablations </book/_executed/ablations>`.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# Why does following the nearest record shrink a class even if the images start with different nearest records?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Near the class mean most images lie closest to the few records that are closest to the mean, because in high
# dimensions distances to all records are large and nearly equal, and a record close to the mean is close to
# everything. Those few typical records attract all images.
# :::
#
# :::{admonition} Exercise 2
# Three terms are added before the clip. Would three separate releases with a third of the budget each be as good?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# No. With three releases each term gets a noise of its own, larger by $\sqrt 3$ at the same total budget. Adding
# first and clipping once pays once. What is lost is the choice of a clip bound per term.
# :::
#
# **Read next:** {doc}`noise injection </book/_executed/noise_injection>`.
