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
# (whole-method)=
# # The whole method in 60 lines
#
# This page trains a private image generator from scratch, in the open. Nothing is hidden behind a
# helper: the cells marked *step* are the whole algorithm, and they come to 60 lines. At the end the
# package `dpgen_core` runs the same rounds with the same random draws, and the two must agree.
#
# *After this chapter you can* say what each of the eight steps of a round does, point at the one
# place where private data get out, and change a line and see what it breaks. You need
# {doc}`the idea of privacy </book/_executed/privacy_from_scratch>` and basic PyTorch.
#
# **The setting.** The records are split among $K$ *owners*, each with a *shard* of its own. All want
# one generator of images together, but no record may leave its owner.
#
# **The idea.** A *generative adversarial network* (GAN) is a pair of networks: a *generator* turns
# random numbers into images, and a *critic* learns to tell them from real ones. The critic then says
# how each image should change to look more real, and the generator follows. Here every owner has a
# critic. What it says about public images is clipped, summed over owners and noised. Only that noisy
# sum reaches the generator.
#
# All settings are here. Change one, and run the page again:

# %% tags=["parameters"]
noise_multiplier = 1.35  # sigma, noise over the clip bound
max_grad_norm = 1.0  # C, the most that one owner can add to a sum
sampling_rate = 0.2  # q, the chance that an owner joins a round
feedback_decay = 0.5  # of the error memory; 0 is no memory
adversarial_weight = 1.0  # of what the critic says
reconstruction_weight = 0.5  # of the pull towards real records
max_epsilon = 10.0  # the budget
rounds = 40  # T
num_shards = 300  # K, owners
num_records = 3000  # N, over all owners
critic_steps = 1  # in each round that an owner joins
seed = 0

# %% tags=["hide-input", "setup"]
from companion.book.pages import check_parameters

check_parameters(
    globals(),
    (
        *("noise_multiplier", "max_grad_norm", "sampling_rate", "feedback_decay"),
        *("adversarial_weight", "reconstruction_weight", "max_epsilon", "rounds"),
        *("num_shards", "num_records", "critic_steps", "seed"),
    ),
)

from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.fft import dct
from torch.autograd import grad
from torch.nn import functional as F

from companion.book.figures import COLORS
from dpgen_core.accounting import Ledger, SampledGaussianEvent, epsilon_spent
from dpgen_core.checks import check_int, check_real
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import load
from dpgen_core.streams import HiddenStream, secret_key, stream
from dpgen_core.training.owner_trainer import OwnerTrainer

check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1.35")
check_real("feedback_decay", feedback_decay, low=0, high=1, fix="feedback_decay=0.5")
check_int("rounds", rounds, low=1, fix="rounds=40")
config = make_config(  # checks the rest
    dataset="glyphs",
    method="efsgd",
    epsilon=max_epsilon,
    seed=seed,
    num_records=num_records,
    num_shards=num_shards,
    sampling_rate=sampling_rate,
    rounds=rounds,
    max_grad_norm=max_grad_norm,
    feedback_decay=feedback_decay,
    adversarial_weight=adversarial_weight,
    reconstruction_weight=reconstruction_weight,
    critic_steps=critic_steps,
    critic_warmup_steps=0,
    critic_width=32,
    critic_batch=16,
    generator_width=8,
    fake_pool=40,
).replace(noise_multiplier=noise_multiplier)

# %% [markdown]
# ## One round
#
# What happens in a round, by the numbers of the steps below. Blue is public, and everything in the
# dashed area is private.

# %% tags=["remove-input"]
from companion.book.diagrams import diagram

diagram("mechanism")

# %% [markdown]
# ## What everybody starts from
#
# The records are `glyphs`, digits drawn from fonts, so that anybody can run this page. A public
# permutation deals them to the owners. Images are written in a *public basis*, the lowest
# frequencies of the cosine transform: a quarter as many numbers as pixels, and so a quarter of the
# noise energy, while most of an image is kept. The list of numbers is an image's *code*.

# %% tags=["setup"]
sigma, C, q, decay, K = noise_multiplier, max_grad_norm, sampling_rate, feedback_decay, num_shards
data = load("glyphs", "train", num_records=num_records, seed=seed)
images = data.images.double()  # 64 bits, so that rounding stays far below what we look at
torch.set_default_dtype(torch.float64)

