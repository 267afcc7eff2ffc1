"""A template shows, and a function decides: no template holds a condition of its own making."""

from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import eval as package

FOLDER = Path(package.__file__).parent
TEMPLATES = sorted(FOLDER.rglob("*.j2"))
DEEPEST = 2  # ifs within each other


def depth(node: nodes.Node) -> int:
    """How many ifs lie within each other."""
    below = max((depth(child) for child in node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.If)


def decided(text: str) -> list[str]:
    """What a template decides by itself."""
    tree = Environment().parse(text)
    found = [f"line {node.lineno}: a choice" for node in tree.find_all(nodes.CondExpr)]
    for node in tree.find_all(nodes.If):
        whole = (node.test, *node.test.find_all((nodes.And, nodes.Or)))
        if any(isinstance(part, nodes.And | nodes.Or) for part in whole):
            found.append(f"line {node.lineno}: several conditions")
        if node.elif_:
            found.append(f"line {node.lineno}: more than two ways")
    return found + (["too many ifs within each other"] if depth(tree) > DEEPEST else [])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_decides_nothing(template: Path) -> None:
    assert decided(template.read_text(encoding="utf-8")) == []


def test_there_are_templates() -> None:
    assert len(TEMPLATES) > 20


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' if x else 'b' }}",
        "{% if x and y %}a{% endif %}",
        "{% if x %}a{% elif y %}b{% else %}c{% endif %}",
        "{% if x %}{% if y %}{% if z %}a{% endif %}{% endif %}{% endif %}",
    ],
)
def test_a_decision_is_found(text: str) -> None:
    assert decided(text)
