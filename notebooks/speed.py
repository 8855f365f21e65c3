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
# The lineage trains a thousand critics one after the other. Here all critics of a cohort take a
# step in one batched call. This page measures what that gains, what it does not gain, and what a
# run costs. The figures are from `results/benchmarks.json`, which `make bench` measures anew. Every
# ratio is of two times measured within one run on one machine.

# %% tags=["hide-input"]
from IPython.display import Image, Markdown

from companion.book.benchmark_tables import (
    cost_curve,
    cost_table,
    loop_table,
    minutes_table,
    optimizer_table,
    ranks_table,
)
from companion.book.cost_tables import cost_curves, forecast_figure, forecast_table
from companion.book.gpu_tables import load_gpu
from companion.book.own_images_tables import load_note, own_images_table
from companion.studies.benchmark_results import former_note, load_benchmarks, without_former
from companion.studies.benchmarks.own_images import load_own_images
from companion.studies.committed import project_root
from dpgen_core.records.sheets import png_bytes

results = project_root() / "results"
measured = load_benchmarks(results)
found = without_former(measured)
on_gpu, on_folders = load_gpu(results), load_own_images(results)
Markdown(former_note(measured))

# %% [markdown]
# ## The two commands
#
# `make test` and `make book` on a fresh clone, the environment set up before: medians of three. The
# metrics of a data set's first record include training the classifiers on its real images, which
# are kept for the next ones. Memory is that of all processes together.

# %% tags=["hide-input"]
minutes_table(measured)

# %% [markdown]
# (own-images-times)=
# ## A set from a folder of your own
#
# `dpgen synthesize` on folders of drawn shapes in four classes, each in a fresh process, with the defaults and
# epsilon 3: from the command to the folder to hand over, metrics included unless they are declined. The forecast
# is what `dpgen check` says before. Your own images stay in bytes until they are used, and synthetic ones larger
# than 32x32 in color are judged in bytes too, as they are handed over. Classifiers see pictures of more than 64
# pixels at 64, and of pictures larger than 32 pixels they see fewer, so that a pass takes as long.

# %% tags=["hide-input"]
Markdown(load_note(on_folders))

# %% tags=["hide-input"]
own_images_table(on_folders)

# %% [markdown]
# ## Against the loop
#
# One critic step of a hundred owners: records and fakes are drawn, the WGAN-GP gradient is taken,
# Adam steps. The loop is PyTorch's autograd and Adam, critic by critic. Each side uses the number
# of threads that suits it best.

# %% tags=["hide-input"]
loop_table({"loop": [*found["loop"], *on_gpu.get("critics", [])]})

# %% [markdown]
# For the MLP critics three things help. Stacked parameters turn a hundred matrix products into one.
# The gradient is computed by a closed formula instead of being differentiated twice by the
# framework, which would read the same numbers several times. And each core takes whole critics,
# rather than a piece of every small operation.
#
# Convolutional critics are differentiated by the framework, a few critics per call. They do more
# arithmetic in each call, so a loop loses less on them. The last column is an upper bound on the
# gain. It is the rate at which the *loop* already does arithmetic, as a share of the machine's rate
# in a large matrix product. One over that share is the most that batching could gain on this
# machine, and only if convolutions ran as fast as that product. The wider the critic, the less is
# left to gain.
#
# On a GPU one small critic leaves most of the device idle, so batching gains most there. The MLP
# critics pass their goal several times over. The convolutional ones miss it: the framework turns a
# convolution with one kernel per critic into a grouped convolution, for which the GPU's library is
# slow, and a loop over critics keeps the device busier the wider they are. Writing the convolution
# out as a matrix product was tried and was slower still, because `unfold` takes the images one by
# one there.
#
# ## Against Opacus
#
# A step of `EFSGD` and one of Opacus's `DPOptimizer` {cite:p}`yousefpour2021opacus`, on the
# same per-sample gradients.

# %% tags=["hide-input"]
optimizer_table(found)

# %% [markdown]
# With a memory, a step takes two weighted sums over the batch, that of the clipped gradients and
# that of the residuals, where `DPOptimizer` takes one. Reading the gradients is most of the work, so
# one matrix product with two rows of factors computes both; it still costs something. Without a
# memory there is one sum. The norms are accumulated more carefully than in Opacus, because the
# bound must hold for contributions of any length.
#
# ## Across processes
#
# Owners are independent, so they split naturally across processes:
# ```
# torchrun --nproc-per-node=2 -m dpgen_core.cli run --dataset mnist --method efsgd --epsilon 10
# ```
# Each rank holds some of the owners, draws their coins, trains their critics and clips their
# contributions. The sums are added up; one rank adds the noise, charges the release and writes it to
# the journal, and only then does any rank use it. Every draw is keyed by seed, round and owner, so
# the number of ranks changes only the order of sums. If a rank is lost, the run stops; what was
# released is in the journal, and any number of ranks may resume the run.

# %% tags=["hide-input"]
ranks_table(found)

# %% [markdown]
# ## What a step costs
#
# Time grows with the number of owners that join a round. Memory grows with the number of all
# owners: each one's critic has its weights and two moments of Adam, whether it joins or not.

# %% mystnb={"figure": {"caption": "Seconds of one critic step against the number of owners that join.", "name": "fig-cost"}, "image": {"alt": "Rising lines, one for each critic and image size"}} tags=["hide-input"]
Image(png_bytes(cost_curve(found)))

# %% tags=["hide-input"]
cost_table(found)

# %% [markdown]
# ## How long a run will take
#
# {doc}`The experiment page </book/_executed/experiment>` prints a forecast before it runs. The work
# of a run is counted in a few terms: float operations of the critics, of the generator and of the
# classifiers that judge, weights that take a step, entries of contributions, rounds. Seconds per
# unit of each, none below zero, are fitted to short probes of many sizes. On another machine they
# are scaled by the speed of its matrix products. Whole runs that were not fitted test the forecast.

# %% tags=["hide-input"]
forecast_table(found)

# %% mystnb={"figure": {"caption": "Predicted against measured seconds.", "name": "fig-forecast"}, "image": {"alt": "Points along the diagonal, nearly all within a quarter of it"}} tags=["hide-input"]
Image(png_bytes(forecast_figure(found)))

# %% [markdown]
# Below, one setting of profile `quick` varies and the others stay. Shards and sampling rate have the
# same effect on time, since only owners that join compute. Images per round cost little. The side of
# the image costs the critics nothing, because they see as many modes of the public basis as before;
# only the generator's work grows.

# %% mystnb={"figure": {"caption": "Seconds of a round by the fitted model, one setting at a time.", "name": "fig-cost-curves"}, "image": {"alt": "Four curves; shards and sampling rate look alike and rise most, images per round least"}} tags=["hide-input"]
Image(png_bytes(cost_curves(found)))

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# A run has a thousand shards at sampling rate one tenth, ten critic steps and three hundred rounds.
# Read from the table how long its critics take, and how much longer they take at four thousand
# shards and the same rate.
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Three thousand steps with a hundred owners; then as many with four hundred, about four times as
# long. With the rate divided by four as well, as many owners join as before, and the time stays the
# same. Only memory grows.
# :::
#
# :::{admonition} Exercise 2
# Why may a rank not use a release before the first rank has journaled it, although nothing has left
# the machine yet?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# If the first rank were lost in between, the other rank's generator would have taken a step from a
# release that is in no ledger, and the resumed run would count too little.
# :::
#
# **Read next:** {doc}`a million records, on paper </book/_executed/scale>`.
