"""Where every artefact of a workspace lives. No other module builds such a path."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """A folder with params.yaml, sites/ and dvc.yaml, in which stages run."""

    root: Path = Path(".")

    # what a person writes
    @property
    def params_file(self) -> Path:
        return self.root / "params.yaml"

    @property
    def dvc_file(self) -> Path:
        return self.root / "dvc.yaml"

    @property
    def reviews(self) -> Path:
        return self.root / "reviews"

    def site_file(self, site: str) -> Path:
        return self.root / "sites" / f"{site}.yaml"

    # what is read, and never cached: a link to the hospital's export, or a phantom
    def incoming(self, site: str) -> Path:
        return self.root / "incoming" / site

    # what the stages make
    def mark(self, stage: str) -> Path:
        return self.root / "marks" / f"{stage}.json"

    def studies(self, site: str) -> Path:
        return self.root / "data" / "studies" / site

    def tasks(self, role: str, site: str) -> Path:
        return self.root / "data" / "tasks" / role / site

    @property
    def meta_split(self) -> Path:
        return self.root / "data" / "meta_split"

    def run(self, learner: str, seed: int) -> Path:
        return self.root / "runs" / learner / str(seed)

    @property
    def pretrained(self) -> Path:
        return self.root / "runs" / "pretrain" / "encoder"

    def results(self, role: str, site: str) -> Path:
        return self.root / "results" / role / site

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def report(self, site: str) -> Path:
        return self.reports / site

    def pdf(self, page: str) -> Path:
        return self.reports / f"{page}.pdf"

    def review(self, site: str) -> Path:
        return self.reviews / f"{site}.yaml"

    @property
    def outputs(self) -> list[Path]:
        """All that stages and DVC write and keep, reviewers' comments, resume state and logs with
        it; not the secret, nor DVC's notes of file names.
        """
        private = [
            path
            for path in sorted(self.private.glob("*"))
            if path.name not in (self.secret_file.name, "dvc")
        ]
        places = (
            "data",
            "runs",
            "results",
            "reports",
            "reviews",
            "dvc_plots",
            "dvc.lock",
            "sites/dvc.lock",
            ".dvc",
        )
        return [*(self.root / name for name in places), *private, *sorted(self.root.glob("*.log"))]

    # what never leaves the machine: the secret, resume state and half-made outputs; kept out of Git
    # and of DVC
    @property
    def private(self) -> Path:
        return self.root / ".fewsite"

    @property
    def secret_file(self) -> Path:
        return self.private / "secret"

    @property
    def published_secret(self) -> Path:
        """Where the secret is one that everybody may know, since the patients are public or made
        up.
        """
        return self.root / "published.secret"

    def resume(self, learner: str, seed: int) -> Path:
        return self.private / "resume" / learner / str(seed)

    def decoded(self, site: str) -> Path:
        return self.private / "decoded" / site
