"""The server as a process: starts, refuses, drains, survives SIGKILL with all it has acknowledged."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from bench.kill_loop import Instance, kill_loop


@pytest.fixture
def instance(tmp_path):
    running = Instance(tmp_path)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def log_of(instance: Instance) -> str:
    return (instance.folder / "server.log").read_text()


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


class TestStart:
    def test_one_process_serves_and_ends_cleanly_on_sigterm(self, instance):
        instance.start()
        assert children(instance.process.pid) == []
        assert (instance.folder / "coffer.sqlite").stat().st_mode & 0o077 == 0
        assert instance.stop() == 0
        assert f"http://127.0.0.1:{instance.port}" in log_of(instance)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", instance.port))

    def test_second_server_on_the_same_instance_refuses(self, instance):
        instance.start()
        second = Instance(instance.folder)
        with pytest.raises(RuntimeError, match=f"runs on .* already \\(process {instance.process.pid}\\)"):
            second.start()
        assert second.process.returncode == 1
        assert "already" in instance.command("restore", str(instance.folder / "coffer.sqlite"))

    def test_port_that_is_taken_is_named(self, instance):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", instance.port))
            taken.listen()
            with pytest.raises((RuntimeError, OSError), match=rf"Port {instance.port} .*set PORT"):
                start_expecting_exit(instance)
        assert instance.process.returncode == 1

    def test_wrong_setting_is_named_in_one_line(self, instance):
        instance.environment["BACKUP_KEEP"] = "none"
        with pytest.raises(RuntimeError, match="Wrong setting: BACKUP_KEEP"):
            start_expecting_exit(instance)
        assert instance.process.returncode == 1
        assert len(log_of(instance).strip().splitlines()) == 1


def start_expecting_exit(instance: Instance) -> None:
    """Start without asking for an answer: something else may listen on the port."""
    import subprocess
    import sys

    from bench.kill_loop import ROOT

    with (instance.folder / "server.log").open("ab") as log:
        instance.process = subprocess.Popen(
            [sys.executable, "server.py"], cwd=ROOT, env=instance.environment, stdout=log, stderr=log
        )
    instance.process.wait(60)
    raise RuntimeError(log_of(instance))


class TestKill:
    def test_port_is_free_and_nothing_is_left_after_sigkill(self, instance):
        instance.start()
        pid = instance.process.pid
        os.kill(pid, signal.SIGKILL)
        instance.process.wait(10)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", instance.port))
        assert instance.start() < 30
        assert instance.stop() == 0

    @pytest.mark.slow
    def test_every_acknowledged_spend_survives_and_none_is_doubled(self, tmp_path):
        began = time.monotonic()
        outcome = kill_loop(tmp_path, rounds=3)
        assert outcome.problems() == []
        assert outcome.kills == 3
        assert len(outcome.acknowledged) > 10, f"too few spends in {time.monotonic() - began:.0f} s"
