"""The forms of a page as a browser without scripts knows them: their fields, and the buttons to press."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Field:
    """A named field. ``values`` are those it sends untouched; ``choices`` all that it offers (None: any)."""

    name: str
    values: list[str] = field(default_factory=list)
    choices: list[str] | None = None


@dataclass
class Button:
    """``label`` is what a screen reader says."""

    label: str
    name: str | None
    value: str


@dataclass
class Form:
    """One form of a page."""

    action: str
    fields: dict[str, Field] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)

    def sent(self, button: Button, **filled: str) -> dict[str, list[str]]:
        """What the browser sends once ``filled`` is filled in and ``button`` pressed."""
        for name, value in filled.items():
            choices = self.fields[name].choices
            assert choices is None or value in choices, f"{name} offers {choices}, and not {value}"
        data = {one.name: one.values for one in self.fields.values()}
        data |= {name: [value] for name, value in filled.items()}
        return data | ({button.name: [button.value]} if button.name else {})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: Field | None = None
        self._button: Button | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(said.get("action", ""))
            self.forms.append(self._form)
        if self._form is None:
            return
        if tag == "input":
            self._input(said)
        elif tag == "select":
            self._select = self._form.fields.setdefault(said["name"], Field(said["name"], choices=[]))
        elif tag == "option" and self._select is not None:
            assert self._select.choices is not None
            self._select.choices.append(said["value"])
            if not self._select.values or "selected" in said:
                self._select.values = [said["value"]]
        elif tag == "button" and "disabled" not in said:
            self._button = Button("", said.get("name"), said.get("value", ""))
            self._form.buttons.append(self._button)

    def _input(self, said: dict[str, str]) -> None:
        assert self._form is not None
        one = self._form.fields.setdefault(said["name"], Field(said["name"]))
        if said.get("type") in {"checkbox", "radio"}:
            one.choices = [*(one.choices or []), said["value"]]
            one.values += [said["value"]] if "checked" in said and "disabled" not in said else []
        else:
            one.values = [said.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "button":
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button.label = re.sub(r"\s+", " ", self._button.label + data).lstrip()


def forms_of(html: str) -> list[Form]:
    """Every form of the page."""
    reader = _Reader()
    reader.feed(html)
    return reader.forms


def button_of(html: str, label: str) -> tuple[Form, Button]:
    """The one button that is called ``label``, and its form."""
    forms = forms_of(html)
    found = [(form, one) for form in forms for one in form.buttons if one.label.strip() == label]
    offered = [one.label for form in forms for one in form.buttons]
    assert len(found) == 1, f"{len(found)} buttons are called {label!r}; there are {offered}"
    return found[0]
