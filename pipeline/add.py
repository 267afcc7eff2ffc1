"""Check a hospital's export from its headers and a decoded sample, say what it holds, and register it in params.yaml."""

from pathlib import Path

import pandas as pd

from data_prep.convert import refuse_too_many
from data_prep.deidentify import new_secret, read_secret
from data_prep.records import COLUMNS
from data_prep.rejects import REASONS, count_reasons
from data_prep.scan import ScanResult, decode_sample, scan
from data_prep.tasks import SUPPORT_SPLIT, make_tasks
from pipeline.link import link_site
from pipeline.params_file import edited
from workspace.errors import Problem, refuse_if, together
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Params, Role, Site, load_params, load_site_file, resolve_root

SAMPLE = 20  # records decoded to see that the codecs of this export are there


def add_site(workspace: Workspace, file: Path, role: Role, check: bool) -> None:
    """Validate and register a site; with `check`, write nothing at all. Raises Refusal with all problems that can be told at once."""
    params, site, root = _read(workspace, file, role)
    name = file.stem
    secret = read_secret(workspace) if workspace.secret_file.exists() or not check else new_secret()
    found = scan(workspace, name, site, params, root=root, secret=secret)
    sample = decode_sample(found, SAMPLE)
    refuse_too_many(found, [*found.rejects, *sample.rejects])
    print(_counts(found, sample.decoded))
    print(_shots(name, role, site, found, params))
    if check:
        print(f"{name} can be added: fewsite add {file}{' --source' if role == 'source' else ''}")
        return
    linked = link_site(workspace, name, root)
    if name in params.sites:
        print(f"{name} is registered as {role} already; {'its link was renewed' if linked else 'nothing changed'}")
        return
    with edited(workspace) as content:
        content["sites"][name] = role
    print(f"registered {name} as {role} in params.yaml; run: dvc repro")
    if role == "source":
        say("a source changes what every learner is trained on: dvc repro will train again")


def _read(workspace: Workspace, file: Path, role: Role) -> tuple[Params, Site, Path]:
    """Settings, the site's YAML and its root."""
    params, (site, root) = together(lambda: load_params(workspace), lambda: _site_and_root(file))
    problems = []
    if file.resolve() != workspace.site_file(file.stem).resolve():
        problems.append(Problem(str(file), "a file outside this workspace's sites/", f"sites/{file.name}", f"move it to sites/{file.name}"))
    registered = params.sites.get(file.stem)
    if registered not in (None, role):
        problems.append(Problem(f"params.yaml sites.{file.stem}", f"'{registered}'", f"no such site, or '{role}'",
                                f"fewsite remove {file.stem}, then add it again"))
    if file.stem in params.phantom.hospitals and root != workspace.incoming(file.stem).resolve():
        problems.append(Problem(f"params.yaml phantom.hospitals.{file.stem}", "a phantom of this name", "a name of its own for the hospital",
                                f"rename {file.name}, or fewsite remove {file.stem}"))
    refuse_if(problems)
    return params, site, root


def _site_and_root(file: Path) -> tuple[Site, Path]:
    site = load_site_file(file)
    return site, resolve_root(str(file), site)


def _counts(found: ScanResult, decoded: int) -> str:
    images = [reject for reject in found.rejects if reject.image]
    lines = [f"{found.name}: {found.files} files, {len(found.rejects) - len(images)} are no images, {len(images)} not used",
             *(f"  {count:6} {reason}: {REASONS[reason].means}; do {REASONS[reason].do}"
               for reason, count in count_reasons(images).items()),
             f"  {len(found.plans)} records of {found.patients} patients; a sample of {decoded} was decoded",
             *(f"  {counts['records']:6} records, {counts['patients']:5} patients: {name}" for name, counts in found.classes.items()),
             f"  labels: {found.labelled.rows} rows, {found.labelled.matched} matched an image, "
             f"{found.labelled.unlabelled_images} images have none"]
    return "\n".join(lines)


def _shots(name: str, role: Role, site: Site, found: ScanResult, params: Params) -> str:
    """The largest k that the site's support patients allow. Pixels are not read yet, so identical pictures are not joined."""
    records = pd.DataFrame([plan.row for plan in found.plans], columns=list(COLUMNS)).assign(pixel_hash=pd.NA)
    tasks = make_tasks(name, role, site.task, list(site.classes), records, params.tasks, params.seed)
    support = tasks.summary["splits"][SUPPORT_SPLIT[role]]
    scarce = min(support, key=lambda label: support[label]["patients"])
    return (f"  k can be up to {support[scarce]['patients']}: class {scarce} has fewest patients to draw supports from; "
            f"params.yaml asks for {[k for k in params.tasks.shots if k in tasks.summary['shots']]} of {params.tasks.shots}")
