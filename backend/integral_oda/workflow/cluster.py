"""Carries a graph out on a Dask cluster: science windows side by side, gathering nodes when their inputs are there.

Scheduler and workers see the same store. A task of the cluster is a bundle: what is to be done of one science window,
carried out in one go by the same code that serves a single process, each result landing in the store. What a lost
worker has finished is therefore found by the one that takes its place.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from integral_oda.errors import IntegralOdaError, RequestError, UnavailableError
from integral_oda.workflow.execution import Execution, Run
from integral_oda.workflow.executor import Executor, InProcessRun, execute
from integral_oda.workflow.graph import Node, is_tolerant
from integral_oda.workflow.locks import FileLock
from integral_oda.workflow.perform import Ending, Performed, inherited_failure
from integral_oda.workflow.progress import Listener, StepEvent, silent
from integral_oda.workflow.schedule import Cell, key_or_error
from integral_oda.workflow.store import Store

__all__ = ["ClusterExecutor", "bundles", "open_executor"]

_ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://.+:\d+")
_ANSWER_S = 10.0
_POLL_S = 0.1
_FAREWELL_S = 0.8
# One thread a worker. Dask would have every array of more than 128 kB fetched from the kernel and given back, page by
# page: transforms of a sky image then take twice as long.
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
    "MALLOC_TRIM_THRESHOLD_": 128 * 2**20,
}
# What gathers goes before windows that were not begun, so that a tree of it keeps the memory bounded.
_GATHERING_FIRST = 10
# States that a worker tells of while it is at work; the others follow from its report.
_LIVE = ("running", "computed")


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as exc:
        raise UnavailableError("jobs and scheduler need Dask: pip install 'integral-oda[cluster]'") from exc


class ClusterExecutor:
    """Carries out graphs on a local cluster, or on any Dask scheduler.

    Parameters
    ----------
    jobs : int, optional
        Number of processes of a local cluster.
    scheduler : str, optional
        Address of a scheduler, such as ``tcp://host:8786``; one of the two must be given.

    Raises
    ------
    RequestError
        When neither or both are given, the number is less than 1, or the address is none.
    UnavailableError
        When Dask is not installed or the scheduler does not answer.

    Notes
    -----
    All workers must see the store and the archive under the same paths as the caller, and run the same version.

    *SLURM* (and PBS, SGE, HTCondor, LSF): dask-jobqueue starts the workers, each a job of the batch system::

        from dask_jobqueue import SLURMCluster

        batch = SLURMCluster(queue="normal", cores=1, memory="4GB", walltime="02:00:00")
        batch.adapt(maximum_jobs=100)
        ClusterExecutor(scheduler=batch.scheduler_address)

    *Kubernetes*: dask-kubernetes starts them as pods that mount the store's volume::

        from dask_kubernetes.operator import KubeCluster

        pods = KubeCluster(name="integral-oda", image="IMAGE WITH integral-oda[cluster]", n_workers=20)
        ClusterExecutor(scheduler=pods.scheduler_address)

    On the command line the same address is ``--scheduler tcp://HOST:PORT``.
    """

    def __init__(self, *, jobs: int | None = None, scheduler: str | None = None) -> None:
        if (jobs is None) == (scheduler is None):
            raise RequestError("jobs", f"{jobs} with scheduler = {scheduler}", "give one of the two")
        if jobs is not None and jobs < 1:
            raise RequestError("jobs", jobs, "at least 1")
        if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
            raise RequestError("scheduler", scheduler, "an address such as tcp://HOST:PORT")
        distributed = _distributed()
        self._cluster = None
        if jobs is not None:
            self._cluster = _local_cluster(distributed, jobs)
        try:
            self.client = distributed.Client(self._cluster or scheduler, timeout=_ANSWER_S, set_as_default=False)
        except (OSError, ValueError) as exc:
            raise UnavailableError(f"the scheduler {scheduler} does not answer: {exc}") from exc

    def __call__(
        self,
        targets: Sequence[Node],
        store: Store | None = None,
        listener: Listener = silent,
        *,
        cancel: threading.Event | None = None,
        strict: bool = False,
    ) -> Execution:
        """Carry out a graph, see `integral_oda.workflow.executor.execute`; it needs a store that all workers see."""
        if store is None:
            raise RequestError("store", None, "a cluster hands results on through a store that all its workers see")
        return ClusterRun(self.client, store, listener, cancel or threading.Event(), strict=strict).execute(targets)

    def close(self) -> None:
        """Leave the scheduler; a local cluster is stopped, whatever its workers are at."""
        self.client.close()
        if self._cluster is not None:
            workers = [nanny.pid for nanny in self._cluster.workers.values()]
            # Dask waits for what a worker is at; a store is used to workers that are killed.
            end = threading.Timer(_FAREWELL_S, _kill, [workers])
            end.start()
            self._cluster.close()
            end.cancel()
            end.join()

    def __enter__(self) -> ClusterExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _local_cluster(distributed: Any, jobs: int) -> Any:
    with import_module("dask").config.set({"distributed.nanny.pre-spawn-environ": _WORKER_ENVIRONMENT}):
        return distributed.LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            # A worker whose heartbeat fails while the cluster closes would call that an error; what counts is reported.
            silence_logs=logging.CRITICAL,
        )


def _kill(processes: Sequence[int | None]) -> None:
    for pid in processes:
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def open_executor(*, jobs: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Open what carries graphs out: this process, a local cluster, or the one of a scheduler.

    Parameters
    ----------
    jobs : int, optional
        Number of processes; none, or 1, means this one.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    RequestError
        When both are given, or the number is less than 1.
    UnavailableError
        When Dask is not installed or the scheduler does not answer.
    """
    if scheduler is None and jobs in (None, 1):
        yield execute
        return
    with ClusterExecutor(jobs=jobs, scheduler=scheduler) as executor:
        yield executor


