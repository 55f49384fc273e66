"""Process information made, found, controlled and closed, in one process."""

from __future__ import annotations

import os
import pickle
import signal
import struct
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.parameters.listing import list_processes, remove_stale_processes
from pymilk.parameters.process_folders import process_directories, process_directory, process_path
from pymilk.parameters.process_layout import FW, V1, Control, LoopState
from pymilk.parameters.processinfo import ProcessInfo
from pymilk.system.processes import owner_state, process_started_ns
from pymilk.times import now_ns

#: No process has this PID.
NOBODY = 2**22 + 12345


def entry(folder: Path, name: str, pid: int, created_ns: int = 0, layout=V1) -> Path:
    """Write a file as a program would leave it."""
    content = bytearray(layout.nbytes)
    fields = layout.fields
    content[: len(name)] = name.encode()
    struct.pack_into("<i", content, fields["PID"].offset, pid)
    struct.pack_into("<qq", content, fields["createtime"].offset, *divmod(created_ns, 1_000_000_000))
    struct.pack_into("<i", content, fields["loopstat"].offset, LoopState.ACTIVE)
    struct.pack_into("<q", content, fields["loopcntMax"].offset, -1)
    path = Path(process_path(str(folder), name, pid))
    path.write_bytes(content)
    return path


# -- made ----------------------------------------------------------------------------------------


def test_create_fills_the_file_and_the_list(shm_dir):
    with ProcessInfo.create("myloop", description="what it does", message="here", limit=5) as process:
        assert process.path == str(shm_dir / f"proc.myloop.{os.getpid():06d}.shm")
        assert process.pid == os.getpid()
        assert process.state == "running"
        assert (process.description, process.message, process.loop_limit) == ("what it does", "here", 5)
        assert process.control is Control.RUN
        assert process.loop_state is LoopState.INIT
        assert process.trigger_name is None
        assert abs(process.created_ns - now_ns()) < 60e9
        status = process.status()
        assert status.source.startswith(f"{__file__}:")
        assert status.source.endswith(" test_create_fills_the_file_and_the_list")
        slots, index = process._list
        assert slots.holds(index, os.getpid(), "myloop")
    assert not Path(process.path).exists()


def test_no_temporary_file_stays(shm_dir):
    with ProcessInfo.create("myloop"):
        assert sorted(os.listdir(shm_dir)) == [f"proc.myloop.{os.getpid():06d}.shm", "processinfo.list.shm"]


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "x" * 80, "tab\there", "é" * 40, 5, None, "\ud800"])
def test_names_that_do_not_fit(shm_dir, name):
    with pytest.raises(errors.ProcessInfoNameError) as caught:
        ProcessInfo.create(name)
    assert isinstance(caught.value, ValueError)
    assert os.listdir(shm_dir) == []


@pytest.mark.parametrize("name", ["x" * 79, "with.dots.in", "with blanks", "é" * 39])
def test_names_that_fit(name):
    with ProcessInfo.create(name), ProcessInfo.attach(name) as process:
        assert process.name == name


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"limit": 2**63}, {"limit": True}, {"limit": 1.5}, {"description": "x" * 200},
              {"description": 5}, {"message": 5}]
)  # fmt: skip
def test_arguments_that_do_not_fit(shm_dir, wrong):
    with pytest.raises(errors.ProcessInfoArgumentError) as caught:
        ProcessInfo.create("myloop", **wrong)
    assert caught.value.argument in (*wrong, "statusmsg")
    assert os.listdir(shm_dir) == []


def test_second_one_of_that_name_is_refused(shm_dir):
    with ProcessInfo.create("myloop") as first:
        with pytest.raises(errors.ProcessInfoExistsError) as caught:
            ProcessInfo.create("myloop")
        assert isinstance(caught.value, FileExistsError)
        assert caught.value.path == first.path
        assert Path(first.path).exists()
        with ProcessInfo.create("other"):
            # There may be directories of others, which are listed, too.
            ours = [each.name for each in list_processes() if Path(each.path).parent == shm_dir]
            assert ours == ["myloop", "other"]


def test_file_of_an_ended_process_with_this_pid_is_replaced(shm_dir):
    old = entry(shm_dir, "myloop", os.getpid(), created_ns=1_000_000_000)
    with ProcessInfo.attach(str(old)) as left:
        assert left.state == "reused"
    with ProcessInfo.create("myloop") as process:
        assert process.state == "running"


def test_message_is_cut_between_letters():
    with ProcessInfo.create("myloop") as process:
        process.message = "é" * 100
        assert process.message == "é" * 99
        process.message = "one\0two"
        assert process.message == "one"


def test_directory_that_cannot_be_written(tmp_path):
    with pytest.raises(errors.ProcessInfoPermissionError) as caught:
        ProcessInfo.create("myloop", directory=str(tmp_path / "missing"))
    assert "MILK_PROC_DIR" in str(caught.value)


# -- directories ---------------------------------------------------------------------------------


