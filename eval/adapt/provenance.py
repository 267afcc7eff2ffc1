"""What the numbers of a site rest on: versions, hashes, and what each model was trained on."""

from importlib.metadata import version
from typing import Any

from eval.adapt.protocol import SiteProtocol
from eval.current import tasks_digest
from eval.settings import Params
from models.checkpoint import ModelCard
from workspace.code_mark import code_digest
from workspace.outputs import digest, to_json
from workspace.paths import Workspace


def provenance(
    workspace: Workspace, protocol: SiteProtocol, cards: list[ModelCard], params: Params
) -> dict[str, Any]:
    """Versions, hashes, and what each model was trained on."""
    learners: dict[str, Any] = {}
    for card in cards:
        entry = learners.setdefault(
            card.learner,
            {
                "encoder": card.settings["encoder"],
                "settings": card.settings["learner"],
                "parameters": card.parameters,
                "runs": {},
                "trained_on": {
                    site: {"patients": len(seen.patients), "records": seen.records}
                    for site, seen in card.trained_on.items()
                },
            },
        )
        entry["runs"][str(card.seed)] = {
            "best_step": card.best_step,
            "validation_accuracy": card.best_validation,
        }
    return {
        "role": protocol.role,
        "task": protocol.task,
        "classes": protocol.classes,
        "fewsite": version("fewsite"),
        "versions": {name: version(name) for name in ("torch", "monai", "pydicom", "scikit-learn")},
        "params_sha256": digest(
            to_json(params.model_dump(mode="json", include={"adapt", "seed"})).encode()
        ),
        "code_sha256": code_digest("eval.adapt.__main__"),
        "data_sha256": digest(
            (workspace.studies(protocol.site) / "records.parquet").read_bytes()
        ),  # holds each record's pixel hash
        "tasks_sha256": tasks_digest(workspace, protocol.site, protocol.role),
        "learners": learners,
    }