modes = torch.tensor(dct(np.eye(28), norm="ortho", axis=0)[:14])  # the lowest 14 cosines


def encode(images):
    return (modes @ images @ modes.T).flatten(1)  # (n, 1, 28, 28) -> (n, 196)


order = torch.randperm(num_records, generator=stream(seed, "shards"))
shards = order[: num_records // K * K].reshape(K, -1)  # (K, n), disjoint
codes = encode(images[shards.flatten()]).unflatten(0, shards.shape)  # (K, n, 196)
labels = data.labels[shards]  # (K, n)
owned = list(zip(codes, labels, strict=True))  # what each owner has

# %% [markdown]
# Random numbers come from named streams. Whatever anybody may know (first weights, latents, labels)
# has a public seed. Coins and noise come from a `HiddenStream` with a secret key; on this page the
# key follows from the seed, so that you see the same numbers as we do. For a real release it must
# not. The weights that both runs start from are the package's.

# %% tags=["setup"]
key = secret_key("seeded", seed)
package = OwnerTrainer(
    config, SimpleNamespace(images=images, labels=data.labels), key, device=torch.device("cpu")
)


def fresh(network):
    return {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}


theta = fresh(package.generator)
critics = [fresh(package.critic) for _ in range(K)]  # one for each owner; never leaves it
optimizers = [torch.optim.Adam(w.values(), lr=2e-3, betas=(0.5, 0.9)) for w in critics]
memory = torch.zeros(K, 10, codes.shape[2])  # e_k for each label; never leaves the owner
adam = torch.optim.Adam(theta.values(), lr=4e-3, betas=(0.5, 0.99))
act = partial(F.leaky_relu, negative_slope=0.2)
double = partial(F.interpolate, scale_factor=2.0)  # the resolution


def latents(name, t):
    source = stream(seed, name, t)
    z, y = torch.randn(40, 32, generator=source), torch.arange(40) % 10
    return z, y[torch.randperm(40, generator=source)]


def batch(k, pool, pool_y, t, step):
    """Some of owner k's records, a public fake of the same label for each, and mixing weights."""
    draws = torch.rand(3, K, 16, generator=stream(seed, "owners", t, step))[:, k]
    pick = (draws[0] * codes.shape[1]).long()
    fakes = pool[pool_y.argsort(stable=True)].unflatten(0, (10, -1))  # by label
    fake = fakes[labels[k, pick], (draws[1] * fakes.shape[1]).long()]
    return codes[k, pick], fake, labels[k, pick], draws[2][:, None]


# %% [markdown]
# ## Step 1: the generator
#
# $x = G_\theta(z, y)$ turns a latent $z$ and a label $y$ into an image. Twice it doubles the
# resolution and convolves, and after each convolution it adds **injected noise**: one random map per
# image, times a learned scale $s_c$ per channel $c$,
#
# $$ h_c \leftarrow h_c + s_c\, n, \qquad n \sim \mathcal N(0, I). $$
#
# This noise is for variety, is public, and has nothing to do with privacy. The generator never sees
# a record.


# %% tags=["algorithm"]
def generate(w, z, y, noise):
    x = torch.cat([z, F.one_hot(y, 10)], 1) @ w["project.weight"].T + w["project.bias"]
    x = x.unflatten(1, (-1, 7, 7)) + w["label_bias.weight"][y][:, :, None, None]
    x = act(F.group_norm(x, 4, w["norm.weight"], w["norm.bias"]))
    for s in ("stages.0.", "stages.1."):
        x = F.conv2d(double(x), w[s + "conv.weight"], w[s + "conv.bias"], padding=1)
        x = x + w[s + "noise.scale"] * torch.randn(len(x), 1, *x.shape[2:], generator=noise)
        x = act(F.group_norm(x, 4, w[s + "norm.weight"], w[s + "norm.bias"]))
    return torch.sigmoid(F.conv2d(x, w["to_image.weight"], w["to_image.bias"], padding=1))


# %% tags=["setup"]
z, y = latents("round", 0)
x = encode(generate(theta, z, y, stream(seed, "injection", 0)))  # (40, 196), public
pool = (x.detach(), y)  # stands in for the pool of fakes until the rounds begin

# %% mystnb={"figure": {"caption": "Above: ten records of one owner. Below: ten images of the untrained generator.", "name": "fig-whole-start"}, "image": {"alt": "A row of clean white digits on black above a row of gray blotches without any shape."}} tags=["hide-input"]
figure, axes = plt.subplots(2, 10, figsize=(6.4, 1.4), layout="constrained")
for row, codes_shown in zip(axes, (codes[0, :10], x.detach()[y.argsort()[::4]]), strict=True):
    for axis, code in zip(row, codes_shown, strict=True):
        axis.imshow(modes.T @ code.view(14, 14) @ modes, cmap="gray", vmin=0, vmax=1)
        axis.set_axis_off()
plt.show()

# %% [markdown]
# ## Step 2: an owner trains its critic
#
# The critic $D_k$ gives a code a score. Owner $k$ trains it on its own records $x$ against public
# fakes $\tilde x$ of the same label, to score real higher than fake:
#
# $$
# \min_{D_k}\ \mathbb E\,[D_k(\tilde x) - D_k(x)]
# + 10\, \mathbb E \left(\lVert \nabla D_k(\hat x)\rVert - 1\right)^2 ,
# \qquad \hat x = m x + (1 - m)\tilde x .
# $$
#
# The second term is the *gradient penalty* (WGAN-GP {cite:p}`gulrajani2017wgangp`). It keeps the
# slope near one, so that the critic always says which way to go. The critic has seen records, so it
# is private and stays with its owner.


# %% tags=["algorithm"]
def score(w, x, y):
    h = act(x @ w["layer1.weight"].T + w["layer1.bias"] + w["label.weight"][y])
    return (act(h @ w["layer2.weight"].T + w["layer2.bias"]) * w["score.weight"][y]).sum(1)


def train(k, pool, t):
    for step in range(critic_steps):
        real, fake, y, mix = batch(k, *pool, t, step)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        (slope,) = grad(score(critics[k], between, y).sum(), between, create_graph=True)
        gap = score(critics[k], fake, y).mean() - score(critics[k], real, y).mean()
        optimizers[k].zero_grad()
        (gap + 10 * (slope.norm(dim=1) - 1).square().mean()).backward()
        optimizers[k].step()


# %% [markdown]
# ## Step 3: what the owner wants
#
# The owner differentiates a loss *with respect to the public codes*, not the generator's weights:
#
# $$
# u_k = \nabla_x \Bigl[ -\lambda_{\mathrm{adv}} \textstyle\sum_b D_k(x_b, y_b)
# + \lambda_{\mathrm{rec}} \tfrac12 \textstyle\sum_b \lVert x_b - r_k(x_b) \rVert^2 \Bigr].
# $$
#
# $r_k(x_b)$ is the **reconstruction target**: the image with its deviation from its class's mean
# stretched, number by number, to the deviations of the owner's own records of that class, and moved
# to their mean. The {doc}`chapter on losses </book/_executed/losses>` says why not simply the nearest
# record. An owner with fewer than two records of the class has no target for it. The weight
# $\lambda_{\mathrm{rec}}$ falls to half over the run.


# %% tags=["algorithm"]
def moments(of, of_y):
    share = F.one_hot(of_y, 10).T / of_y.bincount(minlength=10).clamp(min=1)[:, None]  # (10, n)
    mean = share @ of
    return mean, (share @ (of - mean[of_y]).square()).sqrt()  # by label and number, (10, 196)


def target(k, x, y, pool):
    (mean, deviation), (own_mean, own_deviation) = moments(*pool), moments(*owned[k])
    n = labels[k].bincount(minlength=10)[y, None]  # its records of each image's label, (40, 1)
    standard = (n / (n - 1).clamp(min=1)).sqrt() * (x - mean[y]) / (deviation[y] + 1e-6)
    return own_mean[y] + own_deviation[y] * standard, n[:, 0] > 1


def contribution(k, x, y, pool, t):
    goal, found = target(k, x.detach(), y, pool)
    pull = reconstruction_weight * (1 - t / (2 * rounds)) * (x - goal).square().sum(1) / 2
    return grad((found * pull - adversarial_weight * score(critics[k], x, y)).sum(), x)[0]


# %% tags=["setup"]
train(0, pool, t=0)  # owner 0 has a look, before the rounds begin
goal, found = target(0, x.detach(), y, pool)
u = contribution(0, x, y, pool, t=0)  # (40, 196), private
by_class = y.argsort()[::4]  # an image of each class
some = torch.cat([by_class[found[by_class]][:4], by_class[~found[by_class]][:1]])

# %% mystnb={"figure": {"caption": "Images of the generator, what owner 0 would have them become, and the direction it wants (minus its gradient). Blank: it has too few records of the class, and only its critic speaks.", "name": "fig-whole-gradient"}, "image": {"alt": "Three rows of small pictures: gray blotches, sharp digits, and red and blue maps in which the strokes of the digits above stand out. In the last column the digit is missing and the map has no shape."}} tags=["hide-input"]
figure, axes = plt.subplots(3, len(some), figsize=(4.6, 2.8), layout="constrained", squeeze=False)
names = ("image", "target", "wanted")
for row, name, shown in zip(axes, names, (x.detach(), found[:, None] * goal, -u), strict=True):
    for axis, code in zip(row, shown[some], strict=True):
        picture = modes.T @ code.view(14, 14) @ modes
        signed = {"cmap": "RdBu_r", "vmin": -picture.abs().max(), "vmax": picture.abs().max()}
        axis.imshow(
            picture, **(signed if name == "wanted" else {"cmap": "gray", "vmin": 0, "vmax": 1})
        )
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, fontsize=8)
plt.show()