@dataclass(eq=False)
class Bundle:
    """Nodes that one worker carries out one after the other.

    Attributes
    ----------
    cells : list of Cell
        The nodes, inputs first.
    needs : list of Bundle
        Bundles whose results it takes.
    """

    cells: list[Cell]
    needs: list[Bundle] = field(default_factory=list)

    @property
    def targets(self) -> list[int]:
        """Places of the nodes that no other node of the bundle takes."""
        inner = set(self.cells)
        return [place for place, cell in enumerate(self.cells) if not inner.intersection(cell.users)]


def bundles(to_do: Sequence[Cell]) -> list[Bundle]:
    """Put nodes together that belong to one science window and follow from one another.

    Parameters
    ----------
    to_do : sequence of Cell
        What is to be done, inputs first.

    Returns
    -------
    list of Bundle
        A bundle comes after those that it needs.
    """
    found: list[Bundle] = []
    place: dict[Cell, Bundle] = {}
    for cell in to_do:
        needs = list(dict.fromkeys(place[item] for item in cell.inputs if item in place))
        joins = len(needs) == 1 and needs[0].cells[0].node.scope == cell.node.scope and not is_tolerant(cell.node.step)
        if joins:
            needs[0].cells.append(cell)
            place[cell] = needs[0]
        else:
            place[cell] = Bundle([cell], needs)
            found.append(place[cell])
    return found


@dataclass(frozen=True)
class Ended:
    """How a node ended on a worker; the key is that of what it really became."""

    state: Ending
    key: str | None
    seconds: float
    error: IntegralOdaError | None
    inherited: bool


@dataclass(frozen=True)
class BundleReport:
    """How the nodes of a bundle ended, in their order (None: not needed), and the keys of all that failed so far."""

    ended: list[Ended | None]
    failed: dict[str, IntegralOdaError]


def run_bundle(
    nodes: Sequence[Node], targets: Sequence[int], root: Path, token: Path, topic: str, *before: BundleReport
) -> BundleReport:
    """Carry a bundle out on a worker.

    Parameters
    ----------
    nodes : sequence of Node
        Its nodes, inputs first.
    targets : sequence of int
        Which of them no other of the bundle takes.
    root : Path
        Root of the store.
    token : Path
        File whose disappearance tells to stop.
    topic : str
        Where events go.
    *before : BundleReport
        How the bundles ended that it needs.
    """
    worker = _distributed().get_worker()

    def listen(event: StepEvent) -> None:
        if event.state in _LIVE:
            worker.log_event(topic, {"event": asdict(event)})

    known = {key: error for report in before for key, error in report.failed.items()}
    run = InProcessRun(_store(root), listen, _Token(token), strict=False, known=known)
    execution = run.execute([nodes[number] for number in targets])
    ended = [_ended(execution.cell(node)) for node in nodes]
    for node, item in zip(nodes, ended, strict=True):
        key = key_or_error(node)
        if item is not None and item.error is not None and isinstance(key, str):
            known[key] = item.error
    return BundleReport(ended, known)


@lru_cache(maxsize=8)
def _store(root: Path) -> Store:
    return Store(root)


def _ended(cell: Cell | None) -> Ended | None:
    if cell is None or not cell.settled:
        return None
    state: Ending = "computed" if cell.state == "computed" else "failed" if cell.error else "restored"
    return Ended(state, cell.key, cell.seconds, cell.error, cell.inherited)


