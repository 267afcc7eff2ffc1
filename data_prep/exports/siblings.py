"""Sites that read one export, each for a task of its own: a patient must have one key in all of
them, and one role.
"""

from pathlib import Path

from data_prep.settings import Params
from data_prep.site_file import Site, load_site, resolve_root
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace
from workspace.settings import Role


def namespace_problems(
    workspace: Workspace, name: str, site: Site, params: Params
) -> list[Problem]:
    """What is wrong where a registered site reads the same export and would give its patients other
    keys.
    """
    siblings = _siblings(workspace, name, site, params)
    mine, patient = site.patient_namespace or name, site.labels.patient or "PatientID"
    problems = [
        Problem(
            f"sites/{name}.yaml patient_namespace",
            f"'{mine}', where sites/{other}.yaml reads the same export with '{theirs}'",
            "one name in both: with two keys, a patient could train in one "
            "task and be tested in the other",
            "write the same patient_namespace in both",
        )
        for other, sibling in siblings.items()
        if (theirs := sibling.patient_namespace or other) != mine
    ]
    return problems + [
        Problem(
            f"sites/{name}.yaml labels.patient",
            f"'{patient}', where sites/{other}.yaml tells the same export's patients by '{theirs}'",
            "one name in both: with two keys, a patient could train in one "
            "task and be tested in the other",
            "write the same patient in both, and name a column of it alike in both tables",
        )
        for other, sibling in siblings.items()
        if (theirs := sibling.labels.patient or "PatientID") != patient
    ]


def role_problems(
    workspace: Workspace, name: str, site: Site, params: Params, role: Role
) -> list[Problem]:
    """What is wrong where another site reads the same export and has another role."""
    return [
        Problem(
            f"params.yaml sites.{other}",
            f"'{params.sites[other]}', where {name} reads the same export as a {role}",
            "one role for all tasks of a hospital: who trained in one cannot be tested in another",
            "give both the same role, or let each read a list of its own patients' files",
        )
        for other in _siblings(workspace, name, site, params)
        if params.sites[other] != role
    ]


def _siblings(workspace: Workspace, name: str, site: Site, params: Params) -> dict[str, Site]:
    """The other registered sites whose root is this one's, lies in it or holds it."""
    place = _place(name, site)
    found = {}
    for other in params.sites:
        try:
            sibling = load_site(workspace, other) if other != name else None
        except Refusal:  # its own stages will say so
            continue
        there = _place(other, sibling) if sibling else None
        if (
            sibling
            and place
            and there
            and (place.is_relative_to(there) or there.is_relative_to(place))
        ):
            found[other] = sibling
    return found


def _place(name: str, site: Site) -> Path | None:
    try:
        return resolve_root(f"sites/{name}.yaml", site)
    except Refusal:  # not mounted: nothing can be converted from there now
        return None
