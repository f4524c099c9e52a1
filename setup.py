"""Builds the kernel's extension modules; everything else stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # cp311: one wheel serves Python 3.11 and every later one
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
if os.environ.get("CI") or os.environ.get("LOADKEEPER_WERROR"):
    WARNINGS.append("-Werror")
CORES = len(os.sched_getaffinity(0))

if __name__ == "__main__":  # each of Cython's processes may read this file, too
    setup(
        ext_modules=cythonize(
            [
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
            nthreads=CORES,
            quiet=True,
        ),
        options={"build_ext": {"parallel": CORES}, "bdist_wheel": {"py_limited_api": "cp311"}},
    )
