"""The appliance interface of scripts for a cluster: compile and run jobs here instead.

``SdkCompiler.compile`` compiles in the working folder, ``SdkLauncher`` runs shell commands in a copy of the
staged files, ``SdkRuntime`` is a context manager. A real system is refused.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError, SimulationError
from wafersim.sdk import debug, runtime
from wafersim.sdk.types import PathLike


class SdkCompiler:
    """Compiles programs; a context manager."""

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> SdkCompiler:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def compile(self, app_path: PathLike, csl_main: str, options: str, out_path: PathLike = ".") -> str:
        """Compile ``csl_main`` of the folder ``app_path``; the path of the artifact, a folder."""
        from wafersim.sdk.cslc import compile_command
        from wafersim.sdk.utils import getOutputNameFromCompileOptions

        words = shlex.split(options)
        name = getOutputNameFromCompileOptions(words)
        artifact = (Path(out_path) / name).resolve()
        compile_command([str(Path(app_path) / csl_main), *words, "-o", str(artifact)])
        return str(artifact)


class SdkLauncher:
    """Runs shell commands of a job in a folder of its own; a context manager."""

    def __init__(self, artifact: PathLike, simulator: bool = False, **_: Any) -> None:
        _refuse_cluster(simulator)
        self._artifact = Path(artifact)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> SdkLauncher:
        self._folder = tempfile.TemporaryDirectory(prefix="wafersim-job-")
        shutil.copytree(self._artifact, self._path / self._artifact.name)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def _path(self) -> Path:
        if self._folder is None:
            raise SimulationError("SdkLauncher: use it in a with statement")
        return Path(self._folder.name)

    def stage(self, local_path: PathLike) -> None:
        """Copy a file or folder to the job's folder."""
        source = Path(local_path)
        if source.is_dir():
            shutil.copytree(source, self._path / source.name, dirs_exist_ok=True)
        else:
            shutil.copy(source, self._path)

    def run(self, *commands: str) -> str:
        """Run commands one after the other; what they print."""
        from wafersim.sdk.shims import write_shims

        tools = self._path / ".wafersim-bin"
        write_shims(tools)
        environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
        printed = []
        for command in commands:
            words = ["bash", "-c", command]
            done = subprocess.run(words, cwd=self._path, env=environment, capture_output=True, text=True)  # noqa: S603
            printed.append(done.stdout + done.stderr)
            if done.returncode:
                raise SimulationError(
                    f"SdkLauncher: {command!r} exited with {done.returncode}: {printed[-1][-2000:]}"
                )
        return "".join(printed)

    def download_artifact(self, artifact_name: str, out_path: PathLike) -> None:
        """Copy a file of the job's folder out of it."""
        Path(out_path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._path / artifact_name, out_path)


class SdkRuntime(runtime.SdkRuntime):
    """The runtime as a context manager that loads, runs and stops."""

    def __init__(self, artifact: PathLike, simulator: bool = False, **kwargs: Any) -> None:
        _refuse_cluster(simulator)
        super().__init__(artifact)

    def start(self) -> None:
        """Load and run."""
        self.load()
        self.run()

    def __enter__(self) -> SdkRuntime:
        self.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.stop()

    def is_simulator(self) -> bool:
        """True."""
        return True


class debug_util(debug.debug_util):
    """As the local one; the runtime is not needed."""

    def __init__(self, artifact: PathLike, sdkruntime: Any = None) -> None:
        super().__init__(artifact)


def _refuse_cluster(simulator: bool) -> None:
    if not simulator:
        raise ConfigError(
            "there is no cluster here, programs run on a simulated machine; pass simulator=True"
        )