# %% [markdown]
# ## Steps 4 and 5: clip and remember
#
# The owner adds what earlier clips cut off (its **error memory** $e_k$, kept per label), clips the
# sum over all images together to norm $C$, and keeps what was cut off this time:
#
# $$
# w_k = u_k + e_k[y], \qquad v_k = w_k \min\left(1, \frac{C}{\lVert w_k \rVert}\right), \qquad
# e_k[c] \leftarrow \text{decay} \cdot \operatorname{mean}_{b:\, y_b = c}\,(w_k - v_k)[b].
# $$
#
# The clip comes last, so $\lVert v_k \rVert \le C$ whatever the memory holds. That is why the memory
# costs no privacy, as long as it stays with the owner. `SLACK` lies a hair below the bound, which a
# rounding error may then not pass; the package keeps the same.

# %% tags=["setup"]
SLACK = 260 * 2.0**-24


# %% tags=["algorithm"]
def feed_back(k, u, y):
    wanted = u + memory[k, y]
    kept = wanted * (C * (1 - SLACK) / wanted.norm()).clamp(max=1)
    for c in y.unique():
        memory[k, c] = decay * (wanted - kept)[y == c].mean(0)
    return kept


# %% tags=["setup"]
v = feed_back(0, u, y)
print(f"norm wanted {u.norm():.2f}, norm released {v.norm():.5f}, bound {C:g}")

