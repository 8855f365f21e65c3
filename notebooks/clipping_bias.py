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
# # Clipping bias and error feedback
#
# Differential privacy needs a bound on what one record can do, and clipping provides it. Clipping
# is not harmless, though: it changes the *direction* of a sum of vectors, and noise or no noise,
# training then goes somewhere else. **Error feedback** is the repair that gives the paper its name.
# This page shows the bias, repairs it, asks what the repair costs, and measures how much of it
# there is in private image generation. No noise is added here: the bias is looked at alone.
#
# *After this chapter you can* say when clipping changes the direction of a sum, write error feedback
# in ten lines, and say where a memory is free and where it is not. Owners, critics and rounds are
# those of {ref}`the whole method <whole-method>`.

# %% tags=["parameters"]
max_grad_norm = 1.0  # C1, the clip bound of the three points
learning_rate = 0.05  # eta
steps = 1000  # of descent on the three points
classifier_clip = 0.2  # the clip bound of the classifier
classifier_steps = 100
bias_rounds = 3  # rounds of the mechanism in each setting
seed = 0

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(
    globals(),
    (
        *("max_grad_norm", "learning_rate", "steps"),
        *("classifier_clip", "classifier_steps", "bias_rounds", "seed"),
    ),
)

import matplotlib.pyplot as plt
import pandas as pd
import torch

from companion.studies.clipping_bias import descend, memory_price, settling_point, train_classifier
from companion.studies.committed import committed_records, project_root
from companion.studies.owner_clipping_bias import (
    SETTINGS,
    owners_over_time,
    recorded_bias,
    setting_bias,
)
from dpgen_core.checks import check_int, check_real

check_real("max_grad_norm", max_grad_norm, low=0, low_open=True, fix="max_grad_norm=1.0")
check_real("learning_rate", learning_rate, low=0, high=0.5, low_open=True, fix="learning_rate=0.05")
check_real("classifier_clip", classifier_clip, low=0, low_open=True, fix="classifier_clip=0.2")
check_int("steps", steps, low=1, fix="steps=1000")
check_int("classifier_steps", classifier_steps, low=1, fix="classifier_steps=100")
check_int("bias_rounds", bias_rounds, low=1, fix="bias_rounds=3")
check_int("seed", seed, low=0, fix="seed=0")
pd.set_option("display.max_rows", None)  # a row that is not shown was not reported

# %% [markdown]
# ## Three points on a line
#
# Minimize $\tfrac12 \sum_i (\theta - x_i)^2$ for $x = (0, 0, 9)$. The answer is the mean, 3. Now
# clip each point's gradient $\theta - x_i$ to $[-1, 1]$. Left of $\theta = 1$ the two points at
# zero pull back with $\theta$ each, and the far point pulls forward with its clipped 1, so the
# pulls balance where $2\theta = 1$: at one half. However long it runs, clipped gradient descent
# ends there, because it minimizes another function: Huber's, which counts far points for less.
#
# `EFSGD` keeps what the clip cut off in a memory $e$ and feeds it back:
#
# $$
# \begin{aligned}
# c_i &= \operatorname{clip}(g_i, C_1), \qquad
# r_i = \operatorname{clip}(g_i - c_i, \kappa), \\
# v &= \tfrac1E \textstyle\sum_i c_i + \operatorname{clip}(e, C_2), \\
# e &\leftarrow e - \operatorname{clip}(e, C_2) + \tfrac1E \textstyle\sum_i r_i, \qquad
# \theta \leftarrow \theta - \eta\,(v + \text{noise}).
# \end{aligned}
# $$
#
# Error feedback was born as a repair for compressed communication
# {cite:p}`seide2014onebit,karimireddy2019ef`; the form for clipping is that of DiceSGD
# {cite:p}`zhang2024dicesgd`, with a bound $\kappa$ of ours on one record's residual. In one dimension
# clipping is `clamp`, and the whole optimizer is ten lines:


