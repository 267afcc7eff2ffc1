"""Text in pixels: which images may show a patient's data, and what a site has said is to be done
with them (PS3.15 E.3.1).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from data_prep.decode import Planned
from data_prep.privacy.deidentify import UNKNOWN_MODALITY
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject, Rejected
from data_prep.site_file import Site
from data_prep.volumes.crop import rule_of, with_rectangle
from data_prep.volumes.series import reject_all

# Devices that write the patient's name into the picture as they make it: ultrasound, also in
# vessels; angiography and
# fluoroscopy; endoscopy; captures of a screen. RSNA's CTP lists rectangles for ultrasound devices
# and captures, Karnak cleans
# ultrasound, captures and endoscopy. PS3.15 E.3.1: most others do not burn text in.
AT_RISK = frozenset({"ES", "IVUS", "RF", "SC", "US", "XA"})


def as_set(
    examined: list[ImageFile | Reject], site: Site
) -> tuple[list[ImageFile | Reject], list[int]]:
    """What the site's settings make of each file, and the numbers of the crop rules that apply to
    none (from 1).
    """
    images = [item if isinstance(item, Reject) else _with_modality(item, site) for item in examined]
    rules = [None if isinstance(item, Reject) else rule_of(item, site) for item in images]
    kept: list[ImageFile | Reject] = []
    for item, rule in zip(images, rules, strict=True):
        kept += [item] if isinstance(item, Reject) else _kept(item, site, rule)
    return kept, [at + 1 for at in range(len(site.crop)) if at not in rules]


def may_show_text(image: ImageFile) -> bool:
    """Whether no rule crops it, and its sender says what it may show, or its modality is at risk
    and nobody says that it is clean.
    """
    return image.header.keep is None and (
        image.header.exposed or (image.header.facts.modality in AT_RISK and not image.header.clean)
    )


def count(plans: Iterable[Planned]) -> dict[str, Any]:
    """Records that may show text, by modality; those that a rule crops; those at risk that rest on
    the sender's word alone.
    """
    plans = list(plans)
    cropped = [any(image.header.keep for image in plan.files) for plan in plans]
    risky = [any(map(may_show_text, plan.files)) for plan in plans]
    said_clean = sum(
        plan.files[0].header.facts.modality in AT_RISK and not cut and not risk
        for plan, cut, risk in zip(plans, cropped, risky, strict=True)
    )
    at_risk = Counter(
        plan.files[0].header.facts.modality for plan, risk in zip(plans, risky, strict=True) if risk
    )
    return {
        "at_risk": dict(sorted(at_risk.items())),
        "cropped": sum(cropped),
        "said_clean": said_clean,
    }


def warnings(summary: dict[str, Any]) -> list[str]:
    """Of a conversion's summary: what a person should look at, a line each."""
    name, found = summary["site"], summary["burned_in"]
    lines = []
    if found["at_risk"]:
        modalities = ", ".join(
            f"{modality} {number}" for modality, number in found["at_risk"].items()
        )
        lines.append(
            f"{name}: {sum(found['at_risk'].values())} records may show a patient's data in "
            f"their pixels ({modalities}); look at "
            f"some, then set crop, or at_risk: refuse, in sites/{name}.yaml "
            "(docs/add-a-hospital.md)"
        )
    lines += [
        f"{name}: rule {number} of crop in sites/{name}.yaml applies "
        "to no image; correct or remove it"
        for number in found["idle_rules"]
    ]
    return lines


def _with_modality(image: ImageFile, site: Site) -> ImageFile:
    """A file that does not say its modality has the site's."""
    if site.modality is None or image.header.facts.modality != UNKNOWN_MODALITY:
        return image
    facts = replace(image.header.facts, modality=site.modality)
    return replace(image, header=replace(image.header, facts=facts))


def _kept(image: ImageFile, site: Site, rule: int | None) -> list[ImageFile | Reject]:
    """The image with the rectangle of its rule, or its rejects."""
    try:
        if rule is not None:
            keep = site.crop[rule].keep
            return [with_rectangle(image, image.header.regions if keep == "regions" else keep)]
        if site.at_risk == "refuse" and may_show_text(image):
            raise Rejected("may_show_text")
        return [image]
    except Rejected as rejected:
        return list(reject_all([image], rejected.reason, rejected.found))
