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
# # Renyi accounting and calibration
#
# How much noise does a privacy budget ask for, and how many rounds does a noise level buy? This
# page answers both with the library's accountant, one idea at a time. All figures below are
# computed when the page is built.
#
# *After this chapter you can* compute epsilon from noise, rate and rounds with a dozen lines of your own, say which
# relation a figure is under, and find the fault in an accounting that draws too often.

# %% tags=["parameters"]
delta = 1e-5
target_epsilon = 10.0
num_shards = 1000  # K
sampling_rate = 0.1  # q
rounds = 500  # T
noise_multiplier = 2.5  # sigma

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(
    globals(),
    (
        *("delta", "target_epsilon", "num_shards"),
        *("sampling_rate", "rounds", "noise_multiplier"),
    ),
)

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import norm

from companion.studies.lineage_accounting import claimed_epsilon, shared_draw_epsilon
from dpgen_core.accounting import (
    BudgetExceeded,
    GaussianEvent,
    Ledger,
    SampledGaussianEvent,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_spent,
    max_rounds,
)
from dpgen_core.accounting.rdp import ORDERS, gaussian_rdp, rdp_to_epsilon, sampled_gaussian_rdp
from dpgen_core.checks import check_int, check_real

check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")
check_real("target_epsilon", target_epsilon, low=0, low_open=True, fix="target_epsilon=10.0")
check_int("num_shards", num_shards, low=2, fix="num_shards=1000")
check_real("sampling_rate", sampling_rate, low=0, high=1, low_open=True, fix="sampling_rate=0.1")
check_int("rounds", rounds, low=1, fix="rounds=500")
check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=2.5")

# %% [markdown]
# ## Who are the neighbors?
#
# Differential privacy compares two data sets that differ in one record, and "differ" has to be said
# precisely. Under **add-or-remove** one of them has a record more. Under **replace-one** a record
# is exchanged for another, and the number of records is public. Our records are split into $K$
# disjoint *shards* of public size, each held by one *owner*, so replace-one is the relation that
# fits: a record is exchanged within its shard, and no other shard changes.
#
# An owner that joins a round contributes a vector $v$ with $\lVert v \rVert \le C$. If one of its
# records is replaced, $v$ becomes another vector $v'$ and the sum moves by
# $\lVert v - v' \rVert \le 2C$. Adding or removing *one record of a shard* would be no better: the
# owner still contributes, and $v$ again becomes some $v'$, up to $2C$ away. Only if a *whole owner*
# came or went would the sum move by $C$ at most. That is what `"add-or-remove"` means in the
# accountant, which counts contributors: an owner here, a record in DP-SGD.
#
# A shift of $2C$ needs more noise for the same $(\varepsilon, \delta)$ than one of $C$. Two figures
# may only be compared under the same relation.

# %%
setting = {
    "target_epsilon": target_epsilon,
    "delta": delta,
    "sampling_rate": sampling_rate,
    "rounds": rounds,
}
pd.Series(
    {
        relation: calibrate_noise(relation=relation, **setting)
        for relation in ("replace-one", "add-or-remove")
    },
    name="noise multiplier",
).to_frame().round(3)

# %% [markdown]
# ## The worst pair of outputs
#
# In each round every owner joins with probability $q$, by its own hidden coin. The sum of the
# clipped contributions is released with Gaussian noise of standard deviation $\sigma C$. Let one
# record of one shard change. Given what the other owners did, the release is a known vector plus a
# draw from
#
# $$
# P = (1-q)\,\mathcal N(0, s^2) + q\,\mathcal N(v, s^2)
# \quad\text{or}\quad
# Q = (1-q)\,\mathcal N(0, s^2) + q\,\mathcal N(v', s^2),
# \qquad s = \sigma,\ \lVert v\rVert, \lVert v'\rVert \le 1,
# $$
#
# in units of $C$. Which $v$ and $v'$ are the worst? For an event $S$ of probability $\beta =
# \mathcal N(0, s^2)(S)$, the Neyman-Pearson lemma bounds both components at once:
#
# $$
# \mathcal N(v, s^2)(S) \le \Phi\!\left(\Phi^{-1}(\beta) + \tfrac1s\right),
# \qquad
# \mathcal N(v', s^2)(S) \ge \Phi\!\left(\Phi^{-1}(\beta) - \tfrac1s\right),
# $$
#
# and a half-line attains both bounds when $v = +1$ and $v' = -1$ on a line. The antipodal pair is
# therefore the worst, in any dimension and for every hockey-stick divergence. The proof is written
# out on {ref}`the privacy page <privacy>`; the tests try random directions in the plane against it.
#
# :::{note}
# The argument needs the owner's coin to be independent of everybody else's. With a draw of a
# *fixed number* of owners it is not: if this owner is left out, another one takes its place.
# :::
#
# ## The Renyi curve
#
# The Renyi divergence of order $\alpha > 1$ {cite:p}`mironov2017rdp`,
#
# $$
# \rho(\alpha) = \frac{1}{\alpha - 1}
# \log \mathbb E_{x \sim Q}\left[\left(\frac{P(x)}{Q(x)}\right)^{\alpha}\right],
# $$
#
# summarizes how far the pair is apart. For this pair it is a one-dimensional integral without a
# closed form, so it is added up on a grid, in logarithms:


