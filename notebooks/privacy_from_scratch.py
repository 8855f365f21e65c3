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
# (from-scratch)=
# # Differential privacy from scratch
#
# This chapter builds the notion this book rests on out of one question: *how well can somebody who
# sees the output tell which of two data sets went in?* It needs no background beyond the normal
# distribution. Every figure is computed on this page.
#
# *After this chapter you can* say what epsilon and delta bound, compute both for Gaussian noise, and explain
# composition, amplification and post-processing in a sentence each.

# %% tags=["parameters"]
noise = 2.0  # standard deviation of the curator's noise
threshold = 3.0  # above it, one guesses D
delta = 1e-5
sampling_rounds = 300
sampling_noise = 2.5  # noise multiplier of these rounds

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(globals(), ("noise", "threshold", "delta", "sampling_rounds", "sampling_noise"))

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from companion.book.figures import COLORS
from dpgen_core.accounting import (
    GaussianEvent,
    calibrate_gaussian,
    epsilon_of_events,
    epsilon_spent,
)
from dpgen_core.checks import check_int, check_real

for name in ("noise", "sampling_noise"):
    check_real(name, globals()[name], low=0, low_open=True, fix=f"{name}=2.0")
check_real("threshold", threshold, low=-100, high=100, fix="threshold=3.0")
check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")
check_int("sampling_rounds", sampling_rounds, low=1, fix="sampling_rounds=300")
setting = {"delta": delta, "relation": "replace-one"}

# %% [markdown]
# ## Two worlds
#
# A curator holds $N$ records and publishes the number of those with some property, plus Gaussian
# noise. You know all records but one. In world $D$ the unknown record has
# the property, in world $D'$ it does not, so the published number is centered at some count or at
# that count less one. Up to a shift that you know, it is a draw from one of two normal
# distributions.

# %% mystnb={"figure": {"caption": "Output in the two worlds, shaded: the false-alarm probability of guessing D above the threshold.", "name": "fig-two-worlds"}, "image": {"alt": "Two bell curves one unit apart that overlap almost wholly; the right tail of the left one is shaded."}} tags=["hide-input"]
x = np.linspace(-3 * noise, 1 + 3 * noise, 400)
figure, axis = plt.subplots(figsize=(6.4, 3.0))
axis.plot(x, norm.pdf(x, 1, noise), color=COLORS[0], label="world D")
axis.plot(x, norm.pdf(x, 0, noise), color=COLORS[1], linestyle="--", label="world D'")
axis.fill_between(x, norm.pdf(x, 0, noise), where=x > threshold, color=COLORS[1], alpha=0.3)
axis.set(xlabel="published number, less what you know", ylabel="density")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Seeing an output $x$, your odds for $D$ change by the factor $p(x)/p'(x)$. Its logarithm is the
# **privacy loss**
#
# $$
# L(x) = \log \frac{p(x)}{p'(x)} .
# $$
#
# If $L$ were at most $\varepsilon$ for every $x$ (*pure* differential privacy), no output could
# move anybody's odds by more than $e^{\varepsilon}$. For Gaussian noise $L$ is a straight line in
# $x$, so it is unbounded; but large values are rare. Hence two numbers:
#
# > A mechanism $M$ is $(\varepsilon, \delta)$-**differentially private** if for all neighbors $D, D'$ and
# > every event $S$
# > $$\Pr[M(D) \in S] \le e^{\varepsilon} \Pr[M(D') \in S] + \delta .$$
#
# {cite:p}`dwork2014algorithmic` The smallest $\delta$ for a given $\varepsilon$ is the
# *hockey-stick divergence* $H_{e^\varepsilon}$ of the two outputs. For the Gaussian mechanism,
# whose noise is $m$ times the largest shift, it has a closed form,
#
# $$
# \delta(\varepsilon) = \Phi\!\left(\tfrac{1}{2m} - \varepsilon m\right)
# - e^{\varepsilon}\, \Phi\!\left(-\tfrac{1}{2m} - \varepsilon m\right).
# $$
#
# A guarantee is therefore a *curve*, and a single pair is one point of it.


