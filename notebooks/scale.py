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
# (scale)=
# # A million records, on paper
#
# Nobody here has run it. This page asks what `efsgd` would cost with a million color images of larger size: what fills
# memory first, how long it would take, and what would have to change. Memory is counted. Time is extrapolated by the
# model of {doc}`the page before </book/_executed/speed>`, which was fitted to smaller images, so read it as an order of
# magnitude.

# %% tags=["hide-input"]
from companion.book.cost_tables import memory_table, time_table
from companion.studies.benchmark_results import current_benchmarks
from companion.studies.committed import project_root

found = current_benchmarks(project_root() / "results")

# %% [markdown]
# Settings are those of profile `quick`, but for the number of shards: as many as there, or as many records a shard as
# there. The public basis keeps the same share of the modes along each axis, half of them.
#
# ## Where memory goes
#
# In gigabytes, all processes together. The last column is the part of the critics that joins an average round.

# %% tags=["hide-input"]
memory_table()

# %% [markdown]
# With few shards it is the records. They are held as 32-bit floats, and their codes besides. Critics train on codes alone,
# so images could stay on disk as bytes and codes be made once: that leaves only the codes.
#
# With many shards it is the critics. Each has its weights and two moments of Adam, whether it joins or not, and the first
# layer grows with the number of modes. Two changes help:
#
# * *More shards per rank, more ranks.* A shard lives on one rank, so all of this parts evenly. What ranks exchange does
#   not grow with shards or records: a release, a pool of fakes, a gradient of the generator.
# * *Critics on disk.* Only those who join are needed, a tenth of them. Coins of the next round can be drawn while this one
#   runs, and their critics be fetched meanwhile. They remain private state wherever they lie.
#
# A smaller basis is the cheapest change. It loses detail, but every mode that is left out also takes its share of the
# noise with it.
#
# ## How long it takes

# %% tags=["hide-input"]
time_table(found)

# %% [markdown]
# Training does not depend on the number of records at all, only on how many shards join and what each of them does. With
# more shards, privacy is cheaper: the noise of a release is set by what one shard may contribute, the signal by how many
# do. At thirty times the cohort the same noise multiplier leaves a thirtieth of the noise in the average. That is what
# the hours buy.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# A machine has 64 GB of memory. How many such machines hold the largest run above if all stays in memory, and how many if
# critics who do not join and images are on disk?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Divide the column *all* of the last row by 64, and round up. Then add only error memory, records' codes and the critics
# of a round, twice if the next round's are fetched ahead.
# :::
#
# :::{admonition} Exercise 2
# Thirty thousand shards of 33 records or a thousand of a thousand: which has the better critics, and which the better
# average?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# A critic of a thousand records generalizes better than one of 33. The average of three thousand contributions has a
# thirtieth of the noise that an average of a hundred has. Which one matters more is a question for a run, at a small
# budget most of all.
# :::
#
# **Read next:** {doc}`use it on your own data </book/_executed/own_data>`.
