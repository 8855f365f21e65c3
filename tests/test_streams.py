"""Keyed streams: repeatable, independent by name, and secret when they must be."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import stats

from dpgen_core.checks import InvalidArgument, check_int, check_real
from dpgen_core.streams import HiddenStream, recorded_streams, secret_key, stream


def draw(*path: int | str) -> torch.Tensor:
    return torch.randn(4096, generator=stream(*path))


def test_same_name_same_draw_other_name_other_draw() -> None:
    assert torch.equal(draw("k", "noise", 3, 0), draw("k", "noise", 3, 0))
    for other in (("k", "noise", 3, 1), ("k", "noise", 4, 0), ("l", "noise", 3, 0)):
        overlap = float(torch.corrcoef(torch.stack([draw("k", "noise", 3, 0), draw(*other)]))[0, 1])
        assert abs(overlap) < 0.08


def test_public_draws_stay_what_they_were() -> None:
    """A changed address would silently change every record that was ever published."""
    key = hashlib.sha256(b"3/latents/5").digest()
    expected = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") // 2)
    draws = [torch.rand(4, generator=g) for g in (stream(3, "latents", 5), expected)]
    assert torch.equal(*draws)


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    draw("k", "noise", 1)
    assert torch.equal(before, torch.get_rng_state())


def test_hidden_stream_is_shake_256_of_its_address() -> None:
    raw = hashlib.shake_256(b"k/coins/3/0").digest(16)
    words = [int.from_bytes(raw[8 * i : 8 * i + 8], "little") >> 12 for i in range(2)]
    drawn = HiddenStream("k", "coins", 3, 0).uniform(2)
    assert drawn.dtype == torch.float64
    assert drawn.tolist() == [(word + 0.5) / 2**52 for word in words]
    longer = HiddenStream("k", "coins", 3, 0).uniform(7)
    assert torch.equal(longer[:2], drawn)  # no state: a second call starts again
    normal = HiddenStream("k", "coins", 3, 0).normal((1, 2))
    assert normal.shape == (1, 2)
    np.testing.assert_allclose(stats.norm.cdf(normal[0]), drawn, rtol=1e-12)


@pytest.mark.parametrize(("bits", "tail", "sign"), [(0, 2.0**-107, -1), (2**64 - 1, 2.0**-53, 1)])
def test_the_ends_of_the_range_are_finite_and_both_tails_alike(
    bits: int, tail: float, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By plain inversion of 53 bits the largest draw is infinite; tails end at -8.3 and 8.1."""

    def words(_: HiddenStream, count: int) -> np.ndarray:
        return np.full(count, bits, dtype=np.uint64)

    monkeypatch.setattr(HiddenStream, "_words", words)
    assert 0 < float(HiddenStream("k").uniform(1)) < 1
    low = float(HiddenStream("k").normal((1,)))
    assert low == pytest.approx(sign * stats.norm.isf(tail), rel=1e-12)
    monkeypatch.setattr(
        HiddenStream, "_words", lambda _, count: np.full(count, bits ^ 2**64 - 1, dtype=np.uint64)
    )
    # The other end has its second word inverted too: the two differ in the bits below 2^-53 alone.
    assert np.sign(float(HiddenStream("k").normal((1,)))) == -np.sign(low)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("place", [3, 2**20])  # among the 2^53 tail probabilities of the first word
def test_tails_are_as_fine_as_the_middle(
    place: int, upper: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far out, one step of the first word is wide; the second word must fill it."""
    high = np.uint64((2**53 - 1 - place if upper else place) << 11)

    def words(_: HiddenStream, count: int) -> np.ndarray:
        second = np.linspace(0, 2**64 - 2**12, count // 2).astype(np.uint64)
        return np.concatenate([np.full(count // 2, high), second])

    monkeypatch.setattr(HiddenStream, "_words", words)
    drawn = HiddenStream("k").normal((1001,)).numpy()
    ends = stats.norm.isf([(place + 1) * 2.0**-53, place * 2.0**-53]) * (1 if upper else -1)
    assert sorted([drawn[0], drawn[-1]]) == pytest.approx(sorted(ends), rel=1e-5)
    step = abs(ends[1] - ends[0])
    assert drawn.max() - drawn.min() == pytest.approx(step, rel=0.01)
    assert np.abs(np.diff(drawn)).max() < 2e-3 * step


def test_hidden_draws_have_their_distributions_and_differ_by_path() -> None:
    paths = [("k", "noise", 3, 0), ("k", "noise", 3, 1), ("k", "noise", 4, 0), ("l", "noise", 3, 0)]
    drawn = [HiddenStream(*path).normal((200, 500)).flatten() for path in paths]
    for values in drawn:
        assert stats.kstest(values.numpy(), "norm").pvalue > 1e-3
    overlap = torch.corrcoef(torch.stack(drawn)) - torch.eye(4)
    assert overlap.abs().max() < 0.015
    uniform = HiddenStream("k", "coins").uniform(100_000).numpy()
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert uniform.min() > 0 and uniform.max() < 1


def test_secret_keys() -> None:
    assert secret_key("seeded", 1) == secret_key("seeded", 1) != secret_key("seeded", 2)
    keys = {secret_key("secret", 1) for _ in range(50)}
    assert len(keys) == 50
    assert min(map(len, keys)) == 64
    with pytest.raises(InvalidArgument, match=r"noise_source: received 'none'.*seeded, secret"):
        secret_key("none", 1)


def test_every_stream_that_is_opened_is_recorded_with_its_address() -> None:
    stream("k", "before")
    with recorded_streams() as outer:
        stream(7, "latents", 3)
        with recorded_streams() as inner:
            HiddenStream("k", "noise", 3, 1)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(stream, 7, "weights").result()
        HiddenStream("k", "coins", 3, 1).uniform(2)
    HiddenStream("k", "after")
    assert inner == [("hidden", "k", ("noise", 3, 1)), ("stream", 7, ("weights",))]
    assert outer == [
        ("stream", 7, ("latents", 3)),
        *inner,
        ("hidden", "k", ("coins", 3, 1)),
    ]


def test_recording_ends_with_its_block_whatever_happens_in_it() -> None:
    with recorded_streams() as other:
        with pytest.raises(RuntimeError), recorded_streams() as opened:
            raise RuntimeError
        stream("k", "after")
    assert opened == [] and other == [("stream", "k", ("after",))]


def test_recording_changes_no_draw() -> None:
    plain = HiddenStream("k", "noise").normal((5,)), draw("k", "noise")
    with recorded_streams():
        recorded = HiddenStream("k", "noise").normal((5,)), draw("k", "noise")
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), float("inf"), -1.0, 0.0])
def test_real_check_refuses(value: object) -> None:
    with pytest.raises(InvalidArgument, match="epsilon: received .* Try epsilon=10"):
        check_real("epsilon", value, low=0, low_open=True, fix="epsilon=10")


@pytest.mark.parametrize("value", [True, "3", 2.5, None, 0, 11])
def test_int_check_refuses(value: object) -> None:
    with pytest.raises(InvalidArgument, match="rounds: received"):
        check_int("rounds", value, low=1, high=10, fix="rounds=5")