# %%
def efsgd(points, C1, C2=0.0, kappa=0.0):
    x, theta, e, path = torch.tensor(points), torch.tensor(0.0), torch.tensor(0.0), []
    for _ in range(steps):
        g = theta - x  # one gradient per point
        c = g.clamp(-C1, C1)
        r = (g - c).clamp(-kappa, kappa)  # what the clip cut off, bounded
        fed_back = e.clamp(-C2, C2)
        theta = theta - learning_rate * (c.mean() + fed_back)
        e = e - fed_back + r.mean()
        path.append(theta)
    return torch.stack(path)


# %%
points = [0.0, 0.0, 9.0]
settings = {
    "clipping alone": {"max_error_norm": 0.0},
    "memory": {"max_error_norm": 10.0, "max_residual_norm": 100.0},
    "memory, C2 too small": {"max_error_norm": 0.2, "max_residual_norm": 100.0},
    "memory, kappa too small": {"max_error_norm": 10.0, "max_residual_norm": 2.0},
}
paths = {name: efsgd(points, max_grad_norm, *bounds.values()) for name, bounds in settings.items()}

# %% mystnb={"figure": {"caption": "Where descent ends, with clipping alone and with three memories. Dotted: the mean, where it ought to end.", "name": "fig-descent"}, "image": {"alt": "Four curves that rise from zero; only the one with a large enough memory reaches the dotted line of the mean, and the one without a memory stays lowest."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.4))
for name, path in paths.items():
    axis.plot(path, label=name, linewidth=1.4)
axis.axhline(sum(points) / len(points), color="black", linewidth=0.8, linestyle=":", label="mean")
axis.set(xlabel="step", ylabel=r"$\theta$")
axis.legend(frameon=False, fontsize=8, loc=(0.55, 0.56))
plt.show()

# %% [markdown]
# The package's `EFSGD` does the same for vectors, with records in batches, and as a PyTorch
# optimizer. It must take the same steps:

# %%
packaged = {
    name: descend(points, max_grad_norm=max_grad_norm, lr=learning_rate, steps=steps, **bounds)
    for name, bounds in settings.items()
}
difference = max(float((paths[name] - packaged[name]).abs().max()) for name in paths)
print(f"largest difference between the ten lines and EFSGD, over all steps: {difference:.1e}")
assert difference < 1e-3 * max(points)

# %% [markdown]
# At rest, the memory gives out as much as comes in, or its bound $C_2$ if more comes in. So
# $\theta$ solves
#
# $$
# \tfrac1n\sum_i c_i + \operatorname{clip}\!\bigl(\tfrac1n \textstyle\sum_i r_i,\ C_2\bigr) = 0,
# $$
#
# and where no bound bites this says $\tfrac1n \sum_i (c_i + r_i) = \tfrac1n \sum_i g_i = 0$: the
# right place. The run agrees with this closed form, for bounds that are too small as well:

# %%
pd.DataFrame(
    {
        name: {
            "closed form": settling_point(points, max_grad_norm=max_grad_norm, **bounds),
            "after the run": paths[name][-1].item(),
        }
        for name, bounds in settings.items()
    }
).T.round(3)

# %% [markdown]
# ## A class that clipping silences
#
# A convex toy is easily dismissed. Here is a classifier: softmax regression on `glyphs`, per-sample
# gradients by Opacus, zeros against a few eights. After the first steps the zeros are right and
# have short gradients; the eights are wrong and have long ones, which is how they would be learned.
# Clipping takes exactly that away: an eight may not count for more than a zero.

# %%
classifier = {"steps": classifier_steps, "seed": seed}
runs = {
    "no clipping": train_classifier(max_grad_norm=1e6, **classifier),
    "clipping": train_classifier(max_grad_norm=classifier_clip, **classifier),
    "clipping and memory": train_classifier(
        max_grad_norm=classifier_clip, max_error_norm=10.0, **classifier
    ),
}