# %% [markdown]
# ## Step 6: sum and noise
#
# The one thing that leaves the private side is the sum over the owners that joined, with Gaussian
# noise on each of its numbers:
#
# $$ \tilde u = \textstyle\sum_k v_k + \mathcal N\!\left(0, (\sigma C)^2 I\right). $$
#
# Replacing one record changes one owner's $v_k$ to another vector of norm at most $C$, so the sum
# moves by $2C$ at most, and the noise hides a shift of that size. The last bits of a noisy number
# can betray what was there before the noise {cite:p}`mironov2012significance`, so the release is rounded to a public grid.

# %% tags=["setup"]
GRID = 2.0 ** (np.floor(np.log2(sigma * C)) - 26)


# %% tags=["algorithm"]
def release(kept, shape, t):
    noisy = sum(kept) + sigma * C * HiddenStream(key, "noise", t, 0).normal(shape)
    return ((noisy / GRID).round() * GRID).float()


# %% [markdown]
# ## Step 7: the ledger
#
# Each owner joins a round by a hidden coin of probability $q$. The ledger adds up what the rounds so
# far reveal, under *replace-one*, with the accountant of the
# {doc}`accounting chapter </book/_executed/accounting>`. It is asked before a round, and if the round
# would pass the budget, training ends there.

# %% tags=["setup"]
setting = {"noise_multiplier": sigma, "sampling_rate": q, "delta": config.privacy.delta}


# %% tags=["algorithm"]
def affordable(t):
    return epsilon_spent(rounds=t + 1, **setting) <= max_epsilon


