"""The API model: requests that keep it, and requests that each break it in one place."""

import copy
import json
import re
from pathlib import Path

MODEL = Path(__file__).parent / "../../awsapi/wire/gen/model.json"
NEWER = MODEL.with_name("newer.json")  # operations that AWS has added since

UUID = "00000000-0000-4000-8000-000000000000"

# Strings to fill members with; of each shape the first one that keeps it.
SAMPLES = (
    "edge1", UUID, "10.0.0.0/8", "arn:aws:network-firewall:us-east-1:123456789012:firewall/edge1",
    "subnet-0a1b2c3d", "vpc-0a1b2c3d", "vpce-0a1b2c3d", "tgw-0a1b2c3d", "tgw-attach-0a1b2c3d", "rslvr-frg-0a1b2c3d", "us-east-1",
)  # fmt: skip
# Strings to break patterns with.
BROKEN = ("__", "   ", "a\nb", "!", "\n", "\n\n\n")

# JSON of another type than a member's.
WRONG = {"string": 7, "integer": "7", "long": "7", "boolean": "true", "timestamp": "now", "list": "edge1", "map": [], "structure": "edge1"}


def load():
    """Returns the model as the service description that botocore reads."""
    model, newer = json.loads(MODEL.read_text()), json.loads(NEWER.read_text())
    for part in ("operations", "shapes"):
        assert not model[part].keys() & newer[part].keys(), f"both models have {part}"
        model[part].update(newer[part])
    for name, members in newer["members"].items():
        model["shapes"][name]["members"].update(members)
    for name, operation in model["operations"].items():
        operation["name"] = name
        operation["input"] = {"shape": operation["input"]}
        operation["output"] = {"shape": operation["output"]}
        operation["errors"] = [{"shape": e} for e in operation["errors"]]
    model["metadata"]["targetPrefix"] = "NetworkFirewall_20201112"
    model["version"] = "2.0"
    return model


def matches(pattern, text):
    """Whether text keeps a pattern, which may match anywhere unless it has anchors."""
    return re.search(pattern.replace("$", r"\Z"), text) is not None


def length_of(shape, value):
    return shape.get("min", 0) <= len(value) <= shape.get("max", len(value))


