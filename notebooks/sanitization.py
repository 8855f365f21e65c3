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
# (sanitization)=
# # Gradient sanitization
#
# *What the paper says:* it trains a generator on sanitized gradients, with Renyi accounting. *What the lineage
# does:* GS-WGAN {cite:p}`chen2020gswgan` had the idea this chapter explains, that noise is needed in one place
# only. *What we do:* the same, with one clip, one draw and one event per round.
#
# *After this chapter you can* say why noise is needed in one place only, and what goes wrong if the latent is private
# or if a fixed number of owners join.
#
# ## One arrow out of the private side
#
# The generator $G_\theta$ of a GAN never sees a record. Critics do. What the generator needs from a critic is how its
# loss changes with $\theta$, and by the chain rule
#
# $$
# \nabla_\theta \mathcal L = J_\theta^\top \cdot \nabla_x \mathcal L(x),
# \qquad x = G_\theta(z, y), \quad J_\theta = \partial x / \partial \theta .
# $$
#
# The Jacobian $J_\theta$ is taken at a *public* latent $z$ and label $y$ of a public network: it can be
# computed by anybody. All that is private is in the **image gradient** $u = \nabla_x \mathcal L(x)$, which says
# how the images should change. Clip $u$, add noise, and the rest of training is post-processing. Compare
# DP-SGD {cite:p}`abadi2016dpsgd`, which noises a vector as long as the network has weights, for every batch.

# %% tags=["parameters"]
sampling_rate = 0.1  # q
num_shards = 1000  # K, owners
rounds = 300  # T
epsilon = 10.0
simulated_rounds = 2000
seed = 0

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(
    globals(),
    ("sampling_rate", "num_shards", "rounds", "epsilon", "simulated_rounds", "seed"),
)

import matplotlib.pyplot as plt
import torch

from companion.book.figures import COLORS
from dpgen_core.checks import check_int
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.config.make import make_config
from dpgen_core.mechanism.clipping import clip_contributions
from dpgen_core.mechanism.release import sanitize
from dpgen_core.models.critics import build_critic
from dpgen_core.models.generators import ConvGenerator
from dpgen_core.streams import HiddenStream, stream

check_int("rounds", rounds, low=1, fix="rounds=300")
check_int("simulated_rounds", simulated_rounds, low=1, high=100_000, fix="simulated_rounds=2000")
config = make_config(  # checks the rest
    dataset="glyphs",
    method="efsgd",
    profile="quick",
    epsilon=epsilon,
    sampling_rate=sampling_rate,
    num_shards=num_shards,
    rounds=rounds,
    seed=seed,
)

# %% [markdown]
# Four owners, in a space of two dimensions instead of thousands:

# %% tags=["remove-input"]
from companion.book.diagrams import diagram

diagram("sanitization")

# %% [markdown]
# The cell below checks the equation on a generator and a critic of this package: the gradient by way of the
# image equals the gradient through everything.

# %%
torch.manual_seed(seed)
basis = FrequencyBasis((1, 28, 28), 14)
generator = ConvGenerator((1, 28, 28), 10, latent_dim=32, width=16, noise_form="pixel")
critic = build_critic("mlp", basis=basis, num_classes=10, width=64, classify=False)
latents, labels = torch.randn(8, 32), torch.arange(8)
parameters = [p for p in generator.parameters() if p.requires_grad]

images = generator(latents, labels, stream(seed, "injection"))
through = torch.autograd.grad(-critic(basis.encode(images), labels).mean(), parameters)

images = generator(latents, labels, stream(seed, "injection"))
public = images.detach().requires_grad_()
(image_gradient,) = torch.autograd.grad(-critic(basis.encode(public), labels).mean(), public)
by_image = torch.autograd.grad(images, parameters, grad_outputs=image_gradient)

gap = max(float((a - b).abs().max()) for a, b in zip(through, by_image, strict=True))
weights = sum(p.numel() for p in parameters)
print(
    f"largest difference {gap:.1e}; {weights:,} weights, {image_gradient[0].numel()} pixels an image"
)

# %% [markdown]
# :::{warning}
# The argument needs $z$ and $y$ to be public. If $z$ encoded a record, as in an auto-encoder, $J_\theta$ would be
# private too, and a sanitized image gradient would not be enough. That is why the reconstruction loss of this
# book takes a public latent and a private *target*: see {doc}`the losses </book/_executed/losses>`.
# :::
#
# ## Each owner has one shard
#
# Records are split into $K$ disjoint shards, one for each *owner*, and each owner has a critic of its own. One record
# can then change one owner's answer only. However much that critic overfits, clipping its answer to norm $C$ bounds
# what the record can do. An owner may use its records as often as it likes, and keep its critic, its optimizer's state,
# and a memory of what was cut off: none of it leaves. This also fits data that *do* lie with many owners, such as
# hospitals; in this book all owners live in one process and are trained as one batch.
#
# ## One clip over the round
#
# A joining owner answers for all $B$ images of a round at once. Its answers share one coin, so they are one
# release, and the bound is on their joint norm. The lineage clips each image's gradient to $C$ and counts $B$
# releases; the joint norm of such an answer is up to $C \sqrt B$. The joint clip has another advantage: all
# images of an owner shrink by one factor, so the *direction* in which the owner pulls is kept. How much a
# clip turns the sum over all owners is measured in {doc}`clipping bias </book/_executed/clipping_bias>`.
#
# Clip, sum and noise are three lines. Here twenty owners want about the same, and some are louder than others:


