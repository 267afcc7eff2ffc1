"""Stage `phantom`: write one synthetic hospital to incoming/SITE.

Usage: python -m data_prep.phantom SITE
"""

from data_prep.phantom.hospital import write_hospital
from data_prep.phantom.vendors import vendor_named
from data_prep.settings import load_params
from workspace.errors import Problem, Refusal, run_module
from workspace.outputs import whole_folder
from workspace.paths import Workspace
from workspace.progress import say


def main(site: str) -> None:
    """Write the export of the hospital that params.yaml describes.

    Raises Refusal for an unknown hospital or vendor.
    """
    workspace = Workspace()
    phantom = load_params(workspace).phantom
    if site not in phantom.hospitals:
        known = ", ".join(phantom.hospitals) or "the hospitals under phantom.hospitals"
        raise Refusal(
            Problem(
                "phantom",
                f"no hospital {site!r} in params.yaml",
                f"one of {known}",
                "name one of them or add it under phantom.hospitals",
            )
        )
    hospital = phantom.hospitals[site]
    vendor = vendor_named(hospital.vendor, f"params.yaml phantom.hospitals.{site}.vendor")
    with whole_folder(workspace.incoming(site)) as folder:
        write_hospital(folder, site, vendor, hospital.seed, hospital.patients, phantom.dimensions)
    say(f"phantom {site}: {hospital.patients} patients")


if __name__ == "__main__":
    run_module("data_prep.phantom", main, "SITE")
