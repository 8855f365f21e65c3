"""The front door: bad values stop with a message that names value, rule and choices."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from charges import round_event
from hypothesis import given, settings, strategies as st
from made_records import CELEBA

from dpgen_core.accounting import Ledger, epsilon_of_events
from dpgen_core.checks import InvalidArgument
from dpgen_core.config import groups, schema
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import (
    COLORED,
    METHODS,
    PARTS,
    PROFILES,
    SWITCHES,
    method_names,
)
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.prior.gaussian import prior_events
from dpgen_core.prior.mixture import CELLS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0}, r"epsilon: received 0, but it must be a finite number > 0"),
        ({"epsilon": -1.0}, r"epsilon: received -1.0"),
        ({"epsilon": float("nan")}, r"epsilon: received nan"),
        ({"epsilon": float("inf")}, r"epsilon: received inf"),
        ({"epsilon": "3"}, r"epsilon: received '3'"),
        ({"epsilon": True}, r"epsilon: received True"),
        ({"delta": 0.5}, r"delta: received 0.5.*< 0.0005.*a number below 1/N = 1/2000"),
        ({"delta": 0}, r"delta: received 0"),
        ({"delta": "1e-5"}, r"delta: received '1e-5'.*Try delta=0\.00001, a number"),
        ({"delta": 1e-15}, r"delta: received 1e-15.*composing the rounds"),
        ({"fake_pool": 7}, r"fake_pool: received 7.*each of the 10 classes.*fake_pool=40"),
        ({"delta": 1 / 2000}, r"delta: received 0.0005"),
        ({"dataset": "mnits"}, r"dataset: received 'mnits'.*mnist, fashion_mnist, celeba, glyphs"),
        (
            {"method": "gan"},
            r"method: received 'gan'.*efsgd-prior, efsgd, gaussian, mixture",
        ),
        ({"profile": "fast"}, r"profile: received 'fast'.*smoke, quick, paper"),
        ({"accountant": "moments"}, r"accountant: received 'moments'.*rdp, pld"),
        ({"seed": -1}, r"seed: received -1"),
        ({"seed": "0"}, r"seed: received '0'"),
        (
            {"num_records": 50, "num_shards": 100},
            r"num_records: received 50.*at least num_shards = 100.*N >= K",
        ),
        ({"num_records": 70_000}, r"num_records: received 70000.*<= 60000"),
        ({"num_records": 2.5}, r"num_records: received 2.5"),
        ({"sampling_rate": 0.0}, r"sampling_rate: received 0.0"),
        ({"noise_multiplier": 0.1}, r"overrides: received \['noise_multiplier'\]"),
        ({"critc": "mlp"}, r"overrides: received \['critc'\]"),
        ({"critic": "rnn"}, r"critic: received 'rnn'.*mlp, conv"),
        ({"prior_share": 1.0}, r"prior_share: received 1.0.*< 1 when rounds > 0"),
        ({"clip_mode": "none"}, r"clip_mode: received 'none'"),
        ({"reconstruction_target": "far"}, r"reconstruction_target: received 'far'.*assigned"),
        ({"noise_source": "zero"}, r"noise_source: received 'zero'"),
        *(
            ({name: value}, rf"{name}: received {value!r}")
            for name, values in {
                **dict.fromkeys(("latent_dim", "critic_width", "prior_rank"), (0, 2.0, "8")),
                **dict.fromkeys(("synthetic_records", "real_records"), (0, -5, 300.0, 3)),
                **dict.fromkeys(("neighbor_records", "num_shards"), (0, -5, 300.0)),
                **dict.fromkeys(("generator_momentum", "ema_decay"), (-0.1, 1.0, "0.5")),
                **dict.fromkeys(("critic_learning_rate", "prior_corner"), (0, -1.0, "1")),
                **dict.fromkeys(("generator_learning_rate", "prior_mean_radius"), (0, -1.0)),
                **dict.fromkeys(("reconstruction_until", "prior_covariance_radius"), (0, -1.0)),
                **dict.fromkeys(("noise_injection", "evaluated", "prior_frame"), (0, "no")),
                **dict.fromkeys(("keep_pool", "prior_contrast", "label_in_refiner"), (1,)),
                "generator_width": (0, 2, 6, 16.0),
                "classifier_epochs": (0, 1.5),
                "critic_warmup_steps": (-1, 1.0),
                "feedback_decay": (-0.1, 1.5),
                "match_corner": (0,),
                "basis_modes": (0, 29),
                "prior_modes": (-1, 29),
                "checkpoint_every": (0,),
                "maximum": (0, "255"),
            }.items()
            for value in values
        ),
    ],
)
def test_bad_values_are_named(change: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"dataset": "glyphs", "profile": "smoke"} | change
    with pytest.raises(InvalidArgument, match=message):
        make_config(**values)  # type: ignore[arg-type]


def planned_epsilon(config: ExperimentConfig, accountant: str) -> float:
    events = (
        prior_events(config.privacy.prior_noise_multiplier, config.prior.num_cells)
        if config.prior.modes
        else ()
    )
    rounds = (
        [dataclasses.replace(round_event(config), count=config.privacy.rounds)]
        if config.privacy.rounds
        else []
    )
    return epsilon_of_events(
        [*events, *rounds],
        delta=config.privacy.delta,
        relation=config.privacy.relation,
        accountant=accountant,  # type: ignore[arg-type]
    )


@settings(max_examples=40, deadline=None)
@given(
    epsilon=st.floats(0.2, 20),
    rate=st.floats(0.02, 1.0),
    rounds=st.integers(1, 400),
    share=st.floats(0.01, 0.95),
    prior=st.booleans(),
)
def test_plan_never_passes_the_budget(
    epsilon: float, rate: float, rounds: int, share: float, prior: bool
) -> None:
    config = make_config(
        dataset="glyphs",
        profile="smoke",
        method="efsgd-prior" if prior else "efsgd",
        epsilon=epsilon,
        sampling_rate=rate,
        rounds=rounds,
        **({"prior_share": share} if prior else {}),
    )
    spent = planned_epsilon(config, "rdp")
    assert spent <= epsilon
    assert spent > 0.97 * epsilon  # and does not waste it


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_a_ledger_accepts_the_plan_and_not_one_round_more(accountant: str) -> None:
    config = make_config(dataset="glyphs", profile="smoke", epsilon=2.0, accountant=accountant)
    ledger = Ledger(
        relation=config.privacy.relation,
        delta=config.privacy.delta,
        accountant=config.privacy.accountant,
        target_epsilon=config.privacy.epsilon,
    )
    for event in prior_events(config.privacy.prior_noise_multiplier, config.prior.num_cells):
        ledger.charge(event)
    for _ in range(config.privacy.rounds):
        ledger.charge(round_event(config))
    with pytest.raises(RuntimeError, match="would pass the budget"):
        for _ in range(config.privacy.rounds):
            ledger.charge(round_event(config))


def shown_on(method: str) -> dict[str, Any]:
    """A data set that the method takes."""
    return CELEBA if method in COLORED else {"dataset": "glyphs"}


@pytest.mark.parametrize("method", COLORED)
def test_a_prior_for_photographs_needs_colors(method: str) -> None:
    with pytest.raises(InvalidArgument, match=r"prior_chroma: received 0.3.*three channels"):
        make_config(dataset="glyphs", method=method)


def test_every_method_and_profile_makes_a_config() -> None:
    for profile in PROFILES:
        for method in method_names():
            config = make_config(**shown_on(method), profile=profile, method=method)
            assert config.method == method
            again = ExperimentConfig.from_dict(json.loads(json.dumps(config.to_dict())))
            assert again == config
            assert again.record_name() == config.record_name()


def test_each_switch_changes_its_part_alone() -> None:
    for base in ("efsgd", "efsgd-prior"):
        whole = make_config(dataset="glyphs", profile="quick", method=base).to_dict()
        for part, change in PARTS.items():
            off = make_config(dataset="glyphs", profile="quick", method=f"{base}/no-{part}")
            differing = {k for k, v in off.to_dict().items() if v != whole[k]} - {"method"}
            assert differing == {k for k, v in change.items() if v != whole[k]}, part
    for method, change in SWITCHES.items():
        base, on = method.partition("/")[0], shown_on(method)
        whole = make_config(**on, profile="quick", method=base)
        off = make_config(**on, profile="quick", method=method)
        # None takes what the budget carries; another share of the prior changes the rounds' noise.
        asked = {name for name, value in change.items() if value is None}
        if "prior_share" in change:
            asked |= {"noise_multiplier", "prior_noise_multiplier"}
        found = {name: off.to_dict()[name] for name in asked}
        assert whole.replace(method=method, **{**change, **found}) == off != whole


def test_a_prior_gets_the_cells_its_budget_carries() -> None:
    few, many = (
        make_config(dataset="glyphs", profile="quick", method="mixture", epsilon=e)
        for e in (1.0, 1e3)
    )
    assert (few.prior.num_cells, many.prior.num_cells) == (1, CELLS)
    asked = make_config(dataset="glyphs", method="mixture", epsilon=1.0, prior_cells=3)
    assert asked.prior.num_cells == 3
    plain = make_config(dataset="glyphs", method="gaussian", epsilon=1e3)
    assert plain.prior.num_cells == 1
    without = make_config(dataset="glyphs", prior_modes=0, prior_share=0.0)
    assert without.prior.num_cells == 1 and without.privacy.prior_noise_multiplier == 0


def test_a_small_budget_leaves_the_rounds_less() -> None:
    small, large = (make_config(dataset="glyphs", epsilon=e) for e in (1.0, 1e3))
    assert small.prior.num_cells == 1 < large.prior.num_cells
    assert 0.5 < large.prior.budget_share < small.prior.budget_share < 1.0
    for config in (small, large):  # what is charged is what the share says
        whole = make_config(dataset="glyphs", method="gaussian", epsilon=config.privacy.epsilon)
        noise = whole.privacy.prior_noise_multiplier / config.privacy.prior_noise_multiplier
        assert noise**2 == pytest.approx(config.prior.budget_share)
    assert make_config(dataset="glyphs", epsilon=1.0, prior_share=0.5).prior.budget_share == 0.5
    without = make_config(dataset="glyphs", epsilon=1.0, prior_modes=0)
    assert without.prior.budget_share == 0 and without.privacy.prior_noise_multiplier == 0


def test_names_tell_settings_apart() -> None:
    names = {
        make_config(dataset="glyphs", profile="smoke", method=m, seed=s, epsilon=e).record_name()
        for m in METHODS
        for s in (0, 1)
        for e in (1.0, 10.0)
    }
    assert len(names) == len(METHODS) * 4
    frozen = make_config(dataset="glyphs", profile="smoke")
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.privacy.noise_multiplier = 0.0  # type: ignore[misc]


def test_the_last_digits_of_the_noise_do_not_rename_a_run() -> None:
    config = make_config(dataset="glyphs", profile="smoke")
    for name in ("noise_multiplier", "prior_noise_multiplier"):
        noise = getattr(config.privacy, name)
        elsewhere = config.replace(**{name: noise * (1 + 1e-12)})  # as another processor rounds
        assert elsewhere != config and elsewhere.record_name() == config.record_name()
        assert config.replace(**{name: noise * 1.002}).record_name() != config.record_name()


def test_a_record_without_a_curve_was_made_with_the_former_one() -> None:
    now = make_config(dataset="glyphs", method="mixture")
    assert now.prior.curve == "full-range"
    written = {
        n: v for n, v in now.to_dict().items() if n not in ("prior_curve", "dither", "grain")
    }
    then = ExperimentConfig.from_dict(written)
    assert then.prior.curve == "logistic"
    assert then.generator.dither == then.generator.grain == 0
    assert then.record_name() != now.record_name()
    # what is not made with the curve keeps its name
    plain = make_config(dataset="glyphs", method="gaussian")
    assert plain.replace(prior_curve="logistic").record_name() == plain.record_name()
    with pytest.raises(InvalidArgument, match="prior_curve"):
        make_config(dataset="glyphs", method="mixture", prior_curve="steep")
    with pytest.raises(InvalidArgument, match="dither"):
        make_config(dataset="glyphs", dither=1.5)
    with pytest.raises(InvalidArgument, match="grain"):
        make_config(dataset="glyphs", grain=-0.5)


def test_title_and_description_change_nothing_but_the_statement() -> None:
    plain = make_config(dataset="glyphs", profile="smoke")
    told = make_config(dataset="glyphs", profile="smoke", title="Scans", description="Ours.")
    assert (plain.title, plain.description) == ("", "")
    assert (told.title, told.description) == ("Scans", "Ours.")
    assert told.record_name() == plain.record_name()
    assert told.deciding() == plain.deciding()
    assert ExperimentConfig.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    with pytest.raises(InvalidArgument, match=r"title: received 3, but it must be text"):
        make_config(dataset="glyphs", title=3)


def test_a_setting_added_later_leaves_every_record_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(dataset="glyphs", profile="smoke")
    before, old = config.record_name(), config.to_dict()

    @dataclasses.dataclass(frozen=True)
    class Later(groups.CriticConfig):
        added: float = 0.5

    monkeypatch.setattr(schema, "GROUPS", {**groups.GROUPS, "critic": Later})
    monkeypatch.setattr(schema, "FLAT", {**groups.FLAT, "added": ("critic", "added")})
    later = ExperimentConfig.from_dict(old)
    assert later.record_name() == before
    assert later.replace(added=0.25).record_name() != before


@pytest.mark.parametrize(("dataset", "usual"), [("glyphs", 28), ("celeba", 32)])
def test_clip_radii_of_a_prior_grow_with_the_side(dataset: str, usual: int) -> None:
    """A code is as long as the side, so that a fixed radius would cut larger pictures."""

    def radii(method: str, side: int | None) -> tuple[float, float]:
        config = make_config(dataset=dataset, method=method, num_records=2000, image_size=side)
        return config.prior.mean_radius, config.prior.covariance_radius

    methods = ("gaussian", "efsgd-prior", *(("gaussian/with-color",) if usual == 32 else ()))
    for method in methods:
        as_found = radii(method, None)
        assert (
            as_found
            == radii(method, usual)
            == ((40.0, 28.0) if "color" in method else (20.0, 14.0))
        )
        for side in (16, 64):
            assert radii(method, side) == tuple(side / usual * radius for radius in as_found)
    given = make_config(
        dataset=dataset, method="gaussian", num_records=2000, image_size=64, prior_mean_radius=9.0
    )
    assert given.prior.mean_radius == 9.0  # what a caller sets is not scaled
