"""The owners: isolation, the batched ensemble against a loop, shards."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.config.groups import ContributionConfig, CriticConfig
from dpgen_core.losses import class_statistics
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.models.critics import Critic, build_critic
from dpgen_core.reconstruction import FORMS, targets_of
from dpgen_core.training.owners import BETAS, OwnerEnsemble, assign_shards
from dpgen_core.training.threads import using_threads

CLASSES, SHARDS, SIZE = 3, 6, 10
BASIS = FrequencyBasis((1, 8, 8), 4)


def make_critic(name: str, classify: bool = False) -> Critic:
    torch.manual_seed(0)
    basis = FrequencyBasis((1, 8, 8), 4)  # of the default dtype of the test
    kind, width = ("conv", 16) if name == "wide conv" else (name, 8)
    return build_critic(kind, basis=basis, num_classes=CLASSES, width=width, classify=classify)


def make_ensemble(
    codes: torch.Tensor | None = None,
    *,
    critic: str = "mlp",
    classifier_weight: float = 0.0,
    target: str = "matched",
) -> OwnerEnsemble:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(SHARDS, SIZE, BASIS.dim, generator=generator)
    labels = torch.randint(0, CLASSES, (SHARDS, SIZE), generator=generator)
    return OwnerEnsemble(
        make_critic(critic, classifier_weight > 0),
        drawn if codes is None else codes,
        labels,
        CriticConfig(batch_size=5, learning_rate=1e-2, gradient_penalty=10.0),
        ContributionConfig(
            adversarial_weight=1.0,
            classifier_weight=classifier_weight,
            reconstruction_target=target,
        ),
        num_classes=CLASSES,
        match_scale=BASIS.falloff(4.0),
        seed=7,
    )


def public_fakes(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, BASIS.dim, generator=generator), torch.arange(count) % CLASSES


def play(ensemble: OwnerEnsemble, rounds: int = 3) -> list[torch.Tensor]:
    """Contributions (k, B, d) of a few rounds in which owners 0, 2, 3 and 5 join."""
    memory = ErrorMemory(SHARDS, CLASSES, BASIS.dim, 0.5)
    fakes, fake_labels = public_fakes()
    joined = torch.tensor([0, 2, 3, 5])
    answers = []
    for t in range(rounds):
        ensemble.train(joined, fakes, fake_labels, steps=2, round_index=t)
        raw = ensemble.answer(
            joined,
            fakes[:6],
            fake_labels[:6],
            class_statistics(fakes, fake_labels, CLASSES),
            reconstruction_weight=0.3,
        )
        answers.append(memory.feed_back(joined, raw, fake_labels[:6], 1.0)[0])
    return answers


@pytest.mark.parametrize(
    ("critic", "target"),
    [
        *(("mlp", "matched"), ("conv", "matched"), ("wide conv", "matched")),
        *(("mlp", form) for form in FORMS if form != "matched"),
    ],
)
def test_another_record_in_one_shard_changes_no_other_owner(critic: str, target: str) -> None:
    base = make_ensemble(critic=critic, target=target)
    codes = base.codes.clone()
    codes[2, 4] = 25.0  # replace one record of shard 2 by something far off
    neighbor = make_ensemble(codes, critic=critic, target=target)
    for ours, theirs in zip(play(base), play(neighbor), strict=True):
        assert torch.equal(ours[[0, 2, 3]], theirs[[0, 2, 3]])  # owners 0, 3, 5: bitwise
        assert not torch.equal(ours[1], theirs[1])  # the replaced record is not ignored
        assert float(theirs.flatten(1).norm(dim=1).max()) <= 1.0


def test_who_else_joins_changes_no_contribution(double: None) -> None:
    """Or else an owner's coin would show in what the others contribute."""
    fakes, labels = public_fakes()
    statistics = class_statistics(fakes, labels, CLASSES)
    answers = []
    for joined in ([3], [1, 3, 4], [0, 1, 2, 3, 4, 5]):
        ensemble = make_ensemble()
        index = torch.tensor(joined)
        ensemble.train(index, fakes, labels, steps=3, round_index=0)
        answer = ensemble.answer(index, fakes, labels, statistics, reconstruction_weight=0.0)
        answers.append(answer[joined.index(3)])
    for answer in answers[1:]:  # of another shape, so sums may be taken in another order
        torch.testing.assert_close(answer, answers[0], atol=1e-10, rtol=1e-10)


def test_owners_that_do_not_join_stay_as_they_are() -> None:
    ensemble = make_ensemble()
    before = {name: value.clone() for name, value in ensemble.params.items()}
    play(ensemble)
    for name, value in ensemble.params.items():
        assert torch.equal(value[[1, 4]], before[name][[1, 4]])
        assert not torch.equal(value[0], before[name][0])


@pytest.mark.parametrize(
    ("critic", "classifier_weight"),
    [("mlp", 0.0), ("mlp", 0.2), ("conv", 0.0), ("wide conv", 0.0)],
)
def test_threads_never_mix_owners(critic: str, classifier_weight: float) -> None:
    """One critic object may not serve two threads; each would train on the other's parameters."""
    joined, (fakes, labels), found = torch.arange(SHARDS), public_fakes(), []
    for number in (1, 4):
        ensemble = make_ensemble(critic=critic, classifier_weight=classifier_weight)
        with using_threads(number):
            ensemble.train(joined, fakes, labels, steps=40, round_index=0)
        found.append(
            ensemble.codes.new_tensor([v.double().sum() for v in ensemble.params.values()])
        )
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)