# %%
def renyi(alpha, sigma, q):
    x = np.linspace(-2 * alpha - 12 * sigma, 2 * alpha + 12 * sigma, 40_001)
    stay = np.log1p(-q) + norm.logpdf(x, 0, sigma) if q < 1 else np.full_like(x, -np.inf)
    log_p = np.logaddexp(stay, np.log(q) + norm.logpdf(x, +1, sigma))
    log_q = np.logaddexp(stay, np.log(q) + norm.logpdf(x, -1, sigma))
    return logsumexp(alpha * log_p + (1 - alpha) * log_q, b=x[1] - x[0]) / (alpha - 1)


orders = np.array([1.5, 2, 4, 8, 16, 32])
ours = np.array([renyi(alpha, noise_multiplier, sampling_rate) for alpha in orders])
packaged = sampled_gaussian_rdp(noise_multiplier, sampling_rate, orders=orders)
assert np.allclose(ours, packaged, rtol=1e-3)
pd.DataFrame({"these lines": ours, "package": packaged}, index=pd.Index(orders, name="order"))

# %% [markdown]
# The library does the same by the trapezoidal rule, adds the estimated error, and answers infinity
# where the rule has not converged. Without sampling ($q = 1$) the curve is the straight line
# $2\alpha / s^2$; sampling pulls it down, at small orders by a factor of about $q^2$.

# %% mystnb={"figure": {"caption": "The Renyi curve of one round, with and without sampling, replace-one.", "name": "fig-renyi"}, "image": {"alt": "A dashed straight line without sampling, and three curves that start far below it, the lower the smaller the sampling rate, and climb towards a common line at high orders."}} tags=["hide-input"]
noise = 2.0
figure, axis = plt.subplots(figsize=(6.4, 3.6))
axis.loglog(ORDERS, gaussian_rdp(noise / 2), "k--", label="no sampling")
for rate in (0.5, 0.1, 0.01):
    axis.loglog(ORDERS, sampled_gaussian_rdp(noise, rate), label=f"q = {rate}")
axis.set(
    xlabel=r"order $\alpha$",
    ylabel=r"Renyi divergence $\rho(\alpha)$",
    xlim=(1, 300),
    ylim=(1e-5, 1e3),
)
axis.legend()
plt.show()

# %% [markdown]
# At some order every sampled curve leaves its low branch and climbs towards a line. Asymptotically,
# as the order grows, that line does not depend on $q$; at any finite order the curve still does.
# The line lies a factor of four under the line without sampling: high orders look at the rarest
# outputs, for which only the part of $Q$ at the origin counts, at distance $C$ instead of $2C$.
#
# ## Composition and conversion
#
# Renyi curves of adaptive rounds add up. To read off an $\varepsilon$ at a given $\delta$, every
# order proves
#
# $$
# \varepsilon(\alpha) = T \rho(\alpha) + \log\frac{\alpha - 1}{\alpha}
# - \frac{\log \delta + \log \alpha}{\alpha - 1}
# $$
#
# {cite:p}`canonne2020discrete,balle2020hypothesis`, and the smallest one counts. That completes an
# accountant:


# %%
def epsilon(sigma, q, T):
    orders = 1 + np.geomspace(0.01, 300, 100)
    curve = T * np.array([renyi(alpha, sigma, q) for alpha in orders])
    cost = np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1)
    return (curve + cost).min()


here = epsilon(noise_multiplier, sampling_rate, rounds)
there = epsilon_spent(
    noise_multiplier=noise_multiplier, sampling_rate=sampling_rate, rounds=rounds, delta=delta
)
print(f"epsilon of {rounds} rounds by these lines {here:.3f}, by the package {there:.3f}")
assert math.isclose(here, there, rel_tol=0.01)

