"""Reports from similarities: every number is that of the pieces, composed by hand."""

import html
import re

import numpy as np
import pandas as pd
import pytest
import torch
from similar import DOWNSTREAM, UPSTREAM, Similarities, planted

import modlib
from modlib.analysis.chance import crossing
from modlib.analysis.schema import AGREEMENT, MODULES, NULL_TESTS
from modlib.clustering import find_modules
from modlib.comparison import agreement
from modlib.measures import MEASURES, VARIANTS, adjacency, similarity
from modlib.networks import MLPStack
from modlib.nulls import null_test
from modlib.reporting.report import CHANCE, Report
from modlib.study.rows import against_nulls, analyse

QUICK = {"draws": 4, "restarts": 2, "null_restarts": 1, "shuffles": 20}


@pytest.fixture(scope="module")
def report():
    return Report.of_similarities({"encoder.3": planted(dead=[5])}, **QUICK)


def labels_of(report, measure, normalized=True):
    rows = report.modules.set_index(["measure", "normalized"])
    return rows.labels[measure, normalized].astype(int)


# ---------------------------------------------------------------- tables


def test_tables_have_the_columns_of_the_book(report):
    assert list(report.modules) == MODULES.names
    assert list(report.agreement) == [*AGREEMENT.names, *CHANCE]
    assert list(report.nulls) == NULL_TESTS.names
    assert list(zip(report.modules.measure, report.modules.normalized, strict=True)) == list(VARIANTS)
    assert len(report.agreement) == 28
    for table in (report.modules, report.agreement, report.nulls, report.units):
        assert set(table.layer) == {"encoder.3"}


def test_planted_modules_are_found_and_cross(report):
    for measure, groups in (("input_grad", UPSTREAM), ("output_grad", DOWNSTREAM)):
        alive = labels_of(report, measure) >= 0
        assert agreement(labels_of(report, measure)[alive], groups[alive])["ami"] == pytest.approx(1)
    across = report.agreement[report.agreement.family_pair == "across"]
    assert (across.ami < across.ami_chance_high).all()
    assert (report.modules.reliability == 1).all()


def test_a_report_of_one_of_the_books_networks_has_the_tables_of_its_experiment():
    """One piece of code makes both; the nulls, drawn from the same seeds, are the same too."""
    stack = MLPStack.initialise([12, 10, 8, 4], seeds=[3])
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(200, dtype=torch.int64)
    S, *halves = (similarity(stack.to(dtype=torch.float64), x[part]) for part in np.s_[:, ::2, 1::2])
    given = {}
    for number, name in enumerate("12"):
        given[name] = Similarities({m: S[m][number][0] for m in MEASURES})
        given[name].halves = tuple({m: half[m][number][0] for m in MEASURES} for half in halves)
    report = Report.of_similarities(given, name="a", draws=3, restarts=2, null_restarts=2, shuffles=5, seed=7)
    modules, pairs = analyse(stack, x, y, ["a"], restarts=2, seed=7)
    nulls = against_nulls(stack, x, y, ["a"], draws=3, restarts=2, seed=7)
    nulls = nulls[nulls.null != "weights-permuted"].reset_index(drop=True)
    for found, expected in ((report.modules, modules), (report.agreement, pairs), (report.nulls, nulls)):
        expected = expected.astype({"layer": str}).astype({"layer": found.layer.dtype})
        pd.testing.assert_frame_equal(found[list(expected)], expected, check_exact=True)


def test_agreement_stands_beside_shuffles(report):
    for row in report.agreement.itertuples():
        a = labels_of(report, row.measure_a, row.normalized_a)
        b = labels_of(report, row.measure_b, row.normalized_b)
        of = crossing(a, b, shuffles=20, seed=0)
        assert row.ecs == pytest.approx(of["ecs"].found)
        assert row.ecs_chance == of["ecs"].mean
        assert row.ecs_chance_high == of["ecs"].high
        assert row.ami_chance == of["ami"].mean
        assert row.ami_chance_high == of["ami"].high


