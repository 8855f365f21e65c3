"""Downloads, from a server on this machine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_files import numbers
from made_sets import MADE, make, pictures, publish
from torchvision import datasets as tv

from dpgen_core.data import published
from dpgen_core.data.sets import available, load


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server of that folder's files."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        # It looks that often whether it is to stop: every test waits for it.
        often = {"poll_interval": 0.02}
        thread = threading.Thread(target=running.serve_forever, kwargs=often, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


@pytest.fixture
def server(idx_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(idx_root / "MNIST" / "raw") as url:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(tv.MNIST, "mirrors", [url])
        yield url


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_missing_files_are_downloaded_into_the_root(server: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    assert not available("mnist", root=fresh, download=False) and not fresh.exists()
    assert available("mnist", root=fresh)
    names = sorted(path.name for path in (fresh / "MNIST" / "raw").iterdir())
    assert names == sorted(name for name, _ in tv.MNIST.resources)  # no scratch, nothing unpacked
    assert numbers(load("mnist", "test", root=fresh)) == list(range(12))


@pytest.mark.parametrize("name", MADE)
def test_every_published_set_is_fetched_from_its_server(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(name, tmp_path / "served", monkeypatch, train=5, test=7)
    place, fresh = tmp_path / "served" / MADE[name].folder, tmp_path / "fresh"
    with serving(place) as url:
        publish(name, monkeypatch, published_from=place, server=url)
        assert not available(name, root=fresh, download=False) and not fresh.exists()
        images = load(name, "test", root=fresh).images
    assert np.array_equal((images * 255).round().numpy(), pictures(name, "test", 7)[0])
    found = {str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file()}
    assert found == {str(Path(MADE[name].folder) / path.name) for path in place.iterdir()}


def test_a_wrong_download_leaves_no_file(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [(name, "0" * 32) for name, _ in tv.MNIST.resources]
    monkeypatch.setattr(tv.MNIST, "resources", wrong)
    fresh = tmp_path / "fresh"
    with pytest.raises(FileNotFoundError, match="corrupted"):
        load("mnist", "train", root=fresh)
    assert not [path for path in fresh.rglob("*") if path.is_file()]


def test_the_second_server_is_asked_when_the_first_is_silent(
    server: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "DOWNLOAD_SECONDS", 0.5)
    monkeypatch.setattr(tv.MNIST, "mirrors", [silent, server])
    assert len(load("mnist", "test", root=tmp_path / "fresh").labels) == 12


def test_without_a_network_the_wait_is_bounded_and_the_message_helps(
    idx_root: Path, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(published, "DOWNLOAD_SECONDS", 0.3)
    monkeypatch.setattr(tv.MNIST, "mirrors", [silent, silent])
    fresh = tmp_path / "fresh"
    started = time.monotonic()
    assert not available("mnist", root=fresh)
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", "train", root=fresh)
    assert time.monotonic() - started < 3
    for part in (str(fresh), "train-images-idx3-ubyte.gz", "DPGEN_DATA", "glyphs"):
        assert part in str(error.value)
    assert not fresh.exists()


def test_a_name_lookup_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no time limit of its own, so the socket's does not help."""
    over = threading.Event()

    def hang(*_: object, **__: object) -> None:
        over.wait(10)
        raise OSError

    monkeypatch.setattr(published.urllib.request, "urlopen", hang)
    monkeypatch.setattr(published, "DOWNLOAD_SECONDS", 0.2)
    started = time.monotonic()
    assert not published._answers("http://nowhere.invalid/")
    assert time.monotonic() - started < 5
    over.set()


def test_a_root_that_cannot_be_written_is_a_clear_error(server: str, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(FileNotFoundError, match=r"mnist: .*blocked.*DPGEN_DATA"):
        load("mnist", "train", root=blocked)
    assert not available("mnist", root=blocked)
