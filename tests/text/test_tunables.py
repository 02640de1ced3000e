"""Finding what may be tuned in a text, and rewriting it in place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.text.domains import Box, Choice, Integer, Real, Tune, parse_tune
from llm_optimize.text.tunables import describe, find, rewrite, skeleton


def spans(text, tune=None):
    return [text[slice(*span)] for hole in find(text, tune) for span in hole.spans]


# --- comments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", ["#", "//", "--", "%", ";", "##", "%%"])
def test_comment_of_any_language_marks_a_number(opener):
    """Each of the comment openers marks the number before it, with its range."""
    (hole,) = find(f"C = 1.0  {opener} tune: C=0.01..100 log\n")
    assert (hole.name, hole.current, hole.domain) == ("C", 1.0, Real(0.01, 100, log=True))


def test_several_marks_on_a_line():
    """One comment marks several numbers and options of its line, commas or semicolons between."""
    text = "clf = SVC(C=1.0, k=5, kernel='rbf')  # tune: C=0.01..100 log, k=1..20 int; kernel=rbf|poly"
    holes = find(text)
    assert [hole.name for hole in holes] == ["C", "k", "kernel"]
    assert [hole.domain for hole in holes] == [Real(0.01, 100, log=True), Integer(1, 20), Choice(("rbf", "poly"))]
    new = rewrite(text, holes, [0.5, 7, "poly"])
    assert new.startswith("clf = SVC(C=0.5, k=7, kernel='poly')  # tune: C=0.01..100 log")


def test_mark_without_a_name_tunes_the_only_number():
    """A bare range is for the single number on the line, which is called what the line calls it."""
    (hole,) = find("rate = 1e-3  # tune: 1e-5..1e-1 log")
    assert (hole.name, hole.current, hole.domain) == ("rate", 1e-3, Real(1e-5, 1e-1, log=True))
    assert find("use 3 trees // tune: 1..9")[0].name == "line 1"
    assert find('mode: "fast"  # tune: fast|slow')[0].current == "fast"


@pytest.mark.parametrize(
    ("line", "domain"),
    [
        ("k = 5  # tune: k=1..20", Integer(1, 20)),
        ("k = 5.0  # tune: k=1..20", Real(1, 20)),
        ("k = 5  # tune: k=1.0..20", Real(1, 20)),
        ("k = 5  # tune: k=1..20 float", Real(1, 20)),
        ("k = 5.0  # tune: k=1..20 int", Integer(1, 20)),
        ("k = -5  # tune: k=-20..-1", Integer(-20, -1)),
        ("k = 5  # tune: k=1..20 log", Integer(1, 20, log=True)),
    ],
)
def test_whole_numbers_are_inferred_when_all_three_are_written_so(line, domain):
    """Bounds and value without a point mean whole numbers; a word settles it otherwise."""
    assert find(line)[0].domain == domain


@pytest.mark.parametrize(
    "line",
    ["#define K 5  // tune: K=1..9", "(setq K 5) ; tune: K=1..9", "run --K 5 # tune: K=1..9", "K: 5  # tune: K=1..9"],
)
def test_other_languages_assignments_are_found_on_a_marked_line(line):
    """On a marked line a space assigns too, as in C macros, Lisp and command lines."""
    assert rewrite(line, find(line), [7]) == line.replace("5", "7")


def test_html_and_c_comments_may_be_closed():
    """A closing --> or */ behind the mark is not part of it."""
    assert find("<b>T=0.5</b> <!-- tune: T=0.1..1 -->")[0].domain == Real(0.1, 1)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("C = 1.0  # tune: gamma=0.1..1", "'gamma' has no such value"),
        ("C = 1.0  # tune: C=100..0.01", "turned round"),
        ("C = 1.0  # tune: C=1.5..1.5", "holds one value"),
        ("C = 1.0  # tune: C=0..1 log", "begins above 0"),
        ("C = 1.0  # tune: C=0.1-1", "is no range"),
        ("C = 1.0  # tune: C=0.1..1 lgo", "is no range"),
        ("C = 1.0  # tune:", "is no range"),
        ("C = 1.0  # tune: C=0.5..1.5 int", "whole numbers"),
        ("a, b = 1, 2  # tune: 1..9", "2 such values"),
        ("nothing  # tune: 1..9", "0 such values"),
        ("m = 'a'  # tune: m=a|a", "two or more different options"),
    ],
)
def test_bad_mark_is_an_error_in_a_users_text_and_passed_over_in_a_models(line, part):
    """Strict, a bad mark is one line naming where and what; otherwise it is as if it were not there."""
    text = f"first line\n{line}\nD = 2.0  # tune: D=0.1..9\n"
    with pytest.raises(BadInput, match=part) as caught:
        find(text)
    assert "line 2" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [hole.name for hole in find(text, strict=False)] == ["D"]


def test_comment_is_never_rewritten():
    """Numbers in the mark itself are not touched, by any way of tuning."""
    text = "C = 1.0  # tune: C=0.01..100 log"
    for tune in (None, Box(0, 5), {"C": (0.5, 5)}):
        holes = find(text, tune)
        assert rewrite(text, holes, [2.0] * len(holes)) == "C = 2.0  # tune: C=0.01..100 log"


# --- boxes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[8, -8]", ["8", "-8"]),
        ("8 -8 +3.5", ["8", "-8", "+3.5"]),
        ("x1 = 2, y_2 = .5", ["2", ".5"]),
        ("a - 3, b-3, 5-3, (-3), 2**-1", ["3", "3", "5", "3", "-3", "2", "-1"]),
        ("1e-5 2E+3 1_000", ["1e-5", "2E+3", "1_000"]),
        ("0x1F v1.2.3 10px 3rd", []),
        ("[1., 2.] take 3.", ["1.", "2.", "3"]),
        ("x = 3.", ["3."]),
        ("range(1..5)", ["1", "5"]),
        ("50%, $7, #4", ["50", "7", "4"]),
    ],
)
def test_every_number_is_found_and_nothing_else(text, found):
    """Signs, exponents and points belong to numbers; digits of identifiers, versions and units do not count."""
    assert [text[slice(*hole.span)] for hole in find(text, Box(-1e4, 1e4), strict=False)] == found


def test_box_of_whole_numbers_writes_whole_numbers():
    """Box(integer=True) keeps whole numbers whole; without it they become floats."""
    assert rewrite("[8, 8]", find("[8, 8]", Box(-10, 10, integer=True)), [3.4, -2.0]) == "[3, -2]"
    assert rewrite("[8, 8]", find("[8, 8]", Box(-10, 10)), [3.4, -2.0]) == "[3.4, -2.0]"


def test_sign_that_separates_is_kept_when_the_value_turns_positive():
    """In 'a -3' a positive value is written with its sign, so that the expression stays one."""
    holes = find("a -3", Box(-9, 9))
    assert rewrite("a -3", holes, [2.5]) == "a +2.5"
    assert rewrite("8 -3", find("8 -3", Box(-9, 9)), [1.0, 2.5]) == "1.0 2.5"


def test_marks_win_over_the_box():
    """A number with a range of its own keeps it; the others get the box."""
    holes = find("C = 1.0  # tune: C=0.5..2\nD = 3\n", Box(-9, 9))
    assert [hole.domain for hole in holes] == [Real(0.5, 2), Real(-9, 9)]


def test_text_without_numbers():
    """A box that finds nothing is an error in a user's text, and finds nothing in a model's."""
    with pytest.raises(BadInput, match="holds no number"):
        find("prose", Box(0, 1))
    assert find("prose", Box(0, 1), strict=False) == ()


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("C = 1.0", ["1.0"]),
        ("f(C=1.0, b=2)", ["1.0"]),
        ('{"C": 1.0}', ["1.0"]),
        ("{'C':-2}", ["-2"]),
        ("C: float = 1.5", ["1.5"]),
        ("C: 1.0", ["1.0"]),
        ("C := 3", ["3"]),
        ("C => 3", ["3"]),
        ('C="1.0"', ["1.0"]),
        ("C: 10px;", ["10"]),
        ("self.C = 3.", ["3."]),
        ("ABC = 1\nC = 2", ["2"]),
        ("C == 1\nC = C\nC = 2", ["2"]),
    ],
)
def test_assignment_to_a_name_is_found(text, found):
    """A named number is found in the assignments of common languages, and nowhere else."""
    assert spans(text, {"C": (-10, 10)}) == found


def test_named_option_keeps_its_quotes():
    """An option is written inside the quotes that stand in the text, or without any."""
    tune = {"kernel": ["rbf", "poly"]}
    for text in ('kernel="rbf"', "kernel: 'rbf'", "kernel = rbf"):
        assert rewrite(text, find(text, tune), ["poly"]) == text.replace("rbf", "poly")


def test_options_that_are_not_all_strings_carry_their_own_quotes():
    """None beside names is written bare, the names in quotes."""
    tune = {"penalty": [None, "l2"]}
    assert rewrite("penalty=None", find("penalty=None", tune), ['"l2"']) == 'penalty="l2"'
    assert rewrite("penalty='l2'", find("penalty='l2'", tune), ["None"]) == "penalty=None"


def test_booleans_follow_the_texts_language():
    """True and False are written as the text writes them."""
    tune = {"shuffle": [True, False]}
    assert rewrite("shuffle=True", find("shuffle=True", tune), ["False"]) == "shuffle=False"
    assert rewrite('{"shuffle": true}', find('{"shuffle": true}', tune), ["false"]) == '{"shuffle": false}'


def test_equal_assignments_move_together_and_others_stay():
    """Assignments of the first one's value are one tunable; an assignment of another value is left alone."""
    text = "def f(C=1.0): ...\nf(C=1)\nf(C=2.0)\n"
    (hole,) = find(text, {"C": (0, 10)})
    assert len(hole.spans) == 2
    assert rewrite(text, (hole,), [4.5]) == "def f(C=4.5): ...\nf(C=4.5)\nf(C=2.0)\n"


