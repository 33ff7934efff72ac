"""Where a result comes from, in the terms of W3C PROV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from integral_oda.errors import DataError
from integral_oda.workflow.graph import Node
from integral_oda.workflow.keys import canonical_json
from integral_oda.workflow.schedule import Cell
from integral_oda.workflow.store import Store

__all__ = ["Made", "lineage", "prov_document"]

_PREFIXES = {"oda": "urn:integral-oda:", "sha256": "urn:hash::sha256:"}


@dataclass(frozen=True)
class Made:
    """One result and what it was really made from.

    Attributes
    ----------
    key : str
        Its provenance key.
    step, step_version, scope, engine, engine_version : str
        What made it, and for which science window.
    parameters : mapping
        The parameters of the step.
    inputs : tuple of str
        Keys of the results it was made from; those of failed nodes are not among them.
    raw : mapping
        Fingerprints of the raw files it was made from, by their names in the step.
    seconds, created : float or None
        What it cost, and when it was there (Unix time), as far as the store knows.
    """

    key: str
    step: str
    step_version: str
    scope: str
    engine: str
    engine_version: str
    parameters: Mapping[str, Any]
    inputs: tuple[str, ...]
    raw: Mapping[str, str]
    seconds: float | None
    created: float | None


class Cells(Protocol):
    """An execution, done or under way, as far as lineage asks."""

    def cell(self, node: Node) -> Cell | None:
        """State of one node; None where it was not needed."""


def lineage(execution: Cells, target: Node, store: Store | None = None) -> list[Made]:
    """List all that a result was made from, inputs first, the result last.

    Parameters
    ----------
    execution : Execution or Run
        What carried the target out, or is at it with all its inputs done; nodes that failed there, and what only they
        were made from, are left out.
    target : Node
        The result.
    store : Store, optional
        Knows times and costs.
    """
    found: dict[str, Made] = {}
    pending = [(target, iter(_real_inputs(execution, target)))]
    while pending:
        node, rest = pending[-1]
        child = next((item for item in rest if _real_key(execution, item) not in found), None)
        if child is not None:
            pending.append((child, iter(_real_inputs(execution, child))))
            continue
        pending.pop()
        key = _real_key(execution, node)
        if key is not None and key not in found:
            found[key] = _made(execution, node, key, store)
    return list(found.values())


def _real_key(execution: Cells, node: Node) -> str | None:
    cell = execution.cell(node)
    if cell is not None and (cell.key is not None or cell.error is not None):
        return cell.key
    try:
        return node.key
    except DataError:
        return None


def _real_inputs(execution: Cells, node: Node) -> Iterator[Node]:
    return (item for item in node.inputs if _real_key(execution, item) is not None)


def _made(execution: Cells, node: Node, key: str, store: Store | None) -> Made:
    inputs = tuple(key for key in (_real_key(execution, item) for item in node.inputs) if key is not None)
    seconds = created = None
    if store is not None:
        try:
            manifest = store.manifest(key)
            seconds, created = manifest.seconds, manifest.created
        except DataError:
            # It was pruned; what was made from it is still there.
            pass
    return Made(
        key=key,
        step=node.step.name,
        step_version=node.step.version,
        scope=node.scope,
        engine=node.engine,
        engine_version=node.engine_version,
        parameters=dict(node.parameters),
        inputs=inputs,
        raw=node.task_on([]).fingerprints,
        seconds=seconds,
        created=created,
    )


def prov_document(made: Sequence[Made], software: Mapping[str, str], request: Mapping[str, Any]) -> dict[str, Any]:
    """Write a lineage as a PROV-JSON document.

    Parameters
    ----------
    made : sequence of Made
        Results, the last of which is the product.
    software : mapping
        Names and versions of the software.
    request : mapping
        What was asked, JSON-able.

    Returns
    -------
    dict
        PROV-JSON: results and raw files are entities, steps are activities, software is the agent.
    """
    document: dict[str, Any] = {"prefix": dict(_PREFIXES), "entity": {}, "activity": {}, "agent": {}}
    agent = {f"oda:{name}": version for name, version in software.items()}
    document["agent"]["oda:software"] = {"prov:type": _qualified("prov:SoftwareAgent"), **agent}
    document["entity"]["oda:request"] = {"prov:value": canonical_json(request)}
    for item in made:
        document["activity"][f"oda:run-{item.key}"] = _activity(item)
        document["entity"][f"oda:{item.key}"] = {"prov:label": f"{item.step} of {item.scope}"}
        for name, fingerprint in item.raw.items():
            document["entity"][f"sha256:{fingerprint}"] = {"prov:label": f"raw file: {name}"}
    relations = [relation for item in made for relation in _relations(item)]
    if made:
        relations.append(
            ("wasInfluencedBy", {"prov:influencee": f"oda:{made[-1].key}", "prov:influencer": "oda:request"})
        )
    for number, (kind, values) in enumerate(relations):
        document.setdefault(kind, {})[f"_:r{number}"] = values
    return document


def _activity(item: Made) -> dict[str, Any]:
    values: dict[str, Any] = {
        "prov:label": f"{item.step} of {item.scope}",
        "oda:step": item.step,
        "oda:step_version": item.step_version,
        "oda:engine": item.engine,
        "oda:engine_version": item.engine_version,
        "oda:parameters": canonical_json(item.parameters),
    }
    if item.created is not None and item.seconds is not None:
        values["prov:startTime"] = _moment(item.created - item.seconds)
        values["prov:endTime"] = _moment(item.created)
    return values


def _relations(item: Made) -> Iterator[tuple[str, dict[str, str]]]:
    run, result = f"oda:run-{item.key}", f"oda:{item.key}"
    yield "wasGeneratedBy", {"prov:entity": result, "prov:activity": run}
    yield "wasAssociatedWith", {"prov:activity": run, "prov:agent": "oda:software"}
    for key in item.inputs:
        yield "used", {"prov:activity": run, "prov:entity": f"oda:{key}"}
    for fingerprint in item.raw.values():
        yield "used", {"prov:activity": run, "prov:entity": f"sha256:{fingerprint}"}


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
