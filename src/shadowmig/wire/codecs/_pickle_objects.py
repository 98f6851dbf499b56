"""What a reader of pickles makes with names: an entry of a table each, never an object of the process."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final
from uuid import UUID

from shadowmig.wire.codecs._pickle_classes import BASES, Named, StandIn, old_names, refused, set_uuid
from shadowmig.wire.codecs._pickle_stack import Stack, run_allowed


class Machine(Stack):
    """A `Stack` with the steps of the opcodes that name something."""

    def name(self, module: str, name: str) -> None:
        self.push(self.named(old_names(f"{module}.{name}")))

    def named(self, name: str) -> Named:
        found = self.names(name) if len(name) <= _LONGEST else None
        if found is None:
            raise refused(name)
        self.use(256 + len(name))
        return found

    def global_lines(self) -> None:
        self.name(self.line().decode(), self.line().decode())

    def stack_global(self) -> None:
        module, name = self.last(2)
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name that is no text")
        self.name(module, name)

    def reduce(self) -> None:
        named, args = self.last(2)
        if type(named) is not Named or not isinstance(args, tuple):
            raise TypeError("nothing that can be called")
        if named.name == "copyreg._reconstructor":
            self.push(self.reconstruct(*args))
        elif named.name == "builtins.getattr":
            of, name = args
            if type(of) is not Named or type(name) is not str:
                raise refused("builtins.getattr")
            self.push(self.named(f"{of.name}.{name}"))
        else:
            self.push(self.make(named, named.call, args))

    def make(self, named: Named, call: Callable[..., Any] | None, args: tuple[Any, ...], **options: Any) -> Any:
        if named.name in _STATES and args and type(args[0]) is str and self.encoding != "bytes":
            self.escaped.discard(args[0])
            args = args[0].encode(self.encoding, "surrogateescape"), *args[1:]
        self.copied((args, *args), each=192 if named.name == "collections.OrderedDict" else 64)
        if call is None:
            raise refused(named.name)
        if named.name != "collections.defaultdict":
            self.plain(args)
        if named.real is None:
            if options:
                raise TypeError("arguments by name")
            made = call(self.keys, *args) if named.keyed else call(*args)
            if type(made) is defaultdict:
                self.frail.append(made)
            return made
        self.copied((options,))
        made = run_allowed(call, *args, **options)
        if type(made) in (defaultdict, deque):
            self.frail.append(made)
        self.parts[id(made)] = [made, *args, *options.values()]
        return made

    def reconstruct(self, named: Any, base: Any, state: Any) -> Any:
        """Make an instance as the protocols 0 and 1 do: of a base that holds the state, or of none."""
        if type(named) is not Named or type(base) is not Named or base.name not in BASES:
            raise TypeError("nothing that can be made")
        self.plain((state,))
        if base.name == "builtins.object":
            return self.make(named, named.new, ())
        if named.stands_in:
            return StandIn(named.name, items=state)
        if named.real is None or not issubclass(named.real, BASES[base.name]):
            raise refused(named.name)
        kind: Any = BASES[base.name]
        made = self.make(named, kind.__new__, (named.real, state))
        if kind.__init__ is not object.__init__:
            run_allowed(kind.__init__, made, state)
        return made

    def new(self, *, named_args: bool) -> None:
        found = self.last(3 if named_args else 2)
        named, args = found[0], found[1]
        options = found[2] if named_args else {}
        if type(named) is not Named or not isinstance(args, tuple) or type(options) is not dict:
            raise TypeError("nothing that can be made")
        if named.stands_in and options:
            self.push(self.make(named, named.new, (*args, options)))
        else:
            self.push(self.make(named, named.new, args, **options))

    def old_instance(self, named: Any, args: list[Any]) -> None:
        """Make an instance of a class of Python 2: without arguments it is not called."""
        if type(named) is not Named:
            raise TypeError("nothing that can be made")
        self.push(self.make(named, named.call if args or named.new is None else named.new, tuple(args)))

    def inst(self) -> None:
        name = old_names(f"{self.line().decode()}.{self.line().decode()}")
        self.old_instance(self.named(name), self.items())

    def obj(self) -> None:
        named, *args = self.items()
        self.old_instance(named, args)

    def build(self) -> None:
        state = self.pop()
        self.plain((state,))
        to = self.stack[-1]
        self.copied((state, *state) if type(state) is tuple else (state,))
        if type(to) is StandIn:
            self.copied((to.state,))
            object.__setattr__(to, "state", _together(to.state, state))
        elif id(to) in self.parts and not isinstance(to, Enum):  # its members are those of the whole process
            self.parts[id(to)].append(state)
            run_allowed(_give_state, to, state)
        elif type(to) is UUID:
            set_uuid(to, state)
        else:
            raise TypeError("nothing that has a state")


def _together(old: Any, state: Any) -> Any:
    """Give the attributes of an instance: those of its dict and those of its slots."""
    if type(state) is tuple and len(state) == 2 and all(type(each) in (dict, type(None)) for each in state):
        state = {**(state[0] or {}), **(state[1] or {})}
    return {**old, **state} if type(old) is dict and type(state) is dict else state


def _give_state(to: Any, state: Any) -> None:
    if (own := getattr(to, "__setstate__", None)) is not None:
        own(state)
        return
    slots = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    if state:
        to.__dict__.update(_attributes(state))
    for name, value in _attributes(slots or {}).items():
        setattr(to, name, value)


def _attributes(state: Any) -> Mapping[str, Any]:
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise TypeError("attributes of a wrong kind")
    return state


_LONGEST: Final = 1000
_STATES: Final = frozenset({"datetime.datetime", "datetime.date", "datetime.time"})
