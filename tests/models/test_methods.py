"""The contract, held by every learner and baseline alike."""

import pytest
import torch

from data_prep.settings import Convert
from models.baselines.cosine_head import CosineHead
from models.baselines.cosine_head import Settings as CosineHeadSettings
from models.baselines.fine_tuning import FineTuning
from models.baselines.fine_tuning import Settings as FineTuningSettings
from models.baselines.linear_probe import LinearProbe
from models.baselines.majority import Majority
from models.baselines.nearest_centroid import NearestCentroid
from models.baselines.source_only import SourceOnly, head_rows
from models.build import SUPERVISED, build_learner, settings_class
from models.encoders.settings import Encoder
from models.learners.maml import Maml as MamlLearner
from models.learners.supervised import Settings as SupervisedSettings
from models.method import Method
from models.settings import learner_names
from models.support import Support, class_means, nearness

SIZE = [16, 16]
TASKS = {"one": ["x", "y", "z"], "two": ["p", "q"]}


def learner(name: str, settings, norm: str = "group", size: list[int] = SIZE) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_learner(
        name, settings, Encoder(width=8, norm=norm), Convert(size=size), TASKS
    ).eval()


def method(name: str, size: list[int] = SIZE, norm: str = "group") -> Method:
    norm = (
        "group" if name in ("maml", "learned_rates") else norm
    )  # no inner step can own running statistics
    source = learner("supervised", SupervisedSettings(), norm, size)
    baselines = {
        "majority": lambda: Majority(),
        "nearest_centroid": lambda: NearestCentroid(source),
        "linear_probe": lambda: LinearProbe(source, 1.0),
        "source_only": lambda: SourceOnly(source, "one", [0, 1, 2]),
        "fine_tuning": lambda: FineTuning(source, "one", [0, 1, 2], FineTuningSettings(steps=3)),
        "imprinted": lambda: FineTuning(source, "other", None, FineTuningSettings(steps=3)),
        "cosine_head": lambda: CosineHead(source, CosineHeadSettings()),
    }
    if name in baselines:
        return baselines[name]().eval()
    variant, own = VARIANTS.get(name, (name, {}))
    return learner(variant, settings_class(variant)(**own), norm, size)


# of learners: other settings than the defaults, under the learner's name or one of their own
VARIANTS = {
    "full_context": ("matching", {"full_context": True}),
    "maml": ("maml", {"adapt_steps": 2}),
    "anil": ("maml", {"adapt_steps": 2, "anil": True}),
    "learned_rates": ("maml", {"adapt_steps": 2, "inner_steps": 1, "learned_rates": True}),
    "mann": ("mann", {"slots": 16, "cell": 8, "heads": 2, "controller": 20}),
}
BASELINES = [
    "majority",
    "source_only",
    "nearest_centroid",
    "linear_probe",
    "fine_tuning",
    "cosine_head",
    "imprinted",
]
LEARNERS = [name for name in learner_names() if name != SUPERVISED]  # a new one is among them
METHODS = [*BASELINES, *sorted({*LEARNERS, *VARIANTS})]
TRAINED_ON_SUPPORT = [name for name in METHODS if name not in ("majority", "source_only")]
LABELS_ARE_OUTPUTS = [name for name in LEARNERS if method(name).most_classes]


def task(
    way: int = 3, shot: int = 2, queries: int = 7, size: list[int] = SIZE
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(way).repeat_interleave(shot)
    wave = torch.linspace(0, 6.3, size[-1])
    patterns = torch.stack([torch.sin((1 + 2 * name) * wave).expand(*size) for name in range(way)])
    images = (
        0.5
        + 0.4 * patterns[labels][:, None]
        + 0.1 * torch.rand(way * shot, 1, *size, generator=generator)
    )
    return images, labels, torch.rand(queries, 1, *size, generator=generator)


def answer(
    chosen: Method, support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, way: int = 3
) -> torch.Tensor:
    with torch.no_grad():
        adapted = chosen.adapt(Support(chosen.embed(support)[None], labels[None], way))
        return chosen.predict(adapted, chosen.embed(query)[None])[0]


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("name", METHODS)
def test_a_query_is_answered_the_same_alone_batched_or_reordered(name, norm):
    chosen, (support, labels, query) = method(name, norm=norm), task()
    together = answer(chosen, support, labels, query)
    alone = torch.cat(
        [answer(chosen, support, labels, query[at : at + 1]) for at in range(len(query))]
    )
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        answer(chosen, support, labels, query[order]), together[order], rtol=1e-4, atol=1e-5
    )
    assert not chosen.transductive


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("name", METHODS)
def test_predicting_twice_gives_the_same_and_changes_no_weight_or_buffer(name, norm):
    chosen, (support, labels, query) = method(name, norm=norm), task()
    before = {key: value.clone() for key, value in chosen.state_dict().items()}
    first = answer(chosen, support, labels, query)
    assert torch.equal(first, answer(chosen, support, labels, query))
    assert all(torch.equal(value, before[key]) for key, value in chosen.state_dict().items())


