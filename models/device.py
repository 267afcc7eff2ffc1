"""Which device computes, how many threads, and the settings that make a run repeatable."""

import ctypes
import sys

import torch

from workspace.errors import Problem, Refusal

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def choose_device(setting: str) -> torch.device:
    """`auto`: CUDA where there is one, else MPS, else the CPU.

    Raises Refusal for a device that this machine lacks.
    """
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if setting == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    if not present[setting]:
        found = f"{setting}, which this machine lacks"
        need = " or ".join(name for name, here in present.items() if here)
        raise Refusal(Problem("params.yaml train.device", found, need, "set train.device to auto"))
    return torch.device(setting)


def repeatable(seed: int, threads: int) -> None:
    """Seed torch and make it choose deterministic kernels, so that the same seed on a CPU gives the
    same bytes.
    """
    _keep_freed_memory()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # nothing here reads what it has not written; filling took a twentieth of a step
    # type: ignore: torch's own types lack this setting of its documentation
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if threads:
        torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Have glibc keep freed tensors: handing large ones back to the system and taking new pages
    took half of a conv4 step.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