def test_training_leaves_no_path_back_to_the_generator() -> None:
    ensemble = make_ensemble()
    fakes, labels = public_fakes()
    ensemble.train(torch.tensor([0, 1]), fakes.requires_grad_(True), labels, steps=2, round_index=0)
    assert not any(value.requires_grad for value in ensemble.params.values())


def loop_train(ensemble: OwnerEnsemble, critic: Critic, shard: int, steps: int) -> Critic:
    """What one owner would do alone, with torch's own autograd and Adam."""
    fakes, fake_labels = public_fakes()
    learned = [p for p in critic.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=ensemble.training.learning_rate, betas=BETAS)
    by_label = [(fake_labels == k).nonzero()[:, 0] for k in range(CLASSES)]
    for step in range(steps):
        pick, fake_at, mix = ensemble._draw(0, step, torch.tensor([shard]))
        real, labels = ensemble.codes[shard][pick[0]], ensemble.labels[shard][pick[0]]
        rows = [
            by_label[k][int(u * len(by_label[k]))]
            for k, u in zip(labels.tolist(), fake_at[0].tolist(), strict=True)
        ]
        fake = fakes[torch.stack(rows)]
        between = (mix[0] * real + (1 - mix[0]) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between, labels).sum(), between, create_graph=True)
        penalty = ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
        loss = critic(fake, labels).mean() - critic(real, labels).mean()
        loss = loss + ensemble.training.gradient_penalty * penalty
        if ensemble.contribution.classifier_weight:
            for codes in (real, fake):
                loss = loss + torch.nn.functional.cross_entropy(critic.classify(codes), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return critic


@pytest.mark.parametrize(
    ("critic", "classifier_weight"),
    [("mlp", 0.0), ("mlp", 0.2), ("conv", 0.0), ("conv", 0.2), ("wide conv", 0.0)],
)
def test_batched_ensemble_equals_a_plain_loop(
    critic: str, classifier_weight: float, double: None
) -> None:
    ensemble = make_ensemble(critic=critic, classifier_weight=classifier_weight)
    joined = torch.tensor([1, 4])
    fakes, labels = public_fakes()
    ensemble.train(joined, fakes, labels, steps=3, round_index=0)
    statistics = class_statistics(fakes, labels, CLASSES)
    batched = ensemble.answer(joined, fakes, labels, statistics, reconstruction_weight=0.3)
    for row, shard in enumerate(joined.tolist()):
        alone = loop_train(ensemble, make_critic(critic, classifier_weight > 0), shard, 3)
        for name, value in alone.named_parameters():
            torch.testing.assert_close(ensemble.params[name][shard], value, atol=1e-9, rtol=1e-7)
        x = fakes.clone().requires_grad_(True)
        loss = -alone(x, labels).sum()
        targets, weights = targets_of(
            "matched",
            fakes,
            labels,
            statistics,
            ensemble.codes[shard],
            ensemble.labels[shard],
            BASIS.falloff(4.0),
        )
        loss = loss + 0.3 * (weights * (x - targets).square()).sum() / 2
        if classifier_weight:
            logits = alone.classify(x)
            loss = loss + classifier_weight * torch.nn.functional.cross_entropy(
                logits, labels, reduction="sum"
            )
        (expected,) = torch.autograd.grad(loss, x)
        torch.testing.assert_close(batched[row], expected, atol=2e-3, rtol=1e-2)


def test_stacked_parameters_answer_like_the_module() -> None:
    ensemble = make_ensemble()
    params = {name: value[0] for name, value in ensemble.params.items()}
    fakes, labels = public_fakes()
    critic = make_critic("mlp")
    stacked = functional_call(critic, params, (fakes, labels))
    torch.testing.assert_close(stacked, critic(fakes, labels))


def test_assignment_is_a_partition() -> None:
    shards = assign_shards(103, 10, seed=3)
    assert shards.shape == (10, 10)
    assert len(shards.flatten().unique()) == 100
    assert torch.equal(shards, assign_shards(103, 10, seed=3))
    assert not torch.equal(shards, assign_shards(103, 10, seed=4))
    with pytest.raises(InvalidArgument, match="num_shards: received 11"):
        assign_shards(10, 11, seed=0)


def test_whether_a_pool_will_do_is_no_matter_of_private_labels() -> None:
    """Were classes counted on the records, a pool without one would show that a record has it."""
    fakes, labels = public_fakes()
    without = labels != CLASSES - 1
    for top in (CLASSES - 1, CLASSES - 2):  # with and without a record of the last class
        ensemble = make_ensemble()
        ensemble.labels.clamp_(max=top)
        with pytest.raises(InvalidArgument, match="fake of every class"):
            ensemble.train(
                torch.tensor([0]), fakes[without], labels[without], steps=1, round_index=0
            )


def test_nobody_joins() -> None:
    ensemble = make_ensemble()
    fakes, labels = public_fakes()
    nobody = torch.zeros(0, dtype=torch.long)
    assert ensemble.train(nobody, fakes, labels, steps=2, round_index=0).shape == (0,)
    statistics = class_statistics(fakes, labels, CLASSES)
    answer = ensemble.answer(nobody, fakes, labels, statistics, reconstruction_weight=0.1)
    assert answer.shape == (0, *fakes.shape)