# not in this list: fine-tuning from the source head, whose rows mean certain classes
@pytest.mark.parametrize(
    "name",
    [name for name in TRAINED_ON_SUPPORT if name not in ("fine_tuning", *LABELS_ARE_OUTPUTS)],
)
def test_logits_permute_with_the_labels(name):
    chosen, (support, labels, query) = method(name), task()
    order = torch.tensor([2, 0, 1])
    plain, moved = (answer(chosen, support, given, query) for given in (labels, order[labels]))
    torch.testing.assert_close(moved[:, order], plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "nearest_centroid",
        "linear_probe",
        "cosine_head",
        "prototypical",
        "matching",
        "full_context",
        "relation",
        "siamese",
        "mann",
        "key_value",
        "meta_memory",
    ],
)
def test_the_order_of_the_support_does_not_matter(name):
    chosen, (support, labels, query) = method(name), task()
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    torch.testing.assert_close(
        answer(chosen, support[order], labels[order], query),
        answer(chosen, support, labels, query),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", TRAINED_ON_SUPPORT)
def test_classes_may_have_different_numbers_of_shots(name):
    chosen, (support, labels, query) = method(name), task()
    assert answer(chosen, support[:-1], labels[:-1], query).shape == (len(query), 3)


@pytest.mark.parametrize("name", METHODS)
def test_volumes_take_the_same_path_as_images(name):
    size = [16, 16, 16]
    chosen, (support, labels, query) = method(name, size), task(size=size, queries=2)
    assert answer(chosen, support, labels, query).isfinite().all()


# not in this list: relation, Siamese and the memories, which know nothing of likeness before they are trained
@pytest.mark.parametrize(
    "name",
    [
        "fine_tuning",
        "cosine_head",
        "imprinted",
        "linear_probe",
        "nearest_centroid",
        "prototypical",
        "matching",
        "full_context",
        "maml",
        "anil",
        "learned_rates",
    ],
)
def test_easy_support_images_are_recognised(name):
    chosen, (support, labels, _) = method(name), task()
    if isinstance(chosen, FineTuning):
        chosen.settings = FineTuningSettings(steps=60, rate=3e-3)
    elif isinstance(chosen, MamlLearner):
        chosen.settings = chosen.settings.model_copy(update={"adapt_steps": 60, "inner_rate": 0.5})
        chosen.rates = torch.nn.Parameter(torch.full((len(chosen._start(1)), 1), 0.5))
    assert (answer(chosen, support, labels, support).argmax(1) == labels).float().mean() > 0.8


def test_prototypes_are_class_means_and_logits_negative_squared_distances():
    inputs = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]]])
    means = class_means(Support(inputs, torch.tensor([[0, 0, 1]]), 2))
    torch.testing.assert_close(means, torch.tensor([[[1.0, 0.0], [0.0, 4.0]]]))
    torch.testing.assert_close(
        nearness(means, torch.tensor([[[1.0, 1.0]]])), torch.tensor([[[-1.0, -10.0]]])
    )


def test_the_majority_has_no_preference_on_a_balanced_support():
    support, labels, query = task()
    assert answer(Majority(), support, labels, query).softmax(1).std() < 1e-6
    uneven = answer(Majority(), support[:-1], labels[:-1], query).softmax(1)
    torch.testing.assert_close(uneven[0], torch.tensor([0.4, 0.4, 0.2]))


def test_the_source_head_is_cut_down_to_the_classes_of_the_site_in_their_order():
    source = learner("supervised", SupervisedSettings())
    assert head_rows(source, "one", ["z", "x"]) == [2, 0]
    assert head_rows(source, "one", ["z", "unknown"]) is None
    assert head_rows(source, "elsewhere", ["x"]) is None


def test_fine_tuning_without_steps_is_the_source_model():
    source = learner("supervised", SupervisedSettings())
    support, labels, query = task(way=2)
    tuned = FineTuning(source, "one", [2, 0], FineTuningSettings(steps=1, rate=1e-12)).eval()
    stands = SourceOnly(source, "one", [2, 0]).eval()
    torch.testing.assert_close(
        answer(tuned, support, labels, query, 2), answer(stands, support, labels, query, 2)
    )


def test_an_imprinted_head_answers_as_the_centred_cosine_to_each_class():
    source = learner("supervised", SupervisedSettings())
    source.feature_mean += 0.3
    support, labels, query = task()
    tuned = FineTuning(source, "other", None, FineTuningSettings(steps=1, rate=1e-12)).eval()
    centred = torch.nn.functional.normalize(source.encoder(support) - source.feature_mean, dim=1)
    means = torch.nn.functional.normalize(
        torch.stack([centred[labels == c].mean(0) for c in range(3)]), dim=1
    )
    torch.testing.assert_close(
        answer(tuned, support, labels, query),
        ((source.encoder(query) - source.feature_mean) @ means.T).detach(),
        rtol=1e-3,
        atol=1e-4,
    )


def test_adapting_to_tasks_together_equals_adapting_to_each_alone():
    support, labels, query = task()
    for name in (
        "prototypical",
        "maml",
        "anil",
        "linear_probe",
        "cosine_head",
        "matching",
        "full_context",
        "relation",
        "siamese",
        "mann",
        "key_value",
        "meta_memory",
    ):
        chosen = method(name)
        inputs = torch.stack([chosen.embed(support), chosen.embed(support.flip(-1) * 0.5)]).detach()
        asked = chosen.embed(query).detach()
        with torch.no_grad():
            both = chosen.predict(
                chosen.adapt(Support(inputs, labels.expand(2, -1), 3)),
                asked.expand(2, *asked.shape),
            )
            second = chosen.predict(chosen.adapt(Support(inputs[1:], labels[None], 3)), asked[None])
        torch.testing.assert_close(both[1], second[0], rtol=1e-4, atol=1e-5)
