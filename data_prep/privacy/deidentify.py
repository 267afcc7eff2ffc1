"""Keyed hashes for identifiers, and the narrow gates through which any other value of a header must
pass.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from data_prep.privacy.same_value import one_form
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import private_folder
from workspace.paths import Workspace

SECRET_BYTES = 32  # as long as SHA-256's output, which RFC 2104 recommends for a key
SECRET_FILE = ".fewsite/secret"
SAME_SECRET = "that one, so that every patient keeps one key"
START_ANEW = (
    f"restore it from its backup; where there is none, remove {SECRET_FILE} and "
    "data/, and run dvc repro --force to start anew"
)
OTHERS = 0o077  # mode bits of everyone but the owner
HEX_DIGITS = 20  # 80 bits: no two of a billion keys meet by chance
YEARS = range(1970, 2101)  # of a study; outside it a date is an error
EQUIPMENT = re.compile(
    r"[A-Za-z0-9 ._+\-/()]{1,40}"
)  # names of makers and models; no mark-up, no quotes, no control characters
SHORTEST_TOKEN = 3  # characters; shorter pieces of a name match by chance

# PS3.16 CID 29, acquisition modalities, and OT
MODALITIES = frozenset(
    [
        "AR",
        "BI",
        "BMD",
        "CFM",
        "CR",
        "CT",
        "CTPROTOCOL",
        "DG",
        "DMS",
        "DX",
        "ECG",
        "EEG",
        "EMG",
        "EOG",
        "EPS",
        "ES",
        "FA",
        "FS",
        "GM",
        "HD",
        "IO",
        "IVOCT",
        "IVUS",
        "KER",
        "LEN",
        "LS",
        "MG",
        "MR",
        "NM",
        "OAM",
        "OCT",
        "OP",
        "OPM",
        "OPT",
        "OPTBSV",
        "OPTENF",
        "OPV",
        "OSS",
        "OT",
        "PA",
        "POS",
        "PT",
        "PX",
        "RESP",
        "RF",
        "RG",
        "RTIMAGE",
        "SC",
        "SM",
        "SMR",
        "ST",
        "TG",
        "US",
        "VA",
        "XA",
        "XC",
    ]
)
UNKNOWN_MODALITY = "OT"


@dataclass(frozen=True)
class Keys:
    """Keyed hashes of one site.

    A key says nothing without the secret, and is the same in every run with it.

    Those that many files share are one object for all.
    """

    secret: str
    site: str
    namespace: str  # sites that share it give a patient the same key

    def patient(self, value: str) -> str:
        """One key, whichever reader found the value and however it was written there."""
        return sys.intern(self._hash("patient", self.namespace, one_form(value)))

    def study(self, value: str) -> str:
        return sys.intern(self._hash("study", self.namespace, value))

    def series(self, value: str) -> str:
        return sys.intern(self._hash("series", self.namespace, value))

    def record(self, source: str) -> str:
        return self._hash("record", self.site, source)

    def file(self, name: str) -> str:
        return self._hash("file", self.site, name)

    def pixels(self, source: str) -> str:
        return self._hash("pixels", self.site, source)

    @property
    def fingerprint(self) -> str:
        """What tells two secrets apart and gives neither away."""
        return self._hash("fingerprint", "", "")

    def _hash(self, *parts: str) -> str:
        message = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(bytes.fromhex(self.secret), message, hashlib.sha256).hexdigest()[
            :HEX_DIGITS
        ]


def read_secret(workspace: Workspace, keep: bool = True) -> str:
    """The workspace's secret, made on first use; with `keep` false, what is made is written
    nowhere. Raises Refusal.

    None is made where results hold keys under a lost one, since every patient would silently get
    another key. Several stages may start at once: the first to link its file wins.
    """
    # Before the secret is looked for, which another stage may be making.
    results = _fingerprints(workspace)
    path = workspace.secret_file
    if not path.exists():
        if results:
            found = "none, though data/ holds keys made under one"
            raise Refusal(Problem(SECRET_FILE, found, SAME_SECRET, START_ANEW))
        if not keep:
            return new_secret()
        _make_secret(workspace)
    secret = path.read_text(errors="replace").strip()
    refuse_if(_secret_problems(secret, stat.S_IMODE(path.stat().st_mode), results))
    return secret


def _secret_problems(secret: str, mode: int, results: set[str]) -> list[Problem]:
    """`mode`: the file's permissions. `results`: of secrets that keys were made under."""
    problems = []
    if mode & OTHERS:
        problems.append(
            Problem(
                SECRET_FILE,
                f"a file that others may use (mode {mode:o})",
                "one that is yours alone (mode 600)",
                f"chmod 600 {SECRET_FILE}; if someone has read it, patients' "
                "numbers can be tried out against the keys",
            )
        )
    if not re.fullmatch(f"[0-9a-f]{{{2 * SECRET_BYTES}}}", secret):
        need = f"{2 * SECRET_BYTES} hexadecimal digits"
        problems.append(Problem(SECRET_FILE, "text that is no secret", need, START_ANEW))
    elif results - {Keys(secret, "", "").fingerprint}:
        found = "another secret than the one that keys in data/ were made under"
        problems.append(Problem(SECRET_FILE, found, SAME_SECRET, START_ANEW))
    return problems


def _make_secret(workspace: Workspace) -> None:
    """Write a new secret, unless another process was faster."""
    private_folder(workspace)
    aside = workspace.secret_file.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(new_secret() + "\n")
        os.link(aside, workspace.secret_file)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _fingerprints(workspace: Workspace) -> set[str]:
    """Of the secrets under which the results of all sites were made."""
    found = set()
    for path in (
        *workspace.studies("").glob("*/summary.json"),
        *workspace.tasks("", "").glob("*/*/task.json"),
    ):
        try:
            found.add(json.loads(path.read_text())["secret"])
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
        ):  # one that another stage is replacing, or that holds no keys
            continue
    return found


def new_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def equipment(value: str, identifying: Iterable[str]) -> str | None:
    """A maker's or model's name, or None where it does not look like one or shares a piece with an
    identifying value.
    """
    value = value.strip()
    if not EQUIPMENT.fullmatch(value):
        return None
    return (
        None if any(token in value.casefold() for token in _tokens(tuple(identifying))) else value
    )


@lru_cache(maxsize=1)  # the files of a study, which come one after the other, say the same
def _tokens(identifying: tuple[str, ...]) -> set[str]:
    return {
        token
        for text in identifying
        for token in re.split(r"[\W_]+", text.casefold())
        if len(token) >= SHORTEST_TOKEN
    }


def modality(value: str) -> str:
    return value if value in MODALITIES else UNKNOWN_MODALITY


def study_year(date: str) -> int | None:
    """The year of a DICOM date."""
    match = re.match(r"(\d{4})", date)
    return int(match[1]) if match and int(match[1]) in YEARS else None
