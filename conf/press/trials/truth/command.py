"""Measure the truth tables: compare them with what is stored, store them, or print them as JSON."""

import argparse
import importlib
import json
import sys
import warnings

from press.trials import truth


def measured(name: str) -> dict:
    """The table ``name``, every cell by trying, with its words."""
    import torch

    table = importlib.import_module(f"press.trials.truth.{name}")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = table.measure()
    ragged = [row for row, cells in rows.items() if tuple(cells) != table.COLUMNS]
    if ragged:
        raise ValueError(
            f'press/trials/truth/{name}.py: row "{ragged[0]}" has other columns than COLUMNS'
        )
    return {"title": table.TITLE, "row": table.ROW, "columns": table.COLUMNS, "rows": rows}


def main(arguments: list[str] | None = None) -> int:
    """Return 1 where a cell differs from the one that is stored."""
    parser = argparse.ArgumentParser(prog="nox -s tables --", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a table; by default all of them")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="store what was measured")
    what.add_argument("--json", action="store_true", help="print it, and compare nothing")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(truth.NAMES))
    if unknown:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(truth.NAMES)}")

    import torch

    version = torch.__version__.partition("+")[0]  # without the kind of build
    tables = {name: measured(name) for name in options.names or truth.NAMES}
    if options.json:
        json.dump({"torch": version, "tables": tables}, sys.stdout)
        return 0
    found = 0
    for name, table in tables.items():
        expected = truth.read(name)
        for difference in truth.differences(name, expected.rows, table["rows"]):
            print(f"{difference} (expected of torch {expected.torch}, this is {version})")
            found += 1
        if options.write:
            truth.path(name).write_text(truth.written(version, table["rows"]), "utf-8")
    cells = sum(len(table["columns"]) * len(table["rows"]) for table in tables.values())
    print(f"{len(tables)} tables, {cells} cells, {found} not as stored")
    return int(found > 0 and not options.write)


if __name__ == "__main__":
    sys.exit(main())