# %% mystnb={"figure": {"caption": "The classifier without clipping, with clipping, and with clipping and a memory.", "name": "fig-rare-class"}, "image": {"alt": "Three panels of curves over the steps. With clipping alone the recall of the rare class stays near zero and the loss does not fall; with a memory both end up as without clipping, though the cosine of its steps is far below one."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.0), layout="constrained")
titles = {
    "rare_recall": "recall of the rare class",
    "loss": "training loss",
    "cosine": "cosine, clipped to unclipped sum",
}
for axis, (column, title) in zip(axes, titles.items(), strict=True):
    for name, table in runs.items():
        axis.plot(table["step"], table[column], label=name, linewidth=1.4)
    axis.set(xlabel="step", title=title)
    axis.title.set_fontsize(9)
axes[1].set_yscale("log")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %%
pd.DataFrame({name: table.iloc[-1] for name, table in runs.items()}).T[
    ["loss", "rare_recall", "cosine", "norm_spread", "clipped_share"]
].rename(
    columns={
        "rare_recall": "recall, rare class",
        "norm_spread": "norm spread",
        "clipped_share": "share clipped",
    }
).round(3)

# %% [markdown]
# The cosine compares the sum of the clipped gradients with the sum of the unclipped ones. Where it
# is near one, clipping only shortened the step, and a larger step size makes up for it. Here it is
# far from one, and even negative: descent on clipped gradients walks *away* from the optimum. With
# the memory the same clip does no lasting harm, though a single step's cosine is still far from
# one.
#
# ## What the memory costs
#
# The memory of `EFSGD` sits with the optimizer. It mixes everybody's residuals and lives on, so one
# record moves not only the release of its own step but later ones too. That has a price, which
# `EFSGD.event` states: if a record takes part $m$ times, replacing it shifts the direct parts by
# $2\sqrt m\,C_1$ in Euclidean norm over the run, and the parts fed back by at most $2 m \kappa$
# more. The second term grows with $m$ and the first with $\sqrt m$ only.

# %%
memory_price([1, 10, 100], [0.0, 0.1, 1.0]).round(2)

# %% [markdown]
# For one participation the memory is cheap; for a record that comes back a hundred times with a
# residual as large as its gradient, the price is prohibitive. So where may a memory live?
#
# * **On the server**, as in `EFSGD`: it may mix everybody's residuals, and is charged as above.
# * **At the data owner**: each owner keeps its own residual and adds it *before* the clip. Whatever
#   the memory holds, what leaves the owner is within the bound $C$, so the memory costs nothing.
#   This is what `ErrorMemory` does and what image generation here uses.
#
# ## What an owner's memory can and cannot do
#
# One owner in two rounds, with the memory that image generation uses:

# %% tags=["remove-input"]
from companion.book.diagrams import diagram

diagram("memory")

# %% [markdown]
# The free memory has a limit of its own: an owner may never contribute more than $C$ to a round. If
# its vectors are long *now and then*, it sends the rest in rounds in which they are short, and
# nothing is lost. If they are long *always*, no such round comes: the memory fills up and the sum
# stays as biased as it was. Below are a hundred owners whose vectors are short on average, but some
# are long ("loud"). Either it is always the same ones, or they take turns.

# %%
turns = {
    f"loud {vary}, memory {'on' if decay else 'off'}": owners_over_time(
        vary, decay=decay, seed=seed
    )
    for vary in ("between owners", "over time")
    for decay in (0.0, 1.0)
}

# %% mystnb={"figure": {"caption": "The sum of everything released against the sum of everything meant, one minus their cosine.", "name": "fig-loud-owners"}, "image": {"alt": "Four falling or level curves on logarithmic axes. The two for owners that are always loud lie on one another and stay level; of the two for owners that take turns, the one with a memory falls fastest."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.4))
for index, (name, curve) in enumerate(turns.items()):
    axis.loglog(curve, label=name, linewidth=1.4, linestyle="--" if index == 1 else "-")
axis.set(
    xlabel="round",
    ylabel="1 - cosine",
)
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The two curves for owners whose vectors are always long lie on one another. For owners that take
# turns, averaging over rounds helps by itself, and the memory adds to that.
#
# ## How much bias there is in image generation
#
# So much for what error feedback *can* repair. What is there to repair in this book? Below are the
# first rounds of the mechanism on `glyphs`, without memory, at the clip bound of the presets, in
# several settings: the cosine between what the owners meant and what the clip let through, and the
# spread of the norms (standard deviation over mean), without which there is no bias.

