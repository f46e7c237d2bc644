# SPDX-License-Identifier: Apache-2.0
"""The container engine, through the `docker` program and its Compose plugin; nothing else of ours starts them."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from network.containers.errors import ContainersError

__all__ = ["Container", "Docker", "Engine", "Project"]

_LONGEST = 600.0
_QUICK = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a network, running or not."""

    name: str
    """The service's name, which is the node's, such as `peer0.lab.example`."""
    id: str
    state: str
    """`running`, `exited`, `restarting` and so on, in the engine's words."""
    health: str
    """`healthy`, `unhealthy`, `starting`, or empty where nobody asks."""

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class Project:
    """A network as Compose knows it."""

    name: str
    file: Path


class Engine(Protocol):
    """What a network needs of an engine. Every call may raise `ContainersError`, in one line.

    None of them leaves half a container: a call that was interrupted can be repeated.
    """

    def image_exists(self, image: str) -> bool:
        """Whether the image is on this machine."""
        ...

    def label(self, image: str, name: str) -> str:
        """A label of an image that is on this machine; empty where it has none of that name."""
        ...

    def pull(self, image: str) -> None:
        """Fetch an image from its registry."""
        ...

    def validate(self, project: Project) -> None:
        """Refuse a description that Compose does not accept."""
        ...

    def up(self, project: Project, services: Sequence[str]) -> None:
        """Make and start the named containers, replace those whose description changed, and leave the others."""
        ...

    def restart(self, project: Project, services: Sequence[str]) -> None:
        """Stop the named containers and start the same ones again."""
        ...

    def run(self, project: Project, service: str) -> None:
        """Run a container that does one thing, to its end, and remove it."""
        ...

    def down(self, project: Project) -> None:
        """Stop and remove every container of the project; folders of this machine stay."""
        ...

    def containers(self, project: Project) -> list[Container]:
        """Every container of the project, also those that do not run."""
        ...

    def tail(self, project: Project, service: str, lines: int = 15) -> str:
        """The last lines that a container wrote."""
        ...


class Docker:
    """The engine of this machine; implements `Engine`."""

    def __init__(self, program: str) -> None:
        self._program = program

    @classmethod
    def find(cls) -> "Docker":
        """The `docker` on the path, with its Compose plugin and an engine that answers; raises `ContainersError`."""
        program = shutil.which("docker")
        if program is None:
            raise ContainersError("docker is not installed: install Docker and its Compose plugin, version 2")
        found = cls(program)
        try:
            version = found.output("compose", "version", "--short", within=_QUICK)
        except ContainersError as error:
            raise ContainersError("docker has no Compose plugin: install docker compose, version 2") from error
        if not version.strip().lstrip("v").startswith(("2.", "3.", "4.", "5.")):
            raise ContainersError(f"docker compose is {version.strip()}; version 2 is needed")
        found.output("version", "--format", "{{.Server.Version}}", within=_QUICK)
        return found

    def image_exists(self, image: str) -> bool:
        """As `Engine`."""
        return self._run("image", "inspect", "--format", "{{.Id}}", image, within=_QUICK).returncode == 0

    def label(self, image: str, name: str) -> str:
        """As `Engine`."""
        template = f'{{{{index .Config.Labels "{name}"}}}}'
        return self.output("image", "inspect", "--format", template, image, within=_QUICK).strip()

    def pull(self, image: str) -> None:
        """As `Engine`."""
        self.output("pull", "--quiet", image)

    def validate(self, project: Project) -> None:
        """As `Engine`."""
        self._compose(project, "config", "--quiet")

    def up(self, project: Project, services: Sequence[str]) -> None:
        """As `Engine`."""
        self._compose(project, "up", "--detach", "--no-build", "--pull", "never", "--remove-orphans", *services)

    def restart(self, project: Project, services: Sequence[str]) -> None:
        """As `Engine`."""
        self._compose(project, "restart", "--no-deps", *services)

    def run(self, project: Project, service: str) -> None:
        """As `Engine`."""
        self._compose(project, "run", "--rm", "--no-TTY", "--no-deps", service)

    def down(self, project: Project) -> None:
        """As `Engine`."""
        self._compose(project, "down", "--remove-orphans", "--timeout", "30")

    def containers(self, project: Project) -> list[Container]:
        """As `Engine`; asked of the engine itself, so that it works without the description too."""
        label = f"label=com.docker.compose.project={project.name}"
        form = '{{.ID}}\t{{.State}}\t{{.Status}}\t{{.Label "com.docker.compose.service"}}'
        lasting = "label=com.docker.compose.oneoff=False"
        filters = ("--filter", label, "--filter", lasting)
        listed = self.output("ps", "--all", "--no-trunc", *filters, "--format", form, within=_QUICK)
        return sorted((_container(line) for line in listed.splitlines() if line), key=lambda each: each.name)

    def tail(self, project: Project, service: str, lines: int = 15) -> str:
        """As `Engine`."""
        ids = [each.id for each in self.containers(project) if each.name == service]
        if not ids:
            return "(no such container)"
        done = self._run("logs", "--tail", str(lines), ids[0], within=_QUICK)
        return done.stdout + done.stderr

    def kill(self, project: Project) -> None:
        """End every running container of the project at once with SIGKILL, as a power cut would."""
        ids = [each.id for each in self.containers(project) if each.running]
        if ids:
            self.output("kill", *ids)

    def follow(self, project: Project, services: Sequence[str], *, follow: bool, lines: int | None) -> int:
        """Pass the containers' logs on to this process's own output; answers Compose's exit code."""
        options = ["--follow"] if follow else []
        options += [] if lines is None else ["--tail", str(lines)]
        command = [*self._compose_command(project), "logs", "--no-color", *options, *services]
        return subprocess.call(command, env=_environment({}))  # noqa: S603 -- the engine's own program

    def inspect(self, identifier: str) -> dict[str, Any]:
        """What the engine says of a container or an image."""
        described: list[dict[str, Any]] = json.loads(self.output("inspect", identifier, within=_QUICK))
        return described[0]

    def output(self, *arguments: str, within: float = _LONGEST, environment: Mapping[str, str] | None = None) -> str:
        """Run `docker` and answer what it printed; raises `ContainersError` with the last thing it said."""
        done = self._run(*arguments, within=within, environment=environment)
        if done.returncode != 0:
            raise ContainersError(f"docker {arguments[0]} failed: {_reason(done.stderr or done.stdout)}")
        return done.stdout

    def _compose(self, project: Project, *arguments: str) -> str:
        return self.output(*self._compose_command(project)[1:], *arguments)

    def _compose_command(self, project: Project) -> list[str]:
        return [
            *[self._program, "compose", "--project-name", project.name, "--file", str(project.file)],
            *["--project-directory", str(project.file.parent), "--progress", "quiet"],
        ]

    def _run(
        self, *arguments: str, within: float, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603 -- the engine's own program with arguments of our own making
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=within,
                check=False,
                env=_environment(environment or {}),
            )
        except subprocess.TimeoutExpired as error:
            raise ContainersError(f"docker {arguments[0]} did not end within {within:.0f} s") from error
        except OSError as error:
            raise ContainersError(f"{self._program} cannot be run: {error.strerror}") from error


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would change our description from outside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    return ours | dict(extra)


def _container(line: str) -> Container:
    identifier, state, status, service = line.split("\t")
    health = ""
    for word in ("unhealthy", "healthy", "starting"):
        if f"({word})" in status or f"(health: {word})" in status:
            health = word
            break
    return Container(service, identifier, state, health)


def _reason(text: str) -> str:
    """The line of a program's complaint that says most: the last that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
