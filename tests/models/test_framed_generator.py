"""Rounds on framed codes: frames, gradients, and what owners contribute."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from companion.studies.train_alone import train_alone
from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.frames import ENTRIES, FramedBasis, measure, to_canonical
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData, load
from dpgen_core.models.generators import FramedGenerator
from dpgen_core.models.noise_injection import NoiseOfSome
from dpgen_core.streams import stream
from dpgen_core.training.owner_trainer import OwnerTrainer

SHAPE = (1, 28, 28)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
LATENTS = torch.randn(len(LABELS), 8, generator=stream(0, "latents"))


def make_generator() -> FramedGenerator:
    torch.manual_seed(0)
    return FramedGenerator(SHAPE, 3, 8, 4, None)


def config(method: str = "efsgd/with-frame", **overrides: object) -> ExperimentConfig:
    settings: dict[str, object] = {"num_shards": 20, "rounds": 2, "num_records": 200}
    return make_config(dataset="glyphs", method=method, profile="smoke", **settings | overrides)  # type: ignore[arg-type]


def records() -> ImageData:
    return load("glyphs", "train", num_records=200, seed=0)


def trainer(data: ImageData) -> OwnerTrainer:
    return OwnerTrainer(config(), data, "key", device=torch.device("cpu"))


def test_codes_hold_the_image_and_the_frame_it_is_shown_in() -> None:
    generator, basis = make_generator(), FramedBasis(SHAPE, 28)
    codes = generator.codes(basis, LATENTS, LABELS, stream(0, "a"))
    assert codes.shape == (len(LABELS), basis.dim)
    shown = generator(LATENTS, LABELS, stream(0, "a"))
    torch.testing.assert_close(basis.decode(codes).clamp(0, 1), shown, atol=1e-5, rtol=0)


def test_encode_measures_and_joins() -> None:
    basis = FramedBasis(SHAPE, 12)
    images = load("glyphs", "test", num_records=8, seed=0).images
    codes = basis.encode(images)
    frames = measure(images)
    torch.testing.assert_close(basis.join(to_canonical(images, frames), frames), codes)


def test_frames_are_drawn_around_a_learned_middle_of_each_class() -> None:
    generator = make_generator()
    labels = torch.arange(3).repeat_interleave(2000)
    latents = torch.randn(6000, 8, generator=stream(0, "latents"))
    with torch.no_grad():
        generator.middle[1, 4] = 0.3
        _, frames = generator.parts(latents, labels, stream(0, "a"))
    middles = torch.stack([frames[labels == k].mean(0) for k in range(3)])
    torch.testing.assert_close(middles, generator.middle.detach(), atol=0.03, rtol=0)
    assert bool((frames.std(0) > 0.04).all())
    assert float(frames.abs().max()) <= 1.0


def test_a_gradient_on_codes_reaches_image_and_frame() -> None:
    generator, basis = make_generator(), FramedBasis(SHAPE, 12)
    codes = generator.codes(basis, LATENTS, LABELS, stream(0, "a"))
    release = torch.zeros_like(codes)
    release[:, -1] = 1.0  # slants alone
    codes.backward(release)
    assert generator.middle.grad is not None
    assert bool((generator.middle.grad[:, -1] != 0).all())
    assert not generator.middle.grad[:, :-1].any()
    assert generator.to_image.bias.grad is None or not generator.to_image.bias.grad.any()


def test_frames_do_not_depend_on_who_makes_the_image() -> None:
    generator = make_generator()
    whole = generator(LATENTS, LABELS, stream(0, "a"))
    some = NoiseOfSome(stream(0, "a"), range(2, 5), len(LABELS))
    torch.testing.assert_close(generator(LATENTS[2:5], LABELS[2:5], some), whole[2:5])


def test_owners_judge_image_and_frame_together() -> None:
    run = trainer(records())
    assert run.basis.dim == 14 * 14 + ENTRIES
    pool, _ = run.pool(0)
    assert pool.shape[1] == run.basis.dim
    report = run.compute(0)
    assert report.release.shape == (run.config.contribution.generated_batch, run.basis.dim)
    before = run.generator.middle.detach().clone()  # type: ignore[union-attr]
    run.apply(report)
    assert not torch.equal(run.generator.middle, before)  # type: ignore[union-attr]


def test_one_record_moves_the_contribution_of_one_shard_alone() -> None:
    """The sensitivity rests on this: other owners' codes do not depend on the replaced record."""
    data = records()
    images = data.images.clone()
    images[7] = 1 - images[7]
    ours, theirs = (trainer(replace(data, images=shown)) for shown in (data.images, images))
    changed = (ours.ensemble.codes != theirs.ensemble.codes).flatten(1).any(1)
    assert int(changed.sum()) == 1


def test_samples_are_images() -> None:
    made = train_alone(config(), records(), device=torch.device("cpu")).sample(
        torch.arange(20) % 10
    )
    assert made.shape == (20, *SHAPE)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_the_switch_changes_no_privacy_parameter() -> None:
    on, off = (config(method).to_dict() for method in ("efsgd/with-frame", "efsgd"))
    assert {name for name in on if on[name] != off[name]} == {"method", "rounds_frame"}


def test_critics_are_perceptrons_at_every_profile() -> None:
    assert config().critic.kind == "mlp"
    paper = make_config(dataset="glyphs", method="efsgd/with-frame", profile="paper")
    assert paper.critic.kind == "mlp"
    with pytest.raises(InvalidArgument, match="critic"):
        config(critic="conv")


@pytest.mark.parametrize("method", ["efsgd-prior", "gaussian", "mixture"])
def test_not_where_a_prior_makes_the_images(method: str) -> None:
    with pytest.raises(InvalidArgument, match="rounds_frame"):
        make_config(dataset="glyphs", method=method, profile="smoke", rounds_frame=True)
