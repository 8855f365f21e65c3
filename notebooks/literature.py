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
# (published-figures)=
# # Against the literature, and against a simple baseline
#
# What others published, what this repository measured, and a baseline so simple that most of the literature forgot to try
# it. Hollow marks are others' figures: each has another accounting, another neighboring relation or another protocol, so
# the chart shows where they lie and draws no ranking.

# %% mystnb={"figure": {"caption": "g2r (%) against epsilon. Lines: means over seeds of what was measured here, under replace-one. Hollow: as published, each by its own accounting and protocol; *bench* is DPImageBench.", "name": "fig-published"}} tags=["hide-input"]
import pandas as pd

from companion.book.aggregate import comparison
from companion.book.alt_text import shown
from companion.book.epsilon_bars import epsilon_alt, epsilon_bars
from companion.book.published_scatter import against_published, against_published_alt
from companion.book.tables import published_table, runs_frame
from companion.studies.committed import committed_records, project_root
from companion.studies.lineage_accounting import SETTINGS, claimed_epsilon, shared_draw_epsilon

pd.set_option("display.max_rows", None)  # a row that is not shown was not reported
pd.set_option("display.max_colwidth", None)  # nor is a caveat that is cut off
root = project_root()
records = committed_records(root / "results")
published = root / "book" / "published.csv"

runs = runs_frame(records)
shown(against_published(runs, published), against_published_alt(runs, published))

# %% [markdown]
# ## The baseline that was forgotten
#
# Take every class's mean and covariance of a few low frequencies, add noise once, and sample from
# the Gaussians. There is no generator, no critic and no training; it takes less than a second. This
# is `gaussian`. It is a natural thing to hold any trained generator against, as it uses the same
# budget, the same public basis and the same records. `mixture` refines it to several Gaussians per
# class, again in seconds.
#
# Two readings of the chart are possible, and both are right. For the *use* of synthetic images
# as training data, class statistics carry one very far, and an adversarial method has to show what
# it adds. For images that *look* like the data, one Gaussian per class is poor: see the Frechet
# distance of `gaussian`, its recall, and the pictures on the {ref}`results page <results>`.
# `mixture`, without training either, closes most of that gap. An evaluation by accuracy alone would
# never have shown the difference.
#
# Mean and standard deviation over seeds, where there are several, at the profile `quick`:

# %% mystnb={"code_prompt_show": "Show the means on MNIST"} tags=["hide-cell", "output_scroll"]
comparison(records, dataset="mnist")

# %% mystnb={"code_prompt_show": "Show the means on Fashion-MNIST"} tags=["hide-cell", "output_scroll"]
comparison(records, dataset="fashion_mnist")

# %% mystnb={"code_prompt_show": "Show the means on CelebA"} tags=["hide-cell", "output_scroll"]
comparison(records, dataset="celeba")

# %% [markdown]
# ## What an epsilon is worth
#
# The epsilon of the GS-WGAN line, and of work that accounts as it does, treats the images of a step as draws of their own,
# though they share one. Accounted as they were made, the same releases have another epsilon
# ({doc}`the accounting chapter </book/_executed/accounting>` derives it):

# %% mystnb={"figure": {"caption": "Epsilon of the published MNIST settings of GS-WGAN at delta 1e-5, as published and accounted anew under add-or-remove (log axis).", "name": "fig-recomputed"}} tags=["hide-input"]
settings = SETTINGS["MNIST"]
epsilons = {
    "as published": claimed_epsilon(delta=1e-5, **settings),
    "one draw per step,\nPLD": shared_draw_epsilon(delta=1e-5, **settings),
    "one draw per step,\nRenyi": shared_draw_epsilon(delta=1e-5, accountant="rdp", **settings),
}
shown(epsilon_bars(epsilons), epsilon_alt(epsilons))

# %% [markdown]
# ## What others published
#
# Not ours, and not reproduced here. Accuracies are in percent. They were measured with other
# classifiers, other protocols and other numbers of samples, and each epsilon is by its authors'
# own accounting, often under another neighboring relation. In particular:
#
# - Small classifiers, as in our tables, flatter. {ref}`Our deeper protocol <yardsticks>` is nearer to that of
#   DPImageBench {cite:p}`gong2025dpimagebench`, and still another: fewer passes, a smaller network, and an epoch that
#   no real image chose.
# - A FID is not comparable with the Frechet distances of this book.
# - Rows marked "diffusion" belong to another family of models.
# - On CelebA none of the rows is on our subset; where a resolution is known, the caveat states it.
#
# "read" means that we saw the figure in the source named; "secondary" that the source quotes it
# from elsewhere. Figures nobody could check are left out. The works are {cite:p}`ma2026efsgd`,
# {cite:p}`chen2020gswgan`, {cite:p}`torkzadehmahani2019dpcgan`, {cite:p}`wang2021datalens`,
# {cite:p}`harder2021dpmerf`, {cite:p}`cao2021dpsinkhorn`, {cite:p}`liew2022pearl`,
# {cite:p}`bie2023private`, {cite:p}`dockhorn2023dpdm` and {cite:p}`gong2025dpimagebench`.

# %% mystnb={"code_prompt_show": "Show what was published on MNIST"} tags=["hide-cell", "output_scroll"]
published_table(published, dataset="mnist")

# %% mystnb={"code_prompt_show": "Show what was published on Fashion-MNIST"} tags=["hide-cell", "output_scroll"]
published_table(published, dataset="fashion_mnist")

# %% mystnb={"code_prompt_show": "Show what was published on CelebA"} tags=["hide-cell", "output_scroll"]
published_table(published, dataset="celeba")

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# A paper reports epsilon 10 for add-or-remove neighbors at delta $10^{-5}$. Can it stand beside a
# replace-one figure of 10?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Not as an equal. Replacing is removing and adding: two add-or-remove steps, so an add-or-remove
# epsilon of 10 is a replace-one epsilon of up to 20, at a larger delta. The reverse comparison
# depends on the unit. If each record contributes by itself, as in DP-SGD, adding or removing it
# moves the sum half as far as replacing it, and a mechanism whose replace-one epsilon is 10 can be
# accounted anew under add-or-remove with a smaller one. If an owner contributes for a whole shard,
# adding or removing one record of the shard changes the owner's vector just as replacing it does,
# and nothing is gained.
# :::
#
# :::{admonition} Exercise 2
# The one-shot baseline beats most trained generators here. Name a data set where you expect it to
# lose at once, and say why.
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Anything without a common position: street scenes, animals in all poses. Class means and
# covariances over pixels or frequencies describe pictures that are aligned, and say next to nothing
# when the same object may be anywhere.
# :::
#
# **Read next:** {ref}`the audit <audit>`, which recomputes what these figures rest on.
