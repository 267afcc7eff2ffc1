"""What an export holds and what becomes of each of its files: counts, each loss with its cure, and
the largest k.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import pandas as pd

from data_prep.convert import Row, read_pixels, refuse_none, refuse_too_many, summary, warnings
from data_prep.decode import Decoded, Planned
from data_prep.privacy.deidentify import Keys
from data_prep.rejects import REASONS, Reject, count_reasons, left_out, one_a_file
from data_prep.scan import ScanResult
from data_prep.store.records import COLUMNS
from data_prep.targets.labels import shown_lines
from data_prep.targets.matching import UNMATCHED
from data_prep.tasks import SUPPORT_SPLIT, make_tasks
from eval.settings import Params
from workspace.settings import Role

EXAMPLES = 3  # files shown for each reason


@dataclass(frozen=True)
class Account:
    """An export after its headers and the pixels of `decoded` records were read.

    `rows`: what convert would write.
    """

    found: ScanResult
    rows: list[Row]
    rejects: list[Reject]
    frames: list[Reject]  # left out of files that are used in part
    decoded: int

    def refuse(self) -> None:
        """Raise Refusal where convert would."""
        refuse_too_many(self.found, self.rejects)
        refuse_none(self.found, self.rows, self.rejects)


def take_account(found: ScanResult, sample: int | None = None) -> Account:
    """Decode as convert does, all records or the first `sample`: their keyed order is as good as
    random.
    """
    kept: list[Planned] = []
    rows: list[Row] = []
    rejects: list[Reject] = []
    for plan, outcome in read_pixels(found, found.plans[:sample]):
        if isinstance(outcome, Decoded):
            kept.append(plan)
            rows.append(plan.row | outcome.told)
        else:
            rejects += outcome
    unread = [] if sample is None else found.plans[sample:]
    used = {image.identity.found.name for plan in [*kept, *unread] for image in plan.files}
    return Account(
        found,
        rows + [plan.row for plan in unread],
        one_a_file([*found.rejects, *rejects], used),
        left_out([*found.left_out, *rejects], used),
        len(rows),
    )


def shown(account: Account, examples: int = 0) -> str:
    """The account as lines.

    `examples`: how many files of each reason are named, by the hash that `fewsite locate` takes.
    """
    totals = summary(account.found, account.rows, account.rejects, account.frames)
    labels, shared = totals["labels"], totals["duplicates"]
    lines = [
        f"{account.found.name}: {totals['files']} files = {totals['used']} used + "
        f"{totals['rejected']} rejected "
        f"+ {totals['not_images']} no images"
    ]
    lines += losses(account.rejects, account.frames, account.found.keys, examples)
    lines += [
        f"  labels: {labels['rows']} rows, {labels['matched']} matched an image and "
        f"{labels['unmatched_rows']} none; "
        f"{labels['unlabelled_images']} images have no row",
        *_unmatched(account.found.matched.unmatched),
        f"  {totals['records']} records of {totals['patients']} "
        f"patients; {account.decoded} were decoded",
        f"  pictures of two patients: {shared['identical_pairs']} pairs of identical and "
        f"{shared['near_pairs']} of nearly identical "
        f"ones, tying {shared['patients']} patients",
        *(
            f"  {counts['records']:6} records, {counts['patients']:5} patients: {name}"
            for name, counts in totals["classes"].items()
        ),
        *(f"  {warning}" for warning in warnings(totals)),
    ]
    return "\n".join(lines)


def _unmatched(reasons: dict[int, str]) -> list[str]:
    """A line for each reason. `reasons`: of lines of the labels table."""
    unmatched = defaultdict(list)
    for line, reason in sorted(reasons.items()):
        unmatched[reason].append(line)
    return [
        f"  {len(at):6} {reason} ({shown_lines(at)}): "
        f"{UNMATCHED[reason].means}; do {UNMATCHED[reason].do}"
        for reason, at in sorted(unmatched.items())
    ]


def losses(rejects: list[Reject], frames: list[Reject], keys: Keys, examples: int) -> list[str]:
    """A line for each reason, with its cure and its first `examples`.

    `frames`: those left out of files that are used in part.
    """
    by_reason = defaultdict(list)
    for reject in rejects:
        by_reason[reject.reason].append(reject)
    lines = ["   files reason: what was found; what to do"] if rejects else []
    for reason, found in sorted(
        by_reason.items(), key=lambda item: (not REASONS[item[0]].image, -len(item[1]), item[0])
    ):
        lines.append(f"  {len(found):6} {reason}: {_what(found)}; do {REASONS[reason].do}")
        if examples:
            lines.append(
                "         such as "
                f"{' '.join(sorted(keys.file(reject.name) for reject in found)[:examples])}"
            )
    if frames:
        lines.append(
            f"  {len(frames):6} frames left out of files that are used in part: "
            f"{', '.join(count_reasons(frames))}"
        )
    return lines


def largest_k(account: Account, role: Role, params: Params) -> str:
    """The largest k that the site's support patients allow, as a line.

    Raises Refusal where classes have too few patients.

    Identical and nearly identical pictures tie patients together, as far as they were decoded.
    """
    found = account.found
    records = pd.DataFrame(account.rows, columns=list(COLUMNS))
    tasks = make_tasks(
        found.name,
        role,
        found.site.task,
        list(found.site.classes),
        records,
        params.tasks,
        params.seed,
    )
    support = tasks.summary["splits"][SUPPORT_SPLIT[role]]
    scarce = min(support, key=lambda label: support[label]["patients"])
    return (
        f"  as a {role}, k can be up to {support[scarce]['patients']}: class {scarce} has "
        "fewest patients to draw supports from; "
        "params.yaml asks for "
        f"{[k for k in params.tasks.shots if k in tasks.summary['shots']]} of {params.tasks.shots}"
    )


def _what(rejects: list[Reject]) -> str:
    """The reason in words, and what a reader said of it most often."""
    details = Counter(reject.found for reject in rejects if reject.found)
    detail = f" (mostly {details.most_common(1)[0][0]})" if details else ""
    return REASONS[rejects[0].reason].means + detail
