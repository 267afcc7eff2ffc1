"""Silence for libraries whose warnings and log lines may quote a patient's values."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config

TALKATIVE = ("pydicom", "PIL", "nibabel", "nibabel.global", "highdicom", "pylibjpeg")


@contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Let nothing through to the terminal; yield the list in which warnings gather, so that a
    reader can act on them.
    """
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings(record=True) as caught, config.disable_value_validation():
            warnings.simplefilter("always")
            yield caught
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
