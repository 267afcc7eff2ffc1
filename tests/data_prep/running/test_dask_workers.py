"""Conversion on a Dask scheduler: the bytes of local processes, one refusal where it cannot be, and nothing of a patient in its logs."""

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep import convert as stage
from data_prep.exports.sources import Found
from data_prep.running import dask_workers
from data_prep.running.dask_workers import Answer, Task, do
from data_prep.running.parallel import in_order
from data_prep.settings import load_params
from tests.data_prep.test_convert import digest, messy, series_site
from workspace.errors import Refusal
from workspace.paths import Workspace

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


def on(made: Workspace, address: str) -> Workspace:
    """The same workspace with a scheduler for its conversion."""
    text = made.params_file.read_text()
    made.params_file.write_text(text.replace("workers: 1", f"scheduler: '{address}'"))
    return made


@pytest.mark.parametrize("export", [messy, series_site])
def test_the_same_bytes_come_out_of_dask_workers_and_local_processes(
    tmp_path: Path, cluster, export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "data_prep.scan.in_order", lambda *args, **named: in_order(*args, chunk=3, **named)
    )
    made = export(tmp_path)
    stage.convert(made, "site")
    local = digest(made)
    stage.convert(on(made, cluster.scheduler_address), "site")
    assert digest(made) == local


def test_results_come_in_the_order_of_the_items(tmp_path: Path, cluster) -> None:
    items = [Found(str(number), tmp_path, number) for number in range(50)]
    assert list(in_order(names, items, 0, 3, cluster.scheduler_address)) == [
        str(number) for number in range(50)
    ]


def names(part: list[Found]) -> list[str]:
    return [found.name for found in part]


def broken(part: list[Found]) -> list[str]:
    raise ValueError(part[0].name)


def test_a_workers_own_error_is_raised_here_and_no_log_of_dask_holds_a_patients_value(
    tmp_path: Path, cluster
) -> None:
    with pytest.raises(ValueError, match="ZZPHI-9"):
        list(in_order(broken, [Found("ZZPHI-9", tmp_path, 1)], 0, 1, cluster.scheduler_address))
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        stated = str(
            [
                client.get_worker_logs(),
                client.get_scheduler_logs(),
                client.get_task_stream(),
                client.story(),
            ]
        )
    assert "ZZPHI" not in stated + repr(Task(names, [Found("ZZPHI-9", tmp_path, 1)], "")) + repr(
        Answer(error=ValueError("ZZPHI-9"))
    )


def test_a_worker_that_does_not_see_what_is_seen_here_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    answer = do(
        Task(
            names,
            [Found("a", there, 0), Found("b", tmp_path / "gone", 0)],
            dask_workers.conversion_mark(),
        )
    )
    assert (answer.unseen, answer.results) == ([tmp_path / "gone"], ["a", "b"])
    assert pending(answer).result() == [
        "a",
        "b",
    ]  # it is not there for us either, and reading it says so
    with pytest.raises(
        Refusal,
        match="found a worker that cannot read 1 files of the export; need every file under the same path",
    ):
        pending(replace(answer, unseen=[there])).result()


def test_a_worker_of_another_version_is_refused() -> None:
    with pytest.raises(
        Refusal, match="found a worker with other code or libraries; need the same as here"
    ):
        pending(do(Task(names, [], "another"))).result()


def test_a_task_that_dask_loses_is_a_refusal_without_its_text() -> None:
    with pytest.raises(
        Refusal,
        match=r"found a task that was lost \(KilledWorker\); need a scheduler and workers that stay",
    ) as refused:
        pending(distributed.KilledWorker("ZZPHI", "ZZPHI", 4)).result()
    assert "ZZPHI" not in str(refused.value)


def pending(outcome: Answer | Exception) -> dask_workers.Pending:
    """A task that ended so."""
    future: Future = Future()
    future.set_exception(outcome) if isinstance(outcome, Exception) else future.set_result(outcome)
    return dask_workers.Pending(future)


def test_a_scheduler_that_does_not_answer_or_has_no_worker_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_workers, "ANSWER", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
    made = on(messy(tmp_path), address)
    with pytest.raises(
        Refusal,
        match=f"params.yaml convert.scheduler: found no answer from {address} in 1 s .*; need a running Dask scheduler",
    ):
        stage.convert(made, "site")
    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as idle,
        pytest.raises(
            Refusal,
            match="convert.scheduler: found no worker at .* in 1 s; need one at least; do start it with dask worker",
        ),
    ):
        list(in_order(names, [Found("a", tmp_path, 0)], 0, 1, idle.scheduler_address))
    assert not (tmp_path / "data").exists()


def test_a_missing_package_and_an_address_that_is_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = on(messy(tmp_path), "tcp://head:8786")
    monkeypatch.setattr(dask_workers, "find_spec", lambda name: None)
    with pytest.raises(
        Refusal,
        match=r"found tcp://head:8786, without the package that speaks to it; need distributed; do pip install",
    ):
        stage.convert(made, "site")
    text = made.params_file.read_text()
    made.params_file.write_text(text.replace("tcp://head:8786", "head:8786"))
    with pytest.raises(
        Refusal,
        match="convert.scheduler: found 'head:8786'; need processes, or the address of a Dask scheduler",
    ):
        load_params(made)
    made.params_file.write_text(text.replace("scheduler:", "workers: 2, scheduler:"))
    with pytest.raises(
        Refusal, match="params.yaml convert: found .*; need workers 0 beside a Dask scheduler"
    ):
        load_params(made)