# %% mystnb={"figure": {"caption": "Epsilon after each round, and the budget (dotted).", "name": "fig-whole-ledger"}, "image": {"alt": "A curve that rises quickly at first, then ever more slowly, and ends close to a dotted horizontal line."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(5.2, 2.0), layout="constrained")
axis.plot(
    range(1, rounds + 1),
    [epsilon_spent(rounds=t, **setting) for t in range(1, rounds + 1)],
    color=COLORS[0],
)
axis.axhline(max_epsilon, color="black", linestyle=":", linewidth=1)
axis.set(xlabel="round", ylabel=r"$\varepsilon$", ylim=(0, None))
plt.show()

# %% [markdown]
# ## Step 8: the generator's step
#
# The chain rule turns the release into a gradient of the weights,
# $J_\theta^\top \tilde u / (qKC)$ with the public Jacobian $J_\theta = \partial x / \partial \theta$,
# and Adam takes a step. All of this is computed from the release and public numbers, so it is
# *post-processing*: it reveals nothing more. The learning rate falls over the second half of the
# run.


# %% tags=["algorithm"]
def follow(x, released, t):
    adam.param_groups[0]["lr"] = 4e-3 * min(1, 2 * (1 - (t + 1) / rounds) + 0.05)
    adam.zero_grad()
    x.backward(released / (q * K * C))
    adam.step()


# %% [markdown]
# ## All rounds
#
# First, what we tried out above is undone: owner 0 forgets what it learned and remembered. Then the
# steps run in order. `pool` are public fakes for the critics to train against.

# %% tags=["setup"]
critics[0] = fresh(package.critic)
optimizers[0] = torch.optim.Adam(critics[0].values(), lr=2e-3, betas=(0.5, 0.9))
memory.zero_()
releases = []

# %% tags=["algorithm"]
for t in filter(affordable, range(rounds)):
    (z, y), fakes = latents("round", t), latents("pool", t)
    x = encode(generate(theta, z, y, stream(seed, "injection", t)))
    pool = encode(generate(theta, *fakes, stream(seed, "pool-injection", t, 0))).detach(), fakes[1]
    joined = (HiddenStream(key, "coins", t, 0).uniform(K) < q).nonzero()[:, 0]
    for k in joined:
        train(k, pool, t)
    kept = [feed_back(k, contribution(k, x, y, pool, t), y) for k in joined]
    releases.append(release(kept, x.shape, t))
    follow(x, releases[-1], t)

# %% mystnb={"figure": {"caption": "Last round. Left: the sum of the clipped contributions for one image, which nobody outside sees. Middle: the release, on the same color scale. Right: the image itself.", "name": "fig-whole-noise"}, "image": {"alt": "Three panels: a pale red and blue map with faint strokes, a map in much stronger colors in which no shape can be seen, and a blurred gray digit."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(5.2, 1.9), layout="constrained")
clean = sum(kept)[0] if kept else torch.zeros(codes.shape[2])
noisy = releases[-1][0].double()
limit = float((modes.T @ noisy.view(14, 14) @ modes).abs().max())
panels = {"sum (private)": -clean, "release": -noisy, "image": x.detach()[0]}
for axis, (name, code) in zip(axes, panels.items(), strict=True):
    picture = modes.T @ code.view(14, 14) @ modes
    axis.imshow(
        picture,
        **(
            {"cmap": "gray", "vmin": 0, "vmax": 1}
            if name == "image"
            else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        ),
    )
    axis.set_title(name, fontsize=9)
    axis.set_axis_off()
plt.show()

# %% [markdown]
# The noise is far larger than the signal, in every number of every round. But it points elsewhere
# each time, and the owners keep pulling the same way. That is what the generator learned:

# %% mystnb={"figure": {"caption": "Images of the trained generator, a column per digit.", "name": "fig-whole-samples"}, "image": {"alt": "Four rows of ten small blurred white shapes on black; some can be read as the digit of their column, many are blobs."}} tags=["hide-input"]
figure, axes = plt.subplots(4, 10, figsize=(6.4, 2.7), layout="constrained")
with torch.no_grad():
    wanted = torch.arange(10).repeat(4)
    shown = generate(theta, z, wanted, stream(seed, "shown")).squeeze(1)