# %% mystnb={"figure": {"caption": "Epsilon that each order proves, for three numbers of rounds.", "name": "fig-orders"}, "image": {"alt": "Three curves shaped like a valley; with more rounds the valley lies higher and its lowest point farther to the left."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.6))
curve = sampled_gaussian_rdp(noise, 0.1)
for count in (10, 100, 1000):
    proved = [
        rdp_to_epsilon([count * value], delta, [order])
        for value, order in zip(curve, ORDERS, strict=True)
    ]
    axis.loglog(ORDERS - 1, proved, label=f"T = {count}: best {min(proved):.2f}")
axis.set(
    xlabel=r"$\alpha - 1$",
    ylabel=r"$\varepsilon(\alpha)$",
    xlim=(0.03, 300),
    ylim=(0.3, 1e3),
)
axis.legend()
plt.show()

# %% [markdown]
# More rounds move the best order to the left. The library keeps orders from just above one, where
# long or noisy runs are decided, to the thousands, where small budgets are.
#
# ## Three questions
#
# Epsilon from noise, noise from epsilon, and rounds from both:

# %%
round_setting = {"sampling_rate": sampling_rate, "delta": delta}
noise_known = {"noise_multiplier": noise_multiplier, **round_setting}
budget_known = {"target_epsilon": target_epsilon, **round_setting}
print(f"epsilon spent     {epsilon_spent(rounds=rounds, **noise_known):.3f}")
print(f"noise multiplier  {calibrate_noise(rounds=rounds, **budget_known):.3f}")
print(f"rounds            {max_rounds(target_epsilon=target_epsilon, **noise_known)}")

# %% [markdown]
# During training a **ledger**, the list of all releases, holds the budget. It is asked *before* a
# release and refuses one that would pass the budget; nothing is recorded then. Different kinds of
# releases share it. Here a one-shot release takes half of the budget (in units of $1/m^2$, in which
# Gaussian mechanisms add up), and the rounds get the rest.

# %%
budget = {
    "target_epsilon": target_epsilon,
    "delta": delta,
    "relation": "replace-one",
    "accountant": "rdp",
}
one_shot = GaussianEvent("one-shot", math.sqrt(2) * calibrate_gaussian(**budget))
noise_of_rounds = calibrate_noise(
    sampling_rate=sampling_rate, rounds=300, other_events=[one_shot], **budget
)
ledger = Ledger(**budget)
ledger.charge(one_shot)
print(f"after the one-shot release: epsilon {ledger.epsilon():.3f}")
ledger.charge(SampledGaussianEvent("rounds", noise_of_rounds, sampling_rate, count=300))
print(f"after the rounds:           epsilon {ledger.epsilon():.3f}")
try:
    ledger.charge(SampledGaussianEvent("rounds", noise_of_rounds, sampling_rate, count=10))
except BudgetExceeded as error:
    print(f"refused: {error}")

# %% [markdown]
# ## Renyi against the tight accountant
#
# The conversion loses something. Privacy loss distributions
# {cite:p}`gopi2021prv,doroshenko2022connect` are composed numerically and convert without loss, at
# a higher price in time. With `accountant="pld"` the library asks `dp_accounting` for them, with
# pessimistic rounding throughout, so both accountants give upper bounds and the second one is the
# smaller.

# %%
rows = []
for count in (1, 10, 100, 1000):
    row = {"rounds": count}
    for accountant in ("rdp", "pld"):
        row[accountant] = epsilon_spent(rounds=count, accountant=accountant, **noise_known)
    rows.append({**row, "excess": f"{row['rdp'] / row['pld'] - 1:.0%}"})
pd.DataFrame(rows).set_index("rounds").round(3)

# %% [markdown]
# ## Fewer rounds of larger cohorts
#
# What do we buy with the budget? Suppose all $K$ owners want to push the generator the same way. A
# round's signal is then proportional to $qK$ and its noise to $\sigma$. Over $T$ rounds with
# independent noise, squared signal-to-noise ratios add up to
#
# $$
# I = T \left(\frac{qK}{\sigma}\right)^2 .
# $$
#
# The table calibrates $\sigma$ to one and the same budget for several ways to spend it.

# %%
rows = []
ways = ((0.1, 500), (0.1, 1000), (0.05, 1000), (0.02, 2000), (1 / num_shards, 20000))
for rate, count in ways:
    sigma = calibrate_noise(
        target_epsilon=target_epsilon,
        delta=delta,
        sampling_rate=rate,
        rounds=count,
        accountant="pld",
    )
    rows.append(
        {
            "sampling rate q": rate,
            "rounds T": count,
            "noise multiplier": round(sigma, 3),
            "information I": count * (rate * num_shards / sigma) ** 2,
        }
    )
