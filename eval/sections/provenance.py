"""Where the numbers come from: versions, hashes, training sites and patients, settings."""

from collections.abc import Mapping
from typing import Any

from eval.evidence import Evidence
from eval.page.section import Section
from eval.words import count

PLACE = 130
UNRECORDED = "not recorded"

# what made or judged the numbers at a site
SETTINGS = (
    "seed",
    "convert",
    "tasks",
    "encoder",
    "adapt",
    "report",
)


def section(evidence: Evidence) -> Section:
    found = evidence.provenance
    learners = [
        _learner(name, found["learners"][name]) for name in sorted(found.get("learners", {}))
    ]
    settings = evidence.params.model_dump(mode="json", include=set(SETTINGS))
    shown = {
        "learners": learners,
        "facts": flat({key: value for key, value in found.items() if key != "learners"}),
        "settings": flat({key: settings[key] for key in SETTINGS}),
        "bootstrap": evidence.params.adapt.bootstrap,
        "confidence": evidence.params.adapt.confidence,
        "site": evidence.site,
    }
    return Section("provenance.html.j2", "Where the numbers come from", shown)


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs; lists stay on one line."""
    if isinstance(value, Mapping):
        return [
            pair
            for key, inner in value.items()
            for pair in flat(inner, f"{name}.{key}" if name else str(key))
        ] or ([(name, "none")] if name else [])
    if isinstance(value, list | tuple):
        return [(name, ", ".join(map(str, value)) or "none")]
    return [(name, "not set" if value is None else str(value))]


def _learner(name: str, card: Mapping[str, Any]) -> dict[str, Any]:
    runs = sorted(card.get("runs", {}).items(), key=lambda item: int(item[0]))
    sites = sorted(card.get("trained_on", {}).items())
    parameters = card.get("parameters")
    steps = [f"seed {seed}: step {run['best_step']}" for seed, run in runs]
    seen = [
        f"{site}: {count(counts['patients'], 'patient')}, {count(counts['records'], 'image')}"
        for site, counts in sites
    ]
    return {
        "name": name,
        "encoder": flat(card.get("encoder", {})),
        "parameters": f"{parameters:,}" if parameters is not None else UNRECORDED,
        "runs": ", ".join(steps) or UNRECORDED,
        "trained_on": "; ".join(seen) or UNRECORDED,
    }