def test_name_that_the_text_does_not_assign():
    """A name without a number is an error in a user's text, and is passed over in a model's."""
    with pytest.raises(BadInput, match=r"tune\['gamma'\]"):
        find("C = 1.0", {"gamma": (0, 1)})
    assert find("C = 1.0", {"gamma": (0, 1)}, strict=False) == ()


def test_name_wins_over_the_comment():
    """A range given by the caller replaces the one in the text."""
    (hole,) = find("C = 1.0  # tune: C=0.01..100 log", {"C": (0.5, 2)})
    assert hole.domain == Real(0.5, 2)


# --- the tune argument ----------------------------------------------------------------------------------------------


def test_tune_argument_in_all_its_shapes():
    """Ranges, logarithms, whole numbers, options, domains and boxes are all read."""
    tune = parse_tune(
        {
            "a": (0, 1),
            "b": (1, 9, int, "log"),
            "c": ("x", "y"),
            "d": [1, 2],
            "e": Integer(0, 3),
            "f": Box(0, 5, integer=True),
        }
    )
    domains = dict(tune.named)
    assert domains["a"] == Real(0, 1)
    assert domains["b"] == Integer(1, 9, log=True)
    assert domains["c"] == Choice(("x", "y"))
    assert domains["d"] == Choice(("1", "2"))
    assert (domains["e"], domains["f"]) == (Integer(0, 3), Integer(0, 5))
    assert parse_tune(None) == Tune()
    assert parse_tune(tune) is tune


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (7, "tune is 7"),
        ({"C": 7}, r"tune\['C'\]: 7 is no range"),
        ({"C": (5, 1)}, r"tune\['C'\]: 5 *.*turned round"),
        ({"C": (1, 1)}, "holds one value"),
        ({"C": (0, 1, "log")}, "begins above 0"),
        ({"C": (0, 1, "lgo")}, "is no range"),
        ({"C": (0, 1.5, int)}, "whole numbers"),
        ({"C": (0, float("nan"))}, "finite"),
        ({"C": ["a"]}, "two or more"),
        ({"C": []}, "two or more"),
        ({3: (0, 1)}, "has the name 3"),
    ],
)
def test_bad_tune_argument_is_refused_in_one_line(value, part):
    """Whatever is no range is refused with the name, the range and the remedy."""
    with pytest.raises(BadInput, match=part) as caught:
        parse_tune(value)
    assert "\n" not in str(caught.value)


