"""report.html: self-contained, safe against what a restored backup may be called, and in the reader's order."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from samples import (
    JUDGED_AT,
    broken_findings,
    broken_record,
    control_judgement,
    control_record,
    damaged_findings,
    fails,
    good_findings,
    make_files_store,
    make_judgement,
    make_record,
    make_user_losses,
    with_heartbeat,
)

from rehearsal.record import PhaseTime
from rehearsal.report.html import lay_out_bars, render_html
from rehearsal.report.json_report import build_report
from rehearsal.report.model import Phase

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and text outside <style>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def flat(self) -> str:
        return " ".join(self.text.split())


def show(record=None, judgement=None) -> Page:
    record = record or make_record()
    judgement = judgement or make_judgement(*good_findings())
    return Page(render_html(build_report(record, judgement, JUDGED_AT)))


@pytest.mark.parametrize(
    ("record", "judgement"),
    [
        (make_record(), make_judgement(*good_findings())),
        (make_record(), make_judgement(*damaged_findings())),
        (broken_record(), make_judgement(*broken_findings())),
        (control_record(), control_judgement(caught=False)),
        (make_record(stores=[], phases=[], manifest=None, commands=[], versions={}), make_judgement()),
    ],
)
def test_page_is_well_formed_and_loads_nothing(record, judgement):
    page = show(record, judgement)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form"}
    targets = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href")]
    assert set(targets) == {"../index.html", "report.json", "record.json", "journal.jsonl"}
    policy = [attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_style_sheet_reaches_for_nothing():
    html = render_html(build_report(make_record(), make_judgement(*good_findings()), JUDGED_AT))
    style = html.split("<style>")[1].split("</style>")[0]
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    assert "@import" not in style


EVIL = "<script>alert(1)</script>\"'><b onmouseover=x>{{ 7*7 }}</style>"


def test_markup_is_text_wherever_it_comes_from():
    names = ("title", "scenario", "run_id", "cluster", "command", "method", "runbook", "loss", "size", "started")
    record = make_record(
        **dict.fromkeys(names, EVIL),
        notes=(EVIL,),
        not_rehearsed=(EVIL,),
        does_not_prove=(EVIL,),
        versions={EVIL: EVIL},
        values_sources=(EVIL,),
        phases=[PhaseTime(name=EVIL, seconds=1.0, error=EVIL)],
        troubles=[trouble.model_copy(update={"hint": EVIL, "log": EVIL}) for trouble in broken_record().troubles],
    )
    page = show(record, make_judgement(fails(EVIL, EVIL, EVIL, EVIL)))
    plain = show(make_record(), make_judgement(fails("x", "y", "z", "d")))
    assert {tag for tag, _ in page.tags} - {tag for tag, _ in plain.tags} <= {"pre"}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert page.text.count("<script>alert(1)</script>") >= 20
    assert "{{ 7*7 }}" in page.text


def test_markup_in_a_control_is_text():
    outcome = control_judgement(caught=True).control
    assert outcome is not None
    evil = outcome.model_copy(update={"tampering": EVIL, "why": EVIL, "expects_check": EVIL, "expects_subject": EVIL})
    page = show(control_record(), make_judgement(fails("rows", "x"), control=evil))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) == 4


def test_characters_one_cannot_see_are_shown_and_set_apart():
    subject = "a\nb\tc\x1b[31m\u202egnp.exe\u200b \\n"
    html = render_html(build_report(make_record(), make_judgement(fails("files", subject)), JUDGED_AT))
    for character in "\x1b\u202e\u200b":
        assert character not in html
    assert 'a<span class="esc">\\n</span>b<span class="esc">\\t</span>c<span class="esc">\\x1b</span>[31m' in html
    assert '<span class="esc">\\u202e</span>gnp.exe<span class="esc">\\u200b</span> \\n' in html


def test_verdict_is_a_word_and_failures_come_first():
    page = show(judgement=make_judgement(*damaged_findings())).flat()
    order = [
        "✗ FAIL",
        "What did not come back as it was",
        'public.dataset ["6f0c2f6e-8a1b-4d5c-9e7f-000000000000"]',
        "What was proven",
        "What this does not prove",
        "Timeline",
        "Stores",
        "Backup set",
        "recorded, never evidence",
        "To repeat it",
    ]
    places = [page.index(words) for words in order]
    assert places == sorted(places)


def test_every_difference_is_on_the_page():
    page = show(judgement=make_judgement(*damaged_findings())).text
    for finding in damaged_findings():
        if finding.verdict.value == "FAIL" and "\n" not in finding.subject:
            assert finding.subject in page
            assert all(detail in page for detail in finding.details)


@pytest.mark.parametrize(("caught", "words"), [(True, "✓ CAUGHT"), (False, "✗ NOT CAUGHT")])
def test_control_says_first_that_it_is_one(caught, words):
    page = show(control_record(), control_judgement(caught=caught))
    banner = f"CONTROL: this rehearsal damages something on purpose; expected finding rows on public.session: {words}"
    assert banner in page.flat()
    verdict = "✗ FAIL" if caught else "✓ PASS"
    assert page.flat().index(banner) < page.flat().index(f"{verdict}One row")


def test_pass_of_an_uncaught_control_is_not_green():
    heroes = [
        attrs["class"] for tag, attrs in show(control_record(), control_judgement(caught=False)).tags if tag == "header"
    ]
    assert heroes == ["hero not-run"]


def test_rehearsal_proper_has_no_control_banner():
    assert "CONTROL" not in show().text


def test_trouble_comes_first_with_what_to_type_next():
    page = show(broken_record(), make_judgement(*broken_findings())).flat()
    assert page.index("What broke") < page.index("What could not be told")
    assert "Type next: df -h runs; or give --runs DIR on another disk" in page
    assert "What was proven" not in page


def test_trouble_comes_after_what_was_lost():
    record = broken_record()
    page = show(record, make_judgement(*damaged_findings(), *broken_findings())).flat()
    assert page.index("What did not come back") < page.index("What broke") < page.index("What could not be told")


def test_bars_follow_each_other_and_short_ones_stay_visible():
    phases = (
        Phase(name="a", seconds=50.0, command_seconds=25.0),
        Phase(name="b", seconds=0.0),
        Phase(name="c", seconds=50.0),
        Phase(name="d", seconds=0.0),
    )
    bars = lay_out_bars(phases)
    assert [bar.start for bar in bars] == [0.0, 50.0, 50.0, 99.6]
    assert [bar.width for bar in bars] == [50.0, 0.4, 50.0, 0.4]
    assert [bar.runbook for bar in bars] == [50.0, 0.0, 0.0, 0.0]
    assert lay_out_bars(()) == []


def show_losses(users):
    damaged = make_judgement(*damaged_findings())
    return show(judgement=damaged.model_copy(update={"user_losses": make_user_losses(users)})).flat()


def test_what_each_user_lost_stands_right_below_the_verdict():
    page = show_losses(2)
    order = ["✗ FAIL", "What each user lost", "jaas/u0", "jaas/u1 ✗ cannot log in", "What did not come back as it was"]
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    assert (
        "What each user lost 411 of 412 sessions can be opened as before, 2 datasets lost, 1 user cannot log in" in page
    )
    assert "session s0: lost dataset d0: file ab/ab1 is missing" in page
    assert "more users who lost something" not in page
    assert "What each user lost" not in show().flat()


def test_users_beyond_the_first_are_counted():
    page = show_losses(23)
    assert "jaas/u19" in page
    assert "jaas/u20" not in page
    assert "… and 3 more users who lost something" in page


def test_markup_in_a_users_name_is_text():
    losses = make_user_losses(1)
    evil = losses.model_copy(update={"users": (losses.users[0].model_copy(update={"user": EVIL, "first": (EVIL,)}),)})
    page = show(judgement=make_judgement(fails("rows", "x")).model_copy(update={"user_losses": evil}))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) == 2


def test_the_moments_stores_were_restored_to_are_told():
    database, files = make_record().stores[0], make_files_store()
    stores = [with_heartbeat(database, "2026-04-30T01:10:08.190Z"), with_heartbeat(files, "2026-04-30T01:10:10.890Z")]
    page = show(make_record(stores=stores)).flat()
    assert "session-db was restored to 01:10:08.1, file-storage-0 to 01:10:10.8: 2.70 s apart." in page
    assert "each then misses: session-db 8.31 s, file-storage-0 6.11 s." in page
    assert "was restored to" not in show().flat()