class Model:
    """The model's shapes. A place is a list of the keys that lead to a value."""

    def __init__(self):
        self.service = load()
        self.shapes = self.service["shapes"]
        self.operations = self.service["operations"]

    def input(self, operation):
        return self.operations[operation]["input"]["shape"]

    def string(self, shape):
        for s in SAMPLES:
            if length_of(shape, s) and matches(shape.get("pattern", ""), s):
                return s
        raise ValueError(f"no sample keeps {shape}: add one")

    def value(self, name, given, wanted, above=()):
        """Returns a value of a shape, with those members of structures that are wanted.

        Of a structure's shape and a member, wanted tells whether it is to be there,
        and given whether a value is known for it and which; None leaves it out. What
        is inside a shape of its own kind is left out.
        """
        shape = self.shapes[name]
        kind = shape["type"]
        if "enum" in shape:
            return shape["enum"][0]
        if kind == "string":
            return self.string(shape)
        if kind in ("integer", "long"):
            return max(1, shape.get("min", 1))
        if kind == "boolean":
            return False
        if kind == "timestamp":
            return 1_700_000_000
        path = (*above, name)
        if kind == "list":
            return [self.value(shape["member"]["shape"], given, wanted, path) for _ in range(max(1, shape.get("min", 1)))]
        if kind == "map":
            return {self.value(shape["key"]["shape"], given, wanted, path): self.value(shape["value"]["shape"], given, wanted, path)}
        result = {}
        for member, ref in shape["members"].items():
            if ref["shape"] in path or not wanted(name, member):
                continue
            known, value = given(name, member)
            if not known:
                value = self.value(ref["shape"], given, wanted, path)
            if value is not None:
                result[member] = value
        return result

    def whole(self, name):
        """Returns a value of a shape that has all members."""
        return self.value(name, lambda *_: (False, None), lambda *_: True)

    def members(self, name, place=(), path="", above=()):
        """Yields (shape of the structure, member, its shape, place, path) of everything below a shape."""
        shape = self.shapes[name]
        if name in above:
            return
        above = (*above, name)
        if shape["type"] == "list":
            yield from self.members(shape["member"]["shape"], (*place, 0), path + ".1.member", above)
        elif shape["type"] == "map":
            # The only key is that of the value that is broken.
            key = self.whole(shape["key"]["shape"])
            yield from self.members(shape["value"]["shape"], (*place, key), f"{path}.{key}.member", above)
        for member, ref in shape.get("members", {}).items():
            lower = (path + "." + member[0].lower() + member[1:]).lstrip(".")
            yield name, member, ref["shape"], (*place, member), lower
            yield from self.members(ref["shape"], (*place, member), lower, above)

    def violations(self, operation):
        """Yields (constraint, path, clauses, request); the answer's clause at path has all of clauses."""
        base = self.whole(self.input(operation))
        for structure, member, name, place, path in self.members(self.input(operation)):
            if member in self.shapes[structure].get("required", ()):
                yield "required", path, ["Member must not be null"], without(base, place)
            for kind, clause, value in self.broken(name):
                if value is not None:
                    yield kind, path, clause, replaced(base, place, value)

    def broken(self, name):
        """Yields (constraint, clauses, value that breaks it or None); elements of lists and maps included."""
        shape = self.shapes[name]
        kind = shape["type"]
        good = self.whole(name)
        if "enum" in shape:
            yield "enum", ["enum value set: [", *shape["enum"]], "NONE_OF_THESE"
        elif kind == "string":
            if shape.get("min", 0) > 0:
                yield "min length", [f"have length greater than or equal to {shape['min']}"], good[: shape["min"] - 1]
            if "max" in shape:
                yield "max length", [f"have length less than or equal to {shape['max']}"], good + good[-1] * (shape["max"] + 1 - len(good))
            if "pattern" in shape:
                bad = (b for b in BROKEN if length_of(shape, b) and not matches(shape["pattern"], b))
                bad = next(bad, next((b * shape.get("min", 1) for b in BROKEN if not matches(shape["pattern"], b * shape.get("min", 1))), None))
                yield "pattern", ["satisfy regular expression pattern: " + shape["pattern"]], bad
        elif kind in ("integer", "long"):
            if "min" in shape:
                yield "min", [f"have value greater than or equal to {shape['min']}"], shape["min"] - 1
            if "max" in shape:
                yield "max", [f"have value less than or equal to {shape['max']}"], shape["max"] + 1
        elif kind in ("list", "map"):
            if shape.get("min", 0) > 0:
                yield "min size", [f"have length greater than or equal to {shape['min']}"], good[: shape["min"] - 1] if kind == "list" else {}
            if "max" in shape:
                more = range(shape["max"] + 1)
                many = [good[0] for _ in more] if kind == "list" else {f"{next(iter(good))}{i}": next(iter(good.values())) for i in more}
                yield "max size", [f"have length less than or equal to {shape['max']}"], many
            for part, words in (("member", "Member must"), ("key", "Map keys must"), ("value", "Map value must")):
                if part in shape and self.shapes[shape[part]["shape"]]["type"] != "structure":
                    for element, clauses, value in self.broken(shape[part]["shape"]):
                        clauses = [words + " satisfy constraint: [", *clauses]
                        if value is None or part == "member":
                            yield element, clauses, value if value is None else [value]
                        elif part == "key":
                            yield element, clauses, {value: next(iter(good.values()))}
                        else:
                            yield element, clauses, {next(iter(good)): value}

    def wrong_types(self, operation):
        """Yields (JSON pointer, request); the value at the pointer has another type than its member."""
        base = self.whole(self.input(operation))
        for _, _, name, place, _ in self.members(self.input(operation)):
            yield "/" + "/".join(map(str, place)), replaced(base, place, WRONG[self.shapes[name]["type"]])


def replaced(base, place, value):
    """Returns a copy of base with another value at a place."""
    request = copy.deepcopy(base)
    at = request
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return request


def without(base, place):
    """Returns a copy of base that lacks what is at a place."""
    request = replaced(base, place, None)
    at = request
    for key in place[:-1]:
        at = at[key]
    del at[place[-1]]
    return request
