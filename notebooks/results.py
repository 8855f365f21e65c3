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
# (results)=
# # Results
#
# Every figure on this page is read from the records in `results/` when the page is built. A
# record holds its whole configuration, its ledger of releases and its metrics, so each row below
# can be checked and made again. What the figures say is in {doc}`the ablations
# </book/_executed/ablations>`; figures that other people published stand apart, in {doc}`the
# literature </book/_executed/literature>`.
#
# How to read the tables:
#
# - **epsilon** is what the run spent, under replace-one, by Renyi accounting and by the tighter
#   PLD accountant; both are upper bounds ({ref}`what is guaranteed <privacy>`).
# - **g2r** is the accuracy on *real* test images of a classifier trained on *generated* images.
#   Its epoch is chosen on held-out generated images, never on the real test set.
# - **r2g** is the reverse: accuracy on *generated* images of a classifier trained on *real* ones. It is high
#   when images are typical of their label, even if all of them are alike.
# - **Inception score**, $\exp \mathbb{E}_x \, \mathrm{KL}(p(y \mid x) \,\|\, p(y))$, lies between 1 and the number of
#   classes, more is better. It rewards predictions that are sure, and classes that are even, not likeness to the data.
# - **Frechet distance**, $\lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2})$
#   between mean and covariance of the features of generated and of real images, less is better.
# - Both use a classifier trained on the real data. This is not FID, whose features are those of the Inception network;
#   the floor beside it is the distance between real training and real test images.
# - **FID** is only filled in where the published Inception weights were at hand.
# - **Precision** is the share of generated images that lie among the real ones in the same features, **recall** the share
#   of real images that lie among the generated ones.
# - **Spread** is the mean distance of two images of a class, over that of two real images.
# - A method with a slash has one part switched ({ref}`the parts <method>`).
# - Metrics are computed with real data and are outside the guarantee.
# - A table without rows says that no record for it is committed yet.

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Image

from companion.book.gallery import gallery
from companion.book.tables import results_table
from companion.studies.committed import committed_records, project_root

pd.set_option("display.max_rows", None)  # a row that is not shown was not reported
records = committed_records(project_root() / "results")

# %% [markdown]
# ## MNIST

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="mnist", view="quality")

# %% [markdown]
# Samples, one sheet per method and budget, always of the lowest seed. A sheet's rows are classes;
# the budget spent is above it.

# %% mystnb={"image": {"alt": "Generated MNIST digits, by method"}} tags=["hide-input"]
Image(gallery(records, dataset="mnist"))

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="mnist", view="privacy")

# %% [markdown]
# *sigma* is the noise of the rounds in units of the contribution bound, *prior noise* that of the
# one-shot prior in units of its joint sensitivity, *q* the sampling rate, *T* the rounds, *K* the
# shards. *Seeded* noise can be repeated and is therefore not fit for private data.

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="mnist", view="cost")

# %% [markdown]
# ## Fashion-MNIST

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="quality")

# %% mystnb={"image": {"alt": "Generated Fashion-MNIST clothes, by method"}} tags=["hide-input"]
Image(gallery(records, dataset="fashion_mnist"))

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="privacy")

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="cost")

# %% [markdown]
# ## CelebA, 32 x 32 subset
#
# The label is gender as annotated in CelebA. All figures are on an identity-balanced *subset*,
# and the accounting uses its own number of records. The unit of privacy is one image; every
# identity has five, so these are not guarantees for a person. CelebA's license forbids passing
# pictures on, so none are shown.

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="celeba", view="quality")

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="celeba", view="privacy")

# %% tags=["hide-input", "output_scroll"]
results_table(records, dataset="celeba", view="cost")

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# g2r of one record is above r2g of another. Which of the two makes better pictures?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Neither figure says. A generator that makes one perfect picture per class has a high r2g and a low g2r; one that
# makes varied but noisy pictures may have the opposite. That is why recall and the spread within a class
# stand beside them.
# :::
#
# :::{admonition} Exercise 2
# The Frechet distance has a floor above zero: what real training images score against real test images.
# May a synthetic set go below it?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Yes, by chance, or when the synthetic set is closer to the test images than the training images are in these
# features. Far below it something is wrong, for example test images that were seen in training.
# :::
#
# **Read next:** {doc}`what each part buys </book/_executed/ablations>`.
