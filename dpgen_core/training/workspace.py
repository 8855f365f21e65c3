"""The private work folder of a run: secret, journal of releases, checkpoint, lock.

It exists while a run is under way, holds private state (critics, memory, the secret key) and is never
to be published. The **journal** gets one line per release, with the release's SHA-256, forced to
disk *before* the release is used; the ledger is rebuilt from it, so it never counts less than was
released. A line cut short by a kill belongs to a release nobody used and is dropped. How a resumed
run repeats the rounds after its last checkpoint is in `session.Session`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dpgen_core.checks import InvalidArgument, require
from dpgen_core.files import write_private
from dpgen_core.streams import secret_key

_BOOKS = "books"  # name of the bookkeeping among a checkpoint's tensors


@dataclass(frozen=True)
class JournalLine:
    """One release that was made: which, on which attempt, and its digest."""

    name: str
    index: int
    attempt: int
    digest: str


def work_folder(results: Path, record_name: str) -> Path:
    """Where the private work folder of a run lies."""
    return results / ".work" / record_name


class Workspace:
    """Open (or create) the work folder of one run and hold its lock; a context manager.

    A folder of another `fingerprint` (configuration and data) or held by another process is refused.
    """

    def __init__(self, path: Path, *, fingerprint: str, noise_source: str, seed: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = open(path / "lock", "w")  # noqa: SIM115 - held until close()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            require(False, "results_dir", str(path), "used by one run at a time", "to wait for it")
        stored = self._stored("fingerprint", fingerprint)
        rule = f"the one this folder was started with ({stored[:12]}): data or settings changed"
        fix = f"deleting {path} to start over (what it released stays released)"
        require(stored == fingerprint, "fingerprint", fingerprint[:12], rule, fix)
        self.key = self._stored("secret", secret_key(noise_source, seed))
        self.journal = self._read_journal()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def attempts(self, name: str, index: int) -> dict[str, int]:
        """Digest -> attempt of every journaled release of that name and index."""
        lines = (line for line in self.journal if (line.name, line.index) == (name, index))
        return {line.digest: line.attempt for line in lines}

    def record_release(self, line: JournalLine) -> None:
        """Append to the journal and force it to disk; call before the release is used."""
        with open(self.path / "journal.jsonl", "a") as file:
            file.write(json.dumps(asdict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.journal.append(line)

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> None:
        """Write the checkpoint atomically: what changes from round to round, and JSON-ready books."""
        target, partial = self.path / "checkpoint.safetensors", self.path / "checkpoint.partial"
        flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        text = json.dumps(state)
        save_file(flat, partial, metadata={"state": text, "digest": _digest(flat, text)})
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last checkpoint, or None. Never unpickles."""
        path = self.path / "checkpoint.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
            tensors, text = load_file(path), metadata["state"]
            if _digest(tensors, text) != metadata["digest"]:
                raise ValueError("its content is not what was written")
            # Copies, as PyTorch aligns them: sums over unaligned memory may round otherwise.
            return {name: value.clone() for name, value in tensors.items()}, json.loads(text)
        except (SafetensorError, ValueError, KeyError) as error:
            raise InvalidArgument(
                f"checkpoint: received {str(path)!r}, but it must be whole ({error}). Try deleting it: "
                "the run then starts again, and the journal's releases stay charged."
            ) from error

    def remove_key(self) -> None:
        """Unlink the secret; the run is over."""
        (self.path / "secret").unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path)

    def for_followers(self) -> dict[str, Tensor]:
        """Key and last checkpoint as tensors, for the other ranks of the run."""
        tensors, state = self.load() or ({}, None)
        books = {"key": self.key, "state": state}
        text = torch.frombuffer(bytearray(json.dumps(books).encode()), dtype=torch.uint8)
        return {_BOOKS: text} | tensors

    def _stored(self, name: str, value: str) -> str:
        """The stored value of `name`; stores `value` first if there is none."""
        path = self.path / name
        if not path.exists():
            write_private(path, value)
        return path.read_text()

    def _read_journal(self) -> list[JournalLine]:
        path = self.path / "journal.jsonl"
        if not path.exists():
            return []
        try:
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]
            if whole != text:  # a kill cut the last line short
                with open(path, "r+") as file:
                    file.truncate(len(whole.encode()))
            return [JournalLine(**json.loads(line)) for line in whole.splitlines()]
        except (ValueError, TypeError) as error:
            raise InvalidArgument(
                f"journal: received {str(path)!r}, but every line must be one that this run wrote "
                f"({error}). Try a copy from a backup: without it nobody knows what was released."
            ) from error

    def check_covers(self, name: str, count: int) -> None:
        """Refuse to go on from a checkpoint whose releases 0..count-1 the journal does not hold."""
        missing = [index for index in range(count) if not self.attempts(name, index)]
        rule = f"complete: it lacks the {name} {missing[:5]} that the checkpoint has used"
        fix = "a copy from a backup; going on would count too little"
        require(not missing, "journal", str(self.path / "journal.jsonl"), rule, fix)


class FollowingWorkspace(Workspace):
    """What a rank without books has of them, by `for_followers` of the first; writes nothing."""

    def __init__(self, received: dict[str, Tensor]) -> None:
        books = json.loads(received.pop(_BOOKS).numpy().tobytes())
        self.path, self.key = Path("the first rank's"), books["key"]
        self.journal = []
        self._checkpoint = None if books["state"] is None else (received, books["state"])

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The checkpoint the first rank sent, or None."""
        return self._checkpoint


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 of a checkpoint: a flipped bit must not train on unseen."""
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def cpu_state(module: torch.nn.Module, prefix: str) -> dict[str, Tensor]:
    """A module's parameters and buffers under prefixed names, ready for `Workspace.save`."""
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries ``prefix.name``, by name; for a module, the inverse of `cpu_state`."""
    cut = len(prefix) + 1
    return {name[cut:]: v for name, v in state.items() if name.startswith(prefix + ".")}
