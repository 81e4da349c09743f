"""The progress bar: on a terminal only, after a second only, on standard error only."""

from __future__ import annotations

import sys

from wafersim.cli import progress


def test_nothing_without_a_terminal(capsys):
    with progress.progress_bar() as callback:
        assert callback is None
    assert capsys.readouterr().err == ""


def test_short_runs_show_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.progress_bar() as callback:
        callback(10, 100)
    assert capsys.readouterr().err == ""


def test_long_runs_show_cycle_and_events_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress.progress_bar() as callback:
        callback(1234, 5_000_000)
        callback(5678, 9_000_000)
    said = capsys.readouterr()
    assert said.out == ""
    assert "cycle 5,678" in said.err
    assert "9,000,000 events" in said.err
