"""Sets of icons as the npm packages `@iconify-json/{set}` hold them: SVG by name.

The format is Iconify's: `icons.json` has the icons with their aliases, and
`package.json` the version and the licence.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Mapping

_SCOPE = "@iconify-json/"
_FETCH_S = 300  # seconds that npm gets for a package


@dataclasses.dataclass(frozen=True)
class IconSet:
    """The icons of one package.

    Attributes:
      name: Without `@iconify-json/`.
      version: The package's.
      source: The folder or tarball, for messages.
      digest: Of `icons.json`.
      icons: Icons by name: `body` and what differs from `size`.
      aliases: Other names: `parent`, and how the icon is turned, if it is.
      size: Width and height of icons that state none.
    """

    name: str
    version: str
    source: str
    digest: str
    icons: Mapping[str, Mapping]
    aliases: Mapping[str, Mapping]
    size: tuple[float, float]

    @property
    def names(self) -> Collection[str]:
        """The names of icons and of aliases."""
        return self.icons.keys() | self.aliases.keys()

    def find(self, name: str) -> str:
        """Returns the icon that draws a name; `""` where none does.

        It is called that, or an alias leads to it that does not turn it, or it is
        called that without hyphens.
        """
        if name in self.icons:
            return name
        alias = self.aliases.get(name, {})
        if set(alias) == {"parent"} and alias["parent"] in self.icons:
            return alias["parent"]
        joined = name.replace("-", "")
        return joined if joined in self.icons else ""

    def svg(self, icon: str) -> str:
        """Returns an icon as an SVG document."""
        found = self.icons[icon]
        width, height = self.size
        box = (
            found.get("left", 0),
            found.get("top", 0),
            found.get("width", width),
            found.get("height", height),
        )
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" '
            'xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{" ".join(map(str, box))}">{found["body"]}</svg>'
        )


def find(folder: pathlib.Path, names: Collection[str]) -> dict[str, list[IconSet]]:
    """Returns the packages in a folder, by name and at any depth, tarballs or unpacked.

    Args:
      folder: Such as one with what `npm pack` wrote, or a `node_modules`.
      names: Of the packages that are wanted.

    Raises:
      ValueError: A package that is wanted is damaged or has no list of names.
    """
    found: dict[str, list[IconSet]] = {}
    for source, files in _packages(folder):
        package = _parse(files.get("package.json"))
        name = str(package.get("name", "")).removeprefix(_SCOPE)
        if name not in names or not str(package["name"]).startswith(_SCOPE):
            continue
        icons = _parse(files.get("icons.json"))
        if not isinstance(icons.get("icons"), dict) or not icons["icons"]:
            raise ValueError(
                f"{source}: {name} has no list of names, icons.json with icons in it: "
                f"get it again, npm pack {_SCOPE}{name}"
            )
        one = IconSet(
            name=name,
            version=str(package.get("version", "")),
            source=str(source),
            digest=hashlib.sha256(files["icons.json"]).hexdigest()[:16],
            icons=icons["icons"],
            aliases=icons.get("aliases", {}),
            size=(icons.get("width", 16), icons.get("height", 16)),
        )
        found.setdefault(name, []).append(one)
    return found


def fetch(versions: Mapping[str, str], folder: pathlib.Path) -> None:
    """Fetches packages with the client `npm` into a folder, as tarballs.

    Args:
      versions: By the package's name.
      folder: Made where it is missing.

    Raises:
      ValueError: There is no npm, or it fails; says what to do.
    """
    wanted = " ".join(f"{_SCOPE}{name}@{v}" for name, v in versions.items())
    by_hand = f"run `npm pack {wanted}` where it works, and give --from that folder"
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"there is no npm to fetch the packages with: {by_hand}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in versions.items():
        command = [npm, "pack", "--loglevel=error", f"{_SCOPE}{name}@{version}"]
        try:
            subprocess.run(
                command,
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=_FETCH_S,
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"npm took more than {_FETCH_S} s for {_SCOPE}{name}: {by_hand}"
            ) from error
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines() or ["no reason"]
            raise ValueError(
                f"npm cannot fetch {_SCOPE}{name}@{version}: {said[0]}; {by_hand}"
            ) from error


def _packages(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, dict[str, bytes]]]:
    """Yields where each package is, and its `package.json` and `icons.json`."""
    wanted = ("package.json", "icons.json")
    for path in sorted(folder.rglob("package.json")):
        files = [path.with_name(name) for name in wanted]
        yield path.parent, {f.name: f.read_bytes() for f in files if f.is_file()}
    for path in sorted(folder.rglob("*.tgz")):
        try:
            with tarfile.open(path) as archive:
                members = {f"package/{name}": name for name in wanted}
                found = [m for m in archive if m.name in members and m.isfile()]
                contents = {
                    members[m.name]: archive.extractfile(m).read() for m in found
                }
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        yield path, contents


def _parse(data: bytes | None) -> dict:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