class _Token:
    """Tells to stop when a file is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_set(self) -> bool:
        return not self._path.exists()

    def wait(self, timeout: float) -> bool:
        time.sleep(timeout)
        return self.is_set()


class ClusterRun(Run):
    """One execution on a cluster."""

    def __init__(self, client: Any, store: Store, listener: Listener, cancel: threading.Event, *, strict: bool) -> None:
        super().__init__(store, listener, cancel, strict=strict)
        self._client, self._root, self._stop = client, store.root, cancel
        self._topic = f"integral-oda-{uuid.uuid4().hex}"
        self._token = FileLock(store.root / "locks" / self._topic)
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told: Counter[tuple[str, str, str]] = Counter()

    def again(self) -> Run:
        """Another execution on the same store, in this process, for what was lost."""
        return InProcessRun(self.store, self.listener, threading.Event(), strict=False)

    def work(self, to_do: Sequence[Cell]) -> None:
        """Hand bundles to the cluster, and follow what becomes of them."""
        waiting = self._submit(bundles(self._not_doomed(to_do)))
        try:
            while waiting and not self._stop.is_set():
                self._follow(waiting)
        finally:
            self._token.release()
            if waiting:
                self._client.cancel(list(waiting), force=True)
            self._client.unsubscribe_topic(self._topic)

    def _not_doomed(self, to_do: Sequence[Cell]) -> list[Cell]:
        for cell in to_do:
            error = inherited_failure(cell.node, [item.error for item in cell.inputs])
            if error is not None:
                cell.inherited = True
                self.settle(cell, Performed("failed", error=error))
        return [cell for cell in to_do if not cell.settled]

    def _submit(self, found: Sequence[Bundle]) -> dict[Any, Bundle]:
        self._token.acquire()
        self._client.subscribe_topic(self._topic, lambda event: self._arrived.put(event[1]))
        futures: dict[Bundle, Any] = {}
        for bundle in found:
            nodes = [cell.node for cell in bundle.cells]
            future = futures[bundle] = self._client.submit(
                run_bundle,
                nodes,
                bundle.targets,
                self._root,
                self._token.path,
                self._topic,
                *(futures[item] for item in bundle.needs),
                key=f"{nodes[-1].step.name}-{nodes[-1].scope}-{uuid.uuid4().hex}",
                pure=False,
                priority=_GATHERING_FIRST if is_tolerant(nodes[0].step) else 0,
            )
            future.add_done_callback(self._arrived.put)
        return {future: bundle for bundle, future in futures.items()}

    def _follow(self, waiting: dict[Any, Bundle]) -> None:
        try:
            arrived = self._arrived.get(timeout=_POLL_S)
        except queue.Empty:
            return
        if isinstance(arrived, dict):
            self._hear(StepEvent(**arrived["event"]))
        elif arrived in waiting:
            self._collect(waiting.pop(arrived), arrived)

    def _hear(self, event: StepEvent) -> None:
        """Pass on what a worker tells, unless its report was here before."""
        name = (event.scope, event.step, event.state)
        if event.state == "running" or self._told[name] >= 0:
            self.listener(event)
        if event.state != "running":
            self._told[name] += 1

    def tell(self, cell: Cell, state: Any) -> None:
        """Tell the listener of a change, unless the worker did."""
        name = (cell.node.scope, cell.node.step.name, state)
        if state in _LIVE:
            self._told[name] -= 1
            if self._told[name] >= 0:
                return
        super().tell(cell, state)

    def keeps(self, cell: Cell) -> bool:  # noqa: ARG002
        """Values stay on the workers and in the store."""
        return False

    def _collect(self, bundle: Bundle, future: Any) -> None:
        ended: Sequence[Ended | None]
        if future.status == "finished":
            ended = future.result().ended
        else:
            lost = Ended("failed", None, 0.0, self._loss(future), inherited=False)
            ended = [lost] * len(bundle.cells)
        for cell, item in zip(bundle.cells, ended, strict=True):
            self._note(cell, item)

    def _loss(self, future: Any) -> IntegralOdaError:
        """Why a bundle has no report; an error of the program is raised."""
        error = future.exception()
        if isinstance(error, _distributed().KilledWorker):
            return UnavailableError(f"the cluster lost the workers that were at it: {error}")
        if error is None:
            return UnavailableError(f"the cluster gave it up ({future.status})")
        raise error

    def _note(self, cell: Cell, ended: Ended | None) -> None:
        if ended is None:
            # Something made from it was in the store before the worker came to it.
            ended = Ended("restored", None, 0.0, None, inherited=False)
        state = ended.state
        if state == "restored" and self._told[(cell.node.scope, cell.node.step.name, "computed")] > 0:
            # A worker that was lost afterwards had computed it for this execution.
            state = "computed"
        cell.key, cell.inherited = ended.key, ended.inherited
        folder = None
        if ended.key is not None and self.store is not None and self.lease is not None:
            self.lease.add(ended.key)
            folder = self.store.folder(ended.key)
        self.settle(cell, Performed(state, None, folder, ended.seconds, ended.error))
