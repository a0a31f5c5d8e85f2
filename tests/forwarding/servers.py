"""Brokers of the tests' own, as Debian packages them, on loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DEADLINE = 60.0
"""Seconds that it may take to start; nothing waits so long unless it is broken."""


def program(name: str, package: str) -> str:
    """Return the path of a program; skips the test where it is not installed, and fails it in CI."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        said = f"{name} is not installed (Debian: apt-get install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return path


def free_port() -> int:
    """Return a loopback port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Broker:
    """A broker process that may be killed and started again, at its port, with what it has stored."""

    environment: dict[str, str] | None = None

    def __init__(self, command: Callable[[Path], list[str]], port: int, directory: Path) -> None:
        self.port = port
        self._command = command(directory)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = (self._directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self._directory / "log").read_text()
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # with what a script of its has started
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it accept connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def running(command: Callable[[int, Path], list[str]]) -> Iterator[Broker]:
    """Run a broker in a directory of its own while the block runs; ``command`` is made of port and directory."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gw_sqla-") as directory:
        broker = Broker(lambda path: command(port, path), port, Path(directory))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


def redis_command(port: int, directory: Path) -> list[str]:
    """Return the command of a Redis that loses nothing when it is killed."""
    path = program("redis-server", "redis-server")
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "yes", "dir": directory}
    return [path, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]


class RabbitMQ(Broker):
    """A RabbitMQ node, with a port mapper of its own."""

    def __init__(self, directory: Path) -> None:
        script = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        program("rabbitmq-server", "rabbitmq-server")
        port, self._mapper_port = free_port(), free_port()
        super().__init__(lambda _: [str(script[-1])], port, directory)
        self._control = script[-1].with_name("rabbitmqctl")
        self._node = f"gw_sqla{port}@localhost"
        nowhere = str(directory / "none")
        self.environment = os.environ | {
            "HOME": str(directory),
            "RABBITMQ_CONF_ENV_FILE": nowhere,
            "RABBITMQ_CONFIG_FILE": nowhere,
            "RABBITMQ_ENABLED_PLUGINS_FILE": nowhere,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
        }

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """Run the port mapper, which Erlang would start for itself and leave behind."""
        mapper = subprocess.Popen(
            [program("epmd", "erlang-base"), "-port", str(self._mapper_port), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            mapper.kill()
            mapper.wait()

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl."""
        command = [str(self._control), "-n", self._node, *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60)


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQ]:
    """Run a RabbitMQ while the block runs."""
    with tempfile.TemporaryDirectory(prefix="gw_sqla-") as directory:
        broker = RabbitMQ(Path(directory))
        with broker.mapped():
            broker.start()
            try:
                yield broker
            finally:
                broker.kill()


def nats_command(port: int, directory: Path) -> list[str]:
    """Return the command of a NATS server with JetStream."""
    path = program("nats-server", "nats-server")
    return [path, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(directory)]


def moto_command(port: int, _directory: Path) -> list[str]:
    """Return the command of moto's server, which stands for Amazon's; what it holds ends with it."""
    return [sys.executable, "-W", "ignore", "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]


class Kafka(Broker):
    """A broker that is its own controller; ``sasl_port`` is for user "u" with the password "right"."""

    def __init__(self, directory: Path) -> None:
        jars = os.environ.get("GW_SQLA_KAFKA")
        if not jars or shutil.which("java") is None:
            pytest.skip("Kafka needs Java, and its jars in the folder that GW_SQLA_KAFKA names (CONTRIBUTING.md)")
        port, self.sasl_port, controller = free_port(), free_port(), free_port()
        properties = directory / "server.properties"
        properties.write_text(_KAFKA.format(port=port, sasl=self.sasl_port, controller=controller, logs=directory))
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", f"{jars}/*"]
        cluster = ["-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(properties)]
        subprocess.run([*java, "kafka.tools.StorageTool", "format", *cluster], check=True, capture_output=True)
        super().__init__(lambda _: [*java, "kafka.Kafka", str(properties)], port, directory)


_KAFKA = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_u="right";
log.dirs={logs}/data
offsets.topic.replication.factor=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def running_kafka() -> Iterator[Kafka]:
    """Run a Kafka while the block runs: it takes some seconds to start."""
    with tempfile.TemporaryDirectory(prefix="gw_sqla-") as directory:
        broker = Kafka(Path(directory))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()