for axis, picture in zip(axes.flat, shown, strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_axis_off()
plt.show()

# %% [markdown]
# A few rounds with a few owners make no good pictures; they show that the mechanism works. The
# {doc}`experiments </book/_executed/experiment>` have many more of both.
#
# ## The same with `dpgen_core`
#
# The package does these steps in `OwnerTrainer`: all owners in one batch of matrix products, the
# critic's gradient written out by hand, and guards against broken numbers. It has the same settings
# and, by the names of the streams, the same random draws. If both are right, they agree up to
# rounding, round by round.

# %% tags=["compare"]
ledger = Ledger(
    target_epsilon=max_epsilon,
    delta=config.privacy.delta,
    relation="replace-one",
    accountant="rdp",
)
rows = []
for t, ours in enumerate(releases):
    ledger.charge(SampledGaussianEvent("rounds", sigma, q))
    report = package.compute(t)
    package.apply(report)
    rows.append(
        {
            "round": t + 1,
            "owners joined": report.private["joined"],
            "largest number in the release": float(ours.abs().max()),
            "largest difference": float((report.release - ours).abs().max()),
        }
    )
agreement = pd.DataFrame(rows).set_index("round")
weights = max(
    float((p - theta[name]).detach().abs().max())
    for name, p in package.generator.named_parameters()
)
spent = epsilon_spent(rounds=len(releases), **setting)
print(f"largest difference in any release:             {agreement['largest difference'].max():.1e}")
print(f"largest difference in the generator's weights: {weights:.1e}")
print(f"epsilon by the page {spent:.6f}, by the package's ledger {ledger.epsilon():.6f}")
tolerance = 1e-6 * max(1.0, sigma * C)
assert agreement["largest difference"].max() < tolerance, "the releases differ"
assert weights < tolerance, "the generators differ"
assert abs(spent - ledger.epsilon()) < tolerance, "the ledgers differ"

# %% [markdown]
# Some of the rounds:

# %%
agreement.iloc[:: max(1, len(agreement) // 6)].style.format(
    {"largest number in the release": "{:.2f}", "largest difference": "{:.1e}"}
)

# %% [markdown]
# What is left out here, and is in the package: critics that are trained before the first round, a
# moving average of the generator's weights, a classifier beside each critic, a matching of records
# in which fine detail counts for more, and the choice of $\sigma$ from a budget.
#
# ## Summary
#
# * Critics, records, coins and memories are private and stay where they are. One noisy sum per
#   round gets out.
# * The clip bounds an owner's part in that sum; the noise hides a part of that size; hidden coins
#   make a round reveal less; the ledger adds the rounds up.
# * The error memory and the reconstruction target change what an owner says *before* the clip, so
#   neither costs privacy. Injected noise is in the public generator.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# Move the memory behind the clip: let the owner release `v_k + e_k`. Which sentence of step 5 fails,
# and what is the sensitivity then?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# $\lVert v_k + e_k \rVert \le C$ fails. The memory holds what many rounds cut off and has no bound
# of its own, so a replaced record can move the sum by any amount, and no noise of fixed size is
# enough. {doc}`Clipping bias </book/_executed/clipping_bias>` has the price of a bounded memory on
# the server.
# :::
#
# :::{admonition} Exercise 2
# Set `noise_multiplier` to a half of its value and run the page again. How many rounds are
# affordable? Is the picture better?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Look at the curve of the ledger: with half the noise it crosses the budget after a few rounds, and
# the loop stops there. The picture is worse. Fewer rounds with less noise are a bad bargain once
# $\sigma$ is below one or so, as the table of cohorts in the
# {doc}`accounting chapter </book/_executed/accounting>` shows.
# :::
#
# :::{admonition} Exercise 3
# The sum is divided by $qKC$, not by the number of owners that joined. Why?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# How many joined depends on hidden coins, and amplification by sampling asks that nobody learn
# them. $qK$ is the public expectation.
# :::
#
# :::{admonition} Exercise 4
# In `contribution`, the owner could use `x` with its graph and return a gradient for the weights
# `theta`. What would change for privacy, and what for the noise?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# For privacy nothing, if that gradient is clipped and noised in the same way. But it has as many
# numbers as the network has weights, and each gets noise. See
# {doc}`sanitization </book/_executed/sanitization>`.
# :::
#
# **Read next:** {doc}`sanitization </book/_executed/sanitization>` on why clipping in image space
# is enough.
