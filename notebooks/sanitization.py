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
# ## One arrow out of the private side
#
# The generator $G_\theta$ never sees a record. Critics do. What the generator needs from a critic is how its
# loss changes with $\theta$, and by the chain rule
#
# $$
# \nabla_\theta \mathcal L = J_\theta^\top \cdot \nabla_x \mathcal L(x),
# \qquad x = G_\theta(z, y), \quad J_\theta = \partial x / \partial \theta .
# $$
#
# The Jacobian $J_\theta$ is taken at a *public* latent $z$ and label $y$ of a public network: it can be
# computed by anybody. All that is private is in the **image gradient** $u = \nabla_x \mathcal L(x)$, which says
# how the pictures should change. Clip $u$, add noise, and the rest of training is post-processing. Compare
# DP-SGD {cite:p}`abadi2016dpsgd`, which noises a vector as long as the network has weights, for every batch.
#
# The cell below checks the equation on a generator and a critic of this package: the gradient by way of the
# image equals the gradient through everything.

# %%
import matplotlib.pyplot as plt
import torch

from companion.book.figures import COLORS
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.config.make import make_config
from dpgen_core.models.critics import build_critic
from dpgen_core.models.generators import ConvGenerator
from dpgen_core.streams import HiddenStream, stream

torch.manual_seed(0)
basis = FrequencyBasis((1, 28, 28), 14)
generator = ConvGenerator((1, 28, 28), 10, latent_dim=32, width=16, noise_injection=True)
critic = build_critic("mlp", basis=basis, num_classes=10, width=64, classify=False)
latents, labels = torch.randn(8, 32), torch.arange(8)
parameters = [p for p in generator.parameters() if p.requires_grad]

images = generator(latents, labels, stream(0, "injection"))
through = torch.autograd.grad(-critic(basis.encode(images), labels).mean(), parameters)

images = generator(latents, labels, stream(0, "injection"))
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
# ## Shards are owners
#
# Records are split into $K$ disjoint shards, each with a critic of its own. One record can then influence one
# shard's answer only, so however much that critic overfits, clipping its answer to norm $C$ bounds what the
# record can do. A critic may see its records as often as it likes, keep its weights, its optimizer's moments,
# and a memory of what was cut off: none of it leaves. It also fits data that *do* lie with many owners, such as
# hospitals; in this book all owners live in one process and are trained as one batch.
#
# ## One clip over the round
#
# A joining shard answers for all $B$ images of a round at once. Its answers share one coin, so they are one
# release, and the bound is on their joint norm. The lineage clips each image's gradient to $C$ and counts $B$
# releases; the joint norm of such an answer is up to $C \sqrt B$. The joint clip has another advantage: all
# images of a shard shrink by one factor, so the *direction* in which the shard pulls is kept. How much a
# clip turns the sum of all shards is measured in {doc}`clipping bias </book/_executed/clipping_bias>`.
#
# ## Hidden coins
#
# In each round a shard joins with probability $q$, by its own coin. Compare a draw of *exactly* $qK$ shards: the
# two have the same mean, but with the fixed-size draw a shard's absence means somebody else's presence.

# %% mystnb={"figure": {"caption": "How many shards join a round of the default settings, under Poisson sampling, over two thousand rounds. A draw of fixed size would be the dashed line.", "name": "fig-draws"}, "image": {"alt": "Histogram of cohort sizes around their mean"}} tags=["hide-input"]
config = make_config(dataset="glyphs", method="efsgd", profile="quick")
privacy = config.privacy
coins = [HiddenStream("demo", "coins", t).uniform(privacy.num_shards) for t in range(2000)]
sizes = [int((row < privacy.sampling_rate).sum()) for row in coins]
figure, axis = plt.subplots(figsize=(6.4, 2.8))
axis.hist(sizes, bins=range(min(sizes), max(sizes) + 2), color=COLORS[0])
expected = privacy.sampling_rate * privacy.num_shards
axis.axvline(expected, color="black", linestyle="--", linewidth=1)
axis.set(xlabel="joining shards", ylabel="rounds")
plt.show()

# %% [markdown]
# Why insist on it? Because the proof fixes what everybody else does, and then looks at one coin
# ({ref}`theorem <privacy>`). With a fixed-size draw that cannot be done, and amplification for owners who keep
# state has, to our knowledge, no proof. The price is small: a round's cohort varies by about $\sqrt{qK}$, and
# nobody may learn by how much.
#
# ## How much noise is that?
#
# A round's release has $B \cdot d$ entries, and its noise has the norm $\sigma C \sqrt{B d}$, while a shard's
# contribution has at most norm $C$. A single contribution drowns, which is the purpose. What survives is what
# many shards have in common: $qK$ contributions that agree add up to $qKC$.

# %%
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
# ## Exercises
#
# :::{admonition} Exercise 1
# A friend suggests to sanitize the gradient with respect to the generator's *weights* instead. Which quantity
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
# May a critic be trained on a record in rounds in which its shard does not join?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Yes: nothing leaves. The proof asks that the coin of round $t$ be independent of the shard's hidden state, not that
# the state be idle. (In this package only joining critics are trained, which is cheaper.)
# :::
#
# **Read next:** {doc}`the losses </book/_executed/losses>` that make up $u$, and {ref}`the theorem <privacy>`.