cohorts = pd.DataFrame(rows)
cohorts["relative to the last"] = (
    cohorts["information I"] / cohorts["information I"].iloc[-1]
).round(1)
cohorts["information I"] = cohorts["information I"].map("{:.2e}".format)
cohorts

# %% [markdown]
# In the last row one owner joins per round in expectation. Amplification is strongest there, and
# yet it is by far the worst bargain: at such a small $\sigma$ a round's release gives away an owner
# that happens to join, and the low branch of the Renyi curve is out of reach. Once $\sigma$ is
# above one or so, the information hardly depends on how it is cut into rounds, and one may choose
# by what training needs.
#
# ## What the lineage's accounting leaves out
#
# This work stands on GS-WGAN {cite:p}`chen2020gswgan` and DP-GAN-DPAC {cite:p}`chen2023dpac`. They
# draw *one* of $K$ discriminators per generator step, push a batch of $B$ images through it, and
# release each image's clipped gradient with noise. Their analysis treats the $B$ releases of a
# step as $B$ independent draws, with the amplification bound of {cite:t}`wang2019subsampled`.
#
# The releases of a step share one draw, however. Either all of them involve the changed record or
# none does, so amplification applies once, to the whole batch: a Gaussian mechanism of multiplier
# $\sigma / \sqrt B$ rather than $B$ mechanisms of multiplier $\sigma$. With their published
# settings for MNIST:

# %%
mnist = {"num_discriminators": num_shards, "noise_multiplier": 1.07, "steps": 20_000, "batch": 32}
pd.Series(
    {
        "as accounted: independent draws": claimed_epsilon(delta=delta, **mnist),
        "one shared draw per step, PLD": shared_draw_epsilon(delta=delta, **mnist),
        "one shared draw per step, RDP": shared_draw_epsilon(
            delta=delta, accountant="rdp", **mnist
        ),
    },
    name="epsilon",
).to_frame().round(2)

# %% [markdown]
# The pair of output distributions behind the lower rows can occur, so this is not a matter of
# looser or tighter bounds. Two further points are outside all three figures: the gradient of
# DP-GAN-DPAC's classifier is a second release, and discriminators carry state from one draw to the
# next, which the amplification argument for a fixed-size draw does not cover.
#
# None of this says that the published images reveal anybody; an $\varepsilon$ is a guarantee, not
# an attack. It says which guarantee the published training procedure has. The mechanism of this
# companion is built so that the accounting above applies as it stands: joining is a hidden coin
# per owner, an owner's contribution is clipped as one vector over the whole batch, and everything
# else an owner remembers never leaves it.
#
# ## Summary
#
# * A figure needs its relation. Here it is replace-one, and the sum moves by up to $2C$.
# * The worst pair lies on a line, its Renyi curve is a sum on a grid, curves add over rounds, and one conversion gives
#   epsilon.
# * A few rounds of large cohorts buy more than many rounds of single owners.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# A run has 300 rounds at $q = 0.1$. Somebody lets every owner join in every round instead ($q = 1$)
# and keeps $\sigma$. Why is the new epsilon not just ten times the old one?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Without sampling each round is a plain Gaussian at distance $2 C$, and its Renyi curve is $2
# \alpha / \sigma^2$. With sampling the curve starts at about $q^2$ times that for small $\alpha$, a
# factor of a hundred, and loses the advantage at orders where $\alpha$ times the largest loss of a
# round is no longer small. The factor lies between, and depends on $\sigma$ and on the budget:
# `epsilon_spent` answers.
# :::
#
# :::{admonition} Exercise 2
# You stop a run of 300 calibrated rounds after 150, because the samples look good. Which epsilon
# may you state? And if you stopped because a *private* metric looked good?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# That of all 300, unless 150 was fixed beforehand. The guarantee is that of the mechanism with its
# stopping rule, which on other releases would have gone on; an epsilon that itself depends on the
# releases needs a proof of its own {cite:p}`rogers2016odometers`. In the second case not even that
# of 300 is enough: the moment of stopping depends on the private records outside the mechanism, so
# it is a release of its own.
# :::
#
# :::{admonition} Exercise 3
# A one-shot prior was released with multiplier $m$, and the rounds are calibrated to what is left.
# Why can the two epsilons not be subtracted to find that budget?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Epsilons at one delta do not add up exactly: adding them is valid but wasteful. Renyi curves add,
# order by order, and are converted once. That is why `calibrate_noise` takes `other_events` and no
# smaller target.
# :::
#
# **Read next:** {ref}`the method whole <method>`, and for the attack on these figures
# {ref}`the audit <audit>`.
