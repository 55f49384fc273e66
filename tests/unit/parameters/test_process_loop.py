"""The loop of a process, in one process: threads are the controllers and cameras."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pymilk import SHM, StreamTimeoutError, errors
from pymilk._core import Stream
from pymilk.parameters.process_layout import Control, LoopState, TriggerMode, TriggerStatus
from pymilk.parameters.processinfo import ProcessInfo
from pymilk.parameters.trace import read_trace
from pymilk.times import now_ns


@pytest.fixture
def process() -> Iterator[ProcessInfo]:
    with ProcessInfo.create("myloop") as process:
        yield process


@pytest.fixture
def watcher(process) -> Iterator[ProcessInfo]:
    with ProcessInfo.attach("myloop") as watcher:
        yield watcher


@pytest.fixture
def cam(make) -> SHM:
    return make("cam", np.zeros((3, 4), np.float32))


def frame(value: float) -> np.ndarray:
    return np.full((3, 4), value, np.float32)


def until(condition) -> None:
    """Look until it is so; the watchdog of the tests ends it."""
    while not condition():
        pass


# -- without a stream ------------------------------------------------------------------------------


def test_limit_gives_so_many_iterations():
    for limit in (0, 1, 5):
        with ProcessInfo.create("myloop", limit=limit) as process:
            assert list(process.loop()) == list(range(limit))
            assert process.loop_count == limit


def test_limit_that_is_set_while_it_runs(process, watcher):
    for number in process.loop():
        if number == 2:
            watcher.store("loopcntMax", 5)
    assert process.loop_count == 5


def test_counts_and_states(process, watcher):
    assert watcher.loop_state is LoopState.INIT
    for number in process.loop(["a", "b"]):
        assert watcher.loop_state is LoopState.ACTIVE
        assert watcher.loop_count == "ab".index(number)
        assert watcher.field("triggerstreamcnt") == watcher.loop_count + 1
    assert watcher.loop_count == 2
    assert watcher.loop_state is LoopState.STOP
    assert watcher.message.startswith("Loop exit ")


def test_second_loop_counts_from_zero(process):
    assert list(process.loop(range(3))) == [0, 1, 2]
    assert list(process.loop(range(2))) == [0, 1]
    assert process.loop_count == 2


def test_two_loops_at_once_are_refused(process):
    first = process.loop(range(3))
    assert next(first) == 0
    with pytest.raises(errors.ProcessInfoArgumentError):
        next(process.loop(range(3)))
    assert list(first) == [1, 2]


def test_break_ends_it(process, watcher):
    for _ in process.loop():
        break
    assert watcher.loop_state is LoopState.STOP
    assert list(process.loop(range(2))) == [0, 1]


def test_exit_ends_before_the_next_iteration(process, watcher):
    done = []
    for number in process.loop():
        done.append(number)
        if number == 3:
            watcher.stop()
    assert done == [0, 1, 2, 3]
    assert watcher.message.startswith("CTRLexit ")


def test_idle_iterates_without_computing(process, watcher):
    done = []
    for number in process.loop(range(10)):
        done.append(number)
        if number == 2:
            watcher.store("CTRLval", Control.IDLE)
    assert done == [0, 1, 2]
    assert process.loop_count == 10


def test_pause_step_resume_stop(process, watcher):
    done: list[int] = []
    runner = threading.Thread(target=lambda: done.extend(process.loop()))
    watcher.pause()
    runner.start()
    until(lambda: watcher.loop_state == LoopState.PAUSE)
    assert watcher.loop_count == 0
    for count in (1, 2):
        watcher.step()
        until(lambda count=count: watcher.loop_count == count)
        until(lambda: watcher.loop_state == LoopState.PAUSE)
        assert watcher.control is Control.PAUSE
    watcher.resume()
    until(lambda: watcher.loop_count > 100)
    assert watcher.loop_state is LoopState.ACTIVE
    watcher.stop()
    runner.join()
    assert done == list(range(watcher.loop_count))


def test_paused_loop_is_stopped(process, watcher):
    watcher.pause()
    runner = threading.Thread(target=lambda: list(process.loop()))
    runner.start()
    until(lambda: watcher.loop_state == LoopState.PAUSE)
    watcher.stop(timeout=10)
    runner.join()
    assert watcher.loop_count == 0


def test_period(process, watcher):
    begun, times = now_ns(), []
    for number in process.loop(period=0.004):
        times.append(process._record.began_ns)
        if number == 4:
            break
    # None comes before it is due by the first rhythm, however late those before it came.
    assert (np.array(times) - begun >= np.arange(5) * 0.004e9 * 0.999).all()
    assert watcher.field("triggermode") == TriggerMode.DELAY
    assert watcher.field("triggerdelay") == 4_000_000


def test_late_periods_are_missed(process, watcher):
    for number in process.loop(period=1e-6):
        if number == 20:
            break
    assert watcher.field("triggermissedframe_cumul") > 0


@pytest.mark.parametrize("options", [
    {"period": 0}, {"period": -1}, {"period": float("nan")}, {"source": range(3), "period": 1.0},
    {"source": 5},
    {"source": range(3), "output": "cam"}, {"output": "cam"}, {"period": "1"}, {"period": True},
    {"period": 1e300},
])  # fmt: skip
def test_sources_that_do_not_work(process, options):
    with pytest.raises(errors.ProcessInfoArgumentError):
        process.loop(**options)


@pytest.mark.parametrize("timeout", [float("nan"), "soon", [1]])
def test_timeouts_that_do_not_work(process, cam, timeout):
    with pytest.raises(errors.StreamArgumentError):
        process.loop(cam, timeout=timeout)
    with pytest.raises(errors.StreamArgumentError):
        process.stop(timeout=timeout)
    assert process.control is Control.RUN


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "1", True])
def test_limits_that_do_not_work(process, limit):
    for name in ("period", "duration"):
        with pytest.raises(errors.ProcessInfoArgumentError) as caught:
            process.set_limits(**{name: limit})
        assert caught.value.argument == name


def test_error_in_an_iteration(process, watcher):
    def compute() -> None:
        for number in process.loop():
            _ = number / 0

    with pytest.raises(ZeroDivisionError):
        compute()
    process._end_loop()
    assert list(process.loop(range(2))) == [0, 1]


# -- timing ----------------------------------------------------------------------------------------


def test_ring_of_times_from_slot_one(process):
    list(process.loop(range(3)))
    assert (process.field("timerindex"), process.field("timingbuffercnt")) == (3, 0)
    timing = process.timing
    assert len(timing) == 3
    assert (timing.ends_ns >= timing.starts_ns).all()
    assert (timing.starts_ns[1:] >= timing.ends_ns[:-1]).all()
    assert timing.rate > 0
    assert timing.jitter >= 0
    assert timing.duration >= 0


@pytest.mark.parametrize("count", [98, 99, 100, 101, 199, 200, 250])
def test_ring_comes_round(process, count):
    starts = [process._record.began_ns for _ in process.loop(range(count))]
    assert process.field("timingbuffercnt") == count // 100
    assert process.field("timerindex") == count % 100
    timing = process.timing
    assert timing.starts_ns.tolist() == starts[-(100 if count >= 100 else count) :]


def test_unfinished_iteration(process):
    for number in process.loop(range(3)):
        timing = process.timing
        assert len(timing) == number + 1
        assert len(timing.durations_ns) == number
        assert timing.last_start_ns == process._record.began_ns


def test_without_measuring(process):
    process.store("MeasureTiming", 0)
    list(process.loop(range(5)))
    assert process.loop_count == 5
    assert len(process.timing) == 0
    assert process.timing.rate is process.timing.jitter is process.timing.duration is None


def test_limits_are_counted_and_told(process, watcher):
    process.set_limits(period=1e-9, duration=1e-9)
    list(process.loop(range(4)))
    assert watcher.field("dtiter_limit_cnt") == 3  # the first has no period
    assert watcher.field("dtexec_limit_cnt") == 4
    process.set_limits(duration=1e-9)
    for number in process.loop(range(2)):
        if number:
            assert watcher.message.startswith("dtexec ")
            assert "above the limit of 0.0 us" in watcher.message
    process.set_limits(period=3600, duration=3600)
    list(process.loop(range(4)))
    assert (watcher.field("dtiter_limit_cnt"), watcher.field("dtexec_limit_cnt")) == (3, 6)


def test_limit_that_pauses(process, watcher):
    def resume() -> None:
        until(lambda: watcher.control == Control.PAUSE)
        watcher.resume()

    process.set_limits(duration=1e-9, pause=True)
    for number in process.loop():
        if number == 1:
            break
        threading.Thread(target=resume).start()
    assert watcher.field("dtexec_limit_cnt") == 1


# -- with a stream ---------------------------------------------------------------------------------


def test_each_frame_once(process, watcher, cam, make):
    writer = make("cam")
    process.store("loopcntMax", 5)
    camera = threading.Thread(target=lambda: (until(lambda: watcher.field("triggerstatus") == 1),
                                              writer.set_data(frame(1))))  # fmt: skip
    camera.start()
    seen = []
    for image in process.loop(cam):
        seen.append(image[0, 0])
        writer.set_data(frame(image[0, 0] + 1))
    camera.join()
    assert seen == [1, 2, 3, 4, 5]
    assert watcher.trigger_name == "cam"
    assert watcher.field("triggermode") == TriggerMode.SEMAPHORE
    assert watcher.field("triggerstreaminode") == cam.IMAGE.md.inode
    assert watcher.field("triggersem") == cam.semID
    assert watcher.field("triggerstatus") == TriggerStatus.RECEIVED
    assert watcher.field("triggerstreamcnt") == writer.get_counter() - 1
    assert watcher.field("triggermissedframe_cumul") == 0


def test_frames_that_are_missed(process, watcher, cam, make):
    writer = make("cam")
    loop = process.loop(cam, timeout=5)
    threading.Timer(0.001, lambda: writer.set_data(frame(1))).start()
    assert next(loop)[0, 0] == 1
    for value in (2, 3, 4):
        writer.set_data(frame(value))
    assert next(loop)[0, 0] == 4
    assert watcher.field("triggermissedframe") == 2
    writer.set_data(frame(5))
    assert next(loop)[0, 0] == 5
    assert watcher.field("triggermissedframe") == 0
    assert watcher.field("triggermissedframe_cumul") == 2
    loop.close()


def test_frame_of_a_plain_stream(process, make_stream):
    stream = make_stream("plain", (2, 2), np.uint16)
    loop = process.loop(stream)
    threading.Timer(0.001, lambda: stream.publish(np.full((2, 2), 7, np.uint16))).start()
    assert next(loop).tolist() == [[7, 7], [7, 7]]
    loop.close()
    loop = process.loop(stream, copy=False)
    threading.Timer(0.001, lambda: stream.publish(np.full((2, 2), 8, np.uint16))).start()
    view = next(loop)
    assert view.tolist() == [[8, 8], [8, 8]]
    stream.publish(np.full((2, 2), 9, np.uint16))
    assert view.tolist() == [[9, 9], [9, 9]]
    loop.close()


def test_view_of_an_shm(process, cam, make):
    writer = make("cam")
    loop = process.loop(cam, copy=False)
    threading.Timer(0.001, lambda: writer.set_data(frame(1))).start()
    view = next(loop)
    writer.set_data(frame(2))
    assert view[0, 0] == 2
    assert next(loop)[0, 0] == 2
    loop.close()


def test_timeout(process, watcher, cam):
    with pytest.raises(StreamTimeoutError) as caught:
        next(process.loop(cam, timeout=0.01))
    assert (caught.value.stream, caught.value.timeout) == ("cam", 0.01)
    assert "myloop" in str(caught.value)
    assert watcher.field("trigggertimeoutcnt") == 1
    assert watcher.field("triggerstatus") == TriggerStatus.TIMEDOUT
    assert watcher.field("triggertimeout") == 10_000_000
    assert watcher.loop_state is LoopState.STOP


def test_exit_while_a_frame_is_awaited(process, watcher, cam):
    threading.Timer(0.001, watcher.stop).start()
    assert list(process.loop(cam)) == []


def test_frames_of_a_pause_are_left(process, watcher, cam, make):
    """After a pause the loop gets the newest frame; those that came in it are missed."""
    writer = make("cam")
    seen: list[float] = []
    runner = threading.Thread(target=lambda: [seen.append(image[0, 0]) for image in process.loop(cam)])
    runner.start()
    until(lambda: watcher.field("triggerstatus") == TriggerStatus.WAITING)
    watcher.pause()
    for value in (1, 2, 3):
        writer.set_data(frame(value))
    until(lambda: watcher.loop_state == LoopState.PAUSE)
    assert seen == []
    watcher.step()
    until(lambda: watcher.loop_count == 1)
    assert seen == [3]
    watcher.stop()
    runner.join()
    assert watcher.field("triggermissedframe_cumul") == 2


def test_step_waits_for_its_frame(process, watcher, cam, make):
    writer = make("cam")
    watcher.pause()
    runner = threading.Thread(target=lambda: list(process.loop(cam)))
    runner.start()
    watcher.step()
    until(lambda: watcher.control == Control.PAUSE)
    writer.set_data(frame(1))
    until(lambda: watcher.loop_count == 1)
    watcher.stop()
    runner.join()


def test_stream_that_is_replaced_is_followed(process, watcher, cam):
    loop = process.loop(cam, timeout=20)
    threading.Timer(0.001, lambda: cam.set_data(frame(1))).start()
    assert next(loop)[0, 0] == 1
    old = watcher.field("triggerstreaminode")
    new = SHM("cam", frame(5))
    assert next(loop)[0, 0] == 5
    new.set_data(frame(6))
    assert next(loop)[0, 0] == 6
    assert watcher.field("triggerstreaminode") == new.IMAGE.md.inode != old
    loop.close()
    new.close()


def test_items_are_held_during_a_pause(process, watcher):
    taken = []

    def items():
        for number in range(4):
            taken.append(number)
            if number == 2:
                watcher.pause()
                threading.Timer(0.001, watcher.resume).start()
            yield number

    assert list(process.loop(items())) == [0, 1, 2, 3]


# -- the trace -------------------------------------------------------------------------------------


def test_output_gets_its_trace(process, cam, make):
    out = make("out", frame(0))
    other = make("other", frame(0))
    writer = make("cam")
    loop = process.loop(cam, output=[out, other])
    threading.Timer(0.001, lambda: writer.set_data(frame(1))).start()
    image = next(loop)
    out.set_data(image + 1)
    counter = writer.get_counter()
    writer.set_data(frame(2))
    next(loop)
    with Stream.attach("out") as stream, Stream.attach("cam") as source:
        newest, *older = read_trace(stream)
        assert newest.pid == process.pid
        assert newest.trigger_inode == source.inode
        assert newest.counter == counter
        assert newest.trigger_mode == TriggerMode.SEMAPHORE
        assert newest.status == TriggerStatus.RECEIVED
        assert newest.semaphore == cam.semID
        assert newest.started_ns <= newest.updated_ns <= stream.write_time_ns
        assert not any(entry.used for entry in older)
    with Stream.attach("other") as stream:
        assert not any(entry.used for entry in read_trace(stream))  # it was not published
    loop.close()


def test_publish_puts_the_trace_first(process, cam, make):
    out = make("out", frame(0))
    writer = make("cam")
    loop = process.loop(cam)
    with pytest.raises(errors.ProcessInfoArgumentError):
        process.publish(out, frame(0))
    threading.Timer(0.001, lambda: writer.set_data(frame(1))).start()
    image = next(loop)
    before = out.get_counter()
    process.publish(out, image * 2)
    assert out.get_counter() == before + 1
    assert out.get_data()[0, 0] == 2
    with Stream.attach("out") as stream:
        newest = read_trace(stream)[0]
        assert (newest.pid, newest.counter) == (process.pid, writer.get_counter())
        assert newest.started_ns <= newest.updated_ns <= stream.write_time_ns
    loop.close()


def test_publish_needs_a_stream_as_source(process, make):
    out = make("out", frame(0))
    loop = process.loop(range(3))
    next(loop)
    with pytest.raises(errors.ProcessInfoArgumentError):
        process.publish(out, frame(1))
    loop.close()


def test_replaced_output(process, cam, make):
    out = make("out", frame(0))
    writer = make("cam")
    loop = process.loop(cam, output=out)
    threading.Timer(0.001, lambda: writer.set_data(frame(1))).start()
    next(loop)
    with SHM("out", frame(0)) as new:
        out.set_data(frame(3), autorelink_if_need=True)
        writer.set_data(frame(2))
        next(loop)
        loop.close()
        with Stream.attach("out") as stream:
            assert read_trace(stream)[0].pid == process.pid
        assert new.get_data()[0, 0] == 3


def test_file_that_is_cut_in_the_loop(process):
    def compute() -> None:
        for number in process.loop():
            if number == 2:
                os.truncate(process.path, 0)

    with pytest.raises(errors.ProcessInfoDamagedError):
        compute()