def test_given_draws_are_searched_anew_and_tested():
    S = planted()
    draws = [{"a": planted(noise=noise)} for noise in (2.0, 3.0, 4.0)]
    report = Report.of_similarities({"a": S}, nulls={"noisy": iter(draws)}, **QUICK)
    rows = report.nulls[report.nulls.null == "noisy"]
    assert len(rows) == len(VARIANTS)
    for row in rows.itertuples():
        q = [
            find_modules(adjacency(torch.from_numpy(s[row.measure]), normalized=row.normalized), restarts=1).q
            for s in (S, *(draw["a"] for draw in draws))
        ]
        test = null_test(q[0], q[1:])
        assert (row.q, row.draws, row.mean, row.sd, row.p) == (q[0], 3, test.mean, test.sd, test.p)


def test_units_have_names_and_the_modules_of_every_graph():
    names = [f"unit {letter}" for letter in "abcdefghijklmnopqrstuvwx"]
    report = Report.of_similarities({"a": planted(dead=[5])}, unit_names=names, **QUICK)
    assert len(report.units) == 24 * len(VARIANTS)
    for (measure, normalized), rows in report.units.groupby(["measure", "normalized"]):
        assert rows.name.tolist() == names
        assert rows.unit.tolist() == list(range(24))
        assert rows.module.tolist() == labels_of(report, measure, normalized).tolist()
    assert report.units.query("name == 'unit f' and measure == 'input_cov'").module.tolist() == [-1, -1]


def test_a_layer_may_lack_measures_and_layers_may_differ():
    S = planted()
    given = {"a": {"output_grad": S["output_grad"]}, "b": {m: S[m] for m in ("input_grad", "input_cov")}}
    report = Report.of_similarities(given, unit_names={"b": ["u"] * 24}, **QUICK)
    measures = report.modules.groupby("layer").measure.unique()
    assert measures["a"].tolist() == ["output_grad"]
    assert measures["b"].tolist() == ["input_cov", "input_grad"]
    assert report.agreement.groupby("layer").size().to_dict() == {"a": 1, "b": 6}
    assert report.modules.reliability.isna().all()
    page = report.to_html()
    assert "Where units go" not in page
    assert "Layer a" in page


def test_the_same_seed_gives_the_same_report_and_the_digest_is_of_the_similarities(report):
    again = Report.of_similarities({"encoder.3": planted(dead=[5])}, **QUICK)
    for name in ("modules", "agreement", "nulls", "units"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(report, name), check_exact=True)
    assert again.to_html() == report.to_html()
    other = Report.of_similarities({"encoder.3": planted()}, **QUICK)
    assert again.about["digest"] == report.about["digest"] != other.about["digest"]


# ---------------------------------------------------------------- warnings


def test_a_clear_layer_has_no_warnings():
    report = Report.of_similarities({"a": planted()}, **{**QUICK, "draws": 19})
    assert report.warnings == ()
    assert "Before you believe it" not in report.to_html() + repr(report)


def warned(report, *words):
    return [sentence for sentence in report.warnings if all(word in sentence for word in words)]


def test_dead_units_are_counted(report):
    (sentence,) = warned(report, "dead")
    graphs = "input covariance, raw and normalised; input gradient, raw and normalised"
    assert sentence.startswith(f"1 unit is dead, of 24, by {graphs}: ")


def test_too_few_draws_are_named_and_not_taken_for_a_high_p(report):
    assert len(warned(report, "too few draws (4)", "similarity")) == 1
    assert not warned(report, "Q is not above")


def test_noise_is_unreliable_and_not_above_its_null():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 16))
    S = Similarities(input_cov=np.cov(x.T))
    S.halves = tuple({"input_cov": np.cov(x[half::2].T)} for half in (0, 1))
    report = Report.of_similarities({"a": S}, **{**QUICK, "draws": 19})
    assert len(warned(report, "Q is not above the null “similarity”", "input covariance, raw and norm")) == 1
    assert len(warned(report, "Reliability is low")) == 1
    assert (report.modules.reliability < 0.5).all()


def test_nulls_are_called_in_warnings_what_the_page_calls_them():
    rng = np.random.default_rng(0)
    given, *drawn = ({"input_cov": np.cov(rng.standard_normal((16, 200)))} for _ in range(20))
    report = Report.of_similarities(
        {"a": given}, nulls={"weights-permuted": [{"a": S} for S in drawn]}, **QUICK
    )
    assert len(warned(report, "Q is not above the null “permuted weights”")) == 1
    assert "permuted weights" in report.to_html()
    assert "weights-permuted" not in report.to_html() + repr(report)


