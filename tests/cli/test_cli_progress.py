"""The progress bar: on a terminal only, after a second only, on standard error only."""

from __future__ import annotations

import sys

from wafersim.cli import progress
from wafersim.record.running import Expected


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


def test_share_and_end_where_an_estimate_is_known(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress.progress_bar(Expected(cycles=10_000)) as callback:
        callback(2_500, 5_000_000)
    assert "about 25 %, 0 s to go" in capsys.readouterr().err