# %%
def smallest_delta(epsilon, m):
    return norm.cdf(0.5 / m - epsilon * m) - np.exp(epsilon) * norm.cdf(-0.5 / m - epsilon * m)


# %% mystnb={"figure": {"caption": "The privacy curve of one Gaussian release, for three noise multipliers m.", "name": "fig-curves"}, "image": {"alt": "Three curves of delta that fall with epsilon on a logarithmic axis, the more steeply the more noise there is."}} tags=["hide-input"]
epsilons = np.linspace(0, 8, 200)
figure, axis = plt.subplots(figsize=(6.4, 3.2))
for color, m in zip(COLORS, (0.5, 1.0, 2.0), strict=False):
    axis.semilogy(epsilons, smallest_delta(epsilons, m), color=color, label=f"m = {m:g}")
axis.set(xlabel=r"$\varepsilon$", ylabel=r"$\delta$", ylim=(1e-10, 1))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What epsilon means to a guesser
#
# Suppose both worlds are equally likely and you must say which one it is. The best you can do is
# right with probability $(1 + \mathrm{TV})/2$, where TV is the total variation distance: the
# $\delta$ at $\varepsilon = 0$. And if you insist on almost never accusing wrongly, the guarantee
# bounds how often you are right: true positives $\le e^{\varepsilon} \times$ false positives $+\
# \delta$.

# %%
rows = []
for m in (0.5, 1.0, 2.0, 4.0):
    ours = brentq(lambda epsilon, m=m: smallest_delta(epsilon, m) - delta, 0, 100)
    event = [GaussianEvent("count", m)]
    packaged = epsilon_of_events(event, accountant="pld", **setting)
    assert abs(ours - packaged) < 0.01 * ours
    rows.append(
        {
            "noise over sensitivity": m,
            f"epsilon at delta {delta:g}": ours,
            "the same by the package": packaged,
            "best guess is right with probability": (1 + smallest_delta(0.0, m)) / 2,
        }
    )
pd.DataFrame(rows).set_index("noise over sensitivity").round(3)

# %% [markdown]
# ## Who the neighbors are
#
# "One record differs" can be meant in two ways. Under *add-or-remove*, one data set has a record
# more; a sum of vectors of norm at most $C$ then moves by at most $C$. Under *replace-one*, a
# record is exchanged for another; the sum moves by up to $2C$, as the two may point in opposite
# directions. This book uses **replace-one** throughout, and an $\varepsilon$ without its relation
# says nothing.
#
# ## Releasing more than once
#
# Publish two numbers and the losses add up. For Gaussian releases this is simple: with independent
# noise, $k$ releases of multiplier $m$ are as revealing as one of multiplier $m / \sqrt k$, since
# the distance between the two worlds grows like $\sqrt k$. In general one adds **Renyi
# divergences** {cite:p}`mironov2017rdp`,
#
# $$
# \rho(\alpha) = \frac{1}{\alpha-1} \log \mathbb E_{x \sim M(D')}\left[ e^{\alpha L(x)} \right],
# $$
#
# the moments of the loss, which add up over adaptive releases and turn into $(\varepsilon, \delta)$
# at the end; or one composes the whole distribution of the loss numerically (PLD). For one Gaussian
# release the integral is $\rho(\alpha) = \alpha / (2 m^2)$, and the conversion takes the best order:


# %%
def epsilon_by_renyi(k, m):
    alpha = np.linspace(1.01, 100, 10_000)
    conversion = np.log1p(-1 / alpha) - (np.log(delta) + np.log(alpha)) / (alpha - 1)
    return (k * alpha / (2 * m**2) + conversion).min()


composition = []
for k in (1, 4, 16):
    many = [GaussianEvent("count", 4.0, k)]
    one = [GaussianEvent("count", 4.0 / k**0.5)]
    composition.append(
        {
            "releases": k,
            "together, these lines": epsilon_by_renyi(k, 4.0),
            "together, RDP": epsilon_of_events(many, accountant="rdp", **setting),
            "together, PLD": epsilon_of_events(many, accountant="pld", **setting),
            "one of m / sqrt(k), PLD": epsilon_of_events(one, accountant="pld", **setting),
        }
    )
