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
# (speed)=
# # What it costs to run
#
# The lineage trains a thousand critics one after the other. Here all critics of a cohort take a step in one batched
# call. This page measures what that brings, what it does not bring, and what a run costs. `make bench` measures it
# anew; the figures below are from `results/benchmarks.json`. Every ratio is of two times measured within one run on one
# machine.

# %% tags=["hide-input"]
from IPython.display import Image

from companion.book.benchmark_tables import (
    cost_curve,
    cost_table,
    loop_table,
    optimizer_table,
    ranks_table,
)
from companion.book.cost_tables import cost_curves, forecast_figure, forecast_table
from companion.studies.benchmark_results import load_benchmarks
from companion.studies.committed import project_root
from dpgen_core.records.sheets import png_bytes

found = load_benchmarks(project_root() / "results")

# %% [markdown]
# ## Against the loop
#
# One critic step of a hundred shards: records and fakes are drawn, the WGAN-GP gradient is taken, Adam steps. The
# loop is torch's own autograd and Adam, critic by critic. Either side uses the number of threads that suits it best.

# %% tags=["hide-input"]
loop_table(found)

# %% [markdown]
# For the MLP critics three things help. Stacked parameters make one matrix product of a hundred. The gradient is
# written out instead of differentiated twice by the framework, which would visit the same numbers several times over.
# And each core takes whole shards, rather than a piece of every small operation.
#
# Convolutions do more arithmetic in each call, so a loop loses less on them. Narrow ones are grouped, some shards to
# a call. Wide ones go shard by shard: their gradient is written out as well, the first layer takes its windows straight
# from the codes, since a window of a cosine is a part of that cosine, and channels lie last in memory, as the
# processor's kernels want them. The last column bounds all of this. It is the rate at which the *loop* already does
# arithmetic, as a share of the machine's rate in a large matrix product. One over that share is the most that
# batching could gain on this machine, and only if convolutions ran as fast as that product. The wider the critic, the
# less is left to gain. A GPU is another matter, since one small critic leaves most of it idle: `make bench` measures that
# where there is one, and the table then has rows for it.
#
# ## Against Opacus
#
# A step of `EFSGD` and one of Opacus's `DPOptimizer` {cite:p}`yousefpour2021opacus`, on the
# same per-sample gradients.

# %% tags=["hide-input"]
optimizer_table(found)

# %% [markdown]
# With a memory, a step takes two weighted sums over the batch, that of the clipped gradients and that of the
# residuals, where `DPOptimizer` takes one. Reading the gradients is most of the work, so one product of two lines of
# factors takes both; it is not free even so. Without a memory there is one sum. The norms are
# accumulated more carefully than Opacus does, because the bound must hold for contributions of any length.
#
# ## Across processes
#
# Shards are data owners, so they part naturally:
# ```
# torchrun --nproc-per-node=2 -m dpgen_core.cli --dataset mnist --method efsgd --epsilon 10
# ```
# Each rank owns its part of the shards, draws their coins, trains their critics, clips their contributions. Sums meet,
# one rank adds the noise, charges the release and writes it to the journal, and only then does any rank use it. Every
# draw is keyed by seed, round and shard, so the number of ranks changes nothing but the order of sums. If a rank is
# lost, the run stops; what was released is in the journal, and any number of ranks may resume it.

# %% tags=["hide-input"]
ranks_table(found)

# %% [markdown]
# ## What a step costs
#
# Time grows with how many shards join a round. Memory grows with how many there are: each shard's critic has its
# weights and two moments of Adam, whether it joins or not.

# %% mystnb={"figure": {"caption": "Seconds of one critic step against the number of shards that join.", "name": "fig-cost"}, "image": {"alt": "Rising lines, the convolutional critics far above the others"}} tags=["hide-input"]
Image(png_bytes(cost_curve(found)))

# %% tags=["hide-input"]
cost_table(found)

# %% [markdown]
# ## How long a run will take
#
# A run says how long it will take before it starts. Its work is counted in a few terms: float operations of the
# critics, of the generator and of the classifiers that judge, weights that take a step, entries of contributions,
# rounds. Seconds per unit of each are fitted to short probes of many sizes, none below zero. On another machine they are
# scaled by how fast it multiplies matrices. What the fit is worth shows on whole runs it has not seen.

# %% tags=["hide-input"]
forecast_table(found)

# %% mystnb={"figure": {"caption": "Predicted against measured seconds.", "name": "fig-forecast"}, "image": {"alt": "Points along the diagonal, nearly all within a quarter of it"}} tags=["hide-input"]
Image(png_bytes(forecast_figure(found)))

# %% [markdown]
# Below, one setting of profile `quick` moves and the others stay. Shards and sampling rate do the same to time, since
# only those who join compute. Images per round cost little. The side of the image reaches the critics not at all, because
# they see as many modes of the public basis as before; it is the generator that pays.

# %% mystnb={"figure": {"caption": "Seconds of a round by the fitted model, one setting at a time.", "name": "fig-cost-curves"}, "image": {"alt": "Four curves; shards and sampling rate look alike and rise most, images per round least"}} tags=["hide-input"]
Image(png_bytes(cost_curves(found)))

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# A run has a thousand shards at sampling rate one tenth, ten critic steps and three hundred rounds. Read from the
# table how long its critics take, and how much longer at four thousand shards and the same rate.
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Three thousand steps at a cohort of a hundred; then as many at four hundred, about four times as long. With the rate
# divided by four as well, the cohort stays as it was and so does the time. Only memory grows.
# :::
#
# :::{admonition} Exercise 2
# Why may a rank not use a release before the first rank has journaled it, though nothing has left the machine yet?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# If the first rank were lost in between, the other rank's generator would have moved by a release that no ledger knows
# of, and the resumed run would count too little.
# :::
#
# **Read next:** {doc}`a million records, on paper </book/_executed/scale>`.
