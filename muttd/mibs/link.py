"""Modules -> what their names stand for: OIDs, rooted in what muttd ships or in each other.

    { acmeObjects 1 }  --own definition-->  { acme 1 1 }  --IMPORTS-->  { enterprises 55555 1 1 }

Whatever cannot be resolved costs itself only, and is said by name: nine objects out of ten are
better than none, and a notification needs no type of its neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import msgspec

from muttd.mibs.module import LANGUAGE_MODULES, Definition, Module, Oid, Syntax
from muttd.protocol.ber import MAX_ARC, MAX_ARCS
from muttd.protocol.mib import NOTIFICATION, OBJECT, Fact, Mib

# RFC 1215, 2.2: the generic traps are ENTERPRISE snmp; RFC 3584, 3.1 (2) says what they are now.
_SNMP = "1.3.6.1.2.1.11"
_SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
_ENTERPRISES = "1.3.6.1.4.1"
_ROOTS = {"ccitt": "0", "iso": "1", "joint-iso-ccitt": "2"}
# No type is defined by way of more others than that; who tries goes round in a circle.
_MAX_TYPE_STEPS = 32
# What says how values are written is kept with every object: one enumeration of a megabyte and ten
# thousand objects of that type would be ten gigabytes. Of the shipped MIBs the longest has 4 333
# characters, and all 22 000 objects have 235 000.
_MAX_SYNTAX_CHARS = 65_536
_MAX_SYNTAXES_CHARS = 33_554_432
# Enough to see what is wrong; a text of two megabytes may hold thousands.
_MAX_PROBLEMS = 20


class LinkedModule(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one module.

    Attributes:
        notifications: Their names and OIDs.
        object_count: Objects that have values.
        missing: Modules that it needs, and nobody has.
        problems: Names that stand for nothing, with the reason; not all of very many.
    """

    name: str
    notifications: list[tuple[str, str]]
    object_count: int
    missing: list[str]
    problems: list[str]


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all modules.

    Attributes:
        facts: OID -> what the table of MIBs is to say of it.
        severities: Of annotated notifications, by OID.
        modules: One for each, in their order.
    """

    facts: dict[str, Fact]
    severities: dict[str, int]
    modules: list[LinkedModule]


class Shipped:
    """What muttd knows without any operator's MIB, by name.

    Cost: 50 ms; kept as long as the daemon runs.
    """

    def __init__(self, mib: Mib) -> None:
        self.facts: dict[str, Fact] = {}
        self.modules = set(LANGUAGE_MODULES)
        self._oids: dict[tuple[str, str], str] = {}
        self._by_name: dict[str, str] = {}
        for oid, fact in mib.facts():
            self.facts[oid] = fact
            self.modules.add(fact.module)
            self._oids[fact.module, fact.name] = oid
            best = self._by_name.get(fact.name)
            # Of several of one name the one nearest to the root: that is what others hang below.
            if best is None or oid.count(".") < best.count("."):
                self._by_name[fact.name] = oid
        self._types = {(module, name): syntax for module, name, syntax in mib.types()}
        self._type_by_name = {name: syntax for (_, name), syntax in self._types.items()}
        self.modules |= {module for module, _ in self._types}

    def oid_of(self, module: str, name: str) -> str | None:
        """The OID of a name that is imported from a module.

        A module that is shipped may leave a name to a later one (ifIndex of RFC1213-MIB); and an
        enterprise has its name in whatever module its vendor defines it.
        """
        found = self._oids.get((module, name)) or _ROOTS.get(name)
        if found is not None:
            return found
        found = self._by_name.get(name)
        if found is None or module in self.modules:
            return found
        is_enterprise = found.rpartition(".")[0] == _ENTERPRISES
        return found if is_enterprise or _ENTERPRISES.startswith(found) else None

    def type_of(self, module: str, name: str) -> str | None:
        """The syntax of a type that is imported from a module, as the table writes it."""
        found = self._types.get((module, name))
        if found is None and module in self.modules:
            return self._type_by_name.get(name)
        return found


def link(modules: Sequence[Module], shipped: Shipped) -> Linked:
    """Resolve every name of these modules.

    Args:
        modules: Of two with one name the first is taken.
        shipped: What they may import besides each other.

    Cost: 10 us a definition; in a thread.
    """
    linker = _Linker(modules, shipped)
    linked = [linker.link(module) for module in modules]
    return Linked(facts=linker.facts, severities=linker.severities, modules=linked)


class _Linker:
    """One run of link()."""

    def __init__(self, modules: Sequence[Module], shipped: Shipped) -> None:
        self.facts: dict[str, Fact] = {}
        self.severities: dict[str, int] = {}
        self._shipped = shipped
        self._modules: dict[str, Module] = {}
        for module in modules:
            self._modules.setdefault(module.name, module)
        # Backwards: of two definitions of one name in one module the first stands.
        self._definitions = {
            (module.name, each.name): each
            for module in self._modules.values()
            for each in reversed(module.definitions)
        }
        self._oids: dict[tuple[str, str], str | _Unresolved] = {}
        self._depth = 0
        self._syntaxes_chars = 0
        self._missing: set[str] = set()

    def link(self, module: Module) -> LinkedModule:
        if self._modules[module.name] is not module:
            problem = f"{module.name} is defined by another text already, and that one is taken"
            return LinkedModule(
                name=module.name, notifications=[], object_count=0, missing=[], problems=[problem]
            )
        self._missing = set()
        problems: list[str] = []
        notifications = []
        object_count = 0
        for each in module.definitions:
            try:
                oid = self._oid_of_definition(module, each)
                text = self._syntax(module, each.syntax) if each.kind == OBJECT else ""
            except _Unresolved as exc:
                self._missing |= exc.missing
                problems.append(f"{each.name}: {exc}")
                continue
            self._syntaxes_chars += len(text)
            if len(text) > _MAX_SYNTAX_CHARS or self._syntaxes_chars > _MAX_SYNTAXES_CHARS:
                self._syntaxes_chars -= len(text)
                problems.append(f"{each.name}: its values have more names than can be kept")
                text = ""
            self._add(oid, Fact(each.name, module.name, each.kind, text))
            object_count += each.kind == OBJECT
            if each.kind == NOTIFICATION:
                notifications.append((each.name, oid))
                self._add_notification(oid, module.severities.get(each.name))
        hidden = len(problems) - _MAX_PROBLEMS
        if hidden > 0:
            problems[_MAX_PROBLEMS:] = [f"and {hidden} more"]
        return LinkedModule(
            name=module.name,
            notifications=notifications,
            object_count=object_count,
            missing=sorted(self._missing),
            problems=problems,
        )

    def _add(self, oid: str, fact: Fact) -> None:
        shipped = self._shipped.facts.get(oid)
        if shipped is not None and shipped.module not in ("", fact.module):
            # Superseded texts define again what others do now: RFC1213-MIB has all of IF-MIB.
            return
        known = self.facts.get(oid)
        if known is None or (known.kind == "" and fact.kind):
            self.facts[oid] = fact

    def _add_notification(self, oid: str, severity: int | None) -> None:
        if severity is not None:
            self.severities.setdefault(oid, severity)
        parent, _, last = oid.rpartition(".")
        if parent.endswith(".0") or oid.startswith(f"{_SNMP_TRAPS}."):
            return
        # RFC 3584, 3.2: an SNMPv1 agent sends it as enterprise and specific-trap, and these become
        # an OID with a zero between them (3.1), which the MIB does not have.
        as_v1 = f"{parent}.0.{last}"
        if as_v1 not in self._shipped.facts and as_v1 not in self.facts:
            self.facts[as_v1] = self.facts.get(oid) or self._shipped.facts[oid]
            if severity is not None:
                self.severities.setdefault(as_v1, severity)

    def _oid_of_definition(self, module: Module, definition: Definition) -> str:
        key = (module.name, definition.name)
        found = self._oids.get(key)
        if found is None:
            # Whoever comes by here again before it is known goes round in a circle.
            self._oids[key] = _Unresolved("is defined by way of itself")
            self._depth += 1
            try:
                found = self._resolved(module, definition)
            except _Unresolved as exc:
                # Whatever it was raised in would be kept with it.
                found = exc.with_traceback(None)
            self._depth -= 1
            self._oids[key] = found
        if isinstance(found, str):
            return found
        raise _Unresolved(found.what, found.missing) from None

    def _resolved(self, module: Module, definition: Definition) -> str:
        if self._depth > MAX_ARCS:
            raise _Unresolved(f"hangs below more than {MAX_ARCS} others")
        oid = self._oid(module, definition.oid)
        if definition.specific_trap is not None:
            oid = _trap_oid(oid, definition.specific_trap)
        if oid.count(".") >= MAX_ARCS:
            raise _Unresolved(f"has an OID of more than {MAX_ARCS} numbers")
        return oid

    def _oid(self, module: Module, oid: Oid) -> str:
        if not oid or not all(isinstance(each, str) or 0 <= each <= MAX_ARC for each in oid):
            raise _Unresolved("has an OID that is none")
        first, *others = oid
        start = str(first) if isinstance(first, int) else self._oid_of_name(module, first)
        # { iso org dod }: a name in the middle is one whose number everybody knows.
        arcs = [
            str(each) if isinstance(each, int) else self._last_arc(module, each) for each in others
        ]
        return ".".join([start, *arcs])

    def _last_arc(self, module: Module, name: str) -> str:
        return self._oid_of_name(module, name).rpartition(".")[2]

    def _oid_of_name(self, module: Module, name: str) -> str:
        definition = self._definitions.get((module.name, name))
        if definition is not None:
            return self._oid_of_definition(module, definition)
        source = module.imports.get(name, "")
        exporter = self._modules.get(source)
        definition = self._definitions.get((source, name))
        if exporter is not None and definition is not None:
            return self._oid_of_definition(exporter, definition)
        # A name that is imported from nowhere is taken from SMI.
        found = self._shipped.oid_of(source or "SNMPv2-SMI", name)
        if found is None:
            raise self._unresolved(name, source, is_known=exporter is not None)
        return found

    def _unresolved(self, name: str, source: str, *, is_known: bool) -> _Unresolved:
        if not source:
            return _Unresolved(f"{name} is neither defined nor imported")
        if is_known or source in self._shipped.modules:
            return _Unresolved(f"{source} has no {name}")
        return _Unresolved(f"needs {name} of {source}, which is not there", {source})

    def _syntax(self, module: Module, syntax: Syntax) -> str:
        for _ in range(_MAX_TYPE_STEPS):
            if syntax.text or not syntax.type_name:
                return syntax.text
            name = syntax.type_name
            found = module.types.get(name)
            if found is None:
                source = module.imports.get(name, "")
                exporter = self._modules.get(source)
                if exporter is None or name not in exporter.types:
                    return self._shipped_syntax(source, name)
                module, found = exporter, exporter.types[name]
            syntax = found
        return ""

    def _shipped_syntax(self, source: str, name: str) -> str:
        text = self._shipped.type_of(source or "SNMPv2-TC", name)
        if text is None and source and source not in self._shipped.modules:
            # Its values are shown as they come; the object has its name all the same.
            self._missing.add(source)
        return text or ""


class _Unresolved(Exception):
    """A name stands for nothing that is known; `missing` is the module that would say it."""

    def __init__(self, what: str, missing: Set[str] = frozenset()) -> None:
        super().__init__(what)
        self.what = what
        self.missing = missing


def _trap_oid(enterprise: str, specific_trap: int) -> str:
    if enterprise == _SNMP:
        return f"{_SNMP_TRAPS}.{specific_trap + 1}"
    return f"{enterprise}.0.{specific_trap}"
