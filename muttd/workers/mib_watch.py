"""Keep operators' MIBs in force: what is dropped into the directory, or uploaded, names traps.

    directory, store --what changed--> parse (another process) --> link (a thread) --> swap whole

A text that is broken leaves all others in force, and of itself its last good version. Nothing here
makes a trap wait.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from muttd.errors import StoreUnavailable
from muttd.mibs.compiler import MAX_TEXT_OCTETS, MibCompiler, open_compiler
from muttd.mibs.entry import MibEntry, Origin, State
from muttd.mibs.link import Linked, LinkedModule, Shipped, link
from muttd.mibs.module import Module, Parsed
from muttd.mibs.shelf import Kept, MibShelf, digest_of
from muttd.mibs.text_files import Stamp, find_texts, read_text
from muttd.protocol.mib import Mib, MibInForce
from muttd.protocol.trap_severity import TrapSeverities
from muttd.store.contract import Store, StoredMib

# Sources by name: uploads go before files, and files in the order of their names.
_UPLOAD = "upload:"
_FILE = "file:"

# Of hundreds of texts that come at once the first name traps while the others are parsed.
_SLICE_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round put in force."""

    mib: Mib
    entries: list[MibEntry]
    kept: Kept


class MibWatch:
    """Operators' MIBs and severities.

    Args:
        shipped: What there is without them.
        store: Has what was uploaded.
        directory: Where texts are dropped.
        shelf: What was parsed before.
        check_interval_s: How often the directory and the store are looked at.
    """

    def __init__(
        self,
        shipped: Mib,
        store: Store,
        *,
        directory: Path,
        shelf: MibShelf,
        check_interval_s: float,
    ) -> None:
        self.in_force = MibInForce(shipped)
        self.entries: Sequence[MibEntry] = ()
        self._shipped_mib = shipped
        self._shipped: Shipped | None = None
        self._store = store
        self._directory = directory
        self._shelf = shelf
        self._check_interval_s = check_interval_s
        self._stamps: dict[str, Stamp] = {}
        # Source -> digest of its text, and of its last good one.
        self._digests: dict[str, str] = {}
        self._good: dict[str, str] = {}
        self._uploads: dict[str, StoredMib] = {}
        self._of_operators: Mapping[str, int] = {}
        self._revision: int | None = None
        self._checking = trio.Lock()
        self._poked = trio.Event()
        # How often somebody asked for a look, and which of these have been answered.
        self._wanted = 0
        self._applied = 0
        self._done = trio.Event()
        # The first look, and one that was asked for by name, takes nothing for known.
        self._is_forced = True
        self._is_unfinished = False
        # What was logged of the texts that there are.
        self._said: set[str] = set()

    def restore(self) -> None:
        """Put in force what was in force last; before the first trap. Blocks for some ms."""
        kept = self._shelf.load_kept()
        if kept is None:
            return
        self._good = dict(kept.good)
        # Should the store be away now, what was uploaded is known all the same.
        self._digests = {
            source: digest for source, digest in kept.good.items() if source.startswith(_UPLOAD)
        }
        self._of_operators = kept.of_operators
        self.in_force.current = self._extended(kept.linked, kept.of_operators)

    def poke(self) -> None:
        """Look for a change now."""
        self._wanted += 1
        self._poked.set()

    def reread(self) -> None:
        """Read everything again now, also what seems not to have changed."""
        self._is_forced = True
        self.poke()

    async def apply(self) -> None:
        """Return when what is in the directory and in the store now is in force."""
        self.poke()
        wanted = self._wanted
        while self._applied < wanted:
            await self._done.wait()

    async def check(self, octets: bytes) -> Parsed:
        """What would come of a text."""
        # One at a time: the processors are for events.
        async with self._checking, open_compiler() as compiler:
            parsed = await compiler.parse(octets)
        await trio.to_thread.run_sync(self._shelf.save, digest_of(octets), parsed)
        return parsed

    async def run(self) -> None:
        """Follow the directory and the store until cancelled."""
        while True:
            wanted = self._wanted
            is_forced, self._is_forced = self._is_forced, False
            await self._look(is_forced=is_forced)
            if self._is_unfinished:
                continue
            self._applied = wanted
            self._done.set()
            self._done = trio.Event()
            with trio.move_on_after(self._check_interval_s):
                await self._poked.wait()
            self._poked = trio.Event()

    async def _look(self, *, is_forced: bool) -> None:
        stamps = await trio.to_thread.run_sync(find_texts, self._directory)
        changed = {
            name for name, stamp in stamps.items() if is_forced or self._stamps.get(name) != stamp
        }
        is_changed = bool(changed) or stamps.keys() != self._stamps.keys()
        is_changed |= await self._follow_store(is_forced=is_forced)
        if not is_changed and not is_forced:
            return
        self._stamps = stamps
        async with open_compiler() as compiler:
            self._digests = await self._compile_all(compiler, changed)
        done = await trio.to_thread.run_sync(self._link, dict(self._digests))
        self._good = done.kept.good
        if not self._is_unfinished:
            self._tell(done.entries)
        self.entries = done.entries
        self.in_force.current = done.mib

    async def _follow_store(self, *, is_forced: bool) -> bool:
        """Whether uploads or severities have changed; while the store is away they have not."""
        try:
            revision = await self._store.rule_book_revision()
            if revision == self._revision and not is_forced:
                return False
            uploads = {f"{_UPLOAD}{each.name}": each for each in await self._store.mibs()}
            severities = await self._store.trap_severities()
        except StoreUnavailable:
            return False
        is_changed = uploads != self._uploads or severities != self._of_operators
        self._revision = revision
        self._uploads = uploads
        self._of_operators = severities
        return is_changed

    async def _compile_all(self, compiler: MibCompiler, changed: set[str]) -> dict[str, str]:
        """Parse what was never parsed; source -> digest of its text."""
        digests: dict[str, str] = {}
        if self._revision is None:
            # The store was never asked.
            digests = {
                source: digest
                for source, digest in self._digests.items()
                if source.startswith(_UPLOAD)
            }
        for source, upload in self._uploads.items():
            if await self._is_shelved(upload.digest):
                digests[source] = upload.digest
            elif (octets := await self._uploaded_text(upload.name)) is not None:
                digests[source] = await self._compile(compiler, octets)
        until = trio.current_time() + _SLICE_S
        self._is_unfinished = is_late = False
        for name in list(self._stamps):
            source = _FILE + name
            if name not in changed and source in self._digests:
                digests[source] = self._digests[source]
                continue
            if is_late:
                # The next look finds it changed.
                self._is_unfinished = True
                del self._stamps[name]
                if source in self._digests:
                    digests[source] = self._digests[source]
                continue
            read = partial(read_text, self._directory, name, max_octets=MAX_TEXT_OCTETS)
            octets = await trio.to_thread.run_sync(read)
            if octets is not None:
                digests[source] = await self._compile(compiler, octets)
            is_late = trio.current_time() >= until
        return digests

    async def _uploaded_text(self, name: str) -> bytes | None:
        try:
            return await self._store.mib_text(name)
        except StoreUnavailable:
            return None

    async def _is_shelved(self, digest: str) -> bool:
        return await trio.to_thread.run_sync(self._shelf.has, digest)

    async def _compile(self, compiler: MibCompiler, octets: bytes) -> str:
        digest = digest_of(octets)
        if not await self._is_shelved(digest):
            parsed = await compiler.parse(octets)
            await trio.to_thread.run_sync(self._shelf.save, digest, parsed)
        return digest

    def _link(self, digests: dict[str, str]) -> _Round:
        # In a thread. Parsed texts are read for it and dropped again: they are large, together.
        good: dict[str, str] = {}
        modules: list[Module] = []
        read: list[tuple[str, str, Parsed, list[Module]]] = []
        for source, digest in digests.items():
            parsed = self._shelf.load(digest) or Parsed(error="could not be kept")
            in_force = parsed.modules
            last_good = digest if parsed.error is None else self._good.get(source)
            if last_good is not None:
                good[source] = last_good
                if last_good != digest:
                    in_force = (self._shelf.load(last_good) or parsed).modules
            read.append((source, digest, parsed, in_force))
            modules += in_force
        linked = Linked(facts={}, severities={}, modules=[])
        if modules:
            if self._shipped is None:
                self._shipped = Shipped(self._shipped_mib)
            linked = link(modules, self._shipped)
        kept = Kept(good=good, linked=linked, of_operators=dict(self._of_operators))
        mib = self._extended(linked, kept.of_operators)
        self._shelf.save_kept(kept)
        self._shelf.forget_all_but({*digests.values(), *good.values()})
        remaining = list(linked.modules)
        entries = []
        for source, digest, parsed, in_force in read:
            own, remaining = remaining[: len(in_force)], remaining[len(in_force) :]
            entries.append(self._entry(source, digest, parsed, own))
        return _Round(mib, entries, kept)

    def _extended(self, linked: Linked, of_operators: Mapping[str, int]) -> Mib:
        severities = TrapSeverities(of_operators, linked.severities)
        return self._shipped_mib.extended(linked.facts, severities)

    def _entry(
        self, source: str, digest: str, parsed: Parsed, modules: list[LinkedModule]
    ) -> MibEntry:
        upload = self._uploads.get(source)
        name = source.partition(":")[2]
        stamp = self._stamps.get(name)
        if parsed.error is not None:
            state = State.OUTDATED if modules else State.BROKEN
        elif any(each.missing or each.problems for each in modules):
            state = State.INCOMPLETE
        else:
            state = State.IN_FORCE
        return MibEntry(
            name=name,
            origin=Origin.UPLOADED if source.startswith(_UPLOAD) else Origin.DIRECTORY,
            state=state,
            octets=upload.octets if upload else stamp.octets if stamp else 0,
            error=parsed.error,
            modules=modules,
            uploaded_at=upload.uploaded_at if upload else None,
            uploaded_by=upload.uploaded_by if upload else None,
        )

    def _tell(self, entries: Sequence[MibEntry]) -> None:
        """Log what changed; a text that is wrong is named once, not with every round."""
        lines = [line for each in entries for line in each.complaints()]
        for line in lines:
            if line not in self._said:
                _log.warning("mibs: %s", line)
        self._said = set(lines)
        modules = [module for each in entries for module in each.modules]
        if entries or self.entries:
            _log.info(
                "mibs: %d modules of %d texts in force, %d notifications",
                len(modules),
                len(entries),
                sum(len(module.notifications) for module in modules),
            )