# %%
def sanitized(contributions, C, sigma, noise):
    norms = contributions.flatten(1).norm(dim=1)  # (k,), one for an owner's whole answer
    clipped = contributions * (C / norms).clamp(max=1)[:, None, None]
    return clipped.sum(0) + sigma * C * noise


common, own = torch.randn(1, 40, basis.dim), torch.randn(20, 40, basis.dim)
answers = (common + own) * torch.linspace(0.001, 0.1, 20)[:, None, None]  # (20, 40, d)
noise = HiddenStream("demo", "noise", 0, 0).normal((40, basis.dim)).float()
ours = sanitized(answers, 1.0, 2.0, noise)
clipped, norms = clip_contributions(answers, 1.0)
packaged = sanitize(clipped, 1.0, 2.0, HiddenStream("demo", "noise", 0, 0)).float()
print(f"norms from {norms.min():.2f} to {norms.max():.2f}, bound 1")
print(
    f"largest difference between these lines and the package: {(ours - packaged).abs().max():.1e}"
)
assert torch.allclose(ours, packaged, atol=1e-4)

# %% [markdown]
# ## Hidden coins
#
# In each round an owner joins with probability $q$, by its own coin. Compare a draw of *exactly* $qK$ owners: the
# two have the same mean, but with the fixed-size draw an owner's absence means somebody else's presence.

# %%
coins = [HiddenStream("demo", "coins", t).uniform(num_shards) for t in range(simulated_rounds)]
sizes = [int((row < sampling_rate).sum()) for row in coins]

# %% mystnb={"figure": {"caption": "How many owners join a round under Poisson sampling, over many rounds. A draw of fixed size would be the dashed line.", "name": "fig-draws"}, "image": {"alt": "A bell-shaped histogram of cohort sizes around a dashed line at their mean."}} tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 2.8))
axis.hist(sizes, bins=range(min(sizes), max(sizes) + 2), color=COLORS[0])
axis.axvline(sampling_rate * num_shards, color="black", linestyle="--", linewidth=1)
axis.set(xlabel="joining owners", ylabel="rounds")
plt.show()

# %% [markdown]
# Why insist on it? Because the proof fixes what everybody else does, and then looks at one coin
# ({ref}`theorem <privacy>`). With a fixed-size draw that cannot be done, and amplification for owners who keep
# state has, to our knowledge, no proof. The price is small: a round's cohort varies by about $\sqrt{qK}$, and
# nobody may learn by how much.
#
# ## How much noise is that?
#
# A round's release has $B \cdot d$ entries, and its noise has the norm $\sigma C \sqrt{B d}$, while an owner's
# contribution has at most norm $C$. A single contribution drowns, which is the purpose. What survives is what
# many owners have in common: $qK$ contributions that agree add up to $qKC$.

# %%
privacy = config.privacy
basis = FrequencyBasis((1, 28, 28), config.contribution.basis_modes)
entries = config.contribution.generated_batch * basis.dim
noise_std = privacy.noise_multiplier * privacy.max_grad_norm
noise_norm = noise_std * entries**0.5
cohort = privacy.sampling_rate * privacy.num_shards * privacy.max_grad_norm
print(f"one contribution: at most {privacy.max_grad_norm:g}")
print(f"a cohort that agrees: {cohort:g}")
print(f"noise of one round: {noise_norm:.0f}, in {entries} entries")
print(f"noise along one fixed direction: {noise_std:.2f}")

# %% [markdown]
# The noise is much longer than the signal, and yet training works: it points in a random direction among
# thousands, different in each round, while the signal points the same way from round to round. Projecting both
# on a *public basis*, the low-frequency modes in which natural images live, cuts the noise further and leaves the
# signal nearly whole; that is the projection in `dpgen_core.codes.basis`.
#
# ## Summary
#
# * The generator needs image gradients only, and its latents are public. So one clip and one noise, in image space, are
#   enough.
# * The clip is on an owner's whole answer, the coin is its own, and the noise is on the sum.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# A friend suggests sanitizing the gradient with respect to the generator's *weights* instead. Which quantity
# grows, and by how much?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# The number of noisy entries, from $B d$ to the number of weights: see the first cell's output. The noise norm
# grows with its square root at equal sensitivity. Where images are larger than networks it would be the other way
# round.
# :::
#
# :::{admonition} Exercise 2
# May a critic be trained on a record in rounds in which its owner does not join?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Yes: nothing leaves. The proof asks that the coin of round $t$ be independent of the owner's hidden state, not that
# the state be idle. (In this package only joining critics are trained, which is cheaper.)
# :::
#
# **Read next:** {doc}`the losses </book/_executed/losses>` that make up $u$, and {ref}`the theorem <privacy>`.