# %%
measured = {setting: setting_bias(setting, rounds=bias_rounds, seed=seed) for setting in SETTINGS}

# %%
pd.DataFrame({name: vars(bias) for name, bias in measured.items()}).T.rename(
    columns={"norm_spread": "norm spread", "clipped_share": "share clipped"}
).round(4)

# %% [markdown]
# The clip takes effect almost always, and still the direction hardly changes. Under the joint clip
# all owners answer for the same images with critics trained in the same way, so their vectors are
# about equally long, and shortening equally long vectors leaves the direction of the sum alone.
# Clipping image by image does some more harm, since an owner that lacks a class contributes little
# about it.
#
# The full runs whose records are in the repository logged the same figures in every round:

# %% mystnb={"figure": {"caption": "Full runs by how far the clip, or clip and memory, turn the sum of contributions: one minus the cosine, median over the rounds (log axis). A cosine of one, where nothing is clipped, is drawn at the left edge.", "name": "fig-clip-cosines"}}
from companion.book.alt_text import shown
from companion.book.clip_cosines import clip_cosines, cosine_alt, cosine_histogram

records = committed_records(project_root() / "results")
cosines = clip_cosines(records)
shown(cosine_histogram(cosines), cosine_alt(cosines))

# %% mystnb={"code_prompt_show": "Show every run"} tags=["hide-cell", "output_scroll"]
recorded_bias(records)

# %% [markdown]
# Without a memory the cosine is that of the clip alone: with one clip per owner there is next to
# nothing to repair. The penalty on the critic's gradient norm is not the reason, as the table of
# settings above shows: the norms are about as even without it. With the memory on, the released sum also holds
# what was left over from earlier rounds, and that counts as a deviation here, so the cosine is
# lower. Since every contribution is clipped in every round, the owners' vectors are always long,
# and their memories are never emptied. Whether error feedback helps in this setting is measured in
# {ref}`the ablations <ablations>`.
#
# ## Summary
#
# * Clipping turns a sum where vectors differ in length *and* direction, and leaves it where all are
#   about equally long.
# * A memory repairs that, as long as its bounds let the cut-off part through.
# * On a server the memory has a price, with the owner it has none; but an owner that is always too
#   loud gains nothing by it.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# For $x = (0, 0, 9)$ and $C_1 = 1$, what is the smallest $C_2$ for which `EFSGD` ends at the mean,
# if $\kappa$ is large? And the smallest $\kappa$, if $C_2$ is large?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# At $\theta = 3$ the gradients are $3, 3, -6$, so the residuals are $2, 2, -5$ and their mean is
# $-1/3$: the memory must be able to give out that much, $C_2 \ge 1/3$. The bound on one record's
# residual must let the $-5$ pass, $\kappa \ge 5$. The first bound is about the sum of all, the
# second about a single record, and it is the second that the privacy price depends on.
# :::
#
# :::{admonition} Exercise 2
# An owner's vectors alternate between length $2C$ and $0$, in the same direction. What leaves it
# with and without a memory? What if they alternate between $3C$ and $0$?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Without a memory $C, 0, C, 0, \dots$, half of what was meant. With it $C, C, C, \dots$:
# everything. With $3C$ on average $1.5\,C$ per round is meant, more than may ever leave; the memory
# gives $C$ per round and grows without bound. This is why `ErrorMemory` has a decay.
# :::
#
# :::{admonition} Exercise 3
# Somebody adds the owners' residuals up at the server and feeds them back there, because "the clip
# has already bounded everything". Where is the error, and which call shows the price?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# The clip bounds what is *released in this round*. A residual is what the clip cut off, so it is
# not bounded by the clip, and at the server it enters later releases beside the clipped parts.
# Replacing one record moves all of them. `EFSGD.event` charges for it; without the bound $\kappa$
# only $C_2$ is left, and that shift may occur anew in every step.
# :::
#
# **Read next:** {doc}`accounting </book/_executed/accounting>`; DiceSGD {cite:p}`zhang2024dicesgd`
# for the optimizer.
