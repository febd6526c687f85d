"""Prints what a package of constants says, as JSON: attributes, values of enumerations, metrics."""

import ast
import json
import pathlib
import re
import sys


def constants(tree):
    """Pairs of a module's text constants and the documentation below each."""
    for node, following in zip(tree.body, tree.body[1:] + [None]):
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            yield node.value.value, following.value.value.strip() if documented else ""


def text_constants(body):
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                yield node.value.value


attributes, values, metrics = {}, set(), {}
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    tree = ast.parse(path.read_text())
    if path.name.endswith("_attributes.py"):
        for name, text in constants(tree):
            successor = re.match(r"Deprecated: Replaced by `([^`]+)`", text)
            attributes[name] = {
                "deprecated": text.startswith("Deprecated"),
                "successor": successor and successor[1],
            }
    elif path.name.endswith("_metrics.py"):
        for name, text in constants(tree):
            instrument = re.search(r"Instrument: (\w+)", text)
            unit = re.search(r"Unit: (\S+)", text)
            if instrument and unit:
                metrics[name] = {"instrument": instrument[1], "unit": unit[1]}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        if "Enum" in [getattr(base, "id", "") for base in node.bases]:
            values.update(text_constants(node.body))
        elif node.name in ("SpanAttributes", "RerankerAttributes"):
            for name in text_constants(node.body):
                attributes[name] = {"deprecated": False, "successor": None}
json.dump({"attributes": attributes, "values": sorted(values), "metrics": metrics}, sys.stdout)
