"""Several processes on one run: the same result, one noise, and no release lost with a rank."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import spread_worker
import torch
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from companion.studies.fork_server import fork_server
from dpgen_core import experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.experiment import run_experiment
from dpgen_core.training.ranks import ALONE, Ranks
from dpgen_core.training.workspace import FollowingWorkspace, Workspace

pytestmark = pytest.mark.xdist_group("ranks")  # one launch of two ranks serves several tests
METHODS = ("efsgd-prior", "efsgd/with-frame", "efsgd/with-appearance")


def launch(folder: Path, *cases: str, ranks: int = 2) -> None:
    """As ``torchrun --standalone --nproc-per-node=RANKS``, which makes this call of it, but from here
    and forked, so that neither it nor the ranks import PyTorch anew.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method=fork_server().get_start_method(),
    )
    ended = elastic_launch(config, spread_worker.main)(str(folder), *cases)
    assert ended.keys() == set(range(ranks))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Where so many ranks left what they trained, and two of them a record as well."""
    cases = {2: (*METHODS, "run"), 3: ("efsgd-prior",)}

    @cache
    def of(ranks: int) -> Path:
        folder = tmp_path_factory.mktemp(f"ranks{ranks}")
        launch(folder, *cases[ranks], ranks=ranks)
        return folder

    return of


@pytest.mark.parametrize("count, size", [(7, 1), (7, 2), (100, 3), (2, 3)])
def test_every_shard_has_one_rank(count: int, size: int) -> None:
    parts = [Ranks(rank, size).part(count) for rank in range(size)]
    assert [i for part in parts for i in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_every_exchange_is_free() -> None:
    rows = torch.arange(6.0).view(3, 2)
    for same in (ALONE.sum(rows), ALONE.join(rows), ALONE.collect(rows)):
        assert same is rows
    assert ALONE.decide(2) == 2 and ALONE.share({"rows": rows})["rows"] is rows


@pytest.mark.parametrize(
    ("ranks", "method"),
    [(2, "efsgd-prior"), (3, "efsgd-prior"), (2, "efsgd/with-frame"), (2, "efsgd/with-appearance")],
)
def test_the_number_of_ranks_changes_nothing(
    ranks: int, method: str, together: Callable[[int], Path]
) -> None:
    alone = spread_worker.train(ALONE, method)
    first, *others = (
        load_file(spread_worker.trained(together(ranks), method, rank)) for rank in range(ranks)
    )
    assert first.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, atol=1e-6, rtol=1e-6, msg=name)
    for other in others:
        for name, value in other.items():
            assert torch.equal(value, first[name]), name  # generators never drift apart


def test_a_lost_rank_stops_the_run_and_nothing_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChildFailedError) as lost:
        launch(tmp_path, "lose")
    # The other rank may be seen to fail first, as it waits for the lost one in vain.
    first = min(lost.value.failures.items())
    assert first[0] == 0 or first[1].exitcode == -signal.SIGKILL
    config = spread_worker.configure()
    work = tmp_path / ".work" / config.record_name()
    lines = [json.loads(line) for line in (work / "journal.jsonl").read_text().splitlines()]
    journaled = [line for line in lines if line["name"] == "rounds"]
    assert {line["index"] for line in journaled} >= set(range(spread_worker.KILLED_IN))
    monkeypatch.setattr(experiment, "evaluate", lambda *arguments, **keywords: {})
    record = run_experiment(
        config, results_dir=tmp_path, progress=False
    )  # alone, from its checkpoint
    events = record.privacy["ledger"]["events"]
    charged = sum(event["count"] for event in events if event["name"] == "rounds")
    assert charged >= len(journaled)
    assert max(record.privacy["epsilon"].values()) <= config.privacy.epsilon
    assert not work.exists()


def test_two_ranks_write_the_record_that_one_writes(
    tmp_path: Path, together: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "evaluate", lambda *arguments, **keywords: {})
    config = spread_worker.configure()
    alone = run_experiment(config, results_dir=tmp_path / "one", progress=False)
    ledgers = [
        json.loads((folder / config.record_name() / "privacy.json").read_text())["ledger"]
        for folder in (tmp_path / "one", together(2))
    ]
    assert ledgers[0] == ledgers[1] == alone.privacy["ledger"]


def test_one_critic_has_no_shards_to_part(tmp_path: Path) -> None:
    config = spread_worker.configure("dp-sgd-critic")
    with pytest.raises(InvalidArgument, match=r"learner: .*'owners' when several processes"):
        run_experiment(config, results_dir=tmp_path, ranks=Ranks(0, 2))
    assert not list(tmp_path.iterdir())


def test_followers_get_key_and_checkpoint_and_write_nothing(tmp_path: Path) -> None:
    with Workspace(tmp_path / "run", fingerprint="f", noise_source="secret", seed=0) as kept:
        start = FollowingWorkspace(kept.for_followers())
        assert start.key == kept.key and start.load() is None
        kept.save({"x": torch.arange(3)}, {"next_round": 2})
        with FollowingWorkspace(kept.for_followers()) as later:
            tensors, state = later.load() or ({}, {})
    assert tensors["x"].tolist() == [0, 1, 2] and state == {"next_round": 2}
