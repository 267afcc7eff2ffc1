"""A site's fixed supports and query set, and the refusal of models that were trained on them."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_prep.store.duplicates import near_any
from models.checkpoint import ModelCard
from workspace.errors import Problem, refuse_if
from workspace.paths import Workspace
from workspace.settings import Role


@dataclass(frozen=True)
class SiteProtocol:
    """One site's fixed supports and query set.

    `query` and `supports` index `records`, which holds what either needs.
    """

    site: str
    role: Role
    task: str
    secret: str  # fingerprint of the secret under which the keys were made
    classes: list[str]
    shots: list[int]
    records: pd.DataFrame  # rows of splits.parquet
    query: np.ndarray
    draws: list[np.ndarray]  # of each draw: (class, position)

    def support(self, draw: int, k: int) -> np.ndarray:
        """Indices of k patients a class, in the order of the classes."""
        return self.draws[draw][:, :k].reshape(-1)

    def held_out(self, draw: int, k: int) -> np.ndarray:
        """Indices of the draw's other patients, (class, position from k on): labelled, and not
        adapted to with k.
        """
        return self.draws[draw][:, k:]


def read_protocol(workspace: Workspace, site: str, role: Role) -> SiteProtocol:
    """Read what the `tasks` stage fixed."""
    folder = workspace.tasks(role, site)
    summary = json.loads((folder / "task.json").read_text())
    splits, draws = (
        pd.read_parquet(folder / "splits.parquet"),
        pd.read_parquet(folder / "draws.parquet"),
    )
    records = splits[
        (splits["split"] == "query") | splits["record"].isin(draws["record"])
    ].reset_index(drop=True)
    at = pd.Series(records.index, index=records["record"])
    most = max(summary["shots"])
    chosen = draws[draws["position"] < most].sort_values(["draw", "label", "position"])
    tables = [
        np.stack(
            [
                at[of_draw.loc[of_draw["label"] == name, "record"]].to_numpy()
                for name in summary["classes"]
            ]
        )
        for _, of_draw in chosen.groupby("draw")
    ]
    return SiteProtocol(
        site,
        role,
        summary["task"],
        summary["secret"],
        summary["classes"],
        summary["shots"],
        records,
        np.flatnonzero(records["split"] == "query"),
        tables,
    )


def refuse_overlap(protocol: SiteProtocol, cards: list[ModelCard]) -> None:
    """Raise Refusal if a model was trained on a patient or picture, or nearly such a picture, that
    it would now be tested on.

    At a source site the supports are validation patients, so there only the query set is held to
    it.
    """
    tested = (
        protocol.records if protocol.role == "target" else protocol.records.iloc[protocol.query]
    )
    problems = []
    for card in cards:
        if card.secret != protocol.secret:  # no shared patient could be seen
            problems.append(
                Problem(
                    f"site {protocol.site}, runs/{card.learner}/{card.seed}",
                    "keys made under another secret",
                    "one secret for all sites",
                    "restore .fewsite/secret, delete data/ and run dvc repro --force",
                )
            )
        for source, seen in card.trained_on.items():
            patients = int(
                tested["patient"].isin(seen.patients).groupby(tested["patient"]).any().sum()
            )
            pictures = tested["pixel_hash"].isin(seen.pixel_hashes)
            alike = (
                near_any(
                    tested["perceptual_hash"], pd.Series(seen.perceptual_hashes, dtype="string")
                )
                & ~pictures
            )
            if patients or pictures.any() or alike.any():
                problems.append(
                    Problem(
                        f"site {protocol.site}, runs/{card.learner}/{card.seed}",
                        f"{patients} patients, {pictures.sum()} pictures and {alike.sum()} nearly "
                        f"identical ones that it was trained on at {source}",
                        "none",
                        "take the shared studies out of one site, or dvc repro to train again",
                    )
                )
    refuse_if(problems)