def test_bad_box_is_refused_where_it_is_made():
    """A box checks its range when it is made."""
    with pytest.raises(BadInput, match="turned round"):
        Box(10, -10)


# --- values ---------------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_rewriting_and_finding_are_inverse(x, y):
    """Values written are values found, to ten digits, and the structure stays the same."""
    box = Box(-1e6, 1e6)
    text = "f(a -3, [8, 8e0])\n"
    holes = find(text, box)
    new = rewrite(text, holes, [x, y, x])
    again = find(new, box)
    assert skeleton(new, again) == skeleton(text, holes)
    assert [hole.current for hole in again] == pytest.approx([x, y, x], rel=1e-9, abs=1e-300)


@given(st.text(max_size=200))
def test_any_text_is_survived_and_left_alone(text):
    """No text breaks the search, and rewriting nothing changes nothing."""
    holes = find(text, Box(-10, 10), strict=False)
    assert skeleton(text, ()) == text
    for hole in holes:
        assert float(text[slice(*hole.span)]) == hole.current


@given(
    st.floats(0, 1), st.sampled_from([Real(-3, 5), Real(0.01, 100, log=True), Integer(1, 20), Choice(("a", "b", "c"))])
)
def test_places_and_values_are_inverse(place, domain):
    """A value lies at the place it was drawn for, and inside its domain."""
    value = domain.at(place)
    assert domain.clip(value) == value
    assert domain.at(domain.place(value)) == value


def test_value_outside_its_range_is_left_in_the_text():
    """A current value outside the range is reported as it stands, and brought inside only when rewritten."""
    text = "C = 500.0  # tune: C=0.01..100 log"
    (hole,) = find(text)
    assert hole.current == 500.0
    assert hole.domain.clip(hole.current) == 100.0
    assert skeleton(text, (hole,)) == skeleton(rewrite(text, (hole,), [500.0]), find(rewrite(text, (hole,), [500.0])))


def test_digits_that_are_written():
    """Real values carry ten significant digits, no more, and in the shortest form."""
    holes = find("x = 1.0", {"x": (-10, 10)})
    assert rewrite("x = 1.0", holes, [1 / 3]) == "x = 0.3333333333"
    assert rewrite("x = 1.0", holes, [2]) == "x = 2.0"


def test_description_names_what_changes():
    """The idea of a draft names the changed values only."""
    holes = find("C = 1.0\nk = 5", {"C": (0, 10), "k": (1, 9, int)})
    assert describe(holes, [2.31, 5]) == "C 1 -> 2.31"


def test_wrong_number_of_values():
    """One value for each tunable, or a clear error."""
    with pytest.raises(BadInput, match="2 values for 1"):
        rewrite("C = 1", find("C = 1", {"C": (0, 9)}), [1, 2])