pd.DataFrame(composition).set_index("releases").round(4)

# %% [markdown]
# ## Not being there
#
# If a record takes part in a release only with probability $q$, by a coin nobody sees, the output
# reveals less about it: most of the time there was nothing to reveal. This is **amplification by
# sampling**, and without it training in hundreds of rounds would be hopeless. It is also where most
# accounting goes wrong, since it asks that the coin be *fresh, hidden, and independent of everybody
# else's*.

# %% mystnb={"figure": {"caption": "Epsilon of many rounds against the sampling rate, replace-one. At q = 1 there is no amplification.", "name": "fig-amplification"}, "image": {"alt": "Two curves close to each other: epsilon rises steeply with the sampling rate on logarithmic axes."}} tags=["hide-input"]
rates = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
figure, axis = plt.subplots(figsize=(6.4, 3.2))
for color, accountant in zip(COLORS, ("rdp", "pld"), strict=False):
    spent = [
        epsilon_spent(
            noise_multiplier=sampling_noise,
            sampling_rate=q,
            rounds=sampling_rounds,
            accountant=accountant,
            **setting,
        )
        for q in rates
    ]
    axis.loglog(rates, spent, "o-", color=color, label=accountant.upper())
axis.set(xlabel="sampling rate q", ylabel=r"$\varepsilon$")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Post-processing is free
#
# Whatever is computed from an output without another look at the records is covered by the same
# guarantee. It is the reason why this book's generator can be sampled a million times, fine-tuned
# and published: it is a function of noisy sums and public constants.
#
# ## From a budget to noise
#
# In practice one fixes $(\varepsilon, \delta)$ and asks for the least noise. That is *calibration*,
# and the {doc}`accounting chapter </book/_executed/accounting>` does it for the mechanism of this
# book.

# %%
pd.Series(
    {
        target: calibrate_gaussian(target_epsilon=target, accountant="pld", **setting)
        for target in (0.5, 1.0, 3.0, 10.0)
    },
    name="noise over sensitivity",
).rename_axis("epsilon").to_frame().round(3)

# %% [markdown]
# ## Summary
#
# * Epsilon and delta bound how much including one record can change the odds of any output, whatever else is known.
# * Losses add up over releases, a hidden coin makes them smaller, and what is computed from outputs is free.
# * A figure without its relation says nothing. Here it is replace-one.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# Show that $\delta(\varepsilon)$ of the Gaussian mechanism at $\varepsilon = 0$ is
# $2\Phi(\tfrac{1}{2m}) - 1$, and compare with the table above.
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Put $\varepsilon = 0$: $\Phi(\tfrac{1}{2m}) - \Phi(-\tfrac{1}{2m}) = 2\Phi(\tfrac{1}{2m}) - 1$.
# The probability of a right guess is half of one plus that, $\Phi(\tfrac{1}{2m})$: a threshold
# midway between the two centers attains it.
# :::
#
# :::{admonition} Exercise 2
# A mechanism publishes a record chosen at random, in full, and nothing else. For which
# $(\varepsilon, \delta)$ is it private under replace-one, and what follows for the choice of
# $\delta$?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# With probability $1 - 1/N$ the output is the same in both worlds; with probability $1/N$ it is the
# changed record. So it is $(0, 1/N)$-private. A sensible $\delta$ must lie well below $1/N$, and
# `make_config` refuses any other.
# :::
#
# :::{admonition} Exercise 3
# Why may the losses of two *adaptive* releases be added, though the second release depends on the
# first?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# The density of the pair is $p(x_1)\, p(x_2 \mid x_1)$, so the log-ratio is $L_1(x_1) + L_2(x_2
# \mid x_1)$. Bound the moment of the second term for every $x_1$ first, then that of the first.
# :::
#
# **Read next:** {ref}`the whole method in 60 lines <whole-method>`, and
# {cite:t}`dwork2014algorithmic` for the theory at length.
