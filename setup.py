"""Builds the kernel's extension modules; everything else stands in pyproject.toml."""

import os
from pathlib import Path

from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # cp311: one wheel serves Python 3.11 and every later one
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
if os.environ.get("CI") or os.environ.get("LOADKEEPER_WERROR"):
    WARNINGS.append("-Werror")

setup(
    ext_modules=[
        Extension(
            f"cext.{source.stem}",
            [source.as_posix()],
            define_macros=[("Py_LIMITED_API", LIMITED_API)],
            extra_compile_args=["-O2", "-pthread", *WARNINGS],
            extra_link_args=["-pthread"],
            py_limited_api=True,
        )
        for source in sorted(Path("cext").glob("*.pyx"))
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