def test_directories_in_order(shm_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("MILK_PROC_DIR", str(tmp_path))
    assert process_directory() == str(tmp_path)
    assert process_directories() == [str(tmp_path), str(shm_dir), "/tmp"]
    monkeypatch.setenv("MILK_PROC_DIR", str(tmp_path / "missing"))
    assert process_directories() == [str(shm_dir), "/tmp"]
    monkeypatch.delenv("MILK_PROC_DIR")
    assert process_directory() == str(shm_dir)
    monkeypatch.setenv("MILK_SHM_DIR", str(tmp_path / "missing"))
    assert process_directories() == ["/tmp"]
    monkeypatch.setenv("MILK_SHM_DIR", "/tmp")
    assert process_directories() == ["/tmp"]


def test_both_directories_are_listed(shm_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("MILK_PROC_DIR", str(tmp_path))
    with ProcessInfo.create("here"), ProcessInfo.create("there", directory=str(shm_dir)):
        assert {"here", "there"} <= {each.name for each in list_processes()}
        assert [each.name for each in list_processes(str(shm_dir))] == ["there"]
        with ProcessInfo.attach("there") as process:
            assert process.path.startswith(str(shm_dir))


# -- found ---------------------------------------------------------------------------------------


def test_attach_by_pid_name_and_path():
    with ProcessInfo.create("myloop") as process:
        for key in (os.getpid(), "myloop", process.path, Path(process.path)):
            with ProcessInfo.attach(key) as found:
                assert found.path == process.path


def test_attach_to_nothing(shm_dir):
    for key in ("nobody", NOBODY, str(shm_dir / "proc.x.000001.shm")):
        with pytest.raises(errors.ProcessInfoNotFoundError) as caught:
            ProcessInfo.attach(key)
        assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(errors.ProcessInfoNotFoundError):
        ProcessInfo.attach("nobody", directory=str(shm_dir / "missing"))


@pytest.mark.parametrize("key", [True, 1.5, None, b"myloop"])
def test_attach_to_nonsense(key):
    with pytest.raises(errors.ProcessInfoArgumentError):
        ProcessInfo.attach(key)


def test_living_one_is_preferred_and_two_are_asked_for(shm_dir):
    entry(shm_dir, "myloop", NOBODY)
    with ProcessInfo.create("myloop") as process:
        with ProcessInfo.attach("myloop") as found:
            assert found.pid == os.getpid()
        entry(shm_dir, "myloop", os.getppid())
        with pytest.raises(errors.ProcessInfoArgumentError, match="2 processes"):
            ProcessInfo.attach("myloop")
        with ProcessInfo.attach(process.path) as found:
            assert found.pid == os.getpid()


def test_later_layout_is_read_and_controlled(shm_dir):
    path = entry(shm_dir, "newer", os.getpid(), now_ns(), FW)
    with ProcessInfo.attach("newer") as process:
        assert process.layout == "fw"
        assert process.field("trigger_image") == bytes(8)
        process.pause()
        assert process.control is Control.PAUSE
    assert struct.unpack_from("<i", path.read_bytes(), FW.fields["CTRLval"].offset) == (1,)


# -- stale ---------------------------------------------------------------------------------------


def test_states_by_pid_and_start_time(shm_dir):
    entry(shm_dir, "dead", NOBODY, now_ns())
    entry(shm_dir, "reused", os.getpid(), 1_000_000_000)
    entry(shm_dir, "alive", os.getpid(), now_ns())
    found = {each.name: each for each in list_processes(str(shm_dir))}
    assert {name: each.state for name, each in found.items()} == {
        "dead": "gone", "reused": "reused", "alive": "running"
    }  # fmt: skip
    assert {name for name, each in found.items() if each.stale} == {"dead", "reused"}
    assert found["dead"].doing == "dead"
    assert found["reused"].doing == "dead (PID reused)"


def test_start_time_of_this_process():
    started = process_started_ns(os.getpid())
    assert started is not None
    assert now_ns() - 86_400_000_000_000 * 30 < started <= now_ns()
    assert process_started_ns(NOBODY) is None
    assert owner_state(os.getpid(), 0) == "running"  # no time was stored
    assert owner_state(-1, 0) == owner_state(0, 0) == "gone"


def test_stale_entries_are_removed_and_their_slots_freed(shm_dir):
    dead = entry(shm_dir, "dead", NOBODY, now_ns())
    with ProcessInfo.create("alive") as process:
        slots, index = process._list
        slots._fill(3, NOBODY, "dead", now_ns())
        broken = shm_dir / "proc.broken.000001.shm"
        broken.write_bytes(b"x")
        assert remove_stale_processes(str(shm_dir)) == [str(dead)]
        assert not dead.exists()
        assert broken.exists()
        assert [slot.at for slot in slots.read()] == [index]


@pytest.mark.parametrize("call", ["pause", "step", "resume", "stop", "signal"])
def test_ended_process_is_not_controlled(shm_dir, call):
    for pid, created in ((NOBODY, now_ns()), (os.getpid(), 1_000_000_000)):
        path = entry(shm_dir, "dead", pid, created)
        before = path.read_bytes()
        with ProcessInfo.attach(str(path)) as process, pytest.raises(errors.ProcessGoneError) as caught:
            getattr(process, call)()
        assert isinstance(caught.value, ProcessLookupError)
        assert caught.value.pid == pid
        assert path.read_bytes() == before


# -- controlled ----------------------------------------------------------------------------------


def test_a_controller_writes_one_field(shm_dir):
    path = entry(shm_dir, "loop", os.getpid(), now_ns())
    before = bytearray(path.read_bytes())
    with ProcessInfo.attach("loop") as process:
        for call, value in (("pause", 1), ("step", 2), ("resume", 0), ("stop", 3)):
            getattr(process, call)()
            struct.pack_into("<i", before, V1.fields["CTRLval"].offset, value)
            assert path.read_bytes() == before
            assert process.control == value


def test_process_that_ignores_stop(shm_dir):
    entry(shm_dir, "stubborn", os.getpid(), now_ns())
    with ProcessInfo.attach("stubborn") as process, pytest.raises(errors.ProcessTimeoutError) as caught:
        process.stop(timeout=0)
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.timeout, caught.value.process, caught.value.pid) == (0, "stubborn", os.getpid())


def test_signal_reaches_the_process(shm_dir):
    entry(shm_dir, "loop", os.getpid(), now_ns())
    with ProcessInfo.attach("loop") as process:
        process.signal(0)  # only looks
        with pytest.raises(KeyboardInterrupt):
            process.signal(signal.SIGINT)


def test_read_only(shm_dir):
    path = entry(shm_dir, "loop", os.getpid(), now_ns())
    with ProcessInfo.attach("loop", writable=False) as process:
        with pytest.raises(errors.ProcessInfoPermissionError) as caught:
            process.pause()
        assert isinstance(caught.value, PermissionError)
        assert process.control is Control.RUN
    if os.getuid():
        path.chmod(0o444)
        with ProcessInfo.attach("loop") as process, pytest.raises(errors.ProcessInfoPermissionError):
            process.pause()


def test_owner_only(shm_dir):
    entry(shm_dir, "loop", os.getpid(), now_ns())
    with ProcessInfo.attach("loop") as process:
        for call in (process.exec_start, process.exec_end, process.set_limits, lambda: process.loop()):
            with pytest.raises(errors.ProcessInfoPermissionError):
                call()
        with pytest.raises(errors.ProcessInfoPermissionError):
            process.message = "not mine"


# -- closed --------------------------------------------------------------------------------------


def test_closed(shm_dir):
    process = ProcessInfo.create("myloop")
    process.close()
    process.close()
    for use in (lambda: process.name, lambda: process.timing, process.status, process.pause,
                process.exec_start, lambda: process.loop()):  # fmt: skip
        with pytest.raises(errors.ProcessInfoClosedError) as caught:
            use()
        assert isinstance(caught.value, ValueError)
    assert "closed" in repr(process)


def test_last_words(shm_dir):
    """What a reader that has the file open finds after a clean exit."""
    for control, words in ((Control.EXIT, "CTRLexit "), (Control.RUN, "Loop exit ")):
        process = ProcessInfo.create("myloop")
        with ProcessInfo.attach("myloop") as watcher:
            process._begin_loop(None)
            process.store("CTRLval", control)
            process.close()
            assert watcher.loop_state is LoopState.STOP
            assert watcher.message.startswith(words)
            assert len(watcher.message) == len(words) + len("hh:mm:ss.mmm")


def test_error_in_the_block_is_told():
    process = ProcessInfo.create("myloop")
    with ProcessInfo.attach("myloop") as watcher:
        with pytest.raises(ZeroDivisionError), process:
            _ = 1 / 0
        assert watcher.loop_state is LoopState.ERROR
        assert watcher.message == "ZeroDivisionError: division by zero"
    assert not Path(process.path).exists()


def test_file_that_another_one_put_there_is_left(shm_dir):
    process = ProcessInfo.create("myloop")
    os.unlink(process.path)
    Path(process.path).write_bytes(bytes(V1.nbytes))
    process.close()
    assert Path(process.path).exists()


def test_errors_survive_pickling():
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.ProcessInfoError):
            values = {field: f"<{field}>" for field in kind.fields}
            error = pickle.loads(pickle.dumps(kind("said", **values)))
            assert (type(error), str(error)) == (kind, "said")
            assert {field: getattr(error, field) for field in kind.fields} == values


def test_status_as_plain_values():
    with ProcessInfo.create("myloop", measure=False) as process:
        process.pause()
        found = process.status().to_dict()
    assert found["control"] == "PAUSE"
    assert found["doing"] == "paused"
    assert (found["rate"], found["jitter"]) == (None, None)
    assert {type(value) for value in found.values()} <= {str, int, float, bool, type(None)}
