"""The process that parses: what a text does to it is that text's fault, and nobody else's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio
import trio.testing
from mib_corpus import CORPUS, parsed

from muttd.mibs import compiler as compiler_module
from muttd.mibs.compiler import MAX_TEXT_OCTETS, open_compiler

SMI = (CORPUS / "ACME-SMI.mib").read_bytes()
BROKEN = (CORPUS / "ACME-BROKEN-MIB.mib").read_bytes()


def limits_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): line[26:].split() for line in lines}


async def test_texts_come_back_parsed_one_after_another() -> None:
    async with open_compiler() as compiler:
        assert await compiler.parse(SMI) == parsed("ACME-SMI.mib")
        assert await compiler.parse(BROKEN) == parsed("ACME-BROKEN-MIB.mib")
        assert await compiler.parse(b"\xef\xbb\xbf" + SMI) == parsed("ACME-SMI.mib")
        latin = SMI.replace(b"Where everything", b"Wo \xfcberall alles")
        assert await compiler.parse(latin) == parsed("ACME-SMI.mib")


async def test_what_is_no_text_never_gets_there() -> None:
    async with open_compiler() as compiler:
        assert (await compiler.parse(b"\0" * 10)).error == "is no text"
        long = await compiler.parse(b" " * (MAX_TEXT_OCTETS + 1))
        assert long.error == f"is longer than {MAX_TEXT_OCTETS} octets"
        assert compiler._process is None


async def test_the_process_can_open_no_file_and_no_socket() -> None:
    async with open_compiler() as compiler:
        await compiler.parse(SMI)
        process = compiler._process
        assert process is not None
        rows = limits_of(process.pid)
        open_files = os.listdir(f"/proc/{process.pid}/fd")
        assert rows["Max open files"][:2] == ["3", "3"]
        assert rows["Max file size"][:2] == ["0", "0"]
        assert int(rows["Max address space"][0]) < 2**31
        assert rows["Max cpu time"][0] != "unlimited"
        assert len(open_files) == 3


async def test_a_process_that_dies_costs_the_text_that_was_there() -> None:
    async with open_compiler() as compiler:
        await compiler.parse(SMI)
        process = compiler._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            results = []

            async def parse() -> None:
                results.append(await compiler.parse(SMI))

            nursery.start_soon(parse)
            await trio.testing.wait_all_tasks_blocked(0.01)
            os.kill(process.pid, signal.SIGKILL)
        assert "takes more than" in (results[0].error or "")
        assert (await compiler.parse(SMI)).error is None


async def test_a_text_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_compiler() as compiler:
        await compiler.parse(SMI)
        process = compiler._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(compiler_module, "_DEADLINE_S", 0.05)
        assert (await compiler.parse(SMI)).error == "takes longer than 0.05 s"
        monkeypatch.undo()
        assert (await compiler.parse(SMI)).error is None
