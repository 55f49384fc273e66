"""What the distribution says about itself, for indexes, forges and conda, agrees with pyproject.toml."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pymilk
from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")

yaml = pytest.importorskip("yaml", reason="needs PyYAML")
tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
#: Begins the classifiers of versions.
PYTHON = "Programming Language :: Python :: "


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture
def setup() -> ModuleType:
    pytest.importorskip("setuptools", reason="needs setuptools")
    spec = importlib.util.spec_from_file_location("pymilk_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions(project: dict[str, Any]) -> list[str]:
    found = [text.removeprefix(PYTHON) for text in project["classifiers"] if text.startswith(PYTHON + "3.")]
    assert len(found) > 3
    return found


# -- pyproject.toml -----------------------------------------------------------------------------------


def test_classifiers_are_those_of_the_index(project: dict[str, Any]) -> None:
    known = pytest.importorskip("trove_classifiers", reason="needs trove-classifiers").classifiers
    assert [text for text in project["classifiers"] if text not in known] == []


def test_oldest_python_is_the_one_that_is_required(project: dict[str, Any]) -> None:
    assert project["requires-python"] == f">={versions(project)[0]}"


def test_links_of_the_readme_are_absolute_and_lead_to_files(
    setup: ModuleType, project: dict[str, Any]
) -> None:
    home = project["urls"]["Repository"]
    targets = re.findall(r"\]\(([^)\s]+)", setup.readme())
    ours = [target for target in targets if target.startswith(home)]
    assert len(ours) > 3
    for target in ours:
        kind, branch, path = target.removeprefix(home + "/").split("/", 2)
        assert (ROOT / path.partition("#")[0]).exists(), target
        assert (kind, branch) == ("raw" if path.endswith(".png") else "blob", "main")
    assert [target for target in targets if not target.startswith(("https://", "#", "mailto:"))] == []


# -- one wheel for later versions ---------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "answer"), [("", False), ("0", False), ("1", True)])
def test_limited_api_is_asked_for(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, asked: str, answer: bool
) -> None:
    monkeypatch.setenv("PYMILK_LIMITED_API", asked)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert setup.limited_api() is answer
    monkeypatch.setattr(setup, "check_header", lambda *ignored: None)
    macros = dict(setup.common_options("3.1")["define_macros"])
    assert macros.get("Py_LIMITED_API") == ("0x030c0000" if answer else None)


def test_limited_api_needs_a_python_that_has_it(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYMILK_LIMITED_API", "1")
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    with pytest.raises(SystemExit, match=r"PYMILK_LIMITED_API=1 needs Python 3\.12 or later"):
        setup.limited_api()


# -- conda-forge, citation ----------------------------------------------------------------------------


def test_recipe_says_what_pyproject_says(project: dict[str, Any]) -> None:
    recipe = read(ROOT / "recipe" / "recipe.yaml")
    assert recipe["schema_version"] == 1
    assert recipe["package"] == {"name": project["name"], "version": "${{ version }}"}
    assert recipe["context"]["version"] == pymilk.__version__
    needs = recipe["requirements"]
    assert needs["run"] == ["python", *(text.replace(">", " >", 1) for text in project["dependencies"])]
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert needs["host"] == ["python", "pip", *(text.replace(">", " >", 1) for text in built)]
    commands = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == commands
    about = recipe["about"]
    assert about["homepage"] == about["repository"] == project["urls"]["Repository"]
    assert about["summary"] == project["description"]
    assert (about["license"], [about["license_file"]]) == (project["license"], project["license-files"])


def test_what_the_recipe_tests_is_there() -> None:
    tests = read(ROOT / "recipe" / "recipe.yaml")["tests"]
    for name in tests[0]["python"]["imports"]:
        assert importlib.util.find_spec(name) is not None, name
    for name in tests[1]["files"]["source"]:
        assert (ROOT / name).is_file()
        assert f"python {name}" in tests[1]["script"]


def test_citation_says_what_pyproject_says(project: dict[str, Any]) -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == pymilk.__version__
    assert citation["repository-code"] == project["urls"]["Repository"]
    assert citation["license"] == project["license"]
    assert citation["keywords"] == project["keywords"]
    assert citation["authors"] == project["authors"]


# -- workflows and forms ------------------------------------------------------------------------------


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def sessions() -> set[str]:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {it.name for it in functions if "nox.session" in " ".join(map(ast.unparse, it.decorator_list))}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_runs_sessions_that_exist(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    for command in (step["run"] for step in steps(workflow) if "run" in step):
        asked = command.partition("nox -s ")[2].split()
        assert set(asked) <= sessions(), command


def test_every_supported_version_is_tested(project: dict[str, Any]) -> None:
    assert {path.stem for path in WORKFLOWS} >= {"tests", "docs", "wheels"}
    job = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]
    assert set(versions(project)) <= set(job["strategy"]["matrix"]["python"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_form_asks_for_the_version(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    asked = {field["id"]: field for field in form["body"]}
    assert "python -m pymilk --version" in asked["version"]["attributes"]["description"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])