def test_one_module_is_named():
    S = np.ones((6, 6)) + 0.01 * np.eye(6)
    report = Report.of_similarities({"a": {"input_cov": S}}, **QUICK)
    assert report.modules.n_modules.tolist() == [1, 1]
    assert len(warned(report, "All units are in one module")) == 1


def test_an_indefinite_hessian_has_no_rotations_and_the_page_says_so():
    S = planted()
    S["output_hess"] = S["output_hess"] - 0.5 * np.eye(24)  # whose diagonal stays above zero
    report = Report.of_similarities({"a": S}, **QUICK)
    rows = report.nulls[report.nulls.measure == "output_hess"].set_index(["null", "normalized"])
    assert rows.loc["rotations"].p.isna().all()
    assert (rows.loc["rotations"].draws == 0).all()
    assert len(warned(report, "“rotations” could not be drawn for output Hessian, raw and normalised")) == 1
    others = report.nulls[report.nulls.measure != "output_hess"]
    assert others.p.notna().all()


def test_a_layer_without_living_units_is_reported():
    S = Similarities(planted())
    S["input_cov"] = np.zeros((24, 24))
    report = Report.of_similarities({"a": S}, **QUICK)
    assert report.modules.q.isna().tolist() == [True, True] + 6 * [False]
    assert len(warned(report, "24 units are dead", "input covariance")) == 1
    assert "–" in report.to_html()


# ---------------------------------------------------------------- how it shows itself


def test_a_terminal_gets_a_table(report):
    lines = repr(report).splitlines()
    assert lines[0] == "Report on the modules of network"
    assert "layer encoder.3: 24 units, 400 samples" in lines
    (row,) = [line for line in lines if "output gradient, normalised" in line]
    q = report.modules.set_index(["measure", "normalized"]).q["output_grad", True]
    assert row.split()[3:6] == [f"{q:.3f}", "0.200", "4"]


def test_a_notebook_gets_the_page_in_a_frame_of_its_own(report):
    shown = report._repr_html_()
    (source,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert html.unescape(source) == report.to_html()
    assert "<script" not in report.to_html()


def test_names_are_text_and_not_mark_up():
    report = Report.of_similarities({"<b>": planted()}, name="<script>", unit_names=["<i>"] * 24, **QUICK)
    page = report.to_html()
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>&lt;" not in page
    assert page.count("&lt;i&gt;") == 24


# ---------------------------------------------------------------- what is refused


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "similarities must be a mapping"),
        ([1], "similarities must be a mapping"),
        ({"a": {}}, r"similarities\['a'\] must be a mapping"),
        ({"a": {"cov": np.eye(3)}}, "each measure of similarities"),
        ({"a": {"input_cov": np.eye(3)[:2]}}, r"similarities\['a'\]\['input_cov'\] must be a square"),
        ({"a": {"input_cov": np.eye(3), "input_grad": np.eye(4)}}, "same units"),
        ({3: {"input_cov": np.eye(3)}}, "name each layer by a text"),
    ],
)
def test_what_are_no_similarities_is_refused(given, said):
    with pytest.raises((TypeError, ValueError), match=said):
        Report.of_similarities(given)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit_names": ["a"]}, "unit_names must name each unit of 'a'"),
        ({"unit_names": {"b": ["a"] * 24}}, "unit_names must be of the layers a; got 'b'"),
        ({"unit_names": [1] * 24}, "unit_names must be texts"),
        ({"nulls": [1]}, "nulls must be a mapping"),
        ({"nulls": {"n": [{"a": planted()}]}}, r"nulls\['n'\] must be two draws or more, got 1"),
        (
            {"nulls": {"n": [{"b": planted()}] * 2}},
            r"nulls\['n'\] must be draws of similarities of",
        ),
        ({"nulls": {"n": [{"a": {"input_cov": np.eye(24)}}] * 2}}, r"nulls\['n'\] must have the measures"),
    ],
)
def test_what_does_not_fit_the_similarities_is_refused(options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        Report.of_similarities({"a": planted()}, **{**QUICK, **options})


def test_it_is_one_of_the_public_names():
    assert modlib.Report is Report
