"""What is written beside the code agrees with it."""

import pathlib
import re

import pytest

import dice_tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md", "docs/compatibility.md")
# Folders of which documents name files.
FOLDERS = "dice_tf|docs|examples|experiments|tests"


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_these_authors() -> None:
    text = _read("CITATION.cff")
    assert re.findall("^version: (.*)$", text, re.M) == [dice_tf.__version__]
    author = re.search('author="(.*)"', _read("setup.py"))[1]
    assert f"\nauthors:\n  - name: {author}\n" in text


def test_papers_that_the_citation_names_are_cited() -> None:
    cited = " ".join(_read("docs/papers.md").split())
    papers = _read("CITATION.cff").partition("\nreferences:\n")[2]
    found = re.findall(
        r'title: "?(.*?)"?$\n((?:.*\n)*?)    year: (\d+)', papers, re.M
    )
    assert len(found) == 2
    for title, authors, year in found:
        names = re.findall("family-names: (.*)", authors)
        assert f"- {', '.join(names)} {year}. {title}." in cited


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths_lead_somewhere(name: str) -> None:
    text = _read(name)
    folder = (ROOT / name).parent
    links = re.findall(r"\]\(((?!http)[^)]+)\)", text)
    paths = re.findall(rf"\b((?:{FOLDERS})/[\w/]*(?:\.py|\.md|/))", text)
    assert links or paths or name == "SECURITY.md"
    for link in links:
        assert (folder / link).exists(), link
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_names_of_the_package_exist(name: str) -> None:
    for dotted in re.findall(r"`(dice_tf(?:\.\w+)+)\b", _read(name)):
        value = dice_tf
        for part in dotted.split(".")[1:]:
            value = getattr(value, part)


def test_flags_of_the_security_page_exist() -> None:
    sources = [
        path.read_text() for path in (ROOT / "experiments").rglob("*.py")
    ]
    for flag in set(re.findall(r"`--(\w+)", _read("SECURITY.md"))):
        assert any(f'"{flag}"' in source for source in sources), flag
