"""What is kept of a site's records beside their answers: who they are of, and their features."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from data_prep.store.records import read_studies
from eval.adapt.protocol import SiteProtocol
from eval.settings import Params
from models.build import SUPERVISED, load_learner
from models.encoders.features import CHUNK
from workspace.paths import Workspace

# of records.parquet
DESCRIBED = (
    "record",
    "patient",
    "label",
    "age",
    "sex",
    "study_year",
    "modality",
    "manufacturer",
    "model",
    "spacing",
    "slices",
)


def embeddings(
    workspace: Workspace,
    params: Params,
    images: Float[Tensor, "record channel *space"],
    device: torch.device,
) -> np.ndarray:
    """The source model's features of all records, (record, feature) float16, of the first training
    seed; empty where there is no such model.
    """
    if SUPERVISED not in params.train.learners:
        return np.empty((0, 0), np.float16)
    source = load_learner(workspace.run(SUPERVISED, params.train.seeds[0]), device).eval()
    with torch.no_grad():
        return (
            torch.cat([source.encoder(part) for part in images.split(CHUNK)]).half().cpu().numpy()
        )


def cohort(workspace: Workspace, protocol: SiteProtocol, embedded: int) -> pd.DataFrame:
    """All records of the site with their split and what is known of them; `embedding` is the row in
    embeddings.npy, missing where none.
    """
    splits = pd.read_parquet(
        workspace.tasks(protocol.role, protocol.site) / "splits.parquet",
        columns=["record", "split"],
    )
    rows = pd.Series(range(embedded), index=protocol.records["record"].head(embedded))
    table = read_studies(workspace.studies(protocol.site)).records.merge(
        splits, on="record", validate="one_to_one"
    )
    return table[list(DESCRIBED)].assign(
        split=table["split"], embedding=table["record"].map(rows).astype("Int32")
    )
