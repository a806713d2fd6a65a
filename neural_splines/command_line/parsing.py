"""A parser whose errors are one line, and types of arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from ..ranges import UPS
from ..runtime import streams
from .codes import REFUSED
from .console import say

UNRECOGNIZED = "unrecognized arguments: "


def number_or(kind: Callable[[str], Any], name: str, *words: str) -> Callable[[str], Any]:
    """An argument type: `kind`, or one of some words."""

    def parse(text: str) -> Any:
        if text in words:
            return text
        try:
            return kind(text)
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"expected {' or '.join([name, *words])}, got {text!r}") from None

    return parse


class Parser(argparse.ArgumentParser):
    """One line for a wrong argument, like every other error.

    elsewhere: options that another command has, and what to say to who asks for them here.
    """

    elsewhere: Mapping[str, str] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        if message.startswith(UNRECOGNIZED):
            asked = {word.partition("=")[0] for word in message.removeprefix(UNRECOGNIZED).split()}
            message = next((line for option, line in self.elsewhere.items() if option in asked), message)
        say(self.prog, f"error: {message} (see {self.prog} --help)")
        self.exit(REFUSED)

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(streams.encodable(message, file or sys.stderr), file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        streams.flush()  # --help
        super().exit(status, message)


def parse(p: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Positional arguments may stand anywhere between options; `--up -x` is `--up=-x`."""
    words = list(sys.argv[1:] if argv is None else argv)
    for at in range(len(words) - 1, 0, -1):
        if words[at - 1] == "--up" and words[at] in UPS:
            words[at - 1 : at + 1] = [f"--up={words[at]}"]
    return p.parse_intermixed_args(words)


def parser(prog: str, description: str) -> Parser:
    return Parser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
