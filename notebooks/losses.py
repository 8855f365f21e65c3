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
#
# *After this chapter you can* say what each loss is for, write the reconstruction target, and show why the nearest
# record is the wrong one, and why in a cohort every record is.

# %% tags=["parameters"]
num_records = 1000  # of one owner
cohort_records = 3000  # dealt to all owners of the cohort
cohort = 50  # owners
images_per_class = 30
steps = 25  # of images towards their targets
rate = 0.2  # of such a step
seed = 0

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(
    globals(),
    (
        *("num_records", "cohort_records", "cohort", "images_per_class"),
        *("steps", "rate", "seed"),
    ),
)

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Image

from companion.book.figures import COLORS, compare_sheets
from companion.studies.reconstruction_diversity import follow_targets
from dpgen_core.checks import check_int, check_real
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import METHODS
from dpgen_core.data import sets as data
from dpgen_core.losses import annealed, class_statistics, gradient_penalty
from dpgen_core.reconstruction import targets_of
from dpgen_core.records.sheets import png_bytes

for name in ("num_records", "cohort_records", "images_per_class"):
    check_int(name, globals()[name], low=10, high=20_000, fix=f"{name}=1000")
check_int("cohort", cohort, low=1, high=cohort_records // 10, fix="cohort=50")
check_int("steps", steps, low=1, fix="steps=25")
check_real("rate", rate, low=0, high=1, low_open=True, fix="rate=0.2")
check_int("seed", seed, low=0, fix="seed=0")

# %% [markdown]
# ## A critic with a bounded slope
#
# A critic $D$ learns to score real images higher than generated ones. The generator needs not the score but its
# *slope* at the generated images: which way is up? A classic discriminator that tells the two apart with certainty
# is flat there. The Wasserstein critic maximizes $\mathbb E\, D(\text{real}) - \mathbb E\, D(\text{fake})$ among
# functions with slope at most one, so it always points from fake to real. The gradient penalty
# {cite:p}`gulrajani2017wgangp` asks for slope one between the two:
#
# $$
# \mathbb E\left[ D(\tilde x) - D(x) \right]
# + \lambda\, \mathbb E \left( \lVert \nabla D(\hat x) \rVert - 1 \right)^2,
# \qquad \hat x \text{ between } x \text{ and } \tilde x .
# $$
#
# Does this also make the owners' gradients equally long, so that one clip bound suits them all? They are, but
# {doc}`clipping bias </book/_executed/clipping_bias>` shows that they are without the penalty too. The penalty of three
# linear critics:

# %%
torch.manual_seed(seed)
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
# A VAE compares a decoded image with *the record that was encoded*. That way is closed here: a latent made from a
# record makes the generator's Jacobian private ({doc}`sanitization </book/_executed/sanitization>`). So the latent is
# public, and each owner picks the record that a public image ought to become. Which one?
#
# **The nearest record collapses.** A young generator's images of a class are alike. They share one nearest
# record, and following it makes them more alike still. **The matched record does not**, for one owner. Write an image
# as its deviation from its class's mean, in units of its class's spread,
#
# $$ \text{standing}(x) = \frac{x - \mu_y}{s_y}, \qquad
#    r_k(x) = \arg\min_{x'\ \text{of class}\ y} \lVert \text{standing}(x) - \text{standing}(x') \rVert , $$
#
# where $\mu_y, s_y$ are of the images for images and of the records for records. Images that differ a little are then
# sent to records that differ a lot:


# %%
def standing(x, y):
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    away = x - means[y]
    spread = torch.stack([away[y == c].square().sum(1).mean().sqrt() for c in range(10)])
    return away / (spread[y, None] + 1e-6)


def reconstruction_target(x, y, records, record_y):
    distance = torch.cdist(standing(x, y), standing(records, record_y))  # (images, records)
    distance[y[:, None] != record_y] = torch.inf  # another class's record is no target
    return records[distance.argmin(1)]


# %% [markdown]
# To see what it does without anything else in the way, let images move freely along the gradient of this loss, with
# neither generator nor noise nor critic: a step of rate $\eta$ towards the target. They start as the class means plus a
# little noise.

# %%
records = data.load("glyphs", "train", num_records=num_records, seed=seed)
options = {"images": images_per_class, "steps": steps, "rate": rate, "seed": seed}
runs = {
    target: follow_targets(records, target=target, **options) for target in ("nearest", "matched")
}

flat, order = records.images.flatten(1), torch.arange(10).repeat_interleave(images_per_class)
x = follow_targets(records, target="matched", **options | {"steps": 0, "rate": 1e-9})[0].flatten(1)
public = class_statistics(x, order, 10)
scale = torch.ones(flat.shape[1])
packaged, _ = targets_of("matched", x, order, public, flat, records.labels, scale)
chosen = reconstruction_target(x, order, flat, records.labels)
same = float((chosen == packaged).all(1).double().mean())
print(
    f"share of the first images for which this page and the package choose one record: {same:.3f}"
)
assert same == 1

# %% mystnb={"figure": {"caption": "Spread within a class, as a share of the records', while images follow the nearest and the matched record.", "name": "fig-collapse"}, "image": {"alt": "Two curves that start at the same low spread: the one of the nearest record stays low, the one of the matched record rises to several times as much."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.0))
for (name, (_, path)), color in zip(runs.items(), COLORS, strict=False):
    axis.plot(path["step"], path["spread"], color=color, label=name)
axis.axhline(1, color="black", linewidth=0.8, linestyle=":")
axis.set(xlabel="step", ylabel="spread (records = 1)", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% mystnb={"figure": {"caption": "Where the images end: one prototype per class against many.", "name": "fig-collapse-images"}, "image": {"alt": "Two sheets of digits with a row per class. On the left all digits of a row are equal, on the right they differ in slant and stroke."}} tags=["hide-input"]
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
# to the class mean than most of them. What survives a mean are means. So **the target need not be a record**: the form
# `moments` moves an image's own deviation, mode by mode, from the class of the images to the class of the owner,
#
# $$ r_k(x) = \mu^{k}_y + \sigma^{k}_y \odot \frac{x - \mu_y}{\sigma_y}, $$
#
# where $\sigma$ is the standard deviation of each number of the code, and $\sigma^k$ that of the owner's few records, made unbiased:


# %%
def moments_target(x, y, records, record_y):
    targets = torch.empty_like(x)
    for c in range(10):
        ours, theirs = x[y == c], records[record_y == c]
        standard = (ours - ours.mean(0)) / (ours.std(0, correction=0) + 1e-6)
        targets[y == c] = theirs.mean(0) + theirs.std(0) * standard
    return targets


packaged, _ = targets_of("moments", x, order, public, flat, records.labels, scale)
difference = float((moments_target(x, order, flat, records.labels) - packaged).abs().max())
print(f"largest difference between this page and the package: {difference:.1e}")
assert difference < 1e-3

# %% [markdown]
# The same experiment with one owner, and with the records dealt to many:

# %% mystnb={"figure": {"caption": "Spread within a class while images follow the matched records of one owner, the mean of a cohort's matches, and the mean of a cohort's moments.", "name": "fig-cohort-targets"}, "image": {"alt": "Three rising curves; that of the cohort's matches stays well below that of a single owner, and that of the cohort's moments rises close to the spread of the records."}} tags=["hide-input"]
many = data.load("glyphs", "train", num_records=cohort_records, seed=seed)
figure, axis = plt.subplots(figsize=(6.4, 3.0))
cases = (("matched", 1), ("matched", cohort), ("moments", cohort))
for (target, owners), color in zip(cases, COLORS, strict=False):
    _, path = follow_targets(many, target=target, owners=owners, **options)
    label = f"{target}, {len(many.images) // owners} records each, owners: {owners}"
    axis.plot(path["step"], path["spread"], color=color, label=label)
axis.axhline(1, color="black", linewidth=0.8, linestyle=":")
axis.set(xlabel="step", ylabel="spread (records = 1)", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# So a cohort's matches teach what a class looks like, and less of how its members differ, however well each owner
# matches. `efsgd` takes `moments`; with `matched`, its preset of before (`efsgd/with-matched`), whole runs had next to no
# diversity. {ref}`other-forms` compares these and more, and {doc}`the ablations </book/_executed/ablations>` have whole runs
# without any.
#
# The formulas are equations {eq}`eq-matched`, with the public spectrum that lets fine modes count, and {eq}`eq-moments` of
# {ref}`the method page <method>`. An owner without a record of the class stays silent there; with a single one it has no
# deviation to tell of.
#
# ## Annealing
#
# Reconstruction gives structure early and would blur later. Its weight falls on a straight line:

# %% mystnb={"figure": {"caption": "Weight of the reconstruction loss over a run, for the presets.", "name": "fig-annealing"}, "image": {"alt": "Two falling straight lines; that of efsgd starts far above that of efsgd-prior."}} tags=["hide-input"]
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
# ## Summary
#
# * The critic's slope says which way is more real. Its penalty keeps the slope from vanishing.
# * The latent is public and the reconstruction *target* is private. Matching by standing keeps one owner's images
#   apart; a cohort's mean draws them together again, and leaves means and deviations as they are.
# * All terms are added before the clip, and cost one release.
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
