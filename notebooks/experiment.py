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
# # One experiment, every setting open
#
# This page runs one experiment from data to record. Change a parameter and run it again, here or
# from the command line:
#
# ```
# papermill notebooks/experiment.ipynb out.ipynb -p dataset fashion_mnist -p epsilon 3
# ```
#
# `method` is one of `efsgd-prior` (rounds on top of a one-shot prior of ours, the default),
# `efsgd` (the paper's parts alone), `gaussian` and `mixture` (a prior alone), `gs-wgan`,
# `dp-gan-dpac`, `dp-sgd-critic`, `efsgd-critic`, or `efsgd` and `efsgd-prior` with a part switched, such as `efsgd/no-reconstruction`. `profile` is `smoke`
# (under a minute, for tests), `quick` (minutes on two cores) or `paper` (a GPU, or hours).

# %% tags=["parameters"]
dataset = "mnist"
method = "efsgd-prior"
epsilon = 10.0
delta = 1e-5
profile = "quick"
accountant = "rdp"  # "pld" is tighter
seed = 0
num_records = None  # None takes all of them
results_dir = "results/local"
wanted = None  # set by the book: the data set its page is about, should it run on another

# %% [markdown]
# The settings are checked before anything is run or written. The noise follows from the budget.

# %%
from companion.book.pages import check_parameters
from dpgen_core.config.make import make_config

check_parameters(globals())
config = make_config(
    dataset=dataset,
    method=method,
    profile=profile,
    epsilon=epsilon,
    delta=delta,
    accountant=accountant,
    seed=seed,
    num_records=num_records,
)

# %% tags=["hide-input"]
from companion.book.pages import banner
from companion.book.stand_in import committed_instead

instead = committed_instead(config, wanted)  # None where the data are at hand
banner(config, instead)

# %% [markdown]
# ## The run
#
# A forecast comes first, scaled to this machine. A record that already holds these very settings is
# read back. A run that was cut off goes on from its last checkpoint, and no release is lost or
# counted too little.

# %%
from companion.studies.cost_model import forecast_here

print(forecast_here(config) or "no forecast: nothing like it was measured")

# %% tags=["remove-stderr"]
from dpgen_core.experiment import run_experiment

ran = None
if instead is None or instead.config.dataset != config.dataset:
    ran = run_experiment(config, results_dir=results_dir)
record = instead or ran

# %% tags=["hide-input"]
from companion.book.stand_in import stand_in_note

stand_in_note(ran, record)

# %% [markdown]
# ## What it cost
#
# Epsilon as spent, by both accountants, with all that they read. The relation is replace-one: two
# data sets are neighbors if one record differs.

# %%
from companion.book.summary import privacy_table

privacy_table(record)

# %% [markdown]
# ## What came out
#
# One row per class. Every picture is made from public random numbers and the sanitized generator.

# %%
from companion.book.pages import samples_image

samples_image(record)

# %% [markdown]
# The same latents after ever more rounds, top to bottom:

# %%
from companion.book.pages import rounds_image

rounds_image(record)

# %% [markdown]
# In *g2r* a classifier learns from generated images and is tested on real ones. The Frechet
# distance is taken between features of a classifier trained on the real data. It is not the FID;
# its floor is what real training images score against real test images.

# %%
from companion.book.summary import metrics_table

metrics_table(record)

# %% [markdown]
# ## How it went
#
# From public figures, inside the guarantee: epsilon spent, and how far the released sums rise above
# their noise. A method without rounds has no such curves.

# %%
from companion.book.pages import history_image

history_image(record)

# %% [markdown]
# From private state, **outside the guarantee**: how much of the direction survives the clipping.

# %%
from companion.book.pages import diagnostics_image

diagnostics_image(record)

# %% [markdown]
# ## What the guarantee does not cover

# %%
from companion.book.pages import caveats

caveats(record)

# %% [markdown]
# ## Where it is
#
# The record is a folder of small files. The book's tables are read from such records.

# %%
print(record.path)

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# Run the notebook with `epsilon=1`. Which of sigma, q, T and K changed, and why only that one?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# The noise multiplier. Rate, rounds and shards are set by the profile, and the noise is what calibration solves
# for. Whether other rounds and shards would be better at that budget is a question of tuning.
# :::
#
# :::{admonition} Exercise 2
# The public curve shows a release norm close to that of the noise. Is nothing learned, then?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# The noise has thousands of directions and the signal a few. The generator's Jacobian and the average over
# rounds pick out what all releases agree on, though each is nearly all noise.
# :::
#
# **Read next:** {doc}`the results of all methods </book/_executed/results>`.
