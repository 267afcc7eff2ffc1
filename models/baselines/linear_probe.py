"""Linear probe: multinomial logistic regression on frozen source features, with a fixed penalty."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from models.learners.supervised import Supervised
from models.method import Method
from models.support import Support


class LinearProbe(Method):
    """Features scaled by their source statistics; scikit-learn fits a row a class for each task
    (two classes: one against the other).
    """

    def __init__(self, source: Supervised, c: float):
        super().__init__()
        self.source, self.c = source, c

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        scaled = (self.source.encoder(images) - self.source.feature_mean) / self.source.feature_std
        return scaled / scaled.shape[1] ** 0.5  # so that the penalty means the same for every width

    def adapt(
        self, support: Support
    ) -> tuple[Float[Tensor, "task way feature"], Float[Tensor, "task way"]]:
        """Weights and intercepts of each task."""
        fits = [
            LogisticRegression(C=self.c, max_iter=1000).fit(
                inputs.cpu().numpy(), labels.cpu().numpy()
            )
            for inputs, labels in zip(support.inputs, support.labels, strict=True)
        ]
        rows = [
            _two_rows(fit.coef_, fit.intercept_)
            if support.way == 2
            else (fit.coef_, fit.intercept_)
            for fit in fits
        ]
        weights, intercepts = zip(*rows, strict=True)
        return _like(support.inputs, weights), _like(support.inputs, intercepts)

    def predict(
        self, adapted: tuple[Tensor, Tensor], query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        weights, intercepts = adapted
        return torch.einsum("tqf,twf->tqw", query, weights) + intercepts[:, None]


def _like(inputs: Tensor, each: Sequence[np.ndarray]) -> Float[Tensor, "task *rows"]:
    return torch.from_numpy(np.stack(each)).to(inputs.device, inputs.dtype)


def _two_rows(
    coef: Float[np.ndarray, "1 feature"], intercept: Float[np.ndarray, "1"]
) -> tuple[Float[np.ndarray, "2 feature"], Float[np.ndarray, "2"]]:
    """scikit-learn fits one row for two classes: the log odds of the second."""
    return np.concatenate([np.zeros_like(coef), coef]), np.concatenate(
        [np.zeros_like(intercept), intercept]
    )
